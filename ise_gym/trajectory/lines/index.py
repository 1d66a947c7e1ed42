"""What is known of each line of a shard without reading the shard: where it is, whose it is, and its checksum.

``DIR/index/shards-part-00000.jsonl.idx`` is written as its shard is: append-only, an entry after each line, synced as
often. An entry that a crash left half-written, or that was damaged itself, fails its own checksum and is passed over;
a shard that has more lines than its index (a writer was killed between the two, or an older release wrote it) is read
from there on. So an index can always be made again, and a store without any is a store still.

A *seal* ends the index of a shard whose writer closed it: size and time of the file as it was left. While both are
still those, nobody has touched the shard, and it need not be read to be trusted.

Checksums are CRC-32 of the line without its newline, unpacked: they find what a disk, a copy or an editor did to a
line, and prove nothing against someone who wants to deceive.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ise_gym.errors import UserError
from ise_gym.storage.atomic import replacing

FOLDER = "index"
_SUFFIX = ".idx"
_LONGEST_SEAL = 128
_ID = re.compile(rb'^\{"schema_version":\d+,"episode_id":("(?:[^"\\]|\\.)*")')


class Entry(NamedTuple):
    """One line: bytes ``start`` to ``end`` of the file (of a compressed shard its frame), checksum and episode."""

    start: int
    end: int
    checksum: int
    episode: str


@dataclass
class ShardIndex:
    """What an index says; ``size`` is how much of the shard it knows, ``seal`` size and time of a closed one."""

    entries: list[Entry] = field(default_factory=list)
    size: int = 0
    seal: tuple[int, int] | None = None

    def add(self, entry: Entry) -> None:
        """Take in an entry."""
        self.entries.append(entry)
        self.size = max(self.size, entry.end)


def checksum(line: bytes) -> int:
    """Return the checksum of a line without its newline."""
    return zlib.crc32(line)


def episode_of(line: bytes) -> str:
    """Return the id that stands near a record's start, "" where it can't be read there."""
    match = _ID.match(line)
    if match is None:
        return ""
    try:
        return str(json.loads(match[1]))
    except ValueError:
        return ""


def index_path(shard: Path) -> Path:
    """Return where a shard's index is; apart from the shard, so that it tells of one that is deleted."""
    return shard.parent.parent / FOLDER / f"{shard.parent.name}-{shard.name}{_SUFFIX}"


def read_index(shard: Path) -> ShardIndex:
    """Read a shard's index; an empty one where there is none.

    Raises:
        UserError: it is there and can't be read.
    """
    index = ShardIndex()
    path = index_path(shard)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return index
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error.strerror}).") from error
    for line in data.split(b"\n"):
        match _words_of(line):
            case [b"line", start, end, crc, episode]:
                index.add(Entry(int(start), int(end), int(crc, 16), json.loads(episode)))
                index.seal = None
            case [b"seal", size, moment]:
                index.seal = (int(size), int(moment))
    return index


def sealed(shard: Path) -> bool:
    """Tell whether a shard is as its last writer left it, by the last line of its index."""
    try:
        with index_path(shard).open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _LONGEST_SEAL))
            last = file.read().removesuffix(b"\n").rsplit(b"\n", 1)[-1]
        found = shard.stat()
    except OSError:
        return False
    match _words_of(last):
        case [b"seal", size, moment]:
            return (int(size), int(moment)) == (found.st_size, found.st_mtime_ns)
    return False


def deleted_shards(store: Path) -> Iterator[tuple[Path, ShardIndex]]:
    """Yield each shard that an index tells of and that is not there, with what it held."""
    folder = store / FOLDER
    if not folder.is_dir():
        return
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        kind, _, name = path.name.removesuffix(_SUFFIX).partition("-")
        shard = store / kind / name
        if not shard.exists() and (index := read_index(shard)).entries:
            yield shard, index


def write_index(shard: Path, entries: Iterable[Entry]) -> None:
    """Put a whole index in the place of another."""
    with replacing(index_path(shard)) as file:
        for entry in entries:
            file.write(_of(entry))
        file.flush()
        os.fsync(file.fileno())


class IndexWriter:
    """Writes on in a shard's index; whoever does holds the shard's lock.

    Args:
        shard: whose index.
        sync_s: longest time between a write and its ``fdatasync``.
    """

    def __init__(self, shard: Path, *, sync_s: float = 0.0) -> None:
        self._path = index_path(shard)
        self._shard = shard
        self._sync_s = sync_s
        with self._named():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            size = os.fstat(self._fd).st_size
            if size and os.pread(self._fd, 1, size - 1) != b"\n":
                os.write(
                    self._fd, b"\n"
                )  # ends what a killed writer began: a line that fails its own checksum
        self._synced = time.monotonic()

    def add(self, entry: Entry) -> None:
        """Append an entry.

        Raises:
            UserError: the disk is full or the file can't be written.
        """
        self._write(_of(entry))

    def seal(self) -> None:
        """Say that the shard is whole as it is now."""
        found = self._shard.stat()
        self._write(_line(b"seal %d %d" % (found.st_size, found.st_mtime_ns)))

    def close(self) -> None:
        """Sync and release the file; idempotent."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            try:
                os.fdatasync(fd)
            finally:
                os.close(fd)

    def _write(self, data: bytes) -> None:
        with self._named():
            written = os.write(self._fd, data)
            while written < len(data):
                written += os.write(self._fd, data[written:])
            if time.monotonic() - self._synced >= self._sync_s:
                os.fdatasync(self._fd)
                self._synced = time.monotonic()

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise UserError(
                f"{self._path}: can't be written ({error.strerror}). Mend that and run again to resume."
            ) from error


def _of(entry: Entry) -> bytes:
    episode = json.dumps(entry.episode).encode()
    return _line(b"line %d %d %08x %s" % (entry.start, entry.end, entry.checksum, episode))


def _line(words: bytes) -> bytes:
    return b"%08x %s\n" % (zlib.crc32(words), words)


def _words_of(line: bytes) -> list[bytes]:
    """Return the words of a line whose own checksum is right, none of another."""
    crc, _, words = line.partition(b" ")
    if len(crc) != 8 or crc != b"%08x" % zlib.crc32(words):
        return []
    return words.split(b" ", 4)
