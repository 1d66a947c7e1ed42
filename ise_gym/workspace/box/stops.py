"""Stopping all commands while somebody outside looks at what they made.

Between two looks at one workspace a background process could change it, or write into the memory of a check's own
process, which runs as the same user. So everything but this process is stopped for the time that checks take. Signals
do it and not a cgroup: they need no rights, and a stopped process still dies with its box.

A stopped process can have itself woken by the kernel (a timer, a folder's or a descriptor's notice that sends SIGCONT),
or be woken by the program that a check runs. How often each thread was given the processor is counted when all stand
still and again before they go on: whoever ran meanwhile is found, by whatever way it was woken.
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
STANDS = (b"T", b"t", b"Z", b"X")
STILL = (*STANDS, b"D")
"""States of a thread that runs no code; one in uninterruptible sleep stops before it does again."""

_GIVE_UP_S = 2.0
_MAKES_A_CHILD = {"x86_64": (b"56", b"58", b"435"), "aarch64": (b"220", b"435")}.get(os.uname().machine, ())
"""The numbers of the system calls clone, vfork and clone3."""


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


def unsettled(pid: int) -> bool:
    """Tell whether a stopped process has a thread that has yet to stop: on its way, or waiting for a disk.

    Who waits for a child that is itself stopped, as after vfork, never stops, and runs nothing either.
    """
    folder = "/proc/" + str(pid) + "/task/"
    try:
        for name in os.listdir(folder):
            with open(folder + name + "/stat", "rb") as file:
                state = file.read().rpartition(b")")[2].split()[0]
            if state in STANDS:
                continue
            if state != b"D":
                return True
            try:
                with open(folder + name + "/syscall", "rb") as file:
                    call = file.read().split()[0]
            except PermissionError:
                return True
            if call not in _MAKES_A_CHILD:
                return True
    except OSError:
        return False  # ended meanwhile
    return False


def turns(pid: int) -> dict[str, bytes]:
    """Return for each thread of a process how often it left the processor; empty when it has ended.

    A thread that is about to stop says so before it has left the processor: asking the kernel for its system call
    waits until it has.
    """
    folder = "/proc/" + str(pid) + "/task/"
    found = {}
    try:
        for name in os.listdir(folder):
            with open(folder + name + "/status", "rb") as file:
                state = file.read()
            if b"\nState:\tZ" in state or b"\nState:\tX" in state:
                continue
            try:
                with open(folder + name + "/syscall", "rb") as file:
                    file.read()
            except PermissionError:
                time.sleep(0.003)
            except FileNotFoundError:
                if not os.path.exists(folder + name):
                    continue
            with open(folder + name + "/status", "rb") as file:
                found[name] = file.read().partition(b"\nvoluntary_ctxt_switches:")[2]
    except OSError:
        return {}  # ended meanwhile
    return found


class Stops(Ports):
    """The part of the init that stops and continues all commands."""

    standing: dict[int, dict[str, bytes]] | None = None
    """The turns of every stopped process when all stood still; None while nothing is stopped."""

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
        if self.standing is None:
            self.settle()
            self.standing = self.all_turns()
        return ({"killed": killed},)

    def all_turns(self) -> dict[int, dict[str, bytes]]:
        """Return the turns of every command that lives."""
        return {pid: found for pid in self.commands() if (found := turns(pid))}

    def settle(self) -> None:
        """Wait until who was in uninterruptible sleep has woken and stopped; who takes longer counts as having run."""
        limit = time.monotonic() + _GIVE_UP_S
        while time.monotonic() < limit and any(unsettled(pid) for pid in self.commands()):
            time.sleep(0.002)

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

    def op_continue(self, header: dict[str, Any], body: bytes) -> Answer:
        """Continue what `op_stop` stopped, and say whether all stood still; when not, all are killed instead."""
        still = self.standing is None or self.all_turns() == self.standing
        if not still:
            self.signal_all(KILL)
        elif self.stopped is not None:
            for pid in self.commands() - self.stopped:
                send_signal(pid, CONTINUE)
        self.stopped = self.standing = None
        return ({"still": still},)
