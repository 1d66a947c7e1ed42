"""The shards of a trajectory store: append-only files of lines, any number of which make one folder.

A shard has one writer at a time, so any number of processes can append to one folder: each claims a shard of its
own. How lines are written, locked and repaired: `ise_gym.storage.appendlog`; torn ends go to the store's ``torn/``.
What is known of its lines is written beside it: `ise_gym.trajectory.lines.index`.

With compression each line is a zstd frame of its own, so a shard stays append-only and streamable
(``zstdcat`` reads it).
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ise_gym.errors import UserError
from ise_gym.storage.appendlog import AppendLog, Locked, TornTail, last_whole_line
from ise_gym.trajectory.lines.checking import Checked, Damage, Decode, blank, check, decoded_id, pieces
from ise_gym.trajectory.lines.index import (
    Entry,
    IndexWriter,
    ShardIndex,
    checksum,
    episode_of,
    read_index,
    sealed,
    write_index,
)
from ise_gym.trajectory.lines.reading import units, zstandard

Compression = Literal["none", "zstd"]
SUFFIX: dict[Compression, str] = {"none": ".jsonl", "zstd": ".jsonl.zst"}
MAX_SHARD_BYTES = 512 * 1024 * 1024


def shard_paths(folder: Path) -> list[Path]:
    """Return the shards of a folder in the order of their names; none when there is no folder."""
    if not folder.is_dir():
        return []
    # a pipe or a folder with a shard's name would be waited for, or fail half-way
    return sorted(p for p in folder.iterdir() if p.name.endswith(tuple(SUFFIX.values())) and p.is_file())


class ShardWriter:
    """Appends lines to a shard of its own in ``folder``; opened lazily, rotated when it grows large."""

    def __init__(
        self,
        folder: Path,
        *,
        compression: Compression = "none",
        sync_s: float = 1.0,
        max_bytes: int = MAX_SHARD_BYTES,
    ) -> None:
        self.folder = folder
        self.compression: Compression = compression
        self.sync_s = sync_s
        self.max_bytes = max_bytes
        self._claimed: _Claimed | None = None
        self._compressor = zstandard().ZstdCompressor(level=6) if compression == "zstd" else None

    @property
    def path(self) -> Path | None:
        """The shard being written, or None before the first line."""
        return self._claimed.log.path if self._claimed else None

    def append(self, line: bytes) -> None:
        """Append one line (with its newline). All of it is written, or nothing stays of it.

        Raises:
            UserError: the disk is full or the file can't be written.
        """
        if self._claimed and self._claimed.log.size >= self.max_bytes:
            self.close()
        self._claimed = self._claimed or self._claim()
        self._claimed.append(line, self._compressor.compress(line) if self._compressor else line)

    def _claim(self) -> _Claimed:
        self.folder.mkdir(parents=True, exist_ok=True)
        suffix = SUFFIX[self.compression]
        for path in shard_paths(self.folder):
            if path.name.endswith(suffix) and path.stat().st_size < self.max_bytes:
                with contextlib.suppress(Locked):
                    return _Claimed(path, self.sync_s)
        number = len(shard_paths(self.folder))
        while True:
            with contextlib.suppress(Locked):  # another writer made it first
                return _Claimed(self.folder / f"part-{number:05d}{suffix}", self.sync_s)
            number += 1

    def close(self) -> None:
        """Sync and release the shard; the next `append` claims one again."""
        if self._claimed:
            claimed, self._claimed = self._claimed, None
            claimed.close()


class _Claimed:
    """A shard that this process alone writes, and its index."""

    def __init__(self, path: Path, sync_s: float) -> None:
        self.log = _open(path, sync_s=sync_s)
        try:
            # One that nobody has looked at since it was left (its writer was killed after this store was opened)
            # is written on, but not called whole.
            self._trusted = self.log.size == 0 or sealed(path)
            self._catch_up(path)
            self._index = IndexWriter(path, sync_s=sync_s)
        except BaseException:
            self.log.close()
            raise

    def _catch_up(self, path: Path) -> None:
        """Bring the index to the end of the shard, in whichever direction."""
        index = read_index(path)
        if index.size > self.log.size:
            write_index(path, [entry for entry in index.entries if entry.end <= self.log.size])
        elif index.size < self.log.size:
            checked = check(path, index)
            write_index(path, checked.sound)

    def append(self, line: bytes, packed: bytes) -> None:
        """Append a line and tell the index of it."""
        start = self.log.size
        self.log.append(packed)
        content = line.removesuffix(b"\n")
        episode = episode_of(content)
        if not episode:
            with contextlib.suppress(ValueError):  # no record at all: whoever reads it says so
                episode = decoded_id(content)
        self._index.add(Entry(start, self.log.size, checksum(content), episode))

    def close(self) -> None:
        """Sync and release both."""
        try:
            if self._trusted:
                self._index.seal()
            self._index.close()
        finally:
            self.log.close()


@dataclass
class Settled:
    """What was found when a shard was looked at by the one that may write it.

    Attributes:
        torn: half a line at its end, moved away.
        checked: what its lines are like; None when it is as its last writer left it and was not read.
        aside: pieces that were damaged, and the files they were moved to.
    """

    torn: TornTail | None = None
    checked: Checked | None = None
    aside: list[tuple[Damage, Path]] = field(default_factory=list)


def settle(
    path: Path, *, trust: bool = True, repair: bool = False, decode: Decode = decoded_id
) -> Settled | None:
    """Set half a line at a shard's end aside, and bring its index up to date.

    Args:
        path: the shard.
        trust: do not read one that is as its last writer left it.
        repair: set damaged lines aside too; else they stay, and the shard is looked at again next time.
        decode: reads lines that the index lacks.

    Returns:
        What was found; None when somebody is writing there.

    Raises:
        UserError: a file can't be read or written.
    """
    try:
        log = _open(path, create=False)
    except Locked:
        return None
    try:
        if trust and not log.torn and sealed(path):
            return Settled()
        index = read_index(path)
        found = Settled(log.torn, check(path, index, decode))
        assert found.checked is not None
        if repair:
            found.aside = [(damage, _set_aside(damage)) for damage in found.checked.damaged]
            found.checked.damaged.clear()
        if not found.checked.damaged:
            _adopt(path, index, found.checked)
        return found
    finally:
        log.close()


def adopt(path: Path, index: ShardIndex, checked: Checked) -> None:
    """Write down what a check without damage found, where nobody writes and this process may."""
    with contextlib.suppress(Locked, OSError):  # OSError: a store that is only to be read
        log = _open(path, create=False)
        try:
            if log.size == checked.size and not log.torn:
                _adopt(path, index, checked)
        finally:
            log.close()


def _adopt(path: Path, index: ShardIndex, checked: Checked) -> None:
    if checked.sound != index.entries:
        write_index(path, checked.sound)
    writer = IndexWriter(path)
    try:
        writer.seal()
    finally:
        writer.close()


def settle_all(folder: Path) -> list[Settled]:
    """Settle every shard of a folder that nobody is writing; one without an index gets it."""
    return [found for path in shard_paths(folder) if (found := settle(path)) is not None]


def _set_aside(damage: Damage) -> Path:
    """Move a damaged piece to a side file; the copy is on disk before its place is overwritten."""
    side = _side_file(damage.shard, damage.start, "damaged-")
    try:
        side.parent.mkdir(exist_ok=True)
        with side.open("ab") as file:
            file.writelines(pieces(damage.shard, damage.start, damage.end))
            file.flush()
            os.fsync(file.fileno())
        blank(damage.shard, damage.start, damage.end)
    except OSError as error:
        raise UserError(f"{side}: {damage} can't be set aside ({error.strerror}).") from error
    return side


def _side_file(path: Path, offset: int, what: str = "") -> Path:
    return path.parent.parent / "torn" / f"{what}{path.parent.name}-{path.name}.{offset}"


def _open(path: Path, *, sync_s: float = 0.0, create: bool = True) -> AppendLog:
    return AppendLog(
        path,
        side_file=lambda offset: _side_file(path, offset),
        good_end=(lambda file, size: _last_frame(path, size))
        if path.name.endswith(".zst")
        else last_whole_line,
        sync_s=sync_s,
        create=create,
    )


def _last_frame(path: Path, size: int) -> int:
    """Offset after the last whole frame; those that the index knows are passed over."""
    starts = [entry.start for entry in read_index(path).entries if entry.end <= size]
    end = begin = starts[-1] if starts else 0
    for _, frame_end, line in units(path, begin, size, starts):
        end = frame_end if line is not None else end
    return end


def beside(source: Path, name: str) -> Path:
    """Return where a file about a store lies: in its folder; beside a file of records, under that one's name too."""
    return source / name if source.is_dir() else source.with_name(f"{source.name}.{name}")
