"""Boxes that were cut off while they started, and how to find them.

Why: between bwrap's clone of the box and the word that its uid map is written, the child waits for its parent
and is not yet bound to the parent's life. A bwrap that is killed just then leaves a child which waits forever.
The harness kills both when it gives up a start; ``ise gc`` finds what somebody else's SIGKILL left.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

_PROC = Path("/proc")


def children(pid: int) -> list[int]:
    """Return the processes whose parent is ``pid`` (those of all its threads)."""
    found: list[int] = []
    try:
        for task in (_PROC / str(pid) / "task").iterdir():
            found += map(int, (task / "children").read_text().split())
    except (FileNotFoundError, ProcessLookupError):
        return found  # it ended meanwhile; its children have another parent now
    return found


def kill(pid: int) -> bool:
    """Send SIGKILL; say whether the process was there and ours to kill."""
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def find(init: str) -> list[int]:
    """Return the waiting children of dead bwraps that were to run ``init``, a path inside the box.

    Such a process still has bwrap's command line, is PID 1 of its namespace, and its parent is not a bwrap. A
    box that runs has the init's command line; one that is starting has its bwrap above it.
    """
    found = []
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            try:
                if _waits_alone(folder, os.fsencode(init)):
                    found.append(int(folder.name))
            except OSError:
                continue  # it ended while it was looked at
    return found


def collect(init: str) -> list[int]:
    """Kill what `find` returns; return the pids that were killed."""
    return [pid for pid in find(init) if kill(pid)]


def _waits_alone(folder: Path, init: bytes) -> bool:
    words = (folder / "cmdline").read_bytes().split(b"\0")
    if b"--args" not in words or init not in words or not words[0].endswith(b"bwrap"):
        return False
    status = dict(line.partition(":\t")[::2] for line in (folder / "status").read_text().splitlines())
    if len(status["NSpid"].split()) < 2 or status["NSpid"].split()[-1] != "1":
        return False
    return not (_PROC / status["PPid"] / "cmdline").read_bytes().split(b"\0")[0].endswith(b"bwrap")
