"""Foreign records → a store, whatever is in the files: ISETrace's both released forms, ATIF, harnesses' results.

Every line is taken, fixed and counted, or refused and counted, with the place of the first of each kind: one odd field
in the middle of a file ends neither the import nor anything silently.
"""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from ise_gym.errors import UserError
from ise_gym.foreign.values import Json
from ise_gym.registry import Registered
from ise_gym.storage.appendlog import LONGEST_LINE
from ise_gym.storage.digest import file_sha256
from ise_gym.trajectory.exchange.atif import from_atif
from ise_gym.trajectory.exchange.evalfile import eval_samples
from ise_gym.trajectory.exchange.foreign import InItsEpisode, Unusable
from ise_gym.trajectory.exchange.harnesses import (
    from_inspect,
    from_tau2,
    from_verifiers,
    inspect_samples,
    tau2_simulations,
    verifiers_traces,
)
from ise_gym.trajectory.exchange.isetrace import from_isetrace
from ise_gym.trajectory.record import Trajectory, to_line
from ise_gym.trajectory.shards import read_lines
from ise_gym.trajectory.store import TrajectoryStore

_MALFORMED = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, OverflowError)
"""What reading a record that a stranger wrote may raise, whichever of its fields is odd."""


@dataclass(frozen=True)
class Importer:
    """How a format is read.

    Attributes:
        read: makes the episode of one record; takes the record, the counts of repairs, and where it stands. May raise
            `Unusable`, or any of the errors that odd fields cause: the record is then refused and counted.
        files: which files of a folder hold records: ``*.jsonl`` has one a line, ``*.json`` is one.
        split: takes a value of a file apart into records, where one holds several.
    """

    read: Callable[[Any, Counter[str], str], Trajectory]
    files: str = "*.jsonl"
    split: Callable[[Any], Iterable[Any]] = lambda value: (value,)


ISETRACE = Importer(from_isetrace)
ATIF = Importer(from_atif, "*.json")
INSPECT = Importer(from_inspect, "*.eval", inspect_samples)
VERIFIERS = Importer(from_verifiers, split=verifiers_traces)
TAU2 = Importer(from_tau2, "*.json", tau2_simulations)
IMPORTERS: Registered[Importer] = Registered("importer")
"""Formats that are read, by name; see `ise_gym.registry`."""


@dataclass
class Imported:
    """What an import did: ``repairs`` by kind (messages), ``skipped`` by reason (whole records).

    ``first`` says where the first record of each reason stands. ``sessions`` counts the sub-sessions that the imported
    episodes hold.
    """

    imported: int = 0
    sessions: int = 0
    repairs: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def skip(self, reason: str, where: str) -> None:
        """Count a record that is left out."""
        self.skipped[reason] += 1
        self.first.setdefault(reason, where)


def import_isetrace(files: Sequence[str | Path], out: str | Path) -> Imported:
    """Read ISETrace files into a store, see `import_files`."""
    return import_files(files, out, "isetrace")


def import_files(files: Sequence[str | Path], out: str | Path, format: str) -> Imported:
    """Read foreign files into a store.

    Args:
        files: JSONL, one JSON object, or a JSON list; plain, ``.gz`` or ``.zst``. A folder stands for its
            ``*.json`` (``atif``) or ``*.jsonl`` files (other formats), in the order of their names.
        format: a key of `IMPORTERS`.
        out: store folder; importing the same files again adds nothing.

    Returns:
        Counts of what was imported, repaired and skipped.

    Raises:
        UserError: a file that can't be read, or not one episode in all of them.
    """
    counts = Imported()
    paths = [path for file in files for path in _files_at(Path(file), format)]
    digests = [_digest(path) for path in paths]
    found = _episodes(paths, format, counts)
    first = next(found, None)
    if first is None:  # before a store is made
        raise UserError(_nothing_read(files, format, counts))
    with TrajectoryStore(out, run={"imported": format, "files": digests}) as store:
        done = store.ids()
        for where, trajectory, line in chain([first], found):
            if trajectory.episode_id in done:
                counts.skip("duplicate, or imported before", where)
                continue
            done.add(trajectory.episode_id)
            store.append_line(line, failed=trajectory.outcome == "infrastructure_error")
            counts.imported += 1
            counts.sessions += len(trajectory.sessions)
    return counts


