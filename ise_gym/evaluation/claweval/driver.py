"""Plays trials in worker processes and writes the ledger.

Workers are forked from one process that has loaded what they share, so that many of them start as fast as one.
A worker that dies, hangs or meets a broken endpoint costs one attempt, not the run: errors are played again, a
hang is a timeout, and whatever happened is a line in the ledger with its own outcome.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from typing import Any

from ise_gym.errors import UserError
from ise_gym.evaluation.claweval import worker
from ise_gym.evaluation.claweval.tasks import ClawTask
from ise_gym.evaluation.claweval.worker import Answer, Job, WorkerPlan
from ise_gym.evaluation.ledger import Ledger, Outcome, Trial
from ise_gym.evaluation.run import RunCard
from ise_gym.rollout.engine import Status
from ise_gym.rollout.spec import episode_seed

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
_AGAIN = frozenset({"agent", "user", "service", "sandbox", "died", "judge"})
"""What a second try may mend; the benchmark's own exceptions are not among them."""


@dataclasses.dataclass
class _Worker:
    process: ForkServerProcess
    pipe: Connection
    ready: bool = False
    job: Job | None = None
    deadline: float = 0.0


class Driver:
    """Hands out jobs, takes answers, replaces workers that die."""

    def __init__(
        self,
        plan: WorkerPlan,
        card: RunCard,
        ledger: Ledger,
        tasks: Mapping[str, ClawTask],
        retries: int,
        on_progress: Callable[[Status], None] | None,
    ) -> None:
        self._plan, self._card, self._ledger, self._tasks = plan, card, ledger, tasks
        self._retries = retries
        self._report = on_progress or (lambda status: None)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["ise_gym.evaluation.claweval.services.warm"])
        self._labels = {task.id: task.labels for task in card.tasks}
        self._agent: dict[str, Any] = {}
        self._tries: dict[tuple[str, int], int] = {}
        self._bad_starts = 0
        jobs = [
            Job(task.id, tasks[task.id].folder, trial, episode_seed(card.seed, task.id, trial))
            for trial in range(card.trials)
            for task in card.tasks
        ]
        self._todo = deque(job for job in jobs if not ledger.is_done(job.task, job.trial))
        self.status = Status(total=len(jobs), already=len(jobs) - len(self._todo))

    def drive(self, workers: int) -> None:
        """Play until nothing is left."""
        began = time.monotonic()
        with self._pool(min(workers, len(self._todo))) as pool:
            while self._todo or any(w.job for w in pool):
                for w in pool:
                    if w.ready and w.job is None and self._todo:
                        self._hand_out(w, self._todo.popleft())
                readable = wait([w.pipe for w in pool], timeout=0.25)
                for place, w in enumerate(pool):
                    if w.pipe in readable:
                        self._read(pool, place)
                    elif w.job and time.monotonic() > w.deadline:
                        self._lost(
                            pool, place, "hung", "the task's time was long over; the worker was killed"
                        )
                self.status.running = sum(w.job is not None for w in pool)
                self.status.seconds = time.monotonic() - began
                self._report(self.status)

    @contextmanager
    def _pool(self, size: int) -> Iterator[list[_Worker]]:
        pool = [self._start() for _ in range(size)]
        finished = False
        try:
            yield pool
            finished = True
        finally:
            for w in pool:
                if finished and w.ready:
                    w.pipe.send(None)
                else:
                    w.process.kill()
            for w in pool:
                w.process.join(10)
                if w.process.is_alive():  # its answers are all here: nothing is lost
                    w.process.kill()
                    w.process.join()
                w.pipe.close()

    def _start(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=worker.main, args=(theirs, self._plan, dict(os.environ)), name="claweval", daemon=True
        )
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _hand_out(self, w: _Worker, job: Job) -> None:
        w.job = job
        w.deadline = time.monotonic() + self._tasks[job.task].file.environment.timeout_seconds + GRACE_S
        try:
            w.pipe.send(job)
        except (BrokenPipeError, ConnectionResetError):
            w.deadline = 0.0  # dead: the next read says how

    def _read(self, pool: list[_Worker], place: int) -> None:
        w = pool[place]
        try:
            kind, *rest = w.pipe.recv()
        except (EOFError, OSError):
            w.process.join()
            self._lost(pool, place, "died", f"the worker process died (exit code {w.process.exitcode})")
            return
        if kind == "ready":
            w.ready, self._agent, self._bad_starts = True, rest[0], 0
        elif kind == "answer":
            w.job = None
            if self._todo:  # before the ledger is written, so that the worker doesn't wait for the disk
                self._hand_out(w, self._todo.popleft())
            self._take(rest[0])
        else:
            is_user_error, text = rest
            raise UserError(text) if is_user_error else RuntimeError(f"a worker failed:\n{text}")

    def _lost(self, pool: list[_Worker], place: int, kind: str, reason: str) -> None:
        w = pool[place]
        w.process.kill()
        w.process.join()
        w.pipe.close()
        if not w.ready:
            self._bad_starts += 1
            if self._bad_starts >= 3:
                raise RuntimeError(f"three workers in a row died while starting; see {self._plan.log}")
        pool[place] = self._start()
        if w.job:
            self.status.crashes += 1
            self._take(Answer(w.job, kind, reason=reason))

    def _take(self, answer: Answer) -> None:
        job = answer.job
        trial = self._trial(answer)
        self._ledger.append(trial)
        if answer.kind in _AGAIN:
            tries = self._tries[job.task, job.trial] = self._tries.get((job.task, job.trial), 0) + 1
            if tries <= self._retries:
                self.status.retries += 1
                self._todo.append(job)
                return
        name = {"pass": "passed", "fail": "failed"}.get(trial.outcome, "infrastructure_error")
        self.status.outcomes[name] = self.status.outcomes.get(name, 0) + 1

    def _trial(self, answer: Answer) -> Trial:
        job, graded = answer.job, answer.graded
        shared: dict[str, Any] = {
            "suite": self._card.suite,
            "protocol": self._card.protocol,
            "task": job.task,
            "trial": job.trial,
            "attempt": self._ledger.next_attempt(job.task, job.trial),
            "seed": job.seed,
            "labels": self._labels[job.task],
            "agent": self._agent,
        }
        if graded is None:
            return Trial(**shared, outcome=_OUTCOMES[answer.kind], reason=f"{answer.kind}: {answer.reason}")
        return Trial(
            **shared,
            outcome="pass" if graded.passed else "fail",
            reason=graded.reason,
            score=min(1.0, max(0.0, graded.score)),
            completion=graded.dimensions["completion"],
            robustness=graded.dimensions["robustness"],
            safety=graded.dimensions["safety"],
            counts=graded.counts,
            episode=graded.trace,
            notes=graded.notes,
            costs={**graded.costs, **self._agent_cost(graded.counts)},
            timings=graded.timings,
        )

    def _agent_cost(self, counts: Mapping[str, int]) -> dict[str, float]:
        read, written = self._plan.prices
        if not (read or written):
            return {}
        spent = counts.get("input_tokens", 0) * read + counts.get("output_tokens", 0) * written
        return {"agent_usd": round(spent / 1e6, 6)}
