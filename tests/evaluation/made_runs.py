"""Run folders with outcomes of our choosing, written through the real card and ledger."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ise_gym.evaluation.ledger import Ledger, Trial
from ise_gym.evaluation.run import LEDGER, RunCard, TaskEntry, open_run


def card(tasks: Sequence[str], **changes: Any) -> RunCard:
    values: dict[str, Any] = {
        "suite": "made",
        "suite_sha256": "0" * 64,
        "protocol": "builtin",
        "agent": "expert",
        "trials": 1,
        "seed": 0,
        "tasks": [
            TaskEntry(id=task, labels={"tier": "easy" if i % 2 else "hard"}) for i, task in enumerate(tasks)
        ],
    }
    return RunCard(**{**values, **changes})


def trial(task: str, outcome: str, number: int = 0, **changes: Any) -> Trial:
    score = {"pass": 1.0, "fail": 0.25}.get(outcome)
    values: dict[str, Any] = {
        "suite": "made",
        "protocol": "builtin",
        "task": task,
        "trial": number,
        "seed": 5,
        "outcome": outcome,
        "score": score,
        "counts": {"tool_calls": 3},
        "timings": {"total_s": 0.5},
    }
    return Trial(**{**values, **changes})


def make_run(path: Path, outcomes: Mapping[str, str | Sequence[str]], **changes: Any) -> Path:
    """Write a run: task → outcome, or → one outcome a trial; "" leaves the trial unplayed."""
    open_run(path, RunCard(**{**dict(card(list(outcomes))), **changes}))
    with Ledger(path / LEDGER) as ledger:
        for task, found in outcomes.items():
            for number, outcome in enumerate([found] if isinstance(found, str) else found):
                if outcome:
                    ledger.append(trial(task, outcome, number))
    return path
