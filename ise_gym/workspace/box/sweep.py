"""Who belongs to a command, and killing all of them.

A process that wants to outlive its command leaves the process group (setsid) and then its parent (a double
fork). The init is the reaper of all orphans, so it still sees them: one that did not exist when the
command began, and that no other live command claims, is taken for the command's own.
"""

# pathlib would double the start-up time of a box.
from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

STOP, KILL = 19, 9
_GIVE_UP_S = 2.0


def process_table() -> dict[int, tuple[int, int, bytes]]:
    """Return pid → (parent, session, state) of every process that can be seen."""
    table = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/" + name + "/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
            except OSError:
                continue  # ended between the listing and the look
            table[int(name)] = (int(fields[1]), int(fields[3]), fields[0])
    return table


class Family:
    """Tells a command's processes from all others.

    Args:
        me: the init, which adopts orphans.
        root: the command's main process, leader of its session.
        before: processes that lived when the command began.
        others: main processes of other live commands.
        keep_root: spare the main process, and orphans with it (a shell's earlier background jobs).
    """

    def __init__(self, me: int, root: int, before: frozenset[int], others: set[int], keep_root: bool) -> None:
        self.me = me
        self.root = root
        self.before = before
        self.others = others
        self.keep_root = keep_root

    def members(self) -> set[int]:
        """Its live processes now: the tree, the session, and orphans born after it began."""
        table = process_table()
        found = set()
        for pid, (parent, session, state) in table.items():
            if pid == self.me or state in (b"Z", b"X"):
                continue
            top, above = pid, parent
            mine = pid == self.root
            while above not in (0, self.me) and not mine:
                mine = above == self.root
                top = above
                above = table.get(above, (0, 0, b""))[0]
            if not mine:
                orphan = above == self.me and top not in self.others and top not in self.before
                mine = session == self.root or (orphan and not self.keep_root)
            if mine and not (self.keep_root and pid == self.root):
                found.add(pid)
        return found


def send_signal(pid: int, number: int) -> None:
    """Signal a process that may be gone already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def kill_family(family: Family, reap: Callable[[], None]) -> None:
    """Stop everyone first, so that none can fork away, then kill until nobody is left."""
    stopped: set[int] = set()
    for _ in range(100):
        fresh = family.members() - stopped
        if not fresh:
            break
        for pid in fresh:
            send_signal(pid, STOP)
        stopped |= fresh
    limit = time.monotonic() + _GIVE_UP_S
    while True:
        left = family.members()
        for pid in left:
            send_signal(pid, KILL)
        reap()
        if not left or time.monotonic() > limit:
            return
        time.sleep(0.001)
