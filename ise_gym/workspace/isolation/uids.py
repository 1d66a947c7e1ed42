"""One unused host uid for each workspace, when the harness runs as root.

Why: a box started by root is host root behind a mapping. It could read root's files wherever a mount lets
it, and per-user limits do not bind it. Each box therefore runs as a uid that nobody else has: it owns
nothing on the host and no other box's processes. The choice is guarded by a byte-range lock per uid in one
shared file, so that parallel harnesses never share one; the kernel drops the locks of a killed process.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import struct
import tempfile
import threading
from pathlib import Path

from ise_gym.errors import WorkspaceError

_COUNT = 60_000
_PREFERRED = 1_879_048_192  # far above accounts, subuid ranges and systemd's dynamic users
_lock = threading.Lock()
_file = -1
_held: set[int] = set()


def uid_range(uid_map: str = "") -> tuple[int, int]:
    """Return (first, count) of uids to use, inside what this user namespace maps.

    >>> uid_range("0 0 4294967295")
    (1879048192, 60000)
    >>> uid_range("0 100000 65536")
    (60536, 4096)
    >>> uid_range("0 1000 1")[1]
    0
    """
    text = uid_map or Path("/proc/self/uid_map").read_text()
    top = 0
    for line in text.splitlines():
        inside, _, length = (int(n) for n in line.split())
        if inside <= _PREFERRED and inside + length >= _PREFERRED + _COUNT:
            return _PREFERRED, _COUNT
        top = max(top, inside + length)
    count = min(4096, max(0, top - 1001))
    return max(1000, top - count - 904), count


def own_host_users() -> bool:
    """Whether boxes can have host users of their own: as root, where more than one is mapped.

    In a rootless container with one mapped id, root is nobody but the host's user who started it.
    """
    return os.geteuid() == 0 and uid_range()[1] > 0


def _lock_file() -> int:
    global _file
    if _file < 0:
        base = Path("/run") if os.access("/run", os.W_OK) else Path(tempfile.gettempdir())
        path = base / "ise-gym-uids.lock"
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        _file = os.open(path, flags, 0o600)
        if os.fstat(_file).st_uid != 0:
            os.close(_file)
            _file = -1
            raise WorkspaceError(f"{path} belongs to another user; remove it")
    return _file


def _set_lock(fd: int, kind: int, offset: int) -> None:
    request = struct.pack("hhqqi4x", kind, os.SEEK_SET, offset, 1, 0)
    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, request)


def acquire() -> int:
    """Reserve a uid until `release` or the death of this process."""
    first, count = uid_range()
    with _lock:
        fd = _lock_file()
        start = (os.getpid() * 61) % max(1, count)
        for step in range(count):
            uid = first + (start + step) % count
            if uid in _held or _has_account(uid):
                continue
            try:
                _set_lock(fd, fcntl.F_WRLCK, uid)
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
                continue
            _held.add(uid)
            return uid
    raise WorkspaceError("no free user id for another workspace: too many are alive on this machine")


def release(uid: int) -> None:
    """Give a uid back; its processes must be gone."""
    with _lock:
        if uid in _held:
            _held.discard(uid)
            _set_lock(_lock_file(), fcntl.F_UNLCK, uid)


def _has_account(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _forget_after_fork() -> None:
    # The child shares the parent's open file, and so its locks: it needs a file of its own.
    global _file, _lock
    _file = -1
    _held.clear()
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_forget_after_fork)
