"""Whole trees: hashed for a manifest, read for a snapshot, written by a seed or a restore."""

# pathlib would double the start-up time of a box.
from __future__ import annotations

import errno
import os
import stat
import struct
import time

from ise_gym.workspace.box.files import Files
from ise_gym.workspace.box.wire import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ise_gym.workspace.box.wire import Header

    Answer = tuple[Any, ...] | None


UNHASHED, UNLISTED = "unhashed", "unlisted"
MOST_ENTRIES = 20_000
"""On top of those of a template."""

TEXT_EACH = 400
"""Characters of a path, on average, up to which all are described: a reply has a limit."""

DEEPEST = 1000
LARGEST_INDEX = 16 << 20
HASHING_S = 30.0
"""Seconds after which no further file is hashed."""

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
    if len(data) < 12:
        return None
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
    """A file of our own, opened for reading even when its mode forbids it; OSError for anything but a regular file."""

    def __init__(self, name: str, mode: int, folder: int) -> None:
        self.name = name
        self.mode = mode
        self.folder = folder

    def __enter__(self) -> int:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
        try:
            self.fd = os.open(self.name, flags, dir_fd=self.folder)
        except PermissionError:
            os.chmod(self.name, self.mode | 0o400, dir_fd=self.folder)
            try:
                self.fd = os.open(self.name, flags, dir_fd=self.folder)
            finally:
                os.chmod(self.name, self.mode, dir_fd=self.folder)
        if not stat.S_ISREG(os.fstat(self.fd).st_mode):  # exchanged for a fifo since it was looked at
            os.close(self.fd)
            raise OSError(errno.EINVAL, "not a regular file")
        return self.fd

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)


class _Folder:
    """A folder of our own, opened for reading whatever its mode, those above it, and the length of its path.

    The modes that are in the way are fixed while it is open.
    """

    _FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK

    def __init__(self, root: str, path: str) -> None:
        self.root = root
        self.path = path
        self.mended: list[tuple[int, str, int]] = []

    def __enter__(self) -> int:
        full = self.root + "/" + self.path if self.path else self.root
        try:
            self.fd = os.open(full, self._FLAGS)
            if os.stat(self.fd).st_mode & 0o100:
                return self.fd
            os.close(self.fd)
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.ENAMETOOLONG):
                raise
        return self._step_by_step()

    def _step_by_step(self) -> int:
        """Open one folder after the other, so that no path is long and each can be mended."""
        above, own = os.path.split(self.root)
        at = os.open(above, os.O_PATH | os.O_DIRECTORY)
        names = list(filter(None, [own, *self.path.split("/")]))
        try:
            for name in names:
                at = self._enter(at, name)
        except BaseException:
            os.close(at)
            self._mend()
            raise
        self.fd = at
        return at

    def _enter(self, at: int, name: str) -> int:
        info = os.lstat(name, dir_fd=at)
        mode = stat.S_IMODE(info.st_mode)
        keep = -1
        if stat.S_ISDIR(info.st_mode) and mode & 0o500 != 0o500 and info.st_uid == os.geteuid():
            keep = os.dup(at)
            os.chmod(name, mode | 0o700, dir_fd=at)
            self.mended.append((keep, name, mode))
        found = os.open(name, self._FLAGS, dir_fd=at)
        os.close(at)
        return found

    def _mend(self) -> None:
        for folder, name, mode in reversed(self.mended):
            try:
                os.chmod(name, mode, dir_fd=folder)
            except OSError:
                continue  # renamed or removed meanwhile
            finally:
                os.close(folder)
        self.mended = []

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)
        self._mend()


