"""Brings an index up to its store: what was appended since the last time, in batches that are whole or not there.

How far each file was read stands in the same transaction as what was read of it, so an interrupted run goes on where it
stopped. Parsing is shared out among processes; SQLite has one writer, this one.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ise_gym.errors import UserError
from ise_gym.processes import Pool
from ise_gym.storage.appendlog import LONGEST_LINE
from ise_gym.trajectory.lines.reading import lines_from
from ise_gym.trajectory.shards import shard_paths
from ise_gym.trajectory.store import parse_line, read_manifest
from ise_gym.view.index.database import INSERT, INSERT_WORDS, open_index, remove_index
from ise_gym.view.index.facts import Facts, facts_of

BATCH_BYTES = 4 << 20
"""Of lines that are parsed together."""
COMMIT_BYTES = 48 << 20
COMMIT_S = 5.0
"""Of lines, and of time, that are committed together: each commit ends a segment of the full-text index, and few
large ones are written in half the time of many small ones. An interrupted run reads so much again at most."""
ALONE_BYTES = 16 << 20
"""New bytes up to which no process is started for them."""
HEAD = 4096
"""Bytes by which a file is known again."""

Line = tuple[int, int, bytes]
Parsed = list[tuple[int, int, Facts | str]]


@dataclass(frozen=True)
class Progress:
    """How far an index is: bytes of the store's files that were read, of how many; episodes that this run added."""

    done: int
    total: int
    added: int


@dataclass(frozen=True)
class _File:
    id: int
    path: Path
    done: int
    lone: bool


def store_files(source: Path) -> Iterator[tuple[str, Path, bool]]:
    """Yield (name, path, whether it holds failures) of the files of a store, or the one that was given."""
    if not source.is_dir():
        yield source.name, source, False
        return
    for folder in ("shards", "failures"):
        for path in shard_paths(source / folder):
            yield f"{folder}/{path.name}", path, folder == "failures"


def update(
    source: Path,
    index: Path,
    *,
    processes: int | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    go_on: Callable[[], bool] = lambda: True,
) -> int:
    """Add what the store holds and the index does not; return how many episodes that were.

    Args:
        source: a store's folder, or a file of records.
        index: the index's file, made when missing, made anew when the store was replaced.
        processes: that parse; by default as many as there are cores. 1 parses here.
        on_progress: called after each batch.
        go_on: asked after each batch; False ends it there, to be gone on with.

    Raises:
        UserError: no store, or the index can't be written. A line that is no record is noted, not raised.
    """
    if source.is_dir():
        read_manifest(source)
    elif not source.is_file():
        raise UserError(
            f"{source}: no such file or folder. Give a store (what `ise rollout` wrote) or a JSONL file."
        )
    connection = open_index(index)
    try:
        files = _known(connection, source)
        if files is None:  # not the store that was indexed
            connection.close()
            remove_index(index)
            connection = open_index(index)
            files = _known(connection, source) or []
        return _fill(connection, files, processes or os.cpu_count() or 1, on_progress, go_on)
    except sqlite3.OperationalError as error:
        raise UserError(f"{index}: the index can't be written ({error}).") from error
    finally:
        connection.close()


def _known(connection: sqlite3.Connection, source: Path) -> list[_File] | None:
    """Return the files with how far each was read; None when one is not what was read."""
    known = {row[1]: row for row in connection.execute("SELECT id, name, done, head, sha256 FROM files")}
    found = []
    for name, path, failures in store_files(source):
        size = path.stat().st_size
        if name not in known:
            head = min(size, HEAD)
            if not head:
                continue
            values = (name, failures, head, _head(path, head))
            cursor = connection.execute(
                "INSERT INTO files (name, failures, done, head, sha256) VALUES (?, ?, 0, ?, ?)", values
            )
            found.append(_File(int(cursor.lastrowid or 0), path, 0, path == source))
            continue
        number, _, done, head, sha256 = known.pop(name)
        if size < done or _head(path, head) != sha256:
            return None
        found.append(_File(number, path, done, path == source))
    return None if known else found


