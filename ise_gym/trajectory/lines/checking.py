"""Compares a shard with its index: what is damaged, what is gone, what the index lacks.

A line is right when its checksum is one that the index knows, wherever it is now: a line that was edited costs itself
and not what follows it. Lines that the index does not know yet (of an older release, or of a writer that was killed)
are decoded, since nothing else tells whether they are whole.
"""

from __future__ import annotations

import json
import os
import struct
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ise_gym.errors import UserError
from ise_gym.models.parsing import finite_float, refuse_constant
from ise_gym.trajectory.lines.index import Entry, ShardIndex, checksum, episode_of
from ise_gym.trajectory.lines.reading import units

Decode = Callable[[bytes], str]
"""Reads a line and returns its episode's id; ValueError or `UserError` for what is no record."""

_SKIPPABLE = 0x184D2A50
"""How a zstd frame begins that readers pass over."""
_FRAME_HEAD = 8


@dataclass(frozen=True)
class Damage:
    """A piece of a shard that is not what was written.

    Attributes:
        shard, line, start, end: where; the line is counted from 1.
        episodes: whose records were there, as far as that is known.
        why: what is wrong, in words.
    """

    shard: Path
    line: int
    start: int
    end: int
    episodes: tuple[str, ...]
    why: str

    def __str__(self) -> str:
        whose = f"episode {', '.join(self.episodes)}" if self.episodes else "episode unknown"
        return f"{self.shard.parent.name}/{self.shard.name}, line {self.line} ({whose}): {self.why}"


@dataclass
class Checked:
    """What a check found: sound lines in their order, how many of them the index lacked, damage, and what is gone."""

    sound: list[Entry] = field(default_factory=list)
    added: int = 0
    damaged: list[Damage] = field(default_factory=list)
    gone: list[Entry] = field(default_factory=list)
    size: int = 0


@dataclass
class _Suspect:
    line: int
    start: int
    end: int
    why: str
    episode: str


def decoded_id(line: bytes) -> str:
    """Return the id of a record, of which is asked only that it is JSON and names one.

    Raises:
        ValueError: it is not, or does not.
    """
    try:
        value = json.loads(line, parse_float=finite_float, parse_constant=refuse_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    found = value.get("episode_id") if isinstance(value, dict) else None
    if not isinstance(found, str):
        raise ValueError("it names no episode")
    return found


def check(shard: Path, index: ShardIndex, decode: Decode = decoded_id) -> Checked:
    """Read a shard to its present end and compare it with its index.

    Raises:
        UserError: the file can't be read.
    """
    found = Checked()
    known: defaultdict[int, list[Entry]] = defaultdict(list)
    for entry in reversed(index.entries):  # so that the first is taken first
        known[entry.checksum].append(entry)
    suspects: list[_Suspect] = []
    starts = [entry.start for entry in index.entries]
    for number, (start, end, line) in enumerate(units(shard, starts=starts), 1):
        found.size = end
        if line is not None and not line.strip():
            continue  # was set aside
        if line is not None and (same := known.get(checksum(line))):
            entry = same.pop()
            found.sound.append(entry._replace(start=start, end=end))
            continue
        why = "not what was written (its checksum differs)" if line is not None else "it can't be unpacked"
        if line is not None and start >= index.size:
            try:
                found.sound.append(Entry(start, end, checksum(line), decode(line)))
                found.added += 1
                continue
            except (ValueError, UserError) as error:
                why = f"not a record: {error}"
        suspects.append(_Suspect(number, start, end, why, episode_of(line or b"")))
    left = sorted(entry for entries in known.values() for entry in entries)
    for suspect in suspects:
        _explain(shard, suspect, left, found)
    claimed = {entry.start for entry in left if any(_meet(entry, s) for s in suspects)}
    found.gone = [entry for entry in left if entry.start not in claimed]
    found.sound.sort()
    return found


def _explain(shard: Path, suspect: _Suspect, left: Sequence[Entry], found: Checked) -> None:
    """Find out whose lines a suspect piece held; of two that ran together, one may be whole."""
    inside = [entry for entry in left if _meet(entry, suspect)]
    whole = [entry for entry in inside if _holds(shard, entry)]
    found.sound.extend(whole)
    lost = [entry for entry in inside if entry not in whole]
    start = suspect.start
    for stop, following in [*((entry.start, entry.end) for entry in whole), (suspect.end, suspect.end)]:
        if start < stop:
            own = [e.episode for e in lost if e.start < stop and e.end > start]
            names = own or ([suspect.episode] if suspect.episode and not inside else [])
            found.damaged.append(
                Damage(shard, suspect.line, start, stop, tuple(dict.fromkeys(names)), suspect.why)
            )
        start = max(start, following)


def _meet(entry: Entry, suspect: _Suspect) -> bool:
    return entry.start < suspect.end and entry.end > suspect.start


def _holds(shard: Path, entry: Entry) -> bool:
    """Tell whether a line is whole at the very place where the index has it, whatever is before it."""
    for start, end, line in units(shard, entry.start, entry.end):
        return (
            (start, end) == (entry.start, entry.end) and line is not None and checksum(line) == entry.checksum
        )
    return False


def blank(shard: Path, start: int, end: int) -> None:
    """Overwrite a piece of a shard with what every reader passes over; nothing after it moves."""
    size = end - start
    if shard.name.endswith(".zst"):
        filling = struct.pack("<II", _SKIPPABLE, size - _FRAME_HEAD) + bytes(size - _FRAME_HEAD)
    else:
        filling = b" " * (size - 1) + b"\n"
    fd = os.open(shard, os.O_WRONLY | os.O_CLOEXEC)
    try:
        written = 0
        while written < size:
            written += os.pwrite(fd, filling[written:], start + written)
        os.fsync(fd)
    finally:
        os.close(fd)


def pieces(shard: Path, start: int, end: int) -> Iterator[bytes]:
    """Yield the bytes of a piece of a file."""
    with shard.open("rb") as file:
        file.seek(start)
        while start < end and (data := file.read(min(1 << 20, end - start))):
            start += len(data)
            yield data
