"""Reads files of lines, plain or zstd, in bounded memory: whole ones, from a byte on, or one line by its place."""

from __future__ import annotations

import bisect
import contextlib
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from ise_gym.errors import UserError
from ise_gym.storage.appendlog import LONGEST_LINE, raw_lines

_CHUNK = 1 << 20
_MAGIC = b"\x28\xb5\x2f\xfd"
"""How a zstd frame begins."""
_LEAST_FRAME = 9
"""Bytes of the shortest frame: magic, header, one empty block."""


class BrokenFrame(UserError):
    """A zstd frame that can't be unpacked."""


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (line number from 1, line without newline) of a plain or zstd file, in bounded memory.

    A last line without a newline is yielded too, as it is; `units` leaves it out.

    Raises:
        UserError: the file can't be read, a line is longer than any record
            (`ise_gym.storage.appendlog.LONGEST_LINE`), or a zstd frame other than a cut-off last one is broken.
    """
    for number, line in enumerate(_raw_lines(path), start=1):
        yield number, line.removesuffix(b"\n")


def lines_from(path: Path, start: int = 0) -> Iterator[tuple[int, int, bytes]]:
    """Yield (start, end, line without newline) of the complete lines from a byte on; of zstd, of their frames.

    ``start`` is 0 or an earlier ``end``; `line_at` reads one back. A reader that keeps the last ``end`` goes on
    there when the file has grown.

    Raises:
        UserError: the file can't be read, or as `read_lines`.
    """
    try:
        with path.open("rb") as file:
            if path.name.endswith(".zst"):
                file.seek(start)
                for end, content in frames(file, path, start):
                    yield start, end, content.removesuffix(b"\n")
                    start = end
                return
            yield from _plain_lines(file, path, start, None)
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error.strerror}).") from error


def units(
    path: Path, start: int = 0, stop: int | None = None, starts: Sequence[int] = ()
) -> Iterator[tuple[int, int, bytes | None]]:
    """As `lines_from`, up to a byte at most (by default the file's present end), and over broken frames.

    Of a frame that can't be unpacked the line is None, and reading goes on at the next of ``starts`` (known ones, in
    order), else where a frame seems to begin. Half a line at the end is left out.

    Raises:
        UserError: the file can't be read, or a line is longer than any record.
    """
    try:
        with path.open("rb") as file:
            stop = os.fstat(file.fileno()).st_size if stop is None else stop
            if path.name.endswith(".zst"):
                yield from _framed_lines(file, path, start, stop, starts)
            else:
                yield from _plain_lines(file, path, start, stop)
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error.strerror}).") from error


def _plain_lines(
    file: BinaryIO, path: Path, start: int, stop: int | None
) -> Iterator[tuple[int, int, bytes]]:
    file.seek(start)
    while stop is None or start < stop:
        line = file.readline(LONGEST_LINE + 1)
        if len(line) > LONGEST_LINE:
            raise UserError(f"{path}, byte {start}: longer than {LONGEST_LINE >> 20} MB: not a record.")
        if not line.endswith(b"\n"):
            return
        yield start, start + len(line), line[:-1]
        start += len(line)


def _framed_lines(
    file: BinaryIO, path: Path, start: int, stop: int, starts: Sequence[int]
) -> Iterator[tuple[int, int, bytes | None]]:
    while start < stop:
        file.seek(start)
        with contextlib.suppress(BrokenFrame):
            for end, content in frames(file, path, start):
                for line in io.BytesIO(content):
                    yield start, end, line.removesuffix(b"\n")
                start = end
                if start >= stop:
                    return
        # a broken frame, or one that seems to go on beyond the end, which a damaged length can do too
        following = _next_start(file, start, stop, starts)
        if following is None:
            return
        yield start, following, None
        start = following


def _next_start(file: BinaryIO, start: int, stop: int, starts: Sequence[int]) -> int | None:
    """Offset of the next frame after a broken one: a known one, else what looks like the beginning of one."""
    place = bisect.bisect_right(starts, start)
    if place < len(starts):
        return starts[place] if starts[place] < stop else None
    file.seek(start + _LEAST_FRAME)
    found = file.read(max(0, stop - start - _LEAST_FRAME)).find(_MAGIC)
    return None if found < 0 else start + _LEAST_FRAME + found


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
        data = next((content for _, content in frames(io.BytesIO(data), path)), b"")
    return data.removesuffix(b"\n")


def _raw_lines(path: Path) -> Iterator[bytes]:
    try:
        if not path.name.endswith(".zst"):
            yield from raw_lines(path)
            return
        with path.open("rb") as file:
            for _, content in frames(file, path):
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


def frames(file: BinaryIO, path: Path, begin: int = 0) -> Iterator[tuple[int, bytes]]:
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
                raise BrokenFrame(
                    f"{path}: a frame unpacks to more than {LONGEST_LINE >> 20} MB: not a record."
                )
        except codec.ZstdError as error:
            if _only_zeros(path, start):  # what a power cut leaves
                return
            raise BrokenFrame(f"{path}: broken zstd frame at byte {start} ({error}).") from error
        pending = decompressor.unused_data if decompressor.eof else b""
        end += len(data) - len(pending)
        if decompressor.eof:
            yield end, b"".join(parts)
            decompressor, parts, start = codec.ZstdDecompressor().decompressobj(), [], end


def _only_zeros(path: Path, start: int) -> bool:
    with path.open("rb") as file:
        file.seek(start)
        return not any(chunk.strip(b"\0") for chunk in iter(lambda: file.read(_CHUNK), b""))