def _head(path: Path, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.sha256(file.read(size)).hexdigest()


def _fill(
    connection: sqlite3.Connection,
    files: Sequence[_File],
    processes: int,
    on_progress: Callable[[Progress], None],
    go_on: Callable[[], bool],
) -> int:
    total = sum(file.path.stat().st_size for file in files)
    done = sum(file.done for file in files)
    added = 0
    with ExitStack() as stack:
        pool = None
        if processes > 1 and total - done > ALONE_BYTES:
            pool = stack.enter_context(Pool(processes))
            stack.callback(pool.shutdown, cancel_futures=True)
        stack.callback(_end, connection)
        begun, pending = time.monotonic(), 0
        for file, parsed in _parsed(_batches(files), pool, 2 * processes):
            if not connection.in_transaction:
                connection.execute("BEGIN IMMEDIATE")
                begun, pending = time.monotonic(), 0
            added += _write(connection, file, parsed)
            size = parsed[-1][1] - parsed[0][0]
            done, pending = done + size, pending + size
            if pending >= COMMIT_BYTES or time.monotonic() - begun >= COMMIT_S:
                connection.execute("COMMIT")
            on_progress(Progress(done, total, added))
            if not go_on():
                break
        if connection.in_transaction:
            connection.execute("COMMIT")
    on_progress(Progress(done, total, added))
    return added


def _batches(files: Iterable[_File]) -> Iterator[tuple[_File, list[Line]]]:
    for file in files:
        batch: list[Line] = []
        size = 0
        for line in _lines(file):
            batch.append(line)
            size += len(line[2])
            if size >= BATCH_BYTES:
                yield file, batch
                batch, size = [], 0
        if batch:
            yield file, batch


def _lines(file: _File) -> Iterator[Line]:
    """Yield complete lines; of a lone file also a last one without a newline, once it is whole."""
    stop = file.done
    for line in lines_from(file.path, file.done):
        yield line
        stop = line[1]
    if file.lone and not file.path.name.endswith(".zst"):
        with file.path.open("rb") as rest:
            rest.seek(stop)
            last = rest.read(LONGEST_LINE)
        if last.strip() and _is_json(last):
            yield stop, stop + len(last), last


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _parsed(
    batches: Iterator[tuple[_File, list[Line]]], pool: Pool | None, ahead: int
) -> Iterator[tuple[_File, Parsed]]:
    """Parse batches, in their order, a few ahead of who writes them."""
    if pool is None:
        for file, batch in batches:
            yield file, parse(batch)
        return
    waiting: deque[tuple[_File, Future[Parsed]]] = deque()
    for file, batch in batches:
        waiting.append((file, pool.submit(parse, batch)))
        if len(waiting) > ahead:
            first, future = waiting.popleft()
            yield first, future.result()
    for first, future in waiting:
        yield first, future.result()


def parse(lines: Sequence[Line]) -> Parsed:
    """Read lines; in place of the facts of one that is no record stands why."""
    found: Parsed = []
    for start, stop, line in lines:
        if not line.strip():
            found.append((start, stop, ""))
            continue
        try:
            found.append((start, stop, facts_of(parse_line(line, f"byte {start}"))))
        except UserError as error:
            found.append((start, stop, str(error)[:400]))
    return found


def _write(connection: sqlite3.Connection, file: _File, parsed: Parsed) -> int:
    added = 0
    for start, stop, facts in parsed:
        if isinstance(facts, str):
            if facts:
                connection.execute("INSERT INTO problems VALUES (?, ?, ?)", (file.id, start, facts))
            continue
        cursor = connection.execute(INSERT, (file.id, start, stop, *map(_storable, facts.figures)))
        number = cursor.lastrowid
        connection.executemany(
            "INSERT OR IGNORE INTO tags VALUES (?, ?, ?)",
            [(kind, _storable(value), number) for kind, value in facts.tags],
        )
        connection.execute(INSERT_WORDS, (number, *map(_storable, facts.texts)))
        added += 1
    connection.execute("UPDATE files SET done = ? WHERE id = ?", (parsed[-1][1], file.id))
    return added


def _end(connection: sqlite3.Connection) -> None:
    """Take back what an error left half done."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _storable(value: object) -> Any:
    """Return what SQLite takes: a lone surrogate has no UTF-8."""
    if not isinstance(value, str) or value.isascii():
        return value
    return value.encode("utf-8", "replace").decode("utf-8")
