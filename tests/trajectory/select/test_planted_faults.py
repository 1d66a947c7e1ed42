"""Every planted fault is found by the rule that is meant, and no clean episode is lost to any."""

from __future__ import annotations

import copy

import pytest
from clean_episodes import played
from planting import FAULTS, planted

from ise_gym.messages import assistant
from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.select.facts import Facts, facts_of
from ise_gym.trajectory.select.rules import EPISODE_RULES, Selection

RULES = Selection(thinking=1.0)


@pytest.fixture(scope="module")
def clean() -> list[Trajectory]:
    return list(played())


def thoughtful(trajectory: Trajectory) -> Trajectory:
    twin = copy.deepcopy(trajectory)
    for message in twin.messages:
        if message["role"] == "assistant":
            message["reasoning_content"] = "Let me see what is there first."
    return twin


def read(trajectory: Trajectory) -> Facts:
    return facts_of(trajectory, trajectory.episode_id, RULES, compare=False)


def test_no_clean_episode_breaks_a_rule(clean: list[Trajectory]) -> None:
    lost = {t.episode_id: read(thoughtful(t)).broken for t in clean}
    assert len(lost) == 50
    assert {episode: why for episode, why in lost.items() if why} == {}


@pytest.mark.parametrize("rule", EPISODE_RULES)
def test_each_of_ten_planted_faults_falls_to_its_rule(clean: list[Trajectory], rule: str) -> None:
    working = [t for t in clean if any(m["role"] == "tool" for m in t.messages)]
    made = [planted(thoughtful(working[n * 4]), plant, n) for n, plant in enumerate(FAULTS[rule])]
    found = [rule in read(t).broken for t in made]
    assert found == [True] * 10


def test_a_fault_is_named_with_its_words_and_its_place(clean: list[Trajectory]) -> None:
    broken = read(planted(thoughtful(clean[0]), FAULTS["grounding"][0], 0)).broken["grounding"]
    assert "'8317'" in broken and "figure" in broken and "message " in broken


def test_the_planted_fault_is_the_only_one_that_is_found(clean: list[Trajectory]) -> None:
    """Where a fault leaves the rest of the episode as it was, no other rule speaks up."""
    for rule in ("outcome", "guard", "thinking", "personal"):
        for number, plant in enumerate(FAULTS[rule]):
            assert set(read(planted(thoughtful(clean[number]), plant, number)).broken) == {rule}


def test_a_reply_of_the_same_figure_in_another_form_is_grounded(clean: list[Trajectory]) -> None:
    forms = {
        "12500 rows": "It has 12,500 rows.",
        "ratio 0.125": "That is 12.5 %.",
        "mean 3.14159": "The mean is 3.14.",
        "size 2048": "It takes 2 kB.",
        "2024-03-05": "It is from 5 March 2024.",
        "three files": "There are 3 files.",
        "took 1500 ms": "It took 1.5 s.",
        "a.csv\nb.csv\nc.csv": "There are 3 files.",
        "共三个文件": "There are 3 files.",
    }
    for seen, said in forms.items():
        twin = copy.deepcopy(clean[0])
        next(m for m in twin.messages if m["role"] == "tool")["content"] = seen
        twin.messages.append(assistant(said))  # type: ignore[arg-type]
        own = [u for u in read(twin).broken.get("grounding", "").split("; ") if said.split()[2] in u]
        assert own == [], (seen, said)
