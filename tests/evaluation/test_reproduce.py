"""The paper's table beside runs."""

import json
from pathlib import Path

import pytest
from made_runs import card, trial
from scipy import stats as scipy_stats
from typer.testing import CliRunner

from ise_gym.cli import app
from ise_gym.errors import UserError
from ise_gym.evaluation.ledger import Ledger
from ise_gym.evaluation.results.reproduce import PAPER, reproduce
from ise_gym.evaluation.run import LEDGER, Run, load_run, open_run

OPTIONS = {"judge": "openai:judge", "sandbox": "auto"}


def claw_run(path: Path, outcomes: dict[str, str], **changes: object) -> Run:
    values = {"suite": "claweval", "protocol": "upstream", "options": OPTIONS, **changes}
    made = card(list(outcomes), **values)
    open_run(path, made)
    with Ledger(path / LEDGER) as ledger:
        for task, outcome in outcomes.items():
            graded = outcome in ("pass", "fail")
            ledger.append(
                trial(
                    task,
                    outcome,
                    completion=0.5 if graded else None,
                    robustness=1.0 if graded else None,
                )
            )
    return load_run(path)


def test_the_papers_rows_and_intervals() -> None:
    assert [(row.rate.passed, round(100 * row.rate.value, 1)) for row in PAPER] == [
        (22, 19.3),
        (29, 25.4),
        (32, 28.1),
        (35, 30.7),
        (43, 37.7),
    ]
    for row in PAPER:
        expected = scipy_stats.binomtest(row.rate.passed, 114).proportion_ci(method="wilson")
        assert row.rate.interval == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_runs_are_taken_over_the_tasks_that_each_was_graded_on(tmp_path: Path) -> None:
    a = claw_run(
        tmp_path / "a", {"T1": "pass", "T2": "fail", "T3": "judge_error", "T4": "pass", "C1": "pass"}
    )
    b = claw_run(tmp_path / "b", {"T1": "pass", "T2": "pass", "T3": "pass", "T4": "timeout", "C1": "fail"})
    found = reproduce([a, b])
    assert found.common == ["T1", "T2"]
    mine, other = found.rows[len(PAPER) :]
    assert (mine.rate.passed, other.rate.passed, mine.rate.tasks) == (1, 2, 2)
    assert (mine.completion, mine.robustness) == (0.5, 1.0)
    assert mine.fixed is not None and mine.fixed.trials == 4 and mine.fixed.passed == 2  # C1 is no T task


def test_what_keeps_a_run_out_of_the_table_is_said(tmp_path: Path) -> None:
    run = claw_run(tmp_path / "a", {"T1": "pass"}, options={"judge": "stub:0.8", "sandbox": "none"})
    notes = " ".join(reproduce([run]).notes)
    assert "no sandbox tools" in notes and "measure no model" in notes and "not published" in notes
    other = claw_run(tmp_path / "b", {"T1": "pass"}, protocol="env")
    assert "'env'" in " ".join(reproduce([other]).notes)
    with pytest.raises(UserError, match="their protocol differs"):
        reproduce([run, other])
    with pytest.raises(UserError, match="has no T tasks"):
        reproduce([claw_run(tmp_path / "c", {"C1": "pass"})])
    with pytest.raises(UserError, match="a run of 'builtin'"):
        reproduce([claw_run(tmp_path / "d", {"T1": "pass"}, suite="builtin")])


def test_the_command_prints_it(tmp_path: Path) -> None:
    claw_run(tmp_path / "a", {"T1": "pass"})
    text = CliRunner().invoke(app, ["eval", "reproduce", str(tmp_path / "a")]).output
    assert "43/114 = 37.7 % [29.4, 46.9]" in text and "1/1 = 100.0 %" in text
    value = json.loads(CliRunner().invoke(app, ["eval", "reproduce", "--json"]).output)
    assert len(value["rows"]) == len(PAPER) and value["common"] == []
    table = CliRunner().invoke(app, ["eval", "reproduce", str(tmp_path / "a"), "--markdown"]).output
    assert "| paper | Qwen3-8B | 22/114 = 19.3 % [13.1, 27.5] | 0.367 | 0.925 |" in table
