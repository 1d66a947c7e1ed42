"""What of a trial was played, kept until it is graded: a judge that fails costs its own answer, not the whole trial.

Playing is what takes the agent's tokens and minutes. So what was played is on disk before the judge is asked, and
a trial that only lacks its grade is graded by whoever takes it up next, another worker or a resumed run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ise_gym.storage.atomic import replacing

FOLDER = ".ungraded"
"""Below the traces."""


@dataclass(frozen=True)
class Played:
    """A trial that was played to its end.

    Attributes:
        trace: file name of its trace. ``seed``: what it was played with.
        snapshot: what a grader looks at beside the conversation.
        counts: what playing took; ``costs``: dollars of it; ``timings``: seconds of it.
        notes: on tools that can only fail. ``reason``: why the agent gave up, "" if it did not.
    """

    trace: str
    seed: int
    snapshot: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    notes: list[dict[str, Any]] = field(default_factory=list)
    reason: str = ""


class Ungraded:
    """The trials of a run that wait for their grade.

    Args:
        traces: folder of the run's traces.
    """

    def __init__(self, traces: Path) -> None:
        self._traces = traces

    def keep(self, task: str, trial: int, played: Played) -> None:
        """Write a played trial down."""
        with replacing(self._file(task, trial)) as file:
            file.write(json.dumps(asdict(played), ensure_ascii=False).encode("utf-8", "surrogatepass"))

    def find(self, task: str, trial: int, seed: int) -> Played | None:
        """Return what was played of a trial with this seed, when its trace is still there."""
        try:
            found: Mapping[str, Any] = json.loads(self._file(task, trial).read_bytes())
            played = Played(**found)
        except (FileNotFoundError, ValueError, TypeError):  # none, or of a version that kept something else
            return None
        return played if played.seed == seed and (self._traces / played.trace).is_file() else None

    def forget(self, task: str, trial: int) -> None:
        """End the wait: the trial has its grade."""
        self._file(task, trial).unlink(missing_ok=True)

    def _file(self, task: str, trial: int) -> Path:
        return self._traces / FOLDER / f"{task}-{trial}.json"
