"""The runs that a viewer was given: their stores, indexes and labels, and answers over all of them together."""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ise_gym.errors import UserError
from ise_gym.trajectory.lines.reading import line_at
from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.store import MANIFEST, parse_line
from ise_gym.view.episodes import names
from ise_gym.view.index import query
from ise_gym.view.index.asked import CHOICES, SORTS, Asked
from ise_gym.view.index.build import Progress, store_files
from ise_gym.view.index.database import index_path, open_index, reading
from ise_gym.view.index.facts import TAGS
from ise_gym.view.index.words import Search
from ise_gym.view.labels import Labels

DEEPEST = 3
"""Folders below a given one in which stores are looked for."""
ANSWERS_KEPT = 12


@dataclass
class Run:
    """One store. ``progress`` is that of its index; ``live`` whether somebody is recording into it."""

    name: str
    source: Path
    index: Path
    labels: Labels
    progress: Progress = field(default_factory=lambda: Progress(0, 0, 0))
    problem: str = ""
    live: bool = False

    def file(self, name: str) -> Path:
        """Return the path of one of its files, as the index names it."""
        return self.source / name if self.source.is_dir() else self.source

    def record(self, row: dict[str, Any]) -> Trajectory:
        """Read the record of a row of the index.

        Raises:
            UserError: it is not there any more.
        """
        path = self.file(row["file_name"])
        return parse_line(line_at(path, row["start"], row["stop"]), f"{path}, byte {row['start']}")

    def line(self, row: dict[str, Any]) -> bytes:
        """Read a record as it is on disk."""
        return line_at(self.file(row["file_name"]), row["start"], row["stop"])


@dataclass(frozen=True)
class Found:
    """An answer: (run, id in its index) in order, and the search that it holds."""

    places: tuple[tuple[int, int], ...]
    search: Search


def stores_of(given: Sequence[Path]) -> list[Path]:
    """Return the stores and files that were given, and those in the folders that were.

    Raises:
        UserError: nothing there, or no store in it.
    """
    found: list[Path] = []
    for path in given:
        if path.is_file() or (path / MANIFEST).is_file():
            found.append(path)
            continue
        if not path.is_dir():
            raise UserError(
                f"{path}: no such file or folder. Give a store (what `ise rollout` wrote) or a JSONL file."
            )
        inside = list(_inside(path, DEEPEST))
        if not inside:
            raise UserError(f"{path}: neither a trajectory store nor a folder with stores in it.")
        found += inside
    return list({store.resolve(): store for store in found}.values())


def _inside(folder: Path, depth: int) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if not path.is_dir() or path.is_symlink() or path.name.startswith("."):
            continue
        if (path / MANIFEST).is_file():
            yield path
        elif depth > 1:
            yield from _inside(path, depth - 1)


class Library:
    """All runs; safe for several threads.

    Raises:
        UserError: something that was given is no store, or there is no place for an index.
    """

    def __init__(self, given: Sequence[Path]) -> None:
        stores = stores_of(given)
        called = names(stores)
        self.runs = [
            Run(name, store, index_path(store), Labels(store))
            for name, store in zip(called, stores, strict=True)
        ]
        for run in self.runs:
            open_index(run.index).close()  # so that readers find its tables
        self.version = 0
        self._lock = threading.Lock()
        self._answers: OrderedDict[tuple[Any, ...], Found] = OrderedDict()

    def run(self, name: str) -> Run | None:
        """Return a run by name."""
        return next((run for run in self.runs if run.name == name), None)

    def size(self) -> tuple[int, ...]:
        """Return sizes by which it is seen that something was recorded."""
        return tuple(path.stat().st_size for run in self.runs for _, path, _ in store_files(run.source))

    def changed(self) -> None:
        """Note that an index holds more now."""
        with self._lock:
            self.version += 1
            self._answers.clear()

    def found(self, asked: Asked) -> Found:
        """Return the episodes that fit, in order."""
        key = (asked, self.version, tuple(len(run.labels.all()) for run in self.runs))
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
                return self._answers[key]
        answer = self._ask(asked)
        with self._lock:
            self._answers[key] = answer
            while len(self._answers) > ANSWERS_KEPT:
                self._answers.popitem(last=False)
        return answer

    def _ask(self, asked: Asked) -> Found:
        down = SORTS[asked.sort][2]
        entries: list[tuple[Any, int, int]] = []
        search = query.condition(asked, {}).search
        for number, run in self._asked(asked):
            with reading(run.index) as connection:
                given = query.condition(asked, run.labels.by_label())
                entries += [(value, number, at) for value, at in query.ordered(connection, given, asked.sort)]
        known = [entry for entry in entries if entry[0] is not None]
        unknown = [entry for entry in entries if entry[0] is None]
        # ties stand as they were recorded, of several runs beside each other
        known.sort(key=lambda entry: (entry[2], entry[1]))
        known.sort(key=lambda entry: entry[0], reverse=down)
        return Found(tuple((number, at) for _, number, at in [*known, *unknown]), search)

    def _asked(self, asked: Asked) -> Iterator[tuple[int, Run]]:
        wanted = asked.values("store")
        return ((n, run) for n, run in enumerate(self.runs) if not wanted or run.name in wanted)

    def spread(self, asked: Asked) -> dict[str, dict[str, int]]:
        """Return filter → value → episodes, most frequent first; each as if it were not set itself."""
        found: dict[str, Counter[str]] = {name: Counter() for name in (*CHOICES, "has")}
        for run in self.runs:
            here = not asked.values("store") or run.name in asked.values("store")
            names = (*query.PLAIN, *TAGS, "label", "has") if here else ()
            labelled = run.labels.by_label()
            with reading(run.index) as connection:
                counts = query.counts_of(connection, query.condition(asked, labelled), labelled, names)
            found["store"][run.name] = counts.pop("", {}).get("", 0)
            for name, counted in counts.items():
                found[name].update(counted)
        for name, values in asked.chosen:
            for value in values:
                found[name].setdefault(value, 0)  # what is chosen can be unchosen
        shown = {name: dict(counted.most_common(query.ANSWERS_SHOWN)) for name, counted in found.items()}
        for name, values in asked.chosen:
            shown[name].update({v: found[name][v] for v in values})
        return shown

    def rows(self, places: Sequence[tuple[int, int]]) -> list[tuple[Run, dict[str, Any]]]:
        """Return (run, row) of places, in their order."""
        by_run: dict[int, list[int]] = {}
        for number, at in places:
            by_run.setdefault(number, []).append(at)
        found = {}
        for number, ids in by_run.items():
            with reading(self.runs[number].index) as connection:
                found[number] = query.rows_of(connection, ids)
        return [(self.runs[n], found[n][at]) for n, at in places if at in found[n]]

    def find(self, run: Run, episode: str) -> dict[str, Any] | None:
        """Return the row of an episode of a run."""
        with reading(run.index) as connection:
            return query.find(connection, episode)

    def of_intent(self, scenario: str) -> list[tuple[Run, dict[str, Any]]]:
        """Return the episodes of one intent, in every run."""
        return self.rows(self.found(Asked(scenario=scenario, sort="old")).places[:200])

    def problems(self) -> list[str]:
        """Return what could not be read."""
        found = []
        for run in self.runs:
            if run.problem:
                found.append(run.problem)
            with reading(run.index) as connection:
                rows = connection.execute(
                    "SELECT name, start, why FROM problems JOIN files ON files.id = file LIMIT 20"
                ).fetchall()
            found += [f"{run.name}: {name}, byte {start}: {why}" for name, start, why in rows]
            found += run.labels.problems
        return found
