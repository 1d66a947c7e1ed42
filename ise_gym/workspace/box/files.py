"""Files, touched with the rights of the agent's user and inside the box's own mount namespace.

Nothing here may block or be fooled for long: fifos and devices are refused after a non-blocking open, on
the descriptor that was opened and not on the name.
"""

# pathlib would double the start-up time of a box.
from __future__ import annotations

import errno
import os
import stat

from ise_gym.workspace.box.processes import Processes
from ise_gym.workspace.box.wire import CHUNK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ise_gym.workspace.box.wire import Header

    Answer = tuple[Any, ...] | None

BODY_LIMIT = 64 << 20
MOST_LISTED = 100_000


class Files(Processes):
    """The part of the init that reads and writes files."""

    def open_regular(self, path: str, flags: int) -> int:
        """Open without ever blocking (fifos) and refuse what is not a regular file."""
        fd = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY, 0o600)
        kind = os.fstat(fd).st_mode
        if stat.S_ISREG(kind):
            return fd
        os.close(fd)
        raise OSError(errno.EISDIR if stat.S_ISDIR(kind) else errno.EINVAL, "not a regular file")

    def op_read(self, header: Header, body: bytes) -> Answer:
        """Read a piece of a regular file."""
        fd = self.open_regular(self.in_box(header["path"]), os.O_RDONLY)
        try:
            want = min(header["limit"], BODY_LIMIT)
            parts, at = [], header["offset"]
            while want > 0:
                data = os.pread(fd, min(want, CHUNK), at)
                if not data:
                    break
                parts.append(data)
                at += len(data)
                want -= len(data)
            return {}, b"".join(parts)
        finally:
            os.close(fd)

    def put(self, path: str, data: bytes, mode: int, append: bool = False) -> list[str]:
        """Create or replace a file; parents are made; ``mode`` is for new files only."""
        parent = os.path.dirname(path)
        made = []
        if not os.path.isdir(parent):
            at = parent
            while not os.path.lexists(at):
                made.append(at)
                at = os.path.dirname(at)
            if not os.path.isdir(at):
                raise OSError(errno.ENOTDIR, "a file is in the way")
            os.makedirs(parent, 0o755, exist_ok=True)
        try:
            fd = self.open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            os.fchmod(fd, mode)
        except FileExistsError:
            fd = self.open_regular(
                path, os.O_WRONLY | os.O_CREAT
            )  # O_CREAT: a dangling link's target is made
            if os.fstat(fd).st_dev == os.stat("/proc").st_dev:
                os.close(fd)
                raise OSError(errno.EACCES, "the process file system is not for writing") from None
            if not append:
                os.ftruncate(fd, 0)
        try:
            if append:
                os.lseek(fd, 0, os.SEEK_END)
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
        finally:
            os.close(fd)
        return made

    def op_write(self, header: Header, body: bytes) -> Answer:
        """Create, replace or append to a file."""
        self.put(self.in_box(header["path"]), body, header["mode"], header["append"])
        return ({},)

    def op_remove(self, header: Header, body: bytes) -> Answer:
        """Delete a file or link."""
        os.unlink(self.in_box(header["path"]))
        return ({},)

    @staticmethod
    def describe(path: str, info: os.stat_result, folder: int | None = None) -> tuple[str, int, int, str]:
        """Return (kind, size, mode, link target) of a path, relative to an open folder."""
        mode = info.st_mode
        kind, target = "other", ""
        if stat.S_ISREG(mode):
            kind = "file"
        elif stat.S_ISDIR(mode):
            kind = "dir"
        elif stat.S_ISLNK(mode):
            kind, target = "symlink", os.readlink(path, dir_fd=folder)
        return kind, info.st_size if kind == "file" else 0, stat.S_IMODE(mode), target

    def op_list(self, header: Header, body: bytes) -> Answer:
        """Describe the entries of a folder."""
        path = self.in_box(header["path"])
        found, names = [], []
        with os.scandir(path) as listing:
            for item in listing:
                names.append(item.name)
                if len(names) > MOST_LISTED:
                    raise OSError(errno.EFBIG, "too many entries")
        for name in sorted(names):
            full = path + "/" + name
            try:
                found.append((name, *self.describe(full, os.lstat(full))))
            except FileNotFoundError:
                continue  # removed since the listing
        return ({"entries": found},)

    def op_stat(self, header: Header, body: bytes) -> Answer:
        """Describe one path."""
        path = self.in_box(header["path"])
        try:
            return ({"entry": self.describe(path, os.lstat(path))},)
        except (FileNotFoundError, NotADirectoryError):
            return ({"entry": None},)
