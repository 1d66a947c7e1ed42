"""What a store is cut into, so that many can read it: pieces of shards that begin and end with a line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ise_gym.errors import UserError
from ise_gym.trajectory.lines.index import Entry, ShardIndex, read_index
from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.store import parse_line, raw_records, readable_shards, sound_lines

PART_BYTES = 8 << 20
"""Size of a part, about: large enough that starting one costs nothing, small enough that a few fit in memory."""


@dataclass(frozen=True)
class Part:
    """A piece of a shard, or a lone file as a whole.

    Attributes:
        path, start, stop: where; of a lone file stop is None.
        first: number of its first line, from 1.
        entries: what the index says of its lines; empty where it says nothing.
        size: bytes.
    """

    path: Path
    start: int = 0
    stop: int | None = None
    first: int = 1
    entries: tuple[Entry, ...] = ()
    size: int = 0


def parts_of(path: str | Path, *, failures: bool = False) -> list[Part]:
    """Cut a store folder into parts, in the order of its lines; a lone JSONL file is one part.

    Where a shard's index says nothing (yet), the rest of the shard is one part.

    Raises:
        UserError: nothing there, or a shard that is deleted.
    """
    root = Path(path)
    if not root.is_dir():
        return [Part(root, size=root.stat().st_size if root.is_file() else 0)]
    return [part for shard in readable_shards(root, failures=failures) for part in _pieces(shard)]


def _pieces(shard: Path) -> Iterator[Part]:
    index, size = read_index(shard), shard.stat().st_size
    start = done = 0
    if _in_place(index, size):
        for place, entry in enumerate(index.entries, 1):
            if entry.end - start >= PART_BYTES or place == len(index.entries):
                entries = tuple(index.entries[done:place])
                yield Part(shard, start, entry.end, done + 1, entries, entry.end - start)
                start, done = entry.end, place
    if start < size:
        yield Part(shard, start, size, done + 1, (), size - start)


def _in_place(index: ShardIndex, size: int) -> bool:
    """Whether lines are where they were written, as they are unless somebody edited the shard."""
    follows = all(a.end <= b.start for a, b in pairwise(index.entries))
    return follows and index.size <= size


def lines_of(part: Part) -> Iterator[tuple[int, bytes]]:
    """Yield (number, line) of a part's lines.

    Raises:
        UserError: a line that is not what was written, or can't be read; names it.
    """
    if part.stop is None:
        yield from ((number, line) for _, number, line in raw_records(part.path))
        return
    index = ShardIndex(list(part.entries), part.stop) if part.entries else None
    try:
        for number, _, _, line in sound_lines(part.path, part.start, part.stop, part.first, index):
            yield number, line
    except UserError:
        for _ in sound_lines(part.path):  # names the line by all that the index knows
            pass
        raise


def records_of(part: Part) -> Iterator[Trajectory]:
    """Yield a part's records; raises as `lines_of`, and for a line that is no record."""
    for number, line in lines_of(part):
        yield parse_line(line, f"{part.path}, line {number}")
