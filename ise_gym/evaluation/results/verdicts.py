"""What became of every task, one row each, alike for a run of `ise eval` and for a store: the data behind one page.

A run keeps a ledger beside its records, a store keeps records only, and Claw-Eval keeps traces of its own.
``ise eval explain`` reads them here, as `Verdict`, and need not know which it was. The viewer, which shows records, has
from here what became of their sub-goals (`goals_of`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ise_gym.evaluation.ledger import Trial
from ise_gym.evaluation.results.conversations import Conversations
from ise_gym.evaluation.run import CARD, Run, load_run
from ise_gym.trajectory.record import Finding, Trajectory
from ise_gym.trajectory.store import read_trajectories

PASSED = frozenset({"pass", "passed", "judged_passed"})
UNDECIDED = frozenset({"infrastructure_error", "judge_error", "unverified"})


@dataclass(frozen=True)
class Goal:
    """One sub-goal.

    Attributes:
        name: "request: sub-goal". ``holds``: at the end.
        expected, found: what its check looks for and what stood there; "" where it holds, or the record does not say.
        message: index of the assistant message after which it was last judged, or came to hold; None where the record
            does not say.
        turn: that moment as the number of the user turn, from 1.
        turned: index of the assistant message after which it last came to hold, or ceased to.
    """

    name: str
    holds: bool
    expected: str = ""
    found: str = ""
    message: int | None = None
    turn: int | None = None
    turned: int | None = None


@dataclass(frozen=True)
class Verdict:
    """One trial of a run, or one episode of a store.

    Attributes:
        task: id of the task or scenario. ``trial``: 0, 1, … of it; in a store always 0.
        outcome: in a run's words (pass, fail, timeout, …) or a record's (passed, failed, truncated, …).
        passed: None where nothing was decided. ``first_attempt``: as in `ise_gym.evaluation.firsttry`.
        score: in [0, 1], or None. ``dimensions``: of Claw-Eval's graders.
        reason: why it ended so, in words; "" for a plain pass.
        goals: all sub-goals, in order; none for Claw-Eval.
        remarks: what grader and judge noted, JSON.
        catalog: names of the catalog's tasks in it. ``labels``: what results are grouped by.
        episode: id of its record, or file of its trace; "" where there is none.
        earlier: outcome and reason of attempts that were played again.
    """

    task: str
    trial: int
    outcome: str
    passed: bool | None
    score: float | None
    first_attempt: bool | None = None
    dimensions: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    goals: tuple[Goal, ...] = ()
    remarks: tuple[Mapping[str, Any], ...] = ()
    catalog: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    episode: str = ""
    earlier: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return asdict(self)


def verdicts(path: str | Path) -> Iterator[Verdict]:
    """Yield what became of every task of a run folder, or of every episode of a store.

    Args:
        path: folder of ``ise eval run`` or ``ise claweval run``, or a store: a folder or a JSONL file of records.

    Raises:
        UserError: neither, or something in it that can't be read.
    """
    if (Path(path) / CARD).is_file():
        yield from of_run(load_run(path))
        return
    for failures in (False, True) if Path(path).is_dir() else (False,):  # a lone file holds all of them
        for record in read_trajectories(path, failures=failures):
            yield of_record(record)


def of_run(run: Run) -> Iterator[Verdict]:
    """Yield the verdicts of a run read back, in the order of its ledger."""
    kept, attempts = Conversations(run), _attempts(run)
    for trial in run.trials.values():
        yield of_trial(trial, kept.record(trial), attempts[trial.key][:-1])


def of_trial(trial: Trial, record: Trajectory | None, earlier: list[Trial]) -> Verdict:
    """Return one trial's verdict, with the goals of its record, where that is still there."""
    dimensions = {name: getattr(trial, name) for name in ("completion", "robustness", "safety")}
    notes = [note for note in trial.notes if "subgoal" in note]
    return Verdict(
        task=trial.task,
        trial=trial.trial,
        outcome=trial.outcome,
        passed=_decided(trial.outcome),
        score=trial.score,
        first_attempt=trial.first_attempt,
        dimensions={name: value for name, value in dimensions.items() if value is not None},
        reason=trial.reason,
        goals=goals_of(record)
        if record
        else tuple(_missed(Finding.model_validate(note), None) for note in notes),
        remarks=tuple(note for note in trial.notes if "subgoal" not in note),
        catalog=tuple(record.tasks) if record else (),
        labels=trial.labels,
        episode=trial.episode,
        earlier=tuple((attempt.outcome, attempt.reason) for attempt in earlier),
    )


def of_record(record: Trajectory) -> Verdict:
    """Return one episode's verdict."""
    return Verdict(
        task=record.scenario_id,
        trial=0,
        outcome=record.outcome,
        passed=_decided(record.outcome),
        score=record.score,
        first_attempt=record.first_attempt,
        reason=record.reason,
        goals=goals_of(record),
        remarks=(record.judged,) if record.judged else (),
        catalog=tuple(record.tasks),
        labels={"complexity": record.complexity, "split": record.split},
        episode=record.episode_id,
    )


def goals_of(record: Trajectory) -> tuple[Goal, ...]:
    """Return what became of a record's sub-goals, in their order."""
    missed = {finding.subgoal: finding for finding in record.findings}
    turned = {name: step.message for step in record.steps for name in step.flipped}
    return tuple(
        _missed(missed[name], record, turned.get(name))
        if name in missed and not holds
        else Goal(
            name,
            holds,
            message=turned.get(name),
            turn=_turn(record, turned.get(name)),
            turned=turned.get(name),
        )
        for name, holds in record.subgoals.items()
    )


def _decided(outcome: str) -> bool | None:
    return None if outcome in UNDECIDED else outcome in PASSED


def _attempts(run: Run) -> dict[tuple[str, int], list[Trial]]:
    found: dict[tuple[str, int], list[Trial]] = {}
    for trial in run.every:
        found.setdefault(trial.key, []).append(trial)
    return found


def _missed(finding: Finding, record: Trajectory | None, turned: int | None = None) -> Goal:
    at = finding.message
    return Goal(finding.subgoal, False, finding.expected, finding.found, at, _turn(record, at), turned)


def _turn(record: Trajectory | None, at: int | None) -> int | None:
    """Return which user turn an assistant message answers, from 1."""
    if record is None or at is None:
        return None
    return len([message for message in record.messages[:at] if message["role"] == "user"])
