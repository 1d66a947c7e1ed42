"""Small results that are dear to compute, kept in the user's cache folder for the next process.

One file that only grows: a record names its key and carries a checksum, and is written by one call that appends. So
any number of processes may read and write it, and one that is killed costs at most what it had not written yet. What is
damaged is thrown away. Without a folder to write to nothing is kept: all is computed again, and only the clock tells.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import mmap
import os
import stat
import struct
import threading
from pathlib import Path

_RECORD = struct.Struct("=16s8sI")
_WRITE_AT = 256 << 10
_LARGEST = 64 << 20


def cache_folder() -> Path:
    """Return where this user's caches of ise_gym are: ``$XDG_CACHE_HOME/ise_gym``, else ``~/.cache/ise_gym``.

    Who has no home, as a container's user without a name, gets a path that can't be: nothing is kept there.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():
        try:
            base = Path.home() / ".cache"
        except RuntimeError:
            base = Path(os.devnull)
    return base / "ise_gym"


class Kept:
    """Bytes by key, of one purpose.

    Args:
        folder: of the file; made when something is to be written, for this user alone. A file or folder that somebody
            else could write is not read: what is kept may be code.
        name: of the file; holds all that the bytes depend on besides their keys.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / name
        self._lock = threading.Lock()
        self._found: dict[bytes, memoryview | bytes] | None = None
        self._fresh: list[bytes] = []
        self._size = 0
        atexit.register(self.write)
        os.register_at_fork(after_in_child=self._after_fork)

    def get(self, key: str) -> bytes | None:
        """Return what is kept under a key."""
        if self._found is None:
            with self._lock:
                if self._found is None:
                    self._found = self._read()
        found = self._found.get(_short(key))
        return None if found is None else bytes(found)

    def put(self, key: str, value: bytes) -> None:
        """Keep a value; it is written with others, at the process's end at the latest."""
        short = _short(key)
        with self._lock:
            if self._found is None or short in self._found:
                return
            self._found[short] = value
            self._fresh.append(_RECORD.pack(short, _sum(value), len(value)) + value)
            self._size += len(self._fresh[-1])
            full = self._size >= _WRITE_AT
        if full:
            self.write()

    def write(self) -> None:
        """Write what is new."""
        with self._lock:
            data, self._fresh, self._size = b"".join(self._fresh), [], 0
            if not data:
                return
            with contextlib.suppress(
                OSError
            ):  # a full disk, a read-only home: it is computed again next time
                self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                descriptor = os.open(self.path, flags, 0o600)
                try:
                    if _private(os.fstat(descriptor)) and os.fstat(descriptor).st_size < _LARGEST:
                        os.write(descriptor, data)
                finally:
                    os.close(descriptor)

    def _read(self) -> dict[bytes, memoryview | bytes]:
        found: dict[bytes, memoryview | bytes] = {}
        try:
            if not _private(self.path.parent.stat()):
                return found
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return found  # the first process, or no home
        try:
            if not _private(os.fstat(descriptor)) or not os.fstat(descriptor).st_size:
                return found
            data = memoryview(mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ))
        except OSError:
            return found
        finally:
            os.close(descriptor)
        at = 0
        while at < len(data):
            end = at + _RECORD.size
            if end > len(data):
                break
            key, checksum, length = _RECORD.unpack_from(data, at)
            value = data[end : end + length]
            if len(value) < length or _sum(value) != checksum:
                break
            found[key] = value
            at = end + length
        if at < len(data):  # cut off in the middle of a record: nothing behind it could be found again
            with contextlib.suppress(OSError):
                self.path.unlink()
        return found

    def _after_fork(self) -> None:
        """What the parent has yet to write is the parent's."""
        self._lock = threading.Lock()
        self._fresh, self._size = [], 0


def _short(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:16]


def _sum(value: bytes | memoryview) -> bytes:
    return hashlib.sha256(value).digest()[:8]


def _private(info: os.stat_result) -> bool:
    """Whether nobody but this user, and root, can have written there."""
    return info.st_uid in (os.geteuid(), 0) and not stat.S_IMODE(info.st_mode) & 0o022
