"""Saved trees: what a snapshot holds and how it is written and read back.

Contents are kept once per SHA-256, whatever the number of files that share them; an index lists the
entries. A restore is verified entry by entry, so that a snapshot that was damaged or tampered with is
refused.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import posixpath
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ise_gym.errors import WorkspaceError
from ise_gym.workspace.box.trees import UNHASHED, UNLISTED
from ise_gym.workspace.values import Manifest, Snapshot

Row = tuple[str, str, int, int, str, int, int, str]
"""An entry as the init sends it."""

_MAGIC = b"ISEW1\n"
_BATCH = 8 << 20
_BATCH_FILES = 5_000
_LONGEST_PATH = 4000


@dataclass(frozen=True)
class Entry:
    """One file, folder, link, fifo or socket: ``value`` is the SHA-256, the link target, ``fifo`` or empty.

    ``stable`` is the hash that counts for digests where the content holds clocks (git's index), else empty.
    """

    path: str
    kind: str
    mode: int
    size: int
    value: str
    mtime_ns: int
    inode: int
    stable: str = ""


@dataclass(frozen=True)
class Tree:
    """All under one root folder of a box, parents before children."""

    root: str
    mode: int
    mtime_ns: int
    entries: tuple[Entry, ...]
    complete: bool = True
    """False when there was more than is described."""

    @classmethod
    def parse(cls, root: str, top: Sequence[int], rows: Sequence[Row], complete: bool = True) -> Tree:
        """Read an init's answer; WorkspaceError when it is not one."""
        try:
            entries = tuple(
                Entry(str(p), str(k), int(m), int(s), str(v), int(t), int(i), str(c))
                for p, k, m, s, v, t, i, c in rows
            )
            return cls(root, int(top[0]), int(top[1]), entries, complete)
        except (ValueError, TypeError, IndexError) as error:
            raise WorkspaceError("the sandbox sent a malformed file tree") from error

    def manifest(self) -> Manifest:
        """Drop clocks and inodes; the same object each time."""
        return self._manifest

    @cached_property
    def _manifest(self) -> Manifest:
        return Manifest({e.path: (e.kind, e.mode, e.size, e.stable or e.value) for e in self.entries})


def save(trees: Sequence[Tree], fetch: Callable[[Sequence[str], int], Sequence[bytes]]) -> Snapshot:
    """Build a snapshot; ``fetch(paths, total size)`` returns the contents of absolute in-box paths.

    Raises:
        OSError: the trees hold more than a snapshot can, or changed while it was taken.
    """
    wanted: dict[str, tuple[str, int]] = {}
    for tree in trees:
        if not tree.complete:
            raise OSError(errno.EFBIG, "the workspace holds more than a snapshot can", tree.root)
        for entry in tree.entries:
            left_out = entry.value in (UNHASHED, UNLISTED) and entry.kind in ("file", "dir")
            if left_out or len(entry.path.encode("utf-8", "surrogatepass")) > _LONGEST_PATH:
                raise OSError(
                    errno.EFBIG,
                    "the workspace holds more than a snapshot can",
                    f"{tree.root}/{entry.path[:200]}",
                )
            if entry.kind == "file":
                wanted.setdefault(entry.value, (f"{tree.root}/{entry.path}", entry.size))
    blobs: dict[str, bytes] = {}
    for group in _batches(list(wanted.items()), lambda item: item[1][1]):
        contents = fetch([path for _, (path, _) in group], sum(size for _, (_, size) in group))
        for (name, (path, _)), data in zip(group, contents, strict=True):
            if hashlib.sha256(data).hexdigest() != name:
                raise OSError(errno.EBUSY, "changed while the snapshot was taken", path)
            blobs[name] = data
    index = {
        "trees": [[t.root, t.mode, t.mtime_ns, [list(vars(e).values()) for e in t.entries]] for t in trees],
        "blobs": [[name, len(data)] for name, data in blobs.items()],
    }
    head = zlib.compress(json.dumps(index, separators=(",", ":")).encode(), 1)
    payload = b"".join([_MAGIC, struct.pack("!I", len(head)), head, *blobs.values()])
    return Snapshot(trees[0].manifest().digest(), payload)


def load(snapshot: Snapshot) -> tuple[list[Tree], dict[str, memoryview]]:
    """Read a snapshot back.

    Raises:
        WorkspaceError: it is damaged, or its digest is not that of its tree.
    """
    payload = memoryview(snapshot.payload)
    try:
        if bytes(payload[: len(_MAGIC)]) != _MAGIC:
            raise ValueError("not a workspace snapshot")
        at = len(_MAGIC) + 4
        (size,) = struct.unpack("!I", payload[len(_MAGIC) : at])
        index = json.loads(zlib.decompress(payload[at : at + size]))
        at += size
        trees = [Tree.parse(root, (mode, mtime), rows) for root, mode, mtime, rows in index["trees"]]
        blobs: dict[str, memoryview] = {}
        for name, length in index["blobs"]:
            blobs[name] = payload[at : at + length]
            at += length
            if hashlib.sha256(blobs[name]).hexdigest() != name:
                raise ValueError(f"content {name[:12]} is damaged")
        if at != len(payload):
            raise ValueError("the length is wrong")
    except (ValueError, KeyError, TypeError, struct.error, zlib.error) as error:
        raise WorkspaceError(f"the snapshot can't be used: {error}") from error
    if trees[0].manifest().digest() != snapshot.digest:
        raise WorkspaceError("the snapshot can't be used: its digest is not that of its tree")
    return trees, blobs


def take_apart(snapshot: Snapshot) -> tuple[bytes, dict[str, memoryview]]:
    """Split a snapshot into its index and its contents by SHA-256; WorkspaceError when it is damaged."""
    _, blobs = load(snapshot)
    return snapshot.payload[: len(snapshot.payload) - sum(map(len, blobs.values()))], blobs


def contents(head: bytes) -> list[tuple[str, int]]:
    """Return (SHA-256, size) of the contents that an index names, in their order.

    Raises:
        WorkspaceError: it is not an index.
    """
    try:
        index = json.loads(zlib.decompress(head[len(_MAGIC) + 4 :]))
        return [(str(name), int(size)) for name, size in index["blobs"]]
    except (ValueError, KeyError, TypeError, zlib.error) as error:
        raise WorkspaceError(f"the snapshot's index can't be read: {error}") from error


def put_together(head: bytes, blobs: Sequence[bytes]) -> bytes:
    """Undo `take_apart`: the payload of a snapshot."""
    return b"".join([head, *blobs])


def plant(
    trees: Sequence[Tree], blobs: Mapping[str, memoryview], newest_first: bool
) -> Iterator[tuple[list[list[Any]], bytes]]:
    """Yield (entries, body) requests that put the trees in place.

    A folder's entries are made in the order that lets it be listed (``find``, ``ls -U``) as the original was, given
    whether the file system lists the newest first.
    """
    rows: list[list[Any]] = []
    body: list[memoryview] = []
    size = 0
    for tree in trees:
        first: dict[int, str] = {}
        for e in _creation_order(tree.entries, newest_first):
            full = f"{tree.root}/{e.path}"
            if e.kind == "file" and e.inode and e.inode in first:
                rows.append([full, "link", 0, 0, first[e.inode], 0])
                continue
            if e.kind != "file":
                rows.append([full, e.kind, e.mode, 0, e.value, e.mtime_ns])
                continue
            if e.inode:
                first[e.inode] = full
            data = blobs[e.value]
            for at in range(0, max(1, len(data)), _BATCH):
                piece = data[at : at + _BATCH]
                rows.append([full, "file", e.mode, len(piece), "append" if at else "", e.mtime_ns])
                body.append(piece)
                size += len(piece)
                if size >= _BATCH or len(rows) >= _BATCH_FILES:
                    yield rows, b"".join(body)
                    rows, body, size = [], [], 0
    yield rows, b"".join(body)


def _creation_order(entries: Sequence[Entry], newest_first: bool) -> Iterator[Entry]:
    """Turn each folder's entries around where needed; folders still come before what is in them."""
    for _, group in itertools.groupby(entries, lambda entry: posixpath.dirname(entry.path)):
        inside = list(group)
        yield from reversed(inside) if newest_first else inside


def folders(trees: Sequence[Tree]) -> list[list[Any]]:
    """List [path, mode, mtime] of every folder, deepest first: the last step of a restore."""
    out: list[list[Any]] = []
    for tree in trees:
        inner = [[f"{tree.root}/{e.path}", e.mode, e.mtime_ns] for e in tree.entries if e.kind == "dir"]
        out += sorted(inner, key=lambda row: -str(row[0]).count("/"))
        out.append([tree.root, tree.mode, tree.mtime_ns])
    return out


def _batches(
    items: list[tuple[str, tuple[str, int]]], size_of: Callable[[tuple[str, tuple[str, int]]], int]
) -> Iterator[list[tuple[str, tuple[str, int]]]]:
    group: list[tuple[str, tuple[str, int]]] = []
    size = 0
    for item in items:
        if group and (size + size_of(item) > _BATCH or len(group) >= _BATCH_FILES):
            yield group
            group, size = [], 0
        group.append(item)
        size += size_of(item)
    if group:
        yield group
