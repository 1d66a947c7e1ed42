"""A pass at the first attempt: told by the episode, read from records, older ones too, and shown beside pass@1."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from made_runs import card, make_run, trial
from made_source import open_made

from ise_gym.agents import make_agent
from ise_gym.errors import UserError
from ise_gym.evaluation import suite as suites
from ise_gym.evaluation.builtin import run_suite
from ise_gym.evaluation.firsttry import first_attempt
from ise_gym.evaluation.ledger import Ledger
from ise_gym.evaluation.results import report
from ise_gym.evaluation.results.compare import compare
from ise_gym.evaluation.results.explain import explained
from ise_gym.evaluation.results.page import to_html
from ise_gym.evaluation.results.summary import summarise
from ise_gym.evaluation.run import LEDGER, load_run, open_run
from ise_gym.evaluation.suite import Wanted, freeze
from ise_gym.messages import Message, ToolSchema, assistant
from ise_gym.scenario import Scenario
from ise_gym.trajectory.record import Trajectory, to_line
from ise_gym.trajectory.store import read_trajectories


class Late:
    """Says that it is done so many times before it does anything."""

    name = "late"

    def __init__(self, idle: int) -> None:
        self._idle, self._expert = idle, make_agent("expert")
        self._left = 0

    def reset(self, scenario: Scenario, seed: int) -> None:
        self._left = self._idle
        self._expert.reset(scenario, seed)

    def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Message:
        if self._left:
            self._left -= 1
            return assistant("I will look at it.")
        return self._expert.act(messages, tools)

    def describe(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(suites, "open_source", open_made)
    return freeze("made", [Wanted({"tier": "easy"}, {"tier": "easy"}, 3)])


def records(folder: Path) -> list[Trajectory]:
    return list(read_trajectories(folder / "trajectories"))


def test_one_that_was_corrected_passes_but_not_at_first(suite: Any, tmp_path: Path) -> None:
    prompt = run_suite(suite, make_agent("expert"), tmp_path / "prompt", backend="dummy")
    late = run_suite(suite, Late(1), tmp_path / "late", backend="dummy")
    assert (prompt.rate.passed, prompt.first.passed) == (3, 3)
    assert (late.rate.passed, late.first.passed, late.first.tasks) == (3, 0, 3)
    assert [t.first_attempt for t in records(tmp_path / "late")] == [False] * 3
    lazy = run_suite(suite, make_agent("lazy"), tmp_path / "lazy", backend="dummy")
    assert (lazy.rate.passed, lazy.first.passed, lazy.first.tasks) == (0, 0, 3)
    found = compare(tmp_path / "late", tmp_path / "prompt")
    assert found.pairs[0].difference.mean == 0 and found.pairs[0].first is not None
    assert found.pairs[0].first.mean == 1.0


def test_older_records_tell_it_by_their_scores(suite: Any, tmp_path: Path) -> None:
    run_suite(suite, make_agent("expert"), tmp_path / "prompt", backend="dummy")
    run_suite(suite, Late(1), tmp_path / "late", backend="dummy")
    for folder, expected in (("prompt", True), ("late", False)):
        for record in records(tmp_path / folder):
            old = record.model_copy(update={"first_attempt": None})
            assert b"first_attempt" not in to_line(old)
            assert first_attempt(old) is expected


def test_a_request_to_look_again_is_no_correction() -> None:
    def record(user: str, scores: Sequence[float]) -> Trajectory:
        said = [{"role": "user", "content": "Write it."}, {"role": "assistant", "content": "Done."}]
        said += [{"role": "user", "content": user}, {"role": "assistant", "content": "Yes."}]
        said += [
            {"role": "user", "content": "And then the second."},
            {"role": "assistant", "content": "Done."},
        ]
        steps = [
            {"message": at, "reward": 0, "score": score} for at, score in zip((1, 3, 5), scores, strict=True)
        ]
        return Trajectory.model_validate(
            {
                "episode_id": "e", "scenario_id": "s", "seed": 0, "intent": "", "outcome": "passed", "score": 1.0,
                "subgoals": {"a: x": True, "b: y": True}, "messages": said, "tools": [], "steps": steps,
            }
        )  # fmt: skip

    assert (
        first_attempt(record("Can you double-check that one before I rely on it?", [0.5, 0.5, 1.0])) is True
    )
    assert first_attempt(record("x.txt is still missing.", [0.0, 0.5, 1.0])) is False
    assert (
        first_attempt(record("Whatever you say, my friend, but what of the weather?", [0.5, 0.5, 1.0]))
        is False
    )


def test_what_failed_is_told_with_its_turn(suite: Any, tmp_path: Path) -> None:
    run_suite(suite, make_agent("lazy"), tmp_path / "lazy", backend="dummy")
    run = load_run(tmp_path / "lazy")
    note = next(iter(run.trials.values())).notes[0]
    record = records(tmp_path / "lazy")[0]
    assert note["subgoal"] == "n/put: number.txt holds 0" and note["found"] == "number.txt is not there"
    assert note["expected"] == 'Holds number.txt: text "0"'
    assert record.messages[note["message"]]["role"] == "assistant"
    lines = list(explained(tmp_path / "lazy"))
    assert lines[0] == f"{record.scenario_id}, trial 0: fail, score 0.00"
    assert lines[2].startswith("  failed: n/put: number.txt holds 0, judged after message 6 (user turn 3)")
    assert lines[3:5] == [
        '    expected: Holds number.txt: text "0"',
        "    found: number.txt is not there",
    ]
    with pytest.raises(UserError, match=r"has no task 'esy-0'. Did you mean 'easy-0'"):
        list(explained(tmp_path / "lazy", "esy-0"))
    page = to_html([run])
    assert "number.txt is not there" in page and "What failed" in page


def test_a_late_pass_is_explained_too(suite: Any, tmp_path: Path) -> None:
    run_suite(suite, Late(1), tmp_path / "late", backend="dummy")
    first = next(explained(tmp_path / "late"))
    assert first.endswith("pass, score 1.00, but not at the first attempt")


def test_it_stands_in_every_report(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    open_run(folder, card(["1", "2"], trials=3))
    with Ledger(folder / LEDGER) as ledger:
        for number in range(3):
            ledger.append(trial("1", "pass", number, first_attempt=True))
            ledger.append(trial("2", "pass", number, first_attempt=number == 0))
    run = load_run(folder)
    summary = summarise(run)
    assert (summary.rate.passed, summary.first.passed) == (6, 4)
    assert summary.at_k["pass^3 (unbiased)"] == 1.0 and summary.at_k["first-attempt pass^3"] == 0.5
    assert set(summary.intervals) >= {"pass@3", "pass^3 (unbiased)", "first-attempt pass^3"}
    text = report.to_markdown([run])
    assert "First attempt (95 %)" in text and "4/6 = 66.7 %" in text and "Pass^3 (95 %)" in text
    rows = report.to_csv([run]).splitlines()
    assert "first_attempt" in rows[0] and "True" in rows[1]
    value = json.loads(json.dumps(report.to_json([run])))
    assert (
        value["runs"][0]["first"]["passed"] == 4 and value["runs"][0]["results"][0]["first_attempt"] is True
    )


def test_older_ledgers_have_none(tmp_path: Path) -> None:
    run = load_run(make_run(tmp_path / "run", {"1": "pass"}))
    assert summarise(run).first.tasks == 0 and "First attempt" not in report.to_markdown([run])
