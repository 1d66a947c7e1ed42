"""Aggregate limits by cgroup, where this process may make one.

Why: rlimits bind each process or user, not a box as a whole; only a cgroup caps the memory of all its
processes and of its memory-backed files together. Version 2 is preferred, then version 1; without write
access there is none and `Capabilities` says so.
"""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import dataclass
from pathlib import Path

_PREFIX = "ise-gym"
_counter = itertools.count(1)
_swept: set[Path] = set()


@dataclass(frozen=True)
class Cgroup:
    """Folders of one box: one in version 2, one for each controller in version 1."""

    version: int
    folders: tuple[Path, ...]

    def add(self, pid: int) -> None:
        """Move a process in; what it starts later follows."""
        for folder in self.folders:
            (folder / "cgroup.procs").write_text(str(pid))

    def out_of_memory(self) -> bool:
        """Whether the kernel has killed a process of the group for want of memory."""
        for folder in self.folders:
            for name in ("memory.events", "memory.oom_control"):
                try:
                    lines = (folder / name).read_text().splitlines()
                except OSError:
                    continue  # the other version's, or another controller's folder
                if any(line.split()[0] == "oom_kill" and line.split()[1] != "0" for line in lines if line):
                    return True
        return False

    def remove(self) -> None:
        """Delete the emptied folders; the kernel may need a moment after the last death."""
        for folder in self.folders:
            for attempt in range(50):
                try:
                    folder.rmdir()
                except FileNotFoundError:
                    break
                except OSError:
                    if attempt == 49:
                        raise
                    time.sleep(0.01)
                else:
                    break


@dataclass(frozen=True)
class Support:
    """Where boxes' cgroups can be made: version (0 = nowhere) and controller → parent folder."""

    version: int
    parents: dict[str, Path]

    @property
    def word(self) -> str:
        """How `Capabilities` names it."""
        return f"cgroup v{self.version}" if self.version else ""


def detect(root: Path = Path("/sys/fs/cgroup"), own: str = "") -> Support:
    """Look for a writable hierarchy with both the memory and the pids controller.

    Args:
        root: where cgroups are mounted.
        own: text of /proc/self/cgroup (default: read it).
    """
    text = own or Path("/proc/self/cgroup").read_text()
    lines = [line.split(":", 2) for line in text.splitlines() if line.count(":") >= 2]
    unified = next((path for number, names, path in lines if number == "0" and not names), None)
    if unified is not None and (root / "cgroup.controllers").is_file():
        return _detect_v2(root, unified)
    parents: dict[str, Path] = {}
    for _, names, path in lines:
        for name in set(names.split(",")) & {"memory", "pids"}:
            for folder in (root / name / path.lstrip("/"), root / name):
                if os.access(folder, os.W_OK) and (folder / "cgroup.procs").exists():
                    parents[name] = folder
                    break
    return Support(1, parents) if parents.keys() == {"memory", "pids"} else Support(0, {})


def _detect_v2(root: Path, own: str) -> Support:
    """Find an ancestor that hands both controllers down: a populated non-root group can't (no internal processes)."""
    folder = root / own.lstrip("/")
    while True:
        control = folder / "cgroup.subtree_control"
        if os.access(folder, os.W_OK) and os.access(control, os.W_OK):
            given = set(control.read_text().split())
            if not {"memory", "pids"} <= given:
                try:
                    control.write_text("+memory +pids")
                except OSError:
                    given = set()
                else:
                    given = set(control.read_text().split())
            if {"memory", "pids"} <= given:
                return Support(2, {"memory": folder, "pids": folder})
        if folder == root:
            return Support(0, {})
        folder = folder.parent


def create(support: Support, memory_bytes: int, processes: int) -> Cgroup:
    """Make one box's group with its limits set. OSError when the kernel refuses."""
    name = f"{_PREFIX}-{os.getpid()}-{next(_counter)}"
    made: list[Path] = []
    for parent in dict.fromkeys(support.parents.values()):
        _remove_stale(parent)
        folder = parent / name
        folder.mkdir()
        made.append(folder)
    files = (
        {"memory.max": memory_bytes, "memory.swap.max": 0, "memory.oom.group": 0, "pids.max": processes}
        if support.version == 2
        else {
            "memory.limit_in_bytes": memory_bytes,
            "memory.memsw.limit_in_bytes": memory_bytes,
            "pids.max": processes,
        }
    )
    optional = {"memory.swap.max", "memory.memsw.limit_in_bytes", "memory.oom.group"}
    for file, value in files.items():
        for folder in made:
            target = folder / file
            if target.exists():
                try:
                    target.write_text(str(value))
                except OSError:
                    if file not in optional:  # swap accounting may be off
                        raise
    return Cgroup(support.version, tuple(made))


def _remove_stale(parent: Path) -> None:
    """Delete groups left by a harness that was killed; only empty ones can be deleted."""
    if parent in _swept:
        return
    _swept.add(parent)
    for folder in parent.glob(f"{_PREFIX}-*-*"):
        owner = folder.name.split("-")[2]
        if owner.isdigit() and not Path("/proc", owner).exists():
            try:
                folder.rmdir()
            except OSError:
                _swept.discard(parent)  # still emptying: look again next time
