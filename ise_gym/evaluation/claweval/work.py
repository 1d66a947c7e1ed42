"""Claw-Eval as work for the engine: which trials are left, how its workers are made, what the ledger keeps.

Workers are forked from one process that has loaded what they share, so that many of them start as fast as one.
A worker that dies, hangs or meets a broken endpoint costs one attempt, not the run: errors are played again, a
hang is a timeout, and whatever happened is a line in the ledger with its own outcome.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from ise_gym.evaluation.claweval.player import Answer, ClawPlayer, Job, PlayerSpec, spoilt_answer
from ise_gym.evaluation.claweval.tasks import ClawTask
from ise_gym.evaluation.ledger import Ledger, Outcome, Trial
from ise_gym.evaluation.run import RunCard
from ise_gym.rollout.spec import episode_seed
from ise_gym.rollout.work import Crew, Lost

GRACE_S = 120.0
"""Beyond a task's own time limit, which its loop only looks at between turns, a worker gets this and is then killed."""

_OUTCOMES: Mapping[str, Outcome] = {
    "agent": "infrastructure_error",
    "user": "infrastructure_error",
    "service": "infrastructure_error",
    "sandbox": "infrastructure_error",
    "benchmark": "infrastructure_error",
    "died": "infrastructure_error",
    "judge": "judge_error",
    "hung": "timeout",
}


def claw_crew(spec: PlayerSpec, tasks: Mapping[str, ClawTask]) -> Crew[Job, Answer]:
    """Return how workers are made; each has one trial at a time, since its time limit runs from when it gets it."""
    return Crew(
        make_player=functools.partial(ClawPlayer, spec),
        ahead=0,
        patience=lambda job: tasks[job.task].file.environment.timeout_seconds + GRACE_S,
        preload=("ise_gym.evaluation.claweval.services.warm",),
        log=spec.log,
    )


class ClawWork:
    """Trials without a verdict; see `ise_gym.rollout.work.Work`.

    Args:
        card: what is run.
        ledger: where every attempt is written.
        tasks: of the card, by id.
    """

    noun = "trials"

    def __init__(self, card: RunCard, ledger: Ledger, tasks: Mapping[str, ClawTask]) -> None:
        self._card, self._ledger = card, ledger
        self._labels = {task.id: task.labels for task in card.tasks}
        jobs = [
            Job(task.id, tasks[task.id].folder, trial, episode_seed(card.seed, task.id, trial))
            for trial in range(card.trials)
            for task in card.tasks
        ]
        self._rest = [job for job in jobs if not ledger.is_done(job.task, job.trial)]
        self.total = len(jobs)
        self.already = len(jobs) - len(self._rest)
        self.torn = int(ledger.torn_bytes > 0)

    def todo(self) -> Iterator[Job]:
        """Yield the trials that have no verdict yet."""
        return iter(self._rest)

    def lost(self, item: Job, loss: Lost[Job], about: Mapping[str, object]) -> Answer:
        """Answer for a trial whose worker died, or was killed since the task's time was long over."""
        if loss.stuck_s:
            return spoilt_answer(
                item, about, "hung", "the task was far over its time limit; the worker was killed"
            )
        reason = f"the worker process died (exit code {loss.exit_code})"
        return spoilt_answer(item, about, "died", reason)

    def take(self, attempt: Answer, *, again: bool) -> None:
        """Write every attempt into the ledger."""
        self._ledger.append(self._trial(attempt))

    def _trial(self, answer: Answer) -> Trial:
        job, graded = answer.item, answer.graded
        shared: dict[str, Any] = {
            "suite": self._card.suite,
            "protocol": self._card.protocol,
            "task": job.task,
            "trial": job.trial,
            "attempt": self._ledger.next_attempt(job.task, job.trial),
            "seed": job.seed,
            "labels": self._labels[job.task],
            "agent": dict(answer.agent),
            "reason": answer.reason,
            "episode": answer.took.trace,
            "counts": answer.took.counts,
            "costs": answer.took.costs,
            "timings": answer.took.timings,
            "notes": answer.took.notes,
        }
        if graded is None:
            return Trial(**shared, outcome=_OUTCOMES[answer.kind])
        return Trial(
            **shared,
            outcome="pass" if graded.passed else "fail",
            score=min(1.0, max(0.0, graded.score)),
            completion=graded.dimensions["completion"],
            robustness=graded.dimensions["robustness"],
            safety=graded.dimensions["safety"],
        )
