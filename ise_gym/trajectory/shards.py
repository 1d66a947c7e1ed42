"""Append-only files of lines, of which a crash can cost at most the line that was being written.

A shard has one writer at a time, held by ``flock``, so any number of processes can append to one folder:
each claims a shard of its own. A line counts once its newline is on disk. Whatever a killed writer left
behind it is moved to a side file by the next one, never deleted.

Durability: every line is handed to the kernel in one ``write`` before `ShardWriter.append` returns, so
killing the process loses nothing that was appended. ``fdatasync`` follows at most every ``sync_s`` seconds
and on close: a power cut can cost the lines of the last ``sync_s`` seconds (0 syncs every line).

With compression each line is a zstd frame of its own, so a shard stays append-only and streamable
(``zstdcat`` reads it).
"""

from __future__ import annotations

import errno
import fcntl
import io
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from ise_gym.errors import UserError

Compression = Literal["none", "zstd"]
SUFFIX: dict[Compression, str] = {"none": ".jsonl", "zstd": ".jsonl.zst"}
MAX_SHARD_BYTES = 512 * 1024 * 1024
_CHUNK = 1 << 20


@dataclass(frozen=True)
class TornTail:
    """What a killed writer left at the end of a shard, and where it was moved to."""

    shard: Path
    offset: int
    size: int
    side_file: Path


def shard_paths(folder: Path) -> list[Path]:
    """Return the shards of a folder in the order of their names; none when there is no folder."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.name.endswith(tuple(SUFFIX.values())))


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (line number from 1, line without newline) of a plain or zstd file, in constant memory.

    A last line without a newline is yielded too, as it is; `complete_lines` leaves it out.

    Raises:
        UserError: the file can't be read, or a zstd frame other than a cut-off last one is broken.
    """
    for number, line in enumerate(_raw_lines(path), start=1):
        yield number, line.removesuffix(b"\n")


def complete_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """As `read_lines`, without a last line that has no newline (yet): what a store may rely on."""
    for number, line in enumerate(_raw_lines(path), start=1):
        if line.endswith(b"\n"):
            yield number, line[:-1]


def _raw_lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            if path.name.endswith(".zst"):
                for _, content in _frames(file, path):
                    yield from io.BytesIO(content)
            else:
                left = os.fstat(file.fileno()).st_size  # a file that grows meanwhile must come to an end
                while left > 0 and (line := file.readline(left)):
                    left -= len(line)
                    yield line
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error.strerror}).") from error


def zstandard() -> Any:
    """Import the zstandard package, or say how to get it."""
    try:
        import zstandard as package
    except ImportError as error:
        raise UserError(
            "Compressed stores need the zstandard package, which is not installed: pip install zstandard."
        ) from error
    return package


