"""A folder of the host that every episode starts from, looked at before anything is started.

Why a look of its own: a template is mounted under a box where that is exact, and copied into it where it is not. An
overlay can hand a template's files to the box's user for one owner only, breaks hard links when a file is changed, sees
one file system, and shows sockets and devices that a box has no business with; what it can't do is found here, once.
"""

from __future__ import annotations

import json
import mmap
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from ise_gym.errors import UserError
from ise_gym.workspace.box.trees import LARGEST_INDEX, stable_index
from ise_gym.workspace.snapshots.trees import Entry, Tree
from ise_gym.workspace.values import WORKDIR

_PAGE = 4096


@dataclass(frozen=True)
class Template:
    """What a workspace starts from.

    Attributes:
        path: the folder, absolute and without links.
        owner: (uid, gid) of its files.
        size_bytes: what its files fill, in whole pages.
        copy_because: why it can't be mounted under a box; "" when it can.
        entries: how many files, folders and links are in it.
    """

    path: str
    owner: tuple[int, int]
    size_bytes: int
    copy_because: str = ""
    entries: int = field(default=0, compare=False)

    @property
    def megabytes(self) -> int:
        """Room that a copy needs, in MB, rounded up."""
        return -(-self.size_bytes >> 20) + 1

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what episodes find in it: names, kinds, modes and contents, not times or owners.

        Reads every file, once for each `Template`; of one that can't be read, which an episode can't read either, only
        name and mode count.

        Raises:
            UserError: a folder in it can't be read.
        """
        tree, _ = template_tree(self, tolerant=True)
        found = sorted([e.path, e.kind, e.mode, e.stable or e.value] for e in tree.entries)
        return sha256(json.dumps(found).encode()).hexdigest()

    def identity(self) -> dict[str, str]:
        """Return what a trajectory keeps of it: the folder's name, not where it lies, and `digest`."""
        return {"name": Path(self.path).name, "sha256": self.digest}


def read_template(path: str | os.PathLike[str]) -> Template:
    """Look at a folder to start from; relative paths are those of the present directory.

    Raises:
        UserError: there is no such folder, or something in it can't be read.
    """
    folder = os.path.realpath(Path(path).expanduser())
    if not os.path.lexists(folder):
        raise UserError(
            f"the template {os.fspath(path)!r} does not exist: name a folder whose contents each episode starts from"
        )
    if not Path(folder).is_dir():
        raise UserError(
            f"the template {os.fspath(path)!r} is not a folder: name the folder that holds its files"
        )
    owners: set[tuple[int, int]] = set()
    seen: set[tuple[int, int]] = set()
    reasons: list[str] = []
    size = entries = 0
    top = Path(folder).stat()
    for _, info in _walk(folder):
        owners.add((info.st_uid, info.st_gid))
        entries += 1
        if info.st_dev != top.st_dev:
            reasons.append("it spans several file systems")
        if stat.S_ISREG(info.st_mode):
            size += -(-info.st_size // _PAGE) * _PAGE
            if info.st_nlink > 1:
                if (info.st_dev, info.st_ino) in seen:
                    reasons.append("files in it are hard links of each other")
                seen.add((info.st_dev, info.st_ino))
        elif _left_out(info.st_mode):
            reasons.append("it holds sockets or devices")
    owner = min(owners, default=(top.st_uid, top.st_gid))
    if len(owners) > 1:
        reasons.append("its files have several owners or groups")
    elif os.geteuid() != 0 and owner != (os.geteuid(), os.getegid()):
        reasons.append("its files belong to another user or group")
    return Template(folder, owner, size, reasons[0] if reasons else "", entries)


def _left_out(mode: int) -> bool:
    return stat.S_ISSOCK(mode) or stat.S_ISBLK(mode) or stat.S_ISCHR(mode)


def _walk(folder: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield (relative path, status) as the file system lists them: the entries of a folder stand together."""
    stack = [""]
    while stack:
        prefix = stack.pop()
        place = f"{folder}/{prefix}"
        try:
            names = os.listdir(place)  # noqa: PTH208 - a path object for each of very many files takes longer
            found = [(prefix + name, os.lstat(place + name)) for name in names]
        except OSError as error:
            raise UserError(
                f"the template can't be read: {error.filename or place}: {error.strerror}; make it readable "
                "for you, or leave it out of the template"
            ) from error
        yield from found
        stack += [path + "/" for path, info in found if stat.S_ISDIR(info.st_mode)]


def template_tree(template: Template, *, tolerant: bool = False) -> tuple[Tree, Contents]:
    """Describe a template as a box would describe its copy, and give access to its contents.

    All that is in it belongs to the box's user; sockets and devices are left out.

    Args:
        template: the template.
        tolerant: describe a file that can't be read without its content, of the kind ``unreadable``.

    Raises:
        UserError: something in it can't be read.
    """
    entries: list[Entry] = []
    paths: dict[str, str] = {}
    labels: dict[tuple[int, int], int] = {}
    for path, info in _walk(template.path):
        full, mode = f"{template.path}/{path}", stat.S_IMODE(info.st_mode)
        kind, size, value, label, stable = "dir", 0, "", 0, ""
        if stat.S_ISREG(info.st_mode):
            kind, size = "file", info.st_size
            try:
                with _Content(full) as data:
                    value = sha256(data).hexdigest()
                    if Path(path).name == "index" and size <= LARGEST_INDEX and bytes(data[:4]) == b"DIRC":
                        plain = stable_index(bytes(data))
                        stable = sha256(plain).hexdigest() if plain else ""
            except OSError as error:
                if not tolerant:
                    raise UserError(f"the template can't be read: {full}: {error.strerror}") from error
                entries.append(Entry(path, "unreadable", mode, size, "", info.st_mtime_ns, 0, ""))
                continue
            paths.setdefault(value, full)
            if info.st_nlink > 1:
                label = labels.setdefault((info.st_dev, info.st_ino), len(labels) + 1)
        elif stat.S_ISLNK(info.st_mode):
            kind, value = "symlink", str(Path(full).readlink())
        elif stat.S_ISFIFO(info.st_mode):
            kind, value = "other", "fifo"
        elif not stat.S_ISDIR(info.st_mode):
            continue
        entries.append(Entry(path, kind, mode, size, value, info.st_mtime_ns, label, stable))
    mtime = Path(template.path).stat().st_mtime_ns
    return Tree(WORKDIR, 0o755, mtime, tuple(entries)), Contents(paths)


class _Content:
    """A file's bytes, mapped rather than read."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self) -> memoryview:
        with Path(self.path).open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                self._map: mmap.mmap | None = None
                self._view = memoryview(b"")
            else:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                self._view = memoryview(self._map)
        return self._view

    def __exit__(self, *_: object) -> None:
        self._view.release()
        if self._map is not None:
            self._map.close()


class Contents(Mapping[str, memoryview]):
    """SHA-256 → content, read from the template's files when asked for, so that none is kept in memory."""

    def __init__(self, paths: Mapping[str, str]) -> None:
        self._paths = paths

    def __getitem__(self, name: str) -> memoryview:
        return memoryview(Path(self._paths[name]).read_bytes())

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)
