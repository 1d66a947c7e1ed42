"""Follows stores as they grow: a thread that brings their indexes up to date, and whether somebody is recording."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from ise_gym.errors import UserError
from ise_gym.view.index.build import Progress, update
from ise_gym.view.library import Library, Run

EVERY_S = 1.0
STILL_LIVE_S = 20.0
"""A store without a driver's lock counts as being written so long after it last grew."""


class Follower:
    """Keeps the indexes of a library up to date until it is closed."""

    def __init__(self, library: Library, *, processes: int | None = None) -> None:
        self._library = library
        self._processes = processes
        self._stop = threading.Event()
        self._grown: dict[str, float] = {}
        self._sizes: dict[str, int] = {}
        self._thread = threading.Thread(target=self._follow, name="index", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End after the batch that is being written."""
        self._stop.set()
        self._thread.join(timeout=30)

    def _follow(self) -> None:
        while not self._stop.is_set():
            for run in self._library.runs:
                self.look(run)
            self._stop.wait(EVERY_S)

    def look(self, run: Run) -> None:
        """Bring one run's index up to date; what goes wrong is shown to who looks at it, and tried again."""

        def note(progress: Progress) -> None:
            run.progress = progress
            self._library.changed()

        before = run.live
        try:
            size = (
                sum(path.stat().st_size for path in run.source.glob("*/part-*"))
                if run.source.is_dir()
                else (run.source.stat().st_size)
            )
            if size != self._sizes.get(run.name):
                if run.name in self._sizes:
                    self._grown[run.name] = time.monotonic()
                update(
                    run.source, run.index, processes=self._processes, on_progress=note,
                    go_on=lambda: not self._stop.is_set(),
                )  # fmt: skip
                self._sizes[run.name] = size
            run.problem = ""
        except (UserError, OSError) as error:
            run.problem = f"{run.name}: {error}"
        grown = self._grown.get(run.name)
        run.live = being_written(run.source) or (
            grown is not None and time.monotonic() - grown < STILL_LIVE_S
        )
        if before != run.live:
            self._library.changed()


def being_written(source: Path) -> bool:
    """Tell whether a rollout holds a store, by the list of locks: taking the lock would get in its way."""
    try:
        inode = (source / ".driver").stat().st_ino
        locks = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return False
    return any("FLOCK" in line and line.split()[5].rsplit(":", 1)[-1] == str(inode) for line in locks if line)
