"""Why a trial did not pass, in lines a person can read: the task, what was expected and found, and at which turn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ise_gym.errors import UserError, nearest
from ise_gym.evaluation.ledger import Trial
from ise_gym.evaluation.results.conversations import Conversations
from ise_gym.evaluation.run import Run
from ise_gym.trajectory.record import Trajectory


def explained(run: Run, task: str = "") -> list[str]:
    """Return lines on every trial that did not pass at the first attempt, or on all trials of one task.

    Args:
        run: a run read back.
        task: id of a task, or its beginning.

    Raises:
        UserError: no such task.
    """
    trials = list(run.trials.values())
    if task:
        chosen = [trial for trial in trials if trial.task == task or trial.task.startswith(task)]
        if not chosen:
            raise UserError(
                f"{run.path} has no task '{task}'.{nearest(task, {trial.task for trial in trials})}"
            )
    else:
        chosen = [trial for trial in trials if trial.outcome != "pass" or trial.first_attempt is False]
    kept = Conversations(run)
    return [line for trial in chosen for line in _of(trial, kept.record(trial))]


def _of(trial: Trial, record: Trajectory | None) -> list[str]:
    names = f" ({', '.join(record.tasks)})" if record and record.tasks else ""
    how = trial.outcome if trial.score is None else f"{trial.outcome}, score {trial.score:.2f}"
    if trial.outcome == "pass" and trial.first_attempt is False:
        how += ", but not at the first attempt"
    lines = [f"{trial.task}{names}, trial {trial.trial}: {how}"]
    if trial.reason:
        lines.append(f"  {trial.reason}")
    for note in trial.notes:
        if "subgoal" in note:
            lines += _finding(note, record)
    return lines


def _finding(note: Mapping[str, Any], record: Trajectory | None) -> list[str]:
    at = note.get("message")
    turn = _turn(record, at) if record and at is not None else ""
    where = f", judged after message {at}{turn}" if at is not None else ""
    return [
        f"  failed: {note['subgoal']}{where}",
        f"    expected: {note.get('expected') or '–'}",
        f"    found: {note.get('found') or '–'}",
    ]


def _turn(record: Trajectory, at: int) -> str:
    asked = sum(message["role"] == "user" for message in record.messages[:at])
    return f" (user turn {asked})"
