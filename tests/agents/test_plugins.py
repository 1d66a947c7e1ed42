"""Agents of installed packages, found through metadata on sys.path as an installer would leave it."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from ise_gym.agents import known_agents, make_agent
from ise_gym.agents.expert import ExpertAgent
from ise_gym.cli.seats import check_seats
from ise_gym.errors import UserError
from ise_gym.rollout.play import PlayableEnv, play_episode
from made_scenarios import make_scenario

CODE = """
    from ise_gym.messages import assistant, tool_call

    class Parrot:
        def __init__(self, words="Done.", loud=False):
            self.name, self.words = f"parrot:{words}", words.upper() if loud else words
        def reset(self, scenario, seed): pass
        def act(self, messages, tools): return assistant(self.words)
        def describe(self): return {"agent": "parrot", "words": self.words}
        def close(self): pass

    def nothing(): return object()
    version = "1"
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "parrot_agents.py").write_text(textwrap.dedent(CODE))
    install(
        tmp_path,
        "parrot",
        parrot="parrot_agents:Parrot",
        mute="parrot_agents:nothing",
        gone="parrot_agents:Missing",
        text="parrot_agents:version",
        expert="parrot_agents:Parrot",
    )
    return tmp_path


def install(folder: Path, name: str, **points: str) -> None:
    info = folder / f"{name}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    lines = [f"{point} = {value}" for point, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[ise_gym.agent]", *lines]) + "\n")


def test_a_packages_agent_is_made_by_its_name(package: Path, env: PlayableEnv) -> None:
    assert make_agent("parrot").describe()["words"] == "Done."
    assert make_agent("parrot:hi there", loud=True).describe()["words"] == "HI THERE"
    check_seats("parrot:x", "scripted", "auto")
    trajectory = play_episode(env, make_agent("parrot:Done."), make_scenario(), seed=0)
    assert trajectory.agent == {"name": "parrot:Done.", "agent": "parrot", "words": "Done."}
    assert trajectory.outcome == "failed"


def test_it_can_not_replace_one_of_ours_and_is_listed(package: Path) -> None:
    assert isinstance(make_agent("expert"), ExpertAgent)
    assert known_agents()["parrot"] == "parrot or parrot:… (a plug-in)"
    with pytest.raises(UserError, match=r"unknown agent 'parot'.*Did you mean 'parrot'.*\(a plug-in\)"):
        make_agent("parot")
    with pytest.raises(UserError, match="Did you mean 'parrot'"):
        check_seats("parot", "scripted", "auto")


def test_what_is_wrong_with_a_package_is_told(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for spec, words in (
        ("mute", r"'mute' of parrot 1\.2 is not one: it lacks name, describe, close"),
        ("gone", r"'gone' of parrot 1\.2 can't be loaded \(parrot_agents:Missing"),
        ("text", "neither a class nor a function"),
    ):
        with pytest.raises(UserError, match=words):
            make_agent(spec)
    with pytest.raises(UserError, match="there is no option 'colour'"):
        make_agent("parrot", colour="green")
    other = tmp_path / "other"
    other.mkdir()
    install(other, "macaw", parrot="parrot_agents:Parrot")
    monkeypatch.syspath_prepend(str(other))
    with pytest.raises(
        UserError, match=r"several packages \((macaw 1.2, parrot 1.2|parrot 1.2, macaw 1.2)\)"
    ):
        make_agent("parrot")
