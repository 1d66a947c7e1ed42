"""Drives any kind of work to its end: hands out items, survives crashes, tries again, gives up, stops when asked.

The engine is a loop over a `Pool`: it hands out the items that are left, has the work write down what comes back, and
hands out again what the infrastructure broke. It holds a handful of results at a time, whatever the number of items.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Generic

from ise_gym.errors import UserError
from ise_gym.rollout.limits import NO_LIMITS, Limits
from ise_gym.rollout.pool import ProcessPool
from ise_gym.rollout.work import BROKEN, GIVE_UP_AFTER, A, Attempt, Crew, I, Lost, Pool, Work

BACKOFF_S = 0.5
"""Pause before an item is tried again; doubles each time."""

_TICK_S = 0.25


@dataclass
class Status:
    """Where a run stands; handed to ``on_progress`` after every change.

    Attributes:
        total: items asked for; ``already``: of them, done when it began.
        outcomes: outcome → items of this run. ``failures``: kind of infrastructure failure → items.
        guard_hits: user turns whose first draft the guard refused, of ``guarded_turns``; ``fallbacks``: turns that the
            script spoke in the model's place. ``false_claims``: of the agent, against the evidence.
        tokens, cost: of agent and user, of attempts that were tried again too.
        retries: attempts that were tried again. ``crashes``: worker processes that died.
        torn: half-written records that were set aside at the start. ``gone``: records that the store's index knew and
            that were no longer there; their episodes count as not done.
        stopped: which limit ended the run; "" for none. ``cut_off``: items that were running when the time to end them
            was over; they are not recorded.
        answers: what the agent's model answered, in counts; `ise_gym.models.metering.advice_on` reads them.
    """

    total: int = 0
    already: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    user_turns: int = 0
    tool_calls: int = 0
    guard_hits: int = 0
    guarded_turns: int = 0
    fallbacks: int = 0
    false_claims: int = 0
    tokens: int = 0
    cost: float = 0.0
    retries: int = 0
    crashes: int = 0
    torn: int = 0
    gone: int = 0
    running: int = 0
    seconds: float = 0.0
    interrupted: bool = False
    stopped: str = ""
    cut_off: int = 0
    answers: dict[str, int] = field(default_factory=dict)

    @property
    def played(self) -> int:
        """Items that ended in this run, infrastructure failures included."""
        return sum(self.outcomes.values())

    @property
    def passed(self) -> int:
        """Items of this run that passed."""
        return self.outcomes.get("passed", 0)

    @property
    def broken(self) -> int:
        """Items of this run that the infrastructure broke in spite of retries."""
        return self.outcomes.get(BROKEN, 0)

    @property
    def missing(self) -> int:
        """Items that are still not done."""
        return self.total - self.already - self.played + self.broken

    def add(self, attempt: Attempt[object]) -> None:
        """Count an item that ended."""
        self.outcomes[attempt.outcome] = self.outcomes.get(attempt.outcome, 0) + 1
        self.user_turns += attempt.user_turns
        self.tool_calls += attempt.tool_calls
        self.guard_hits += attempt.guard_hits
        self.guarded_turns += attempt.guarded_turns
        self.fallbacks += attempt.fallbacks
        self.false_claims += attempt.false_claims
        for name, count in attempt.answers.items():
            self.answers[name] = self.answers.get(name, 0) + count
        if attempt.failed:
            kind = attempt.reason.partition(":")[0]
            self.failures[kind] = self.failures.get(kind, 0) + 1


def drive(
    work: Work[I, A],
    crew: Crew[I, A],
    *,
    workers: int = 1,
    retries: int = 2,
    give_up_after: int = GIVE_UP_AFTER,
    limits: Limits = NO_LIMITS,
    on_progress: Callable[[Status], None] | None = None,
    make_pool: Callable[[Crew[I, A], int], Pool[I, A]] = ProcessPool,
) -> Status:
    """Play what is left of a work.

    Ctrl-C (or SIGTERM) drains: what is running is finished and written down, for ``limits.drain_s`` seconds at most; a
    second one stops at once. In all cases ``Status.interrupted`` is set, and the same call resumes. A limit that is
    reached drains too, and is named by ``Status.stopped``.

    Args:
        work: what is played, and the books that are kept of it.
        crew: how workers are made.
        workers: how many, at most one an item.
        retries: how often an item that the infrastructure broke is tried again.
        give_up_after: consecutive infrastructure failures (after retries) that end the run: something is down.
        limits: what the run may spend.
        on_progress: called with the status after every change and at least four times a second.
        make_pool: where items are played.

    Raises:
        UserError: something that can't be played, or everything broken for ``give_up_after`` items.
    """
    workers = min(workers, work.total - work.already)
    breadth = workers * crew.capacity
    driver = _Driver(work, retries, give_up_after, breadth, limits, on_progress or (lambda status: None))
    if workers > 0:
        driver.run(make_pool(crew, workers))
    return driver.status


class _Driver(Generic[I, A]):
    def __init__(
        self,
        work: Work[I, A],
        retries: int,
        give_up_after: int,
        breadth: int,
        limits: Limits,
        on_progress: Callable[[Status], None],
    ) -> None:
        self.work = work
        self.status = Status(total=work.total, already=work.already, torn=work.torn)
        self._queue = _Queue(work.todo())
        self._retries = retries
        self._give_up_after = give_up_after
        self._breadth = breadth
        self._limits = limits
        self._drains_since: float | None = None
        self._on_progress = on_progress
        self._tries: dict[I, int] = {}
        self._running = 0
        self._in_a_row = 0  # items that stayed broken
        self._bad_news = 0  # attempts and workers, one after the other, of which none came to a good end
        self._signals = 0

    def run(self, pool: Pool[I, A]) -> None:
        """Hand out, collect, write down, until nothing is left or a signal came."""
        self._began, now = time.monotonic(), True
        with self._signals_counted():
            try:
                while True:
                    self._hand_out(pool)
                    if self._cut_off() or not (self._running or (self._queue and not self._drains())):
                        break
                    events = pool.events(_TICK_S)
                    self._running -= sum(_ended(event) for event in events)
                    self._hand_out(pool)  # before results are written: no worker waits for the disk
                    for event in events:
                        self._take(event, pool)
                        self._report()
                    self._report()
                now = self._running > 0
            finally:
                pool.close(now=now)
        self.status.cut_off, self._running = self._running, 0
        self.status.interrupted = self._signals > 0
        if not self.status.missing:  # it was reached with the last item: nothing was stopped
            self.status.stopped = ""
        self._report()

    def _drains(self) -> bool:
        """Whether nothing more is handed out: a signal came, or a limit is reached."""
        if not self.status.stopped:
            self.status.stopped = self._limits.reached(self.status)
        draining = bool(self._signals or self.status.stopped)
        if draining and self._drains_since is None:
            self._drains_since = time.monotonic()
        return draining

    def _cut_off(self) -> bool:
        """Whether what is running is not waited for any more."""
        if self._signals > 1:
            return True
        longest = self._limits.drain_s
        if not self._drains() or longest is None or self._drains_since is None:
            return False
        return time.monotonic() - self._drains_since >= longest

    def _hand_out(self, pool: Pool[I, A]) -> None:
        # When nothing works, new items wait until the first have been tried again: else a dead endpoint that
        # answers at once would eat up the whole run during the first pause.
        down = self._bad_news >= self._breadth
        while (
            not self._drains() and pool.room() > 0 and (item := self._queue.pop(only_again=down)) is not None
        ):
            pool.submit(item)
            self._running += 1

    def _report(self) -> None:
        self.status.running = self._running
        self.status.seconds = time.monotonic() - self._began
        self._on_progress(self.status)

    def _take(self, event: A | Lost[I], pool: Pool[I, A]) -> None:
        if not isinstance(event, Lost):
            self._bad_news = self._bad_news + 1 if event.failed else 0
            self._finish(event)
            return
        self._bad_news += 1
        self.status.crashes += 1
        for item in event.untouched:
            self._queue.push(item, not_before=0.0)
        for item in event.items:
            self._finish(self.work.lost(item, event, pool.about))

    def _finish(self, attempt: A) -> None:
        again = attempt.failed and attempt.mendable and self._try_again(attempt.item)
        self.work.take(attempt, again=again)
        self.status.tokens += attempt.tokens
        self.status.cost += attempt.cost
        if again:
            return
        self._tries.pop(attempt.item, None)
        self.status.add(attempt)
        self._in_a_row = self._in_a_row + 1 if attempt.failed else 0
        if self._in_a_row >= self._give_up_after:
            raise UserError(
                f"{self._in_a_row} {self.work.noun} in a row were broken by the infrastructure (the last: "
                f"{attempt.reason[:300]}). Fix that and run the same command again to resume."
            )

    def _try_again(self, item: I) -> bool:
        tries = self._tries[item] = self._tries.get(item, 0) + 1
        if tries > self._retries:
            return False
        self._queue.push(item, time.monotonic() + BACKOFF_S * 2 ** (tries - 1))
        self.status.retries += 1
        return True

    @contextlib.contextmanager
    def _signals_counted(self) -> Iterator[None]:
        """Count Ctrl-C and SIGTERM instead of dying of them."""

        def count(signum: int, frame: FrameType | None) -> None:
            self._signals += 1

        try:
            before = {s: signal.signal(s, count) for s in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # called from a thread: signals are the main thread's
            yield
            return
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _ended(event: Attempt[I] | Lost[I]) -> int:
    return len(event.items) + len(event.untouched) if isinstance(event, Lost) else 1


class _Queue(Generic[I]):
    """What is to be handed out: items that are due again first, then new ones in their order."""

    def __init__(self, fresh: Iterator[I]) -> None:
        self._fresh = fresh
        self._next = next(fresh, None)
        self._again: list[tuple[float, int, I]] = []  # heap of (not before, number, item)
        self._numbers = itertools.count()

    def __bool__(self) -> bool:
        return self._next is not None or bool(self._again)

    def push(self, item: I, not_before: float) -> None:
        heapq.heappush(self._again, (not_before, next(self._numbers), item))

    def pop(self, *, only_again: bool = False) -> I | None:
        """The next item, or None when none is due now; ``only_again``: nothing new while others wait."""
        if self._again and self._again[0][0] <= time.monotonic():
            return heapq.heappop(self._again)[2]
        if self._again and only_again:
            return None
        item, self._next = self._next, None if self._next is None else next(self._fresh, None)
        return item
