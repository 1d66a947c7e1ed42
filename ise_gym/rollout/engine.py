"""Plays many scenarios into a store: hands out work, survives crashes, resumes.

The driver is a loop over a `Pool`: it hands out the episodes that the store lacks, appends what comes back, and
plays again what the infrastructure broke. It holds a handful of records at a time, whatever the number of episodes.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ise_gym.errors import UserError
from ise_gym.rollout.pool import Event, Pool, ProcessPool
from ise_gym.rollout.spec import Item, Plan, Result
from ise_gym.rollout.worker import BUG, broken, result_of
from ise_gym.trajectory.record import episode_id
from ise_gym.trajectory.shards import Compression
from ise_gym.trajectory.store import TrajectoryStore, read_trajectories

BACKOFF_S = 0.5
"""Pause before an episode is played again; doubles each time."""

_TICK_S = 0.25


@dataclass
class Status:
    """Where a rollout stands; handed to ``on_progress`` after every change.

    Attributes:
        total: episodes asked for; ``already``: of them, in the store when it began.
        outcomes: outcome → episodes of this run. ``failures``: kind of infrastructure failure → episodes.
        tokens, cost: of agent and user, of attempts that were played again too.
        retries: episodes played again. ``crashes``: worker processes that died.
        torn: half-written records that were set aside at the start.
    """

    total: int = 0
    already: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    user_turns: int = 0
    tool_calls: int = 0
    guard_hits: int = 0
    tokens: int = 0
    cost: float = 0.0
    retries: int = 0
    crashes: int = 0
    torn: int = 0
    running: int = 0
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def played(self) -> int:
        """Episodes that ended in this run, infrastructure failures included."""
        return sum(self.outcomes.values())

    @property
    def passed(self) -> int:
        """Episodes of this run that passed."""
        return self.outcomes.get("passed", 0)

    @property
    def broken(self) -> int:
        """Episodes of this run that the infrastructure broke in spite of retries."""
        return self.outcomes.get("infrastructure_error", 0)

    @property
    def missing(self) -> int:
        """Episodes that the store still lacks."""
        return self.total - self.already - self.played + self.broken


def run(
    plan: Plan,
    out: str | Path,
    *,
    describe: Mapping[str, Any],
    workers: int = 2,
    retries: int = 2,
    retry_failed: bool = True,
    give_up_after: int = 20,
    compression: Compression = "none",
    sync_s: float = 1.0,
    on_progress: Callable[[Status], None] | None = None,
    make_pool: Callable[[Plan, int], Pool] = ProcessPool,
) -> Status:
    """Play every scenario of the plan that the store does not hold yet.

    Ctrl-C (or SIGTERM) drains: what is running is finished and stored; a second one stops at once. In both cases
    the same call resumes. Records don't depend on ``workers``, ``plan.slots`` or the order of completion.

    Args:
        plan: source, agent, env.
        out: store folder; refused when it holds another run.
        describe: the run's arguments as JSON, kept in the manifest and compared on resume.
        workers: processes; each plays ``plan.slots`` episodes at once.
        retries: how often an episode that the infrastructure broke is played again.
        retry_failed: play episodes again that earlier runs recorded as infrastructure failures.
        give_up_after: consecutive infrastructure failures (after retries) that end the run: something is down.
        compression, sync_s: of a new store, see `TrajectoryStore`.
        on_progress: called with the status after every change and at least four times a second.
        make_pool: where episodes are played.

    Raises:
        UserError: another run or another process in that folder, a plan that can't be played, or everything
            broken for ``give_up_after`` episodes.
    """
    with (
        TrajectoryStore(out, run=describe, compression=compression, sync_s=sync_s) as store,
        _only_driver(store),
    ):
        driver = _Driver(plan, store, retries, give_up_after, on_progress or (lambda status: None))
        todo = driver.open(retry_failed)
        if driver.status.total > driver.status.already:
            pool = make_pool(plan, min(workers, driver.status.total - driver.status.already))
            driver.drive(pool, todo)
        return driver.status


class _Driver:
    def __init__(
        self,
        plan: Plan,
        store: TrajectoryStore,
        retries: int,
        give_up_after: int,
        on_progress: Callable[[Status], None],
    ) -> None:
        self.plan = plan
        self.store = store
        self.status = Status(torn=len(store.torn))
        self._retries = retries
        self._give_up_after = give_up_after
        self._on_progress = on_progress
        self._again: list[tuple[float, int, int, Item]] = []  # heap of (not before, index, sample, item)
        self._tries: dict[Item, int] = {}
        self._in_a_row = 0
        self._signals = 0

    def open(self, retry_failed: bool) -> Iterator[Item]:
        """Count what is done and return an iterator over the rest."""
        ids = scenario_ids(self.plan.source)
        done = self.store.ids() if retry_failed else self.store.ids() | self.store.failed_ids()
        name = self._name_in_store() if done else ""
        self.status.total = len(ids) * self.plan.samples
        items = list(self.plan.items(ids)) if done else self.plan.items(ids)
        if not done:
            return iter(items)
        rest = [i for i in items if episode_id(i.scenario_id, i.seed, name) not in done]
        self.status.already = self.status.total - len(rest)
        return iter(rest)

    def drive(self, pool: Pool, todo: Iterator[Item]) -> None:
        """Hand out, collect, store, until nothing is left or a signal came."""
        began, now = time.monotonic(), True
        with self._signals_counted():
            try:
                waiting = next(todo, None)
                running = 0
                while True:
                    while pool.room() > 0 and not self._signals:
                        if (item := self._due()) is None:
                            item, waiting = waiting, next(todo, None) if waiting else None
                        if item is None:
                            break
                        pool.submit(item)
                        running += 1
                    self.status.running = running
                    if self._signals > 1 or (not running and (self._signals or not (waiting or self._again))):
                        break
                    for event in pool.events(_TICK_S):
                        running -= self._take(event, pool)
                        self.status.seconds = time.monotonic() - began
                        self._on_progress(self.status)
                    self.status.seconds = time.monotonic() - began
                    self._on_progress(self.status)
                now = running > 0
            finally:
                pool.close(now=now)
        self.status.running = 0
        self.status.interrupted = self._signals > 0
        self._on_progress(self.status)

    def _take(self, event: Event, pool: Pool) -> int:
        """Store what an event brought; return how many items it ended."""
        if isinstance(event, Result):
            self._finish(event)
            return 1
        self.status.crashes += 1
        for item in event.items:
            scenario = self.plan.source.scenario(item.index)
            reason = f"worker: the process died ({event.how})"
            self._finish(result_of(item, broken(scenario, item, pool.agent_name, reason)))
        return len(event.items)

    def _finish(self, result: Result) -> None:
        item, status = result.item, self.status
        status.tokens += result.tokens
        status.cost += result.cost
        if result.failed and not result.reason.startswith(BUG) and self._play_again(item):
            return
        self._tries.pop(item, None)
        self.store.append_line(result.line, failed=result.failed)
        status.outcomes[result.outcome] = status.outcomes.get(result.outcome, 0) + 1
        status.user_turns += result.user_turns
        status.tool_calls += result.tool_calls
        status.guard_hits += result.guard_hits
        if not result.failed:
            self._in_a_row = 0
            return
        kind = result.reason.partition(":")[0]
        status.failures[kind] = status.failures.get(kind, 0) + 1
        self._in_a_row += 1
        if self._in_a_row >= self._give_up_after:
            raise UserError(
                f"{self._in_a_row} episodes in a row were broken by the infrastructure (the last: "
                f"{result.reason[:300]}). Mend that and run the same command again to resume."
            )

    def _play_again(self, item: Item) -> bool:
        tries = self._tries[item] = self._tries.get(item, 0) + 1
        if tries > self._retries:
            return False
        due = time.monotonic() + BACKOFF_S * 2 ** (tries - 1)
        heapq.heappush(self._again, (due, item.index, item.sample, item))
        self.status.retries += 1
        return True

    def _due(self) -> Item | None:
        if self._again and self._again[0][0] <= time.monotonic():
            return heapq.heappop(self._again)[3]
        return None

    def _name_in_store(self) -> str:
        for failures in (False, True):
            for trajectory in read_trajectories(self.store.path, failures=failures):
                return str(trajectory.agent["name"])
        return ""

    @contextlib.contextmanager
    def _signals_counted(self) -> Iterator[None]:
        """Count Ctrl-C and SIGTERM instead of dying of them."""

        def count(signum: int, frame: Any) -> None:
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


def scenario_ids(source: Any) -> Sequence[str]:
    """Return the ids of a finite source's scenarios, without building them where it can say."""
    if callable(ids := getattr(source, "ids", None)):
        found: Sequence[str] = ids()
        return found
    return [scenario.id for scenario in source]


@contextlib.contextmanager
def _only_driver(store: TrajectoryStore) -> Iterator[None]:
    """Keep two drivers from playing the same episodes into one folder."""
    with (store.path / ".driver").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"{store.path}: another rollout is writing there. Wait for it, or give another folder."
            ) from None
        yield
