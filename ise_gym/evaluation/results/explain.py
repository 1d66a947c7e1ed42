"""Why a trial did not pass, in lines a person can read: the task, what was expected and found, and at which turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ise_gym.errors import UserError, nearest
from ise_gym.evaluation.results.verdicts import Goal, Verdict, verdicts


def explained(path: str | Path, task: str = "") -> Iterator[str]:
    """Yield lines on every trial that did not pass at the first attempt, or on all trials of one task.

    Args:
        path: a run folder, or a store.
        task: id of a task, or its beginning.

    Raises:
        UserError: no such task, or nothing to read there.
    """
    seen, told = [], 0
    for verdict in verdicts(path):
        seen.append(verdict.task)
        if verdict.task.startswith(task) if task else not verdict.passed or verdict.first_attempt is False:
            told += 1
            yield from _of(verdict)
    if task and not told:
        raise UserError(f"{path} has no task '{task}'.{nearest(task, sorted(set(seen)))}")


def _of(verdict: Verdict) -> Iterator[str]:
    names = f" ({', '.join(verdict.catalog)})" if verdict.catalog else ""
    how = verdict.outcome if verdict.score is None else f"{verdict.outcome}, score {verdict.score:.2f}"
    if verdict.passed and verdict.first_attempt is False:
        how += ", but not at the first attempt"
    yield f"{verdict.task}{names}, trial {verdict.trial}: {how}"
    if verdict.reason:
        yield f"  {verdict.reason}"
    for outcome, reason in verdict.earlier:
        yield f"  an earlier attempt: {outcome.replace('_', ' ')} ({reason})"
    if verdict.dimensions:
        yield "  " + ", ".join(f"{name} {value:.2f}" for name, value in verdict.dimensions.items())
    for goal in verdict.goals:
        if not goal.holds:
            yield from _missed(goal)
    for remark in verdict.remarks:
        if "reasoning" in remark:
            score = f"{remark['score']}: " if "score" in remark else ""
            yield f"  judge: {score}{remark['reasoning']}"


def _missed(goal: Goal) -> Iterator[str]:
    turn = f" (user turn {goal.turn})" if goal.turn is not None else ""
    where = f", judged after message {goal.message}{turn}" if goal.message is not None else ""
    yield f"  failed: {goal.name}{where}"
    yield f"    expected: {goal.expected or '–'}"
    yield f"    found: {goal.found or '–'}"