def _frames(file: BinaryIO, path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (offset of its end, content) of each complete zstd frame; stop before a cut-off last one."""
    codec = zstandard()
    decompressor, parts, start, end, pending = codec.ZstdDecompressor().decompressobj(), [], 0, 0, b""
    while True:
        data = pending or file.read(_CHUNK)
        if not data:
            return
        try:
            parts.append(decompressor.decompress(data))
        except codec.ZstdError as error:
            if _only_zeros(path, start):  # what a power cut leaves
                return
            raise UserError(f"{path}: broken zstd frame at byte {start} ({error}).") from error
        pending = decompressor.unused_data if decompressor.eof else b""
        end += len(data) - len(pending)
        if decompressor.eof:
            yield end, b"".join(parts)
            decompressor, parts, start = codec.ZstdDecompressor().decompressobj(), [], end


def _only_zeros(path: Path, start: int) -> bool:
    with path.open("rb") as file:
        file.seek(start)
        return not any(chunk.strip(b"\0") for chunk in iter(lambda: file.read(_CHUNK), b""))


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
        self._fd = -1
        self._path = folder
        self._size = 0
        self._synced = time.monotonic()
        self._compressor = zstandard().ZstdCompressor(level=6) if compression == "zstd" else None

    @property
    def path(self) -> Path | None:
        """The shard being written, or None before the first line."""
        return self._path if self._fd >= 0 else None

    def append(self, line: bytes) -> None:
        """Append one line (with its newline). All of it is written, or nothing stays of it.

        Raises:
            UserError: the disk is full or the file can't be written.
        """
        if self._fd >= 0 and self._size >= self.max_bytes:
            self.close()
        if self._fd < 0:
            self._claim()
        data = self._compressor.compress(line) if self._compressor else line
        try:
            written = os.write(self._fd, data)
            while written < len(data):
                written += os.write(self._fd, data[written:])
            if time.monotonic() - self._synced >= self.sync_s:
                os.fdatasync(self._fd)
                self._synced = time.monotonic()
        except OSError as error:
            os.ftruncate(self._fd, self._size)
            hint = "Free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "Mend that"
            raise UserError(
                f"{self._path}: can't be written ({error.strerror}). {hint} and run again to resume."
            ) from error
        self._size += len(data)

    def _claim(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        suffix = SUFFIX[self.compression]
        for path in shard_paths(self.folder):
            if path.name.endswith(suffix) and path.stat().st_size < self.max_bytes and self._open(path):
                return
        number = len(shard_paths(self.folder))
        while not self._open(self.folder / f"part-{number:05d}{suffix}"):
            number += 1

    def _open(self, path: Path) -> bool:
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if not _try_lock(fd):
            os.close(fd)
            return False
        _set_tail_aside(fd, path)
        self._fd, self._path, self._size = fd, path, os.fstat(fd).st_size
        self._synced = time.monotonic()
        _sync_folder(self.folder)
        return True

    def close(self) -> None:
        """Sync and release the shard; the next `append` claims one again."""
        if self._fd >= 0:
            os.fdatasync(self._fd)
            os.close(self._fd)
            self._fd = -1


def repair(folder: Path) -> list[TornTail]:
    """Move the torn last line of every shard that nobody is writing to a side file, and say which."""
    found = []
    for path in shard_paths(folder):
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        try:
            if _try_lock(fd) and (torn := _set_tail_aside(fd, path)):
                found.append(torn)
        finally:
            os.close(fd)
    return found


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _set_tail_aside(fd: int, path: Path) -> TornTail | None:
    """Cut the shard back to its last good line. The copy is on disk before the shard is cut."""
    size = os.fstat(fd).st_size
    good = _good_end(path, size)
    if good == size:
        return None
    side = path.parent.parent / "torn" / f"{path.parent.name}-{path.name}.{good}"
    try:
        side.parent.mkdir(exist_ok=True)
        with side.open("wb") as copy:
            offset = good
            while chunk := os.pread(fd, _CHUNK, offset):
                copy.write(chunk)
                offset += len(chunk)
            copy.flush()
            os.fsync(copy.fileno())
    except OSError as error:
        raise UserError(
            f"{side}: the torn end of {path.name} can't be set aside ({error.strerror}). Mend that, run again."
        ) from error
    os.ftruncate(fd, good)
    os.fsync(fd)
    return TornTail(path, good, size - good, side)


def _good_end(path: Path, size: int) -> int:
    """Offset after the last good line. A last line that isn't JSON in spite of its newline is torn too."""
    if size == 0:
        return 0
    if path.name.endswith(".zst"):
        with path.open("rb") as file:
            end = 0
            for frame_end, _ in _frames(file, path):
                end = frame_end
            return end
    with path.open("rb") as file:
        end = _line_start(file, size)  # after the last newline
        if end == 0:
            return 0
        start = _line_start(file, end - 1)
        file.seek(start)
        return end if _is_json(file.read(end - start)) else start


def _line_start(file: BinaryIO, end: int) -> int:
    """Offset just after the last newline before ``end``, 0 when there is none; reads backwards in blocks."""
    while end > 0:
        start = max(0, end - _CHUNK)
        file.seek(start)
        if (at := file.read(end - start).rfind(b"\n")) >= 0:
            return start + at + 1
        end = start
    return 0


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
