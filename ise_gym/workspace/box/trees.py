"""Whole trees: hashed for a manifest, read for a snapshot, written by a seed or a restore."""

# pathlib would double the start-up time of a box.
# ruff: noqa: PTH101, PTH102, PTH103, PTH106, PTH116, PTH120, PTH208, PTH211
from __future__ import annotations

import os
import stat
import struct
import time

from ise_gym.workspace.box.files import Files
from ise_gym.workspace.box.wire import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Answer = tuple[Any, ...] | None


_BORN_NS = time.time_ns() - 10**9
"""About when the box began, in nanoseconds since the epoch."""


def new_sha256() -> Any:
    """Return a SHA-256 object, from OpenSSL's C module where there is one: `hashlib` costs 10 ms to import."""
    try:
        from _hashlib import openssl_sha256
    except ImportError:
        from hashlib import sha256

        return sha256()
    return openssl_sha256()


def stable_index(data: bytes) -> bytes | None:
    """Return what a git index says apart from clocks, inodes and owners; None for an unknown layout.

    git caches each file's stat data in its index, so equal histories have unequal indexes. Kept are mode, object id,
    flags and name of each entry (gitformat-index, versions 2 and 3).
    """
    version, count = struct.unpack_from("!II", data, 4)
    if version not in (2, 3):
        return None
    kept, at = [data[4:12]], 12
    for _ in range(count):
        flags_end = at + 62
        if len(data) < flags_end:
            return None
        extended = version == 3 and data[at + 60] & 0x40
        name_at = flags_end + (2 if extended else 0)
        name_end = data.find(b"\0", name_at)
        if name_end < 0:
            return None
        kept += [data[at + 24 : at + 28], data[at + 40 : name_end], b"\0"]
        at += (name_end - at + 8) & ~7
    return b"".join(kept)


class _Opened:
    """A file of our own, opened for reading even when its mode forbids it."""

    def __init__(self, path: str, mode: int) -> None:
        self.path = path
        self.mode = mode

    def __enter__(self) -> int:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            self.fd = os.open(self.path, flags)
        except PermissionError:
            os.chmod(self.path, self.mode | 0o400)
            try:
                self.fd = os.open(self.path, flags)
            finally:
                os.chmod(self.path, self.mode)
        return self.fd

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)


