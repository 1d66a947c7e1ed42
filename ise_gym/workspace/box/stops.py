"""Stopping all commands while somebody outside looks at what they made.

Between two looks at one workspace a background process could change it, or write into the memory of a check's own
process, which runs as the same user. So everything but this process is stopped for the time that checks take. Signals
do it and not a cgroup: they need no rights, and a stopped process still dies with its box.
"""

# pathlib would double the start-up time of a box.
from __future__ import annotations

import os
import time

from ise_gym.workspace.box.ports import Ports
from ise_gym.workspace.box.sweep import KILL, STOP, Family, send_signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ise_gym.workspace.box.wire import Header

    Answer = tuple[Any, ...] | None

CONTINUE = 18
STILL = (b"T", b"t", b"Z", b"X", b"D")
"""States of a thread that runs no code; one in uninterruptible sleep stops before it does again."""

_GIVE_UP_S = 2.0


def thread_states(pid: int) -> set[bytes]:
    """Return the states of a process's threads; its own state is that of its first thread, which may have ended."""
    folder = "/proc/" + str(pid) + "/task"
    found = set()
    try:
        for name in os.listdir(folder):
            with open(folder + "/" + name + "/stat", "rb") as file:
                found.add(file.read().rpartition(b")")[2].split()[0])
    except OSError:
        return found  # ended meanwhile
    return found


class Stops(Ports):
    """The part of the init that stops and continues all commands."""

    def commands(self) -> set[int]:
        """Every process but this one; where there is no namespace of its own, its descendants."""
        if self.me == 1:
            return {int(name) for name in os.listdir("/proc") if name.isdigit()} - {1}
        return Family(self.me, self.me, frozenset(), set(), keep_root=False).members()

    def signal_all(self, number: int) -> None:
        """Signal every command; in a namespace at once, so that none can fork away."""
        if self.me == 1:
            send_signal(-1, number)
            return
        for pid in self.commands():
            send_signal(pid, number)

    def op_stop(self, header: Header, body: bytes) -> Answer:
        """Stop all commands; those that keep waking each other up are killed, all together."""
        killed = self.stop_all()
        return ({"killed": killed},)

    def stop_all(self) -> bool:
        """Stop until nothing moves; True when that had to be done by killing."""
        limit = time.monotonic() + _GIVE_UP_S
        while True:
            moving, still = set(), set()
            for pid in self.commands():
                states = thread_states(pid)
                if not states <= set(STILL):
                    moving.add(pid)
                elif states & {b"T", b"t"}:
                    still.add(pid)
            if self.stopped is None:
                self.stopped = still
            if not moving:
                return False
            if time.monotonic() > limit:
                self.signal_all(KILL)
                return True
            self.signal_all(STOP)
            time.sleep(0.0003)

    def stop_again(self) -> None:
        """Stop what a check's own command continued."""
        if self.stopped is not None:
            self.stop_all()

    def op_continue(self, header: Header, body: bytes) -> Answer:
        """Continue what `op_stop` stopped."""
        if self.stopped is not None:
            for pid in self.commands() - self.stopped:
                send_signal(pid, CONTINUE)
            self.stopped = None
        return ({},)
