"""What episodes with background jobs leave behind in the harness and on its machine, counted after each reset."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from harmless import resident

from ise_gym.messages import assistant, tool_call
from made_scenarios import make_scenario

JOBS = (
    "while :; do sleep 1; done",
    "setsid bash -c 'sleep 86399 & sleep 86399 & disown; exec sleep 86399' > /dev/null 2>&1 &",
    "exec python3 -m http.server 8099",
    "exec python3 -c 'import os, time\nfor _ in range(6): os.fork()\ntime.sleep(86399)'",
    "yes > /dev/shm/full; sleep 86399",
    "mkfifo p; cat p",
)
SPARE = {"descriptors": 16, "threads": 2, "mounts": 4, "processes": 8, "cgroups": 4}
"""What the box that is started ahead of the next reset may hold, or not yet, and the last one that is being given back.

A control group counts once for each hierarchy.
"""


@dataclass(frozen=True)
class Held:
    """What this process holds: memory and memory of its children in MB, and numbers of the rest."""

    memory_mb: float
    children_mb: float
    descriptors: int
    threads: int
    mounts: int
    processes: int
    cgroups: int

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of the columns."""
        return [field.name for field in fields(cls)]

    def row(self) -> str:
        """Return the values, in columns as wide as their names."""
        return " ".join(
            f"{value:>{len(name)}.0f}" for name, value in zip(self.names(), astuple(self), strict=True)
        )


def descendants() -> dict[int, int]:
    """Return pid → resident bytes of every process below this one; zombies hold none."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found: dict[int, int] = {}
    level = {os.getpid()}
    while level := {pid for pid, parent in parents.items() if parent in level}:
        for pid in level:
            try:
                found[pid] = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
            except OSError:
                continue
    return found


def mounts() -> int:
    """Count the mounts that this process sees, without those of another test run's docker daemon."""
    own = os.environ.get("DOCKER_HOST", "").removeprefix("unix://").rpartition("/")[0] or "/nowhere"
    places = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return sum("/ise-dockerd-" not in place or place.startswith(own + "/") for place in places)


def held() -> Held:
    """Look at this process, its descendants, the mounts it sees and the control groups it could make."""
    below = descendants()
    groups = [path for path in Path("/sys/fs/cgroup").rglob("*ise*") if str(os.getpid()) in path.name]
    return Held(
        resident() / 1e6,
        sum(below.values()) / 1e6,
        len(list(Path("/proc/self/fd").iterdir())),
        threading.active_count(),
        mounts(),
        len(below),
        len(groups),
    )


def resets(env: Any, count: int) -> Iterator[int]:
    """Play ``count`` short episodes, each of which leaves jobs running, and yield after each reset."""
    for number in range(count):
        env.reset(seed=1, options={"scenario": make_scenario()})
        yield number
        job = JOBS[number % len(JOBS)]
        env.step(assistant("", [tool_call("exec", {"command": job, "background": True})]))
        env.step(assistant("", [tool_call("write", {"path": "greet.txt", "content": "hello " * 2_000})]))
        env.step(assistant("Done."))


def grown(early: Held, late: Held) -> list[str]:
    """Return the names of what has grown by more than what comes and goes: see `SPARE`; memory a tenth and 20 MB."""
    found = []
    for name, before, after in zip(Held.names(), astuple(early), astuple(late), strict=True):
        room = before / 10 + 20 if name.endswith("_mb") else SPARE.get(name, 0)
        if after > before + room:
            found.append(f"{name} from {before:.0f} to {after:.0f}")
    return found
