"""The shards of a trajectory store: append-only files of lines, any number of which make one folder.

A shard has one writer at a time, so any number of processes can append to one folder: each claims a shard of its
own. How lines are written, locked and repaired: `ise_gym.storage.appendlog`; torn ends go to the store's ``torn/``.

With compression each line is a zstd frame of its own, so a shard stays append-only and streamable
(``zstdcat`` reads it).
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

from ise_gym.errors import UserError
from ise_gym.storage.appendlog import LONGEST_LINE, AppendLog, Locked, TornTail, last_whole_line, raw_lines

Compression = Literal["none", "zstd"]
SUFFIX: dict[Compression, str] = {"none": ".jsonl", "zstd": ".jsonl.zst"}
MAX_SHARD_BYTES = 512 * 1024 * 1024
_CHUNK = 1 << 20


def shard_paths(folder: Path) -> list[Path]:
    """Return the shards of a folder in the order of their names; none when there is no folder."""
    if not folder.is_dir():
        return []
    # a pipe or a folder with a shard's name would be waited for, or fail half-way
    return sorted(p for p in folder.iterdir() if p.name.endswith(tuple(SUFFIX.values())) and p.is_file())


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (line number from 1, line without newline) of a plain or zstd file, in bounded memory.

    A last line without a newline is yielded too, as it is; `complete_lines` leaves it out.

    Raises:
        UserError: the file can't be read, a line is longer than any record
            (`ise_gym.storage.appendlog.LONGEST_LINE`), or a zstd frame other than a cut-off last one is broken.
    """
    for number, line in enumerate(_raw_lines(path), start=1):
        yield number, line.removesuffix(b"\n")


def complete_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """As `read_lines`, without a last line that has no newline (yet): what a store may rely on."""
    for number, line in enumerate(_raw_lines(path), start=1):
        if line.endswith(b"\n"):
            yield number, line[:-1]


def lines_from(path: Path, start: int = 0) -> Iterator[tuple[int, int, bytes]]:
    """Yield (start, end, line without newline) of the complete lines from a byte on; of zstd, of their frames.

    ``start`` is 0 or an earlier ``end``; `line_at` reads one back. A reader that keeps the last ``end`` goes on
    there when the file has grown.

    Raises:
        UserError: the file can't be read, or as `read_lines`.
    """
    try:
        with path.open("rb") as file:
            file.seek(start)
            if path.name.endswith(".zst"):
                for end, content in _frames(file, path, start):
                    yield start, end, content.removesuffix(b"\n")
                    start = end
                return
            while (line := file.readline(LONGEST_LINE + 1)).endswith(b"\n"):
                yield start, start + len(line), line[:-1]
                start += len(line)
            if len(line) > LONGEST_LINE:
                raise UserError(f"{path}, byte {start}: longer than {LONGEST_LINE >> 20} MB: not a record.")
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error.strerror}).") from error


def line_at(path: Path, start: int, end: int) -> bytes:
    """Return the line that `lines_from` gave from ``start`` to ``end``.

    Raises:
        UserError: the file can't be read, or no longer holds it.
    """
    try:
        with path.open("rb") as file:
            file.seek(start)
            data = file.read(end - start)
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error.strerror}).") from error
    if len(data) != end - start:
        raise UserError(f"{path}: ends before byte {end}; it was replaced since it was read.")
    if path.name.endswith(".zst"):
        data = next((content for _, content in _frames(io.BytesIO(data), path)), b"")
    return data.removesuffix(b"\n")


def _raw_lines(path: Path) -> Iterator[bytes]:
    try:
        if not path.name.endswith(".zst"):
            yield from raw_lines(path)
            return
        with path.open("rb") as file:
            for _, content in _frames(file, path):
                yield from io.BytesIO(content)
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


def _frames(file: BinaryIO, path: Path, begin: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield (offset of its end, content) of each complete zstd frame; stop before a cut-off last one.

    ``begin`` is the offset at which the file stands.
    """
    codec = zstandard()
    decompressor, parts, start, end, pending = codec.ZstdDecompressor().decompressobj(), [], begin, begin, b""
    size = 0
    while True:
        data = pending or file.read(_CHUNK)
        if not data:
            return
        try:
            parts.append(decompressor.decompress(data))
            size = size + len(parts[-1]) if parts[1:] else len(parts[-1])
            if size > LONGEST_LINE:
                raise UserError(
                    f"{path}: a frame unpacks to more than {LONGEST_LINE >> 20} MB: not a record."
                )
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
        self._log: AppendLog | None = None
        self._compressor = zstandard().ZstdCompressor(level=6) if compression == "zstd" else None

    @property
    def path(self) -> Path | None:
        """The shard being written, or None before the first line."""
        return self._log.path if self._log else None

    def append(self, line: bytes) -> None:
        """Append one line (with its newline). All of it is written, or nothing stays of it.

        Raises:
            UserError: the disk is full or the file can't be written.
        """
        if self._log and self._log.size >= self.max_bytes:
            self.close()
        log = self._log = self._log or self._claim()
        log.append(self._compressor.compress(line) if self._compressor else line)

    def _claim(self) -> AppendLog:
        self.folder.mkdir(parents=True, exist_ok=True)
        suffix = SUFFIX[self.compression]
        for path in shard_paths(self.folder):
            if path.name.endswith(suffix) and path.stat().st_size < self.max_bytes:
                with contextlib.suppress(Locked):
                    return _open(path, sync_s=self.sync_s)
        number = len(shard_paths(self.folder))
        while True:
            with contextlib.suppress(Locked):  # another writer made it first
                return _open(self.folder / f"part-{number:05d}{suffix}", sync_s=self.sync_s)
            number += 1

    def close(self) -> None:
        """Sync and release the shard; the next `append` claims one again."""
        if self._log:
            log, self._log = self._log, None
            log.close()


def repair(folder: Path) -> list[TornTail]:
    """Move the torn last line of every shard that nobody is writing to a side file, and say which."""
    found = []
    for path in shard_paths(folder):
        with contextlib.suppress(Locked):  # its writer is alive, and repairs it when it opens it
            log = _open(path, create=False)
            log.close()
            if log.torn:
                found.append(log.torn)
    return found


def _open(path: Path, *, sync_s: float = 0.0, create: bool = True) -> AppendLog:
    folder = path.parent
    return AppendLog(
        path,
        side_file=lambda offset: folder.parent / "torn" / f"{folder.name}-{path.name}.{offset}",
        good_end=(lambda file, size: _last_frame(file, path))
        if path.name.endswith(".zst")
        else last_whole_line,
        sync_s=sync_s,
        create=create,
    )


def _last_frame(file: BinaryIO, path: Path) -> int:
    """Offset after the last complete frame."""
    end = 0
    for frame_end, _ in _frames(file, path):
        end = frame_end
    return end