class Trees(Files):
    """The part of the init that handles trees."""

    known: dict[tuple[int, ...], str] = {}

    def op_tree(self, header: dict[str, Any], body: bytes) -> Answer:
        """Describe all under ``root``: [path, kind, mode, size, hash or target, mtime_ns, number of the file among
        those with several names or 0, stable].

        ``stable`` is the hash without clocks of files that record them, else empty: see `stable_index`. The entries of
        a folder stand together, in the order in which the file system lists them.
        """
        root = self.in_box(header["root"])
        linked: dict[tuple[int, int], int] = {}
        budget = [header["budget"]]
        entries: list[tuple[Any, ...]] = []

        def hashed(path: str, info: os.stat_result) -> str:
            if info.st_size > budget[0]:
                return (
                    "unhashed"  # only sparse files can be this large: hashing their holes would take minutes
                )
            budget[0] -= info.st_size
            # What last changed before the box began lies in its template, out of reach: a change makes a copy, whose
            # change time is new and can't be set. So such a file is read once in the life of a box.
            state = (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
            if state in self.known:
                return self.known[state]
            digest = new_sha256()
            with self.readable(path, info) as fd:
                while data := os.read(fd, 1 << 20):
                    digest.update(data)
            found = str(digest.hexdigest())
            if info.st_ctime_ns < _BORN_NS:
                self.known[state] = found
            return found

        stack = [("", root)]
        while stack:
            prefix, folder = stack.pop()
            for name in self.names(folder):
                full, path = folder + "/" + name, prefix + name
                try:
                    info = os.lstat(full)
                    kind, size, mode, value = self.describe(full, info)
                    if kind == "file":
                        value = hashed(full, info)
                except FileNotFoundError:
                    continue  # removed by a background process since the listing
                stable = ""
                if name == "index" and kind == "file" and value != "unhashed":
                    stable = self.stable_hash(full, info)
                if kind == "other" and stat.S_ISFIFO(info.st_mode):
                    value = "fifo"
                link = 0
                if (
                    kind == "file" and info.st_nlink > 1
                ):  # a number says nothing across the layers of an overlay
                    link = linked.setdefault((info.st_dev, info.st_ino), len(linked) + 1)
                entries.append((path, kind, mode, size, value, info.st_mtime_ns, link, stable))
                if kind == "dir":
                    stack.append((path + "/", full))
        root_info = os.stat(root)
        top = [stat.S_IMODE(root_info.st_mode), root_info.st_mtime_ns]
        return {"top": top}, dumps(entries).encode("ascii")

    def stable_hash(self, path: str, info: os.stat_result) -> str:
        """Hash a git index without its clocks; empty for any other file."""
        with self.readable(path, info) as fd:
            data = os.read(fd, 4) == b"DIRC" and os.pread(fd, info.st_size, 0)
        plain = stable_index(data) if data else None
        if plain is None:
            return ""
        digest = new_sha256()
        digest.update(plain)
        return str(digest.hexdigest())

    def names(self, folder: str) -> list[str]:
        """List a folder of our own even when its mode forbids it, as the owner may."""
        try:
            return os.listdir(folder)
        except PermissionError:
            mode = stat.S_IMODE(os.lstat(folder).st_mode)
            os.chmod(folder, mode | 0o700)
            try:
                return os.listdir(folder)
            finally:
                os.chmod(folder, mode)

    def readable(self, path: str, info: os.stat_result) -> _Opened:
        """Open one of our own files for reading, whatever its mode."""
        return _Opened(path, stat.S_IMODE(info.st_mode))

    def op_fetch(self, header: dict[str, Any], body: bytes) -> Answer:
        """Contents of several files from ``offset`` on, at most ``limit`` bytes of each, in one body."""
        parts, sizes = [], []
        for path in header["paths"]:
            full = self.in_box(path)
            with self.readable(full, os.lstat(full)) as fd:
                os.lseek(fd, header["offset"], os.SEEK_SET)
                data, want = [], header["limit"]
                while want > 0:
                    piece = os.read(fd, min(want, 1 << 20))
                    if not piece:
                        break
                    data.append(piece)
                    want -= len(piece)
            parts.append(b"".join(data))
            sizes.append(len(parts[-1]))
        return {"sizes": sizes}, b"".join(parts)

    def op_seed(self, header: dict[str, Any], body: bytes) -> Answer:
        """Write many files; every time stamp they leave is the fixed one."""
        at = 0
        touched: set[str] = set()
        when = header["mtime_ns"]
        for path, mode, size in header["files"]:
            full = self.in_box(path)
            for made in self.put(full, body[at : at + size], mode):
                touched.add(made)
            os.chmod(full, mode)
            os.utime(full, ns=(when, when))
            touched.add(os.path.dirname(full))
            at += size
        touched.add(self.in_box(self.home_dir))
        for folder in touched:
            os.utime(folder, ns=(when, when))
        return ({},)

    def op_order(self, header: dict[str, Any], body: bytes) -> Answer:
        """Whether the file system lists a folder's newest entry first: it differs between kernels."""
        probe = self.in_box(self.home_dir) + "/.order"
        os.mkdir(probe)
        for name in ("1", "2", "3"):
            os.mkdir(probe + "/" + name)
        found = os.listdir(probe)
        for name in found:
            os.rmdir(probe + "/" + name)
        os.rmdir(probe)
        return ({"newest_first": found == ["3", "2", "1"]},)

    def op_plant(self, header: dict[str, Any], body: bytes) -> Answer:
        """Put entries of a snapshot in place: folders first, then files and links, as listed."""
        at = 0
        for path, kind, mode, size, value, mtime in header["entries"]:
            full = self.in_box(path)
            if kind == "dir":
                os.makedirs(full, 0o755, exist_ok=True)
            elif kind == "symlink":
                os.symlink(value, full)
                os.utime(full, ns=(mtime, mtime), follow_symlinks=False)
            elif kind == "link":
                os.link(self.in_box(value), full)
            elif kind == "other":
                os.mkfifo(full)
                os.chmod(full, mode)
                os.utime(full, ns=(mtime, mtime))
            else:
                data = body[at : at + size]
                at += size
                self.put(full, data, 0o600, append=value == "append")
                os.chmod(full, mode)
                os.utime(full, ns=(mtime, mtime))
        return ({},)

    def op_stamp(self, header: dict[str, Any], body: bytes) -> Answer:
        """Last step of a restore: modes and times of folders, deepest first."""
        for path, mode, mtime in header["folders"]:
            full = self.in_box(path)
            os.utime(full, ns=(mtime, mtime))
            os.chmod(full, mode)
        return ({},)
