"""Reading a sample of user turns: what is drawn, what is kept, and what the answers come to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ise_gym.cli import app
from ise_gym.messages import tool_call
from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.select.audit import refused_turns, sample, sent_turns
from ise_gym.trajectory.store import TrajectoryStore


def episode(number: int) -> Trajectory:
    return Trajectory(
        episode_id=f"e{number}",
        scenario_id="s",
        seed=number,
        intent="Sort x.csv, then mail it.",
        outcome="failed",
        score=0.0,
        messages=[
            {"role": "system", "content": "…"},
            {"role": "user", "content": f"Sort x.csv please ({number})."},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [tool_call("exec", {"command": "sort x.csv"}, "1")],
            },
            {"role": "assistant", "content": "Sorted."},
            {"role": "user", "content": "It isn't sorted."},
        ],
        tools=[],
        user={
            "name": "llm:m",
            "drift": [
                {
                    "turn": 2,
                    "detectors": ["echoes_agent"],
                    "action": "fallback",
                    "refused": [{"text": "Sorted.", "detectors": {"echoes_agent": "Sorted."}}],
                }
            ],
        },
    )


def test_turns_know_who_spoke_them_and_what_came_before() -> None:
    first, second = sent_turns(episode(1))
    assert (first.key, first.speaker, first.before) == ("e1#1", "llm:m", ())
    assert (second.key, second.speaker) == ("e1#2", "script")
    assert second.before == (("user", "Sort x.csv please (1)."), ("agent", "Sorted."))
    assert [(t.key, t.text, t.before) for t in refused_turns(episode(1))] == [
        ("e1#2/1", "Sorted.", second.before)
    ]


def test_a_sample_is_even_and_the_same_for_the_same_seed() -> None:
    episodes = [episode(n) for n in range(200)]
    drawn = sample(episodes, 50, seed=3)
    assert drawn == sample(episodes, 50, seed=3) != sample(episodes, 50, seed=4)
    assert len({turn.key for turn in drawn}) == 50
    numbers = [int(turn.key[1:].partition("#")[0]) for turn in drawn]
    assert min(numbers) < 40 and max(numbers) > 160


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with TrajectoryStore(tmp_path / "store") as made:
        for number in range(3):
            made.append(episode(number))
    return tmp_path / "store"


def test_answers_are_kept_at_once_and_the_audit_goes_on_where_it_stopped(store: Path) -> None:
    run = CliRunner()
    first = run.invoke(app, ["guard", "audit", str(store), "--sample", "6"], input="y\nn it echoes\nq\n")
    assert first.exit_code == 0, first.output
    kept = [json.loads(line) for line in (store / "audit.jsonl").read_text().splitlines()]
    assert [(line["in_role"], line["why"]) for line in kept] == [(True, ""), (False, "it echoes")]
    assert "all: 1 of 2 turns out of role that reached the agent: 50.0%" in first.output
    second = run.invoke(app, ["guard", "audit", str(store), "--sample", "6"], input="y\ny\ny\ny\n")
    assert "1 of 6" in second.output and second.output.count("in role?") == 4
    third = run.invoke(app, ["guard", "audit", str(store), "--sample", "6"])
    assert "1 of 6" in third.output and "in role?" not in third.output


def test_answers_about_a_file_of_records_are_kept_beside_it(store: Path, tmp_path: Path) -> None:
    lone = tmp_path / "lone.jsonl"
    lone.write_bytes((store / "shards" / "part-00000.jsonl").read_bytes())
    run = CliRunner().invoke(app, ["guard", "audit", str(lone), "--sample", "6"], input="y\nq\n")
    assert run.exit_code == 0, run.output
    assert len((tmp_path / "lone.jsonl.audit.jsonl").read_text().splitlines()) == 1


def test_refused_drafts_can_be_read_too(store: Path) -> None:
    found = CliRunner().invoke(
        app, ["guard", "audit", str(store), "--sample", "9", "--refused"], input="n\nn\ny\n"
    )
    assert "all: 1 of 3 refused drafts that were in role" in found.output, found.output


def test_a_broken_file_of_answers_is_named(store: Path) -> None:
    (store / "audit.jsonl").write_text("{}\n")
    found = CliRunner().invoke(app, ["guard", "audit", str(store)])
    assert found.exit_code != 0 and "line 1" in str(found.exception) + found.output
