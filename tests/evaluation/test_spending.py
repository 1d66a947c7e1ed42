"""Totals of a run: everybody who was asked, attempts that came to nothing included; why trials have no verdict."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import card, trial
from rich.console import Console

from ise_gym.errors import UserError
from ise_gym.evaluation.ledger import Ledger
from ise_gym.evaluation.results import report
from ise_gym.evaluation.results.summary import summarise
from ise_gym.evaluation.results.tables import error_lines, summary_table
from ise_gym.evaluation.run import LEDGER, load_run, open_run
from ise_gym.evaluation.spending import PriceList, parse_prices, seat_figures
from ise_gym.trajectory.record import Trajectory


def test_prices_of_all_seats_by_one_option() -> None:
    found = parse_prices(["0.5,3", "judge=1,2"])
    assert (found.pair("agent"), found.pair("judge"), found.pair("user")) == (
        (0.5, 3.0),
        (1.0, 2.0),
        (0.0, 0.0),
    )
    for wrong, message in (
        (["jugde=1,2"], "Did you mean 'judge'"),
        (["1"], "write .SEAT=.IN,OUT"),
        (["-1,2"], "write"),
        (["1,2", "agent=1,2"], "given twice"),
        (["nan,1"], "write"),
    ):
        with pytest.raises(UserError, match=message):
            parse_prices(wrong)


def test_an_episode_costs_what_its_seats_spent() -> None:
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 500_000, "total_tokens": 1_500_000}
    record = Trajectory(
        episode_id="e", scenario_id="s", seed=0, intent="", outcome="passed", score=1.0, messages=[], tools=[],
        agent={"name": "a", "usage": usage}, user={"name": "u", "usage": {**usage, "cost": 0.25}},
    )  # fmt: skip
    counts, costs = seat_figures(record, parse_prices(["2,4"]))
    assert costs == {"agent_usd": 4.0, "user_usd": 0.25}
    assert counts["prompt_tokens"] == counts["user_prompt_tokens"] == 1_000_000
    assert seat_figures(record, PriceList())[1] == {"user_usd": 0.25}


def test_every_attempt_is_added_up_and_errors_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    open_run(folder, card(["1", "2", "3"]))
    spent = {"counts": {"prompt_tokens": 1000, "completion_tokens": 10}, "costs": {"agent_usd": 0.5}}
    with Ledger(folder / LEDGER) as ledger:
        for attempt in (1, 2):
            ledger.append(
                trial(
                    "1",
                    "infrastructure_error",
                    attempt=attempt,
                    reason="agent: down",
                    timings={"total_s": 1800.0},
                    **spent,  # type: ignore[arg-type]
                )
            )
        ledger.append(trial("1", "pass", attempt=3, timings={"total_s": 3600.0}, **spent))  # type: ignore[arg-type]
        ledger.append(trial("2", "infrastructure_error", reason="agent: status 503 req-123456789", **spent))  # type: ignore[arg-type]
        ledger.append(trial("3", "judge_error", reason="judge: 429", **spent))  # type: ignore[arg-type]
    summary = summarise(load_run(folder))
    assert (summary.spent.attempts, summary.spent.lost) == (5, 4)
    assert summary.spent.tokens == {"agent in": 5000, "agent out": 50}
    assert summary.spent.total_dollars == 2.5
    assert summary.spent.hours == pytest.approx(2, abs=0.01)
    lines = error_lines(summary)
    assert lines[0] == "infrastructure error: 1 × agent: status 503 req…"
    assert lines[1] == "judge error: 1 × judge: 429" and "run the same command again" in lines[2]
    console = Console(width=160, record=True, file=(tmp_path / "out").open("w"))
    console.print(summary_table(summary))
    shown = console.export_text()
    assert "2.50 (agent 2.50)" in shown and "5 attempts, 4 of them" in shown and "judge: 429" in shown
    assert "2.50 (agent 2.50)" in report.to_markdown([load_run(folder)])
