"""Files from elsewhere: ISETrace intents and queries become scenarios; bad lines are named and skipped."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from ise_gym.episode.episode import Episode
from ise_gym.errors import UserError
from ise_gym.intents.foreign import ForeignFileSource, open_intent_file
from ise_gym.intents.increments import increments
from ise_gym.intents.lines import IntentFileSource
from ise_gym.intents.pool.generate import generate
from ise_gym.messages import assistant
from ise_gym.simulator import make_user
from ise_gym.tools.dispatch import Toolbox
from ise_gym.workspace.backends.dummy import DummyWorkspace

INTENT = {
    "id": "intent_5723a36d",
    "natural_language_intent": "I run a clinic. Please merge visits/a.csv and visits/b.csv, e.g. by date. Then count the "
    "visits of each doctor. Finally, write a summary to visits/summary.md.",
    "domains": ["9b1c", "77aa"],
    "tasks": ["t1"],
    "persona_id": "p",
    "tools_used": [],
    "skills_used": [],
    "complexity": "complex",
    "metadata": {
        "persona": {
            "name": "Ana", "role": "Manager", "industry": "Health", "expertise": ["rotas"], "experience_level": "senior",
            "communication_style": "Formal and precise", "work_context": "A clinic.",
        },
        "domains": [{"name": "file-io", "description": "d", "selected_tasks": [{"name": "merge", "description": "m"}]}],
    },
}  # fmt: skip


def write(path: Path, *lines: object) -> Path:
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def test_an_isetrace_intent_is_a_scenario_without_sub_goals(tmp_path: Path) -> None:
    source = open_intent_file(write(tmp_path / "i.jsonl", INTENT))
    assert isinstance(source, ForeignFileSource) and source.ids() == ["intent_5723a36d"]
    scenario = source.scenario(0)
    assert [r.text for r in scenario.requests] == [
        "I run a clinic. Please merge visits/a.csv and visits/b.csv, e.g. by date.",
        "Then count the visits of each doctor.",
        "Finally, write a summary to visits/summary.md.",
    ]
    assert scenario.requests[2].facts == ("visits/summary.md",)
    assert not any(r.subgoals or r.plan for r in scenario.requests)
    assert scenario.metadata["verifiable"] is False
    assert (scenario.persona.role, scenario.persona.register, scenario.complexity) == (
        "Manager",
        "formal",
        "complex",
    )
    assert (scenario.domains, scenario.tasks) == (("file-io",), ("merge",))
    assert scenario == source.scenario(1) == next(iter(source))


def test_an_episode_of_such_a_scenario_is_neither_passed_nor_failed(tmp_path: Path) -> None:
    scenario = ForeignFileSource(write(tmp_path / "i.jsonl", INTENT)).scenario(0)
    box = DummyWorkspace()
    episode = Episode(scenario, box, Toolbox((), box), make_user("scripted"), 0)
    episode.start("system")
    rewards, said = [], 0
    while not episode.over:
        rewards.append(episode.act(assistant("All done.")).reward)
        said += 1
    assert (episode.outcome, episode.reason) == ("unverified", "the user is done")
    heard = " ".join(m["content"] for m in episode.messages if m["role"] == "user").casefold()
    assert all(request.text.casefold() in heard for request in scenario.requests)
    assert said >= 3 and set(rewards) == {0.0}


def test_queries_are_one_request_each_and_answers_stay_outside(tmp_path: Path) -> None:
    file = write(
        tmp_path / "q.jsonl", {"id": 7, "query": "Who? And when?", "answer": "Ada"}, {"question": "Why?"}
    )
    source = open_intent_file(file)
    assert source.ids() == ["7", "line-2"]
    first = source.scenario(0)
    assert [r.text for r in first.requests] == ["Who? And when?"]
    assert "Ada" not in repr(first)


def test_bad_lines_are_reported_with_their_number_and_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = write(
        tmp_path / "i.jsonl",
        INTENT,
        "{",
        {"id": "x"},
        {**INTENT, "complexity": "huge", "id": "y"},
        INTENT,
        {**INTENT, "id": "z", "metadata": None},
        "",
        {**INTENT, "id": "ok", "metadata": {}},
    )
    with caplog.at_level(logging.WARNING):
        source = ForeignFileSource(file)
    assert source.ids() == ["intent_5723a36d", "ok"]
    assert sorted(source.problems) == [2, 3, 4, 5, 6]
    assert "not JSON" in source.problems[2] and "no text" in source.problems[3]
    assert source.problems[4].startswith("complexity:") and "line 1 too" not in source.problems[4]
    assert "i.jsonl:2: skipped: not JSON" in caplog.text and "5 lines skipped, 2 used" in caplog.text
    assert source.scenario(1).persona.name == ""
    with pytest.raises(UserError, match="no line can be used; first problem: line 1"):
        ForeignFileSource(write(tmp_path / "bad.jsonl", "{"))
    with pytest.raises(UserError, match="can't be read"):
        ForeignFileSource(tmp_path / "none.jsonl")


def test_the_kind_of_file_is_seen_from_its_first_object(tmp_path: Path) -> None:
    own = generate(1, 0, tmp_path, split="train", tasks_per_intent=1, tier="easy")
    assert isinstance(open_intent_file(own), IntentFileSource)
    assert isinstance(open_intent_file(write(tmp_path / "q", "{", {"query": "Why?"})), ForeignFileSource)
    with pytest.raises(UserError, match="no such intents file"):
        open_intent_file(tmp_path / "none.jsonl")


def test_increments_say_every_word_once() -> None:
    listed = "Good morning. I need this:\n1. Sort orders.csv by the date of delivery\n2. Count the rows of every region\n   and note them"
    assert increments(listed) == [
        "Good morning. I need this: Sort orders.csv by the date of delivery",
        "Count the rows of every region and note them",
    ]
    many = " ".join(f"Please look at file number {n} now, and tell me more." for n in range(20))
    turns = increments(many)
    assert len(turns) == 8 and " ".join(turns) == many
    quoted = (
        'Call it "final." Then send the whole folder to all of us (today.) Thanks a lot to you all for this.'
    )
    assert " ".join(increments(quoted)) == quoted
    assert increments("Sort it.") == ["Sort it."]


@pytest.mark.parametrize(
    ("text", "turns"),
    [
        (
            "We plan staffing for three departments of the clinic. ER: Requires 60 FTEs at $50/hr. Then please write "
            "a memo about it for the board.",
            2,
        ),
        ("我在仓库工作，请把库存表按日期排序。然后帮我找出最贵的三种货物！最后写一份简短的说明给经理。", 3),
        (
            "У нас есть журнал продаж за май. Отсортируйте его по дате и клиенту. Затем найдите самый большой заказ этого месяца.",
            3,
        ),
    ],
)
def test_labelled_facts_are_no_turns_and_other_scripts_have_sentences_too(text: str, turns: Any) -> None:
    found = increments(text)
    assert len(found) == turns and "".join("".join(found).split()) == "".join(text.split())