def _files_at(path: Path, format: str) -> list[Path]:
    """Return the files that a folder stands for; a file stands for itself."""
    if not path.is_dir():
        return [path]
    pattern = IMPORTERS[format].files
    if not (found := sorted(p for p in path.glob(pattern) if p.is_file())):
        raise UserError(
            f"{path}: the folder has no {pattern} files, which is where {format} records are; "
            f"name the files, or another format with --from: {', '.join(IMPORTERS)}."
        )
    return found


def _episodes(
    paths: Sequence[Path], format: str, counts: Imported
) -> Iterator[tuple[str, Trajectory, bytes]]:
    """Yield (where, episode, its line) of what can be read; counts what was mended and what is no episode."""
    importer = IMPORTERS[format]
    for path in paths:
        for where, record, mended in _split(path, importer, counts):
            repairs = Counter(mended)  # of a record that is taken
            try:
                trajectory = importer.read(record, repairs, where)
                line = to_line(trajectory)
            except InItsEpisode:
                continue
            except Unusable as reason:
                counts.skip(str(reason), where)
            except UserError as error:
                counts.skip("record of ours that was changed", str(error))
            except _MALFORMED as error:
                counts.skip(
                    f"record that can't be read ({type(error).__name__})", f"{where}: {_short(error)}"
                )
            else:
                counts.repairs += repairs
                yield where, trajectory, line


def _split(path: Path, importer: Importer, counts: Imported) -> Iterator[tuple[str, Any, Mapping[str, int]]]:
    """Yield (where, record, what was mended in the value that holds it); counts what is no JSON."""
    for where, text in _records(path):
        repairs: Counter[str] = Counter()
        try:
            records = list(importer.split(_value(text, repairs)))
        except Unusable as reason:
            counts.skip(str(reason), where)
            continue
        for number, record in enumerate(records):
            place = where if len(records) == 1 else f"{where}, record {number + 1}"
            yield place, record, repairs if number == 0 else {}


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:160]


def _nothing_read(files: Sequence[str | Path], format: str, counts: Imported) -> str:
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    why = "; ".join(
        f"{reason}: {count}, first at {counts.first[reason]}"
        for reason, count in counts.skipped.most_common(3)
    )
    return (
        f"{files[0]}{more}: no episode of format {format}{f' ({why})' if why else ''}. "
        f"Give --from the format of the file: {', '.join(IMPORTERS)}."
    )


def _records(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield (where, record or its JSON text) of a JSONL file, or of a file that is one JSON object or list.

    Raises:
        UserError: the file can't be read.
    """
    if path.suffix == ".eval":
        yield from eval_samples(path)
        return
    if path.suffix != ".json":
        for number, line in _lines(path):
            if line.strip():
                yield f"{path}, line {number}", line
        return
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error.strerror}).") from error
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        yield str(path), data  # refused and counted where lines are
        return
    for number, record in enumerate(value if isinstance(value, list) else [value]):
        yield f"{path}, record {number + 1}", record


def _value(text: Json, repairs: Counter[str]) -> Any:
    """Decode a line; numbers that JSON has not (NaN, Infinity, 1e999) become null and are counted.

    Raises:
        Unusable: no JSON, or nested too deeply.
    """
    try:
        if not isinstance(text, bytes):
            text = json.dumps(text)  # from a whole file, which was decoded as it is
        return json.loads(
            text, parse_float=partial(_finite, repairs), parse_constant=partial(_finite, repairs)
        )
    except RecursionError as error:
        raise Unusable("nested too deeply") from error
    except ValueError as error:
        raise Unusable("not JSON") from error


def _finite(repairs: Counter[str], text: str) -> float | None:
    value = float(text)
    if math.isfinite(value):
        return value
    repairs["number that JSON has not (NaN, Infinity) read as null"] += 1
    return None


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    if path.suffix != ".gz":
        yield from read_lines(path)
        return
    try:
        with gzip.open(path, "rb") as file:
            number = 0
            while line := file.readline(LONGEST_LINE + 1):
                number += 1
                if len(line) > LONGEST_LINE:
                    raise UserError(
                        f"{path}, line {number}: longer than {LONGEST_LINE >> 20} MB: not a record."
                    )
                yield number, line
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: can't be read ({error}).") from error


def _digest(path: Path) -> str:
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: can't be read: it is not a regular file.")
    try:
        return file_sha256(path)
    except OSError as error:
        raise UserError(f"{path}: can't be read ({error.strerror}).") from error
