"""Append-only files of JSON lines, of which a crash can cost at most the line that was being written.

Trajectory shards and evaluation ledgers are such files. One writer at a time, held by ``flock``. A line counts once
its newline is on disk; what a killed writer left behind it is moved to a side file by the next one, never deleted.

Durability: every line is handed to the kernel in one ``write`` before `AppendLog.append` returns, so killing the
process loses nothing that was appended. ``fdatasync`` follows at most every ``sync_s`` seconds and on close: a power
cut can cost the lines of the last ``sync_s`` seconds (0 syncs every line).
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ise_gym.errors import UserError
from ise_gym.storage.locks import try_lock

_CHUNK = 1 << 20
LONGEST_LINE = 256 << 20
"""Bytes of the longest line that is read: more is no record, and would fill the memory."""


@dataclass(frozen=True)
class TornTail:
    """What a killed writer left at the end of a file, and where it was moved to."""

    path: Path
    offset: int
    size: int
    side_file: Path


class Locked(Exception):
    """Another process is appending to the file."""


def last_whole_line(file: BinaryIO, size: int) -> int:
    """Return the offset after the last good line of a file of lines.

    A last line that isn't JSON in spite of its newline is not good either: that is what a power cut can leave.
    """
    end = _line_start(file, size)  # after the last newline
    if end == 0:
        return 0
    start = _line_start(file, end - 1)
    file.seek(start)
    if end - start > LONGEST_LINE:
        return end  # not looked into: whoever reads the file says what is wrong with it
    return end if _is_json(file.read(end - start)) else start


class AppendLog:
    """A file that is open for appending, by this process alone; made when missing.

    Args:
        path: the file; its folder must exist.
        side_file: where the torn end goes that begins at an offset; it is appended there, so nothing is overwritten.
        good_end: offset after the last good record of a file of ``size`` bytes.
        sync_s: longest time between a write and its ``fdatasync``; 0 syncs every write.
        create: make the file when it is missing.

    Raises:
        Locked: another process is appending to it.
        OSError: it can't be opened.
        UserError: its torn end can't be set aside.
    """

    def __init__(
        self,
        path: Path,
        *,
        side_file: Callable[[int], Path],
        good_end: Callable[[BinaryIO, int], int] = last_whole_line,
        sync_s: float = 0.0,
        create: bool = True,
    ) -> None:
        self.path = path
        self.sync_s = sync_s
        flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        self._fd = os.open(path, flags, 0o644)
        try:
            if not try_lock(self._fd):
                raise Locked(str(path))
            self.torn = _set_tail_aside(self._fd, path, good_end, side_file)
            self.size = os.fstat(self._fd).st_size
            _sync_folder(path.parent)
        except BaseException:
            self.close()
            raise
        self._synced = time.monotonic()

    def append(self, data: bytes) -> None:
        """Append one record (with its newline). All of it is written, or nothing stays of it.

        Raises:
            UserError: the disk is full or the file can't be written.
        """
        try:
            written = os.write(self._fd, data)
            while written < len(data):
                written += os.write(self._fd, data[written:])
            if time.monotonic() - self._synced >= self.sync_s:
                os.fdatasync(self._fd)
                self._synced = time.monotonic()
        except OSError as error:
            os.ftruncate(self._fd, self.size)
            hint = "Free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "Mend that"
            raise UserError(
                f"{self.path}: can't be written ({error.strerror}). {hint} and run again to resume."
            ) from error
        self.size += len(data)

    def close(self) -> None:
        """Sync and release the file; idempotent."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            try:
                os.fdatasync(fd)
            finally:
                os.close(fd)


def append_one(path: Path, record: Mapping[str, object], patience_s: float = 5.0) -> None:
    """Append one JSON object as a line of its own and sync it; the file is made when missing.

    Processes that do so to one file take turns. A torn end that a killed one left goes to ``FILE.torn``.

    Raises:
        UserError: the file can't be written, or another process holds it for longer than ``patience_s``.
    """
    line = json.dumps(record, ensure_ascii=False)
    try:
        data = line.encode() + b"\n"
    except UnicodeEncodeError:  # a lone surrogate: JSON can only carry it escaped
        data = json.dumps(record).encode() + b"\n"
    deadline = time.monotonic() + patience_s
    while True:
        try:
            log = AppendLog(path, side_file=lambda offset: path.with_name(f"{path.name}.torn"))
            break
        except Locked:
            if time.monotonic() >= deadline:
                raise UserError(f"{path}: another process holds it; nothing was written.") from None
            time.sleep(0.02)
        except OSError as error:
            raise UserError(f"{path}: can't be written ({error.strerror}).") from error
    try:
        log.append(data)
    finally:
        log.close()


def raw_lines(path: Path) -> Iterator[bytes]:
    """Yield a file's lines with their newlines, in bounded memory; the last one may have none (yet).

    Raises:
        UserError: a line is longer than `LONGEST_LINE`, or this is not a regular file (a pipe would be waited for).
    """
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: can't be read: it is not a regular file.")
    with path.open("rb") as file:
        left = os.fstat(file.fileno()).st_size  # a file that grows meanwhile must come to an end
        number = 0
        while left > 0 and (line := file.readline(min(left, LONGEST_LINE + 1))):
            number += 1
            if len(line) > LONGEST_LINE:
                raise UserError(f"{path}, line {number}: longer than {LONGEST_LINE >> 20} MB: not a record.")
            left -= len(line)
            yield line


def _set_tail_aside(
    fd: int, path: Path, good_end: Callable[[BinaryIO, int], int], side_file: Callable[[int], Path]
) -> TornTail | None:
    """Cut the file back to its last good line. The copy is on disk before the file is cut."""
    size = os.fstat(fd).st_size
    if not size:
        return None
    with path.open("rb") as file:
        good = good_end(file, size)
    if good == size:
        return None
    side = side_file(good)
    try:
        side.parent.mkdir(exist_ok=True)
        with side.open("ab") as copy:
            if copy.tell():  # an earlier torn end: each is on lines of its own
                copy.write(b"\n")
            offset = good
            while chunk := os.pread(fd, _CHUNK, offset):
                copy.write(chunk)
                offset += len(chunk)
            copy.flush()
            os.fsync(copy.fileno())
    except OSError as error:
        raise UserError(
            f"{side}: the torn end of {path.name} can't be set aside ({error.strerror}). Fix that and run again."
        ) from error
    os.ftruncate(fd, good)
    os.fsync(fd)
    return TornTail(path, good, size - good, side)


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
    except RecursionError:  # nested too deeply for us, but whole: its reader says so
        return True
    return True


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
