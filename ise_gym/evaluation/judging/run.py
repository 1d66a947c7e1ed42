"""Judges the episodes of a store into another store: what was verified stays as it is, what was not is judged.

Layout of what it makes: a trajectory store, and ``judging/answers.jsonl`` with every reading, written the moment it is
there. Stopped at any point, the same command goes on and pays for nothing twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ise_gym.errors import UserError
from ise_gym.evaluation.judging.agreement import Agreement, agreement
from ise_gym.evaluation.judging.judge import Judgement, RubricJudge, models_that_acted, same_model
from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.store import TrajectoryStore, read_trajectories

FOLDER = "judging"


@dataclass
class Judged:
    """What judging a store came to; ``pairs`` holds both readings of each point."""

    seen: int = 0
    verified: int = 0
    passed: int = 0
    failed: int = 0
    without_verdict: int = 0
    cached: int = 0
    unquoted: int = 0
    pairs: list[tuple[bool, bool]] = field(default_factory=list)

    def add(self, judgement: Judgement) -> None:
        """Count one judgement."""
        self.cached += judgement.cached
        if not judgement.readings:
            self.without_verdict += 1
            return
        self.passed += judgement.passed
        self.failed += not judgement.passed
        first, second = judgement.readings
        self.pairs += [(first[name].met, second[name].met) for name in judgement.points]
        self.unquoted += sum(
            f.holds and not f.quoted for reading in judgement.readings for f in reading.values()
        )

    def self_agreement(self) -> Agreement:
        """How well the two readings agree, over points."""
        return agreement(self.pairs)


def judged(trajectory: Trajectory, judgement: Judgement, judge: RubricJudge) -> Trajectory:
    """Return the record with a judgement in it. Its score stays null: nothing was verified.

    Without a verdict the outcome stays ``unverified``.
    """
    outcome = trajectory.outcome
    if judgement.readings:
        outcome = "judged_passed" if judgement.passed else "judged_failed"
    said = {**judge.describe(), **judgement.to_json()}
    if judgement.problem:
        said["problem"] = judgement.problem
    return trajectory.model_copy(update={"outcome": outcome, "judged": said})


def judge_store(
    source: str | Path,
    out: str | Path,
    judge: RubricJudge,
    *,
    concurrency: int = 4,
    on_progress: Callable[[Judged], None] | None = None,
) -> Judged:
    """Judge every unverified episode of a store and write all episodes into a new one, in their order.

    Args:
        source: a store folder or a JSONL file. ``out``: the new store; an earlier attempt is taken up.
        judge: who judges.
        concurrency: episodes judged at once.
        on_progress: called after each episode.

    Raises:
        AgentError: the endpoint failed after its own retries; what was judged is kept.
        UserError: a bad source, or the judge acted in an episode.
    """
    if Path(source).resolve() == Path(out).resolve():
        raise UserError(f"{out}: is the source; give another folder.")
    refuse_own_work(source, judge)
    counts = Judged()
    run = {"judged": Path(source).name, "judge": judge.describe()}
    with TrajectoryStore(out, run=run) as store:
        there = store.ids()
        for trajectory, judgement in _judged_in_order(read_trajectories(source), judge, concurrency):
            counts.seen += 1
            if judgement is None:
                counts.verified += 1
                record = trajectory
            else:
                counts.add(judgement)
                record = judged(trajectory, judgement, judge)
            if trajectory.episode_id not in there:
                store.append(record)
            if on_progress is not None:
                on_progress(counts)
    return counts


def refuse_own_work(source: str | Path, judge: RubricJudge) -> None:
    """Look through a store for episodes in which the judge acted, before anything is spent.

    Raises:
        UserError: there is one, and it was not asked for.
    """
    if judge.allow_own:
        return
    own = sum(
        same_model(judge.model, models_that_acted(t))
        for t in read_trajectories(source)
        if t.outcome == "unverified"
    )
    if own:
        raise UserError(
            f"{judge.model} acted in {own:,} of these episodes, and models favour their own work; judge with another "
            "model, or ask for it with --allow-own"
        )


def _judged_in_order(
    trajectories: Iterator[Trajectory], judge: RubricJudge, concurrency: int
) -> Iterator[tuple[Trajectory, Judgement | None]]:
    waiting: deque[tuple[Trajectory, Future[Judgement] | None]] = deque()

    def first() -> tuple[Trajectory, Any]:
        trajectory, future = waiting.popleft()
        return trajectory, None if future is None else future.result()

    with ThreadPoolExecutor(concurrency, thread_name_prefix="judge") as pool:
        try:
            for trajectory in trajectories:
                asked = trajectory.outcome == "unverified"
                waiting.append((trajectory, pool.submit(judge.judge, trajectory) if asked else None))
                if len(waiting) >= 2 * concurrency:
                    yield first()
            while waiting:
                yield first()
        finally:
            pool.shutdown(cancel_futures=True)