class _Walk:
    """One description of a tree: what it found, and what of its budgets is left.

    Nothing that lies in the tree ends it: what can't be read (removed meanwhile, over a budget) is noted as such.
    """

    def __init__(self, root: str, budget: int, template: int, known: dict[tuple[int, ...], str]) -> None:
        self.root = root
        self.budget = budget
        self.known = known
        self.until = time.monotonic() + HASHING_S
        self.linked: dict[tuple[int, int], int] = {}
        self.entries: list[tuple[Any, ...]] = []
        self.length = 0
        self.most = MOST_ENTRIES + template
        self.full = False

    def run(self) -> None:
        """Describe all below the root."""
        stack = [("", 0, -1)]
        while stack and not self.full:
            path, depth, number = stack.pop()
            first = len(self.entries)
            try:
                with _Folder(self.root, path) as fd:
                    self.folder(fd, path + "/" if path else "")
            except OSError as error:
                if number >= 0 and error.errno != errno.ENOENT:  # gone: removed by a background process since
                    self.unlisted(number)
            for at in range(first, len(self.entries)):
                if self.entries[at][1] == "dir":
                    if depth < DEEPEST:
                        stack.append((self.entries[at][0], depth + 1, at))
                    else:
                        self.unlisted(at)
        for path, _, number in stack:
            if path:
                self.unlisted(number)

    def unlisted(self, number: int) -> None:
        """Note that what is in a folder is not part of the description."""
        entry = self.entries[number]
        self.entries[number] = (*entry[:4], UNLISTED, *entry[5:])

    def folder(self, fd: int, prefix: str) -> None:
        """Describe the entries of an open folder, in the order in which the file system lists them."""
        with os.scandir(fd) as listing:
            for item in listing:
                self.length += len(prefix) + len(item.name)
                if len(self.entries) >= self.most or self.length > self.most * TEXT_EACH:
                    self.full = True
                    return
                self.entry(fd, prefix, item.name)

    def entry(self, fd: int, prefix: str, name: str) -> None:
        """Describe one entry of an open folder."""
        try:
            info = os.lstat(name, dir_fd=fd)
            kind, size, mode, value = Files.describe(name, info, fd)
        except OSError:
            return  # removed by a background process since the listing
        stable, link = "", 0
        if kind == "file":
            try:
                value = self.hashed(fd, name, info)
                if name == "index" and value != UNHASHED:
                    stable = self.stable_hash(fd, name, info)
            except OSError:
                value = UNHASHED
            if info.st_nlink > 1:  # a number says nothing across the layers of an overlay
                link = self.linked.setdefault((info.st_dev, info.st_ino), len(self.linked) + 1)
        elif kind == "other" and stat.S_ISFIFO(info.st_mode):
            value = "fifo"
        self.entries.append((prefix + name, kind, mode, size, value, info.st_mtime_ns, link, stable))

    def hashed(self, fd: int, name: str, info: os.stat_result) -> str:
        """Hash a file's content."""
        if info.st_size > self.budget or time.monotonic() > self.until:
            return UNHASHED  # only sparse files can be this large: hashing their holes would take minutes
        self.budget -= info.st_size
        # What last changed before the box began lies in its template, out of reach: a change makes a copy, whose
        # change time is new and can't be set. So such a file is read once in the life of a box.
        state = (info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
        if state in self.known:
            return self.known[state]
        digest = new_sha256()
        left = info.st_size  # one that grows meanwhile is not followed
        with _Opened(name, stat.S_IMODE(info.st_mode), fd) as file:
            while left > 0 and (data := os.read(file, min(left, 1 << 20))):
                digest.update(data)
                left -= len(data)
        found = str(digest.hexdigest())
        if info.st_ctime_ns < _BORN_NS:
            self.known[state] = found
        return found

    def stable_hash(self, fd: int, name: str, info: os.stat_result) -> str:
        """Hash a git index without its clocks; empty for any other file."""
        if info.st_size > LARGEST_INDEX:
            return ""
        with _Opened(name, stat.S_IMODE(info.st_mode), fd) as file:
            data = os.read(file, 4) == b"DIRC" and os.pread(file, info.st_size, 0)
        plain = stable_index(data) if data else None
        if plain is None:
            return ""
        digest = new_sha256()
        digest.update(plain)
        return str(digest.hexdigest())


class Trees(Files):
    """The part of the init that handles trees."""

    known: dict[tuple[int, ...], str] = {}

    def op_tree(self, header: Header, body: bytes) -> Answer:
        """Describe all under ``root``: [path, kind, mode, size, hash or target, mtime_ns, number of the file among
        those with several names or 0, stable].

        ``stable`` is the hash without clocks of files that record them, else empty: see `stable_index`. The entries of
        a folder stand together, in the order in which the file system lists them. A file that is not read has
        `UNHASHED` for a hash; a folder whose contents are left out, `UNLISTED`.
        """
        root = self.in_box(header["root"])
        walk = _Walk(root, header["budget"], header.get("template", 0), self.known)
        walk.run()
        root_info = os.stat(root)
        top = [stat.S_IMODE(root_info.st_mode), root_info.st_mtime_ns]
        return {"top": top, "full": walk.full}, dumps(walk.entries).encode("ascii")

    def op_fetch(self, header: Header, body: bytes) -> Answer:
        """Contents of several files from ``offset`` on, at most ``limit`` bytes of each, in one body."""
        parts, sizes = [], []
        for path in header["paths"]:
            folder, name = os.path.split(self.in_box(path))
            with _Folder("/", folder.lstrip("/")) as above:
                info = os.lstat(name, dir_fd=above)
                with _Opened(name, stat.S_IMODE(info.st_mode), above) as fd:
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

    def op_seed(self, header: Header, body: bytes) -> Answer:
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

    def op_order(self, header: Header, body: bytes) -> Answer:
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

    def op_plant(self, header: Header, body: bytes) -> Answer:
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
                # Devices can't be made in a box: what is not a fifo is a socket, of which only the name lives on.
                os.mknod(full, (stat.S_IFIFO if value == "fifo" else stat.S_IFSOCK) | 0o600)
                os.chmod(full, mode)
                os.utime(full, ns=(mtime, mtime))
            else:
                data = body[at : at + size]
                at += size
                self.put(full, data, 0o600, append=value == "append")
                os.chmod(full, mode)
                os.utime(full, ns=(mtime, mtime))
        return ({},)

    def op_stamp(self, header: Header, body: bytes) -> Answer:
        """Last step of a restore: modes and times of folders, deepest first."""
        for path, mode, mtime in header["folders"]:
            full = self.in_box(path)
            os.utime(full, ns=(mtime, mtime))
            os.chmod(full, mode)
        return ({},)
