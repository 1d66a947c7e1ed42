"""Shows where a rollout stands: a live bar on a terminal, a line now and then in a log file."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from ise_gym.foreign.screen import Screen
from ise_gym.models.metering import advice_on
from ise_gym.rollout.engine import Status
from ise_gym.trajectory.drift import FALLBACKS_TOO_MANY

LOG_EVERY_S = 15.0


class RolloutProgress:
    """Progress display of `ise_gym.rollout.engine.drive`: pass it as ``on_progress`` inside a ``with``.

    Args:
        console: where to; default: standard error, so that standard output stays clean.
        title: what is before the bar.
    """

    def __init__(self, console: Screen | None = None, title: str = "rollout") -> None:
        self._console = console or Screen(stderr=True)
        self._live = self._console.is_terminal
        self._title = title
        self._task: TaskID | None = None
        self._logged = time.monotonic()
        self._answers: Mapping[str, int] = {}
        self._stopped = ""
        self._bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            console=self._console,
        )

    def __enter__(self) -> RolloutProgress:
        if self._live:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._bar.stop()
        notes = list(advice_on(self._answers))
        if self._stopped:
            notes.append(
                f"{self._stopped}; run the same command again, or with a higher limit, to play what is missing"
            )
        for note in notes:
            self._console.print(f"note: {note}", highlight=False, markup=False, soft_wrap=True)

    def __call__(self, status: Status) -> None:
        """Show a status."""
        self._answers, self._stopped = status.answers, status.stopped
        done = status.already + status.played
        if self._live:
            if self._task is None:
                self._task = self._bar.add_task(self._title, total=status.total, figures="")
            self._bar.update(self._task, completed=done, total=status.total, figures=figures(status))
        elif time.monotonic() - self._logged >= LOG_EVERY_S:
            self._logged = time.monotonic()
            self._console.print(f"{self._title} {done}/{status.total}  {figures(status)}", highlight=False)


def figures(status: Status) -> str:
    """Return the figures beside the bar: rate, pass rate, trouble, time left.

    >>> figures(Status(total=4, outcomes={"passed": 2}, seconds=3.6))
    '2,000/h  pass 100%  ETA 0:04'
    """
    parts = []
    if status.played and status.seconds > 0:
        rate = status.played / status.seconds
        parts.append(f"{rate * 3600:,.0f}/h")
        if judged := status.played - status.broken:
            parts.append(f"pass {status.passed / judged:.0%}")
    if status.guard_hits:
        parts.append(f"refused {status.guard_hits}/{status.guarded_turns} turns")
    if status.fallbacks:
        too_many = "!" if status.fallbacks > FALLBACKS_TOO_MANY * status.guarded_turns else ""
        parts.append(f"script {status.fallbacks / max(1, status.guarded_turns):.0%}{too_many}")
    if status.false_claims:
        parts.append(f"false claims {status.false_claims}")
    if status.tokens:
        parts.append(f"{status.tokens:,} tokens")
    if status.cost:
        parts.append(f"cost {status.cost:,.2f}")
    if status.retries:
        parts.append(f"retried {status.retries}")
    if status.crashes:
        parts.append(f"crashed workers {status.crashes}")
    parts.extend(f"{kind} failures {count}" for kind, count in sorted(status.failures.items()))
    if status.played and status.seconds > 0:
        left = round((status.total - status.already - status.played) * status.seconds / status.played)
        parts.append(f"ETA {left // 60}:{left % 60:02d}")
    return "  ".join(parts)
