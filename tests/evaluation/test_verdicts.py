"""One row a task, alike for a run, a store and a run of Claw-Eval: what the viewer and ``ise eval explain`` read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_runs import make_run, trial
from made_source import open_made
from pad_service import SUITE
from typer.testing import CliRunner

from ise_gym import cli
from ise_gym.agents import make_agent
from ise_gym.errors import UserError
from ise_gym.evaluation import suite as suites
from ise_gym.evaluation.builtin import run_suite
from ise_gym.evaluation.claweval.models.judge import parse_judge
from ise_gym.evaluation.claweval.runner import run_claweval
from ise_gym.evaluation.ledger import Ledger
from ise_gym.evaluation.results.explain import explained
from ise_gym.evaluation.results.verdicts import Goal, verdicts
from ise_gym.evaluation.run import LEDGER
from ise_gym.evaluation.suite import Wanted, freeze
from ise_gym.trajectory.store import raw_records

PUT = "n/put: number.txt holds 0"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(suites, "open_source", open_made)
    suite = freeze("made", [Wanted({"tier": "easy"}, {"tier": "easy"}, 3)])
    for agent in ("lazy", "expert"):
        run_suite(suite, make_agent(agent), tmp_path / agent, backend="dummy")
    return tmp_path


def test_a_runs_rows_name_each_sub_goal_with_what_was_found_and_when(runs: Path) -> None:
    failed, passed = (list(verdicts(runs / agent)) for agent in ("lazy", "expert"))
    assert [row.task for row in failed] == [row.task for row in passed] == ["easy-0", "easy-1", "easy-2"]
    assert (failed[0].passed, failed[0].score, failed[0].first_attempt) == (False, 0.0, False)
    assert failed[0].goals == (
        Goal(PUT, False, 'Holds number.txt: text "0"', "number.txt is not there", message=6, turn=3),
    )
    assert failed[0].labels == {"tier": "easy"} and failed[0].reason
    assert (passed[0].passed, passed[0].outcome, passed[0].first_attempt) == (True, "pass", True)
    (goal,) = passed[0].goals
    assert (goal.name, goal.holds, goal.expected, goal.turn) == (PUT, True, "", 1)
    assert json.loads(json.dumps(passed[0].to_json()))["goals"][0]["holds"] is True


def test_a_stores_rows_are_those_of_the_run_that_it_belongs_to(runs: Path, tmp_path: Path) -> None:
    store = runs / "lazy" / "trajectories"
    of_run, of_store = list(verdicts(runs / "lazy")), list(verdicts(store))
    assert [(row.task, row.passed, row.goals) for row in of_run] == [
        (row.task, row.passed, row.goals) for row in of_store
    ]
    alone = tmp_path / "one.jsonl"
    alone.write_bytes(b"".join(line.rstrip(b"\n") + b"\n" for _, _, line in raw_records(store)))
    assert list(verdicts(alone)) == of_store


def test_a_row_survives_the_loss_of_its_record(runs: Path) -> None:
    for shard in (runs / "lazy" / "trajectories" / "shards").iterdir():
        shard.unlink()
    row = next(verdicts(runs / "lazy"))
    assert row.goals == (
        Goal(PUT, False, 'Holds number.txt: text "0"', "number.txt is not there", message=6, turn=None),
    )


def test_attempts_that_were_played_again_are_told(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", {"1": "infrastructure_error", "2": "pass"})
    with Ledger(folder / LEDGER) as ledger:
        ledger.append(trial("1", "fail", attempt=2, reason="too little"))
    first, second = verdicts(folder)
    assert (first.passed, first.reason, first.earlier) == (
        False,
        "too little",
        (("infrastructure_error", ""),),
    )
    assert (second.passed, second.earlier) == (True, ())


def test_what_has_no_verdict_is_neither_passed_nor_failed(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", {"1": "infrastructure_error", "2": "judge_error", "3": "timeout"})
    assert [row.passed for row in verdicts(folder)] == [None, None, False]


def test_a_run_of_claw_eval_has_dimensions_and_the_judges_words(tmp_path: Path) -> None:
    run_claweval(SUITE, "explorer", tmp_path / "run", tasks="T902", judge=parse_judge("stub:0.3"))
    (row,) = verdicts(tmp_path / "run")
    assert row.dimensions["completion"] == 0.3 and row.passed is False and row.goals == ()
    assert row.episode.endswith(".jsonl")
    lines = list(explained(tmp_path / "run"))
    assert "  completion 0.30, robustness 1.00, safety 1.00" in lines


@pytest.mark.parametrize("what", ["nothing", "an empty folder"])
def test_what_is_neither_is_refused(tmp_path: Path, what: str) -> None:
    if what != "nothing":
        (tmp_path / what).mkdir()
    with pytest.raises(UserError, match=what):
        list(verdicts(tmp_path / what))


def test_a_store_is_explained_from_the_command_line(runs: Path) -> None:
    def told(*arguments: Any) -> str:
        done = CliRunner().invoke(cli.app, ["eval", "explain", *map(str, arguments)])
        assert done.exit_code == 0, done.output
        return done.output

    text = told(runs / "lazy" / "trajectories")
    assert text.count(f"failed: {PUT}") == 1 and "found: number.txt is not there" in text
    assert told(runs / "expert") == ""
    assert told(runs / "expert", "easy-1").startswith("easy-1, trial 0: pass, score 1.00")
