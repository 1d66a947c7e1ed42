"""Answers from one store's index: which episodes fit, what they are, and how they are spread."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ise_gym.view.index import words
from ise_gym.view.index.asked import FLAGS, SORTS, Asked
from ise_gym.view.index.facts import TAGS

PLAIN = ("outcome", "complexity", "agent", "user")
"""Choices that are columns of an episode."""
ANSWERS_SHOWN = 60
"""Values of a filter that are offered, the most frequent ones."""

_SHOWN = (
    "NOT (file IN (SELECT id FROM files WHERE failures) AND episode_id IN "
    "(SELECT e.episode_id FROM episodes e JOIN files f ON f.id = e.file WHERE NOT f.failures))"
)
"""What the infrastructure broke and was played again since is passed over."""


@dataclass(frozen=True)
class Clause:
    """A condition in SQL, with its values."""

    sql: str
    values: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Condition:
    """A condition on ``episodes``.

    Attributes:
        base: what holds whatever is chosen: the search, flags, figures, the intent.
        chosen: filter → its clause.
        search: that ``base`` holds.
    """

    base: Clause
    chosen: Mapping[str, Clause]
    search: words.Search

    @property
    def whole(self) -> Clause:
        """All of it."""
        return _all([self.base, *self.chosen.values()])


def condition(asked: Asked, labelled: Mapping[str, frozenset[str]]) -> Condition:
    """Return what a question asks of one store.

    Args:
        asked: the question; its ``store`` is the caller's affair.
        labelled: label → ids of the episodes that have it; "" → of all that have any note or label.
    """
    base, chosen = [Clause(_SHOWN)], dict[str, Clause]()
    for name, values in asked.chosen:
        marks = ", ".join("?" * len(values))
        if name in PLAIN:
            chosen[name] = Clause(f'"{name}" IN ({marks})', values)
        elif name in TAGS:
            chosen[name] = Clause(
                f"id IN (SELECT episode FROM tags WHERE kind = ? AND value IN ({marks}))", (name, *values)
            )
        elif name == "label":
            chosen[name] = _among(frozenset().union(*(labelled.get(label, frozenset()) for label in values)))
    for flag in asked.flags:
        base.append(_among(labelled.get("", frozenset())) if flag == "labelled" else Clause(FLAGS[flag][1]))
    for name, low, high in asked.ranges:
        if low is not None:
            base.append(Clause(f'"{name}" >= ?', (low,)))
        if high is not None:
            base.append(Clause(f'"{name}" <= ?', (high,)))
    if asked.scenario:
        base.append(Clause("scenario_id = ?", (asked.scenario,)))
    search = words.read(asked.q)
    if wanted := search.to_fts():
        base.append(Clause("id IN (SELECT rowid FROM words WHERE words MATCH ?)", (wanted,)))
    if unwanted := search.unwanted():
        base.append(Clause("id NOT IN (SELECT rowid FROM words WHERE words MATCH ?)", (unwanted,)))
    return Condition(_all(base), chosen, search)


def _all(clauses: Iterable[Clause]) -> Clause:
    given = list(clauses)
    return Clause(
        " AND ".join(f"({clause.sql})" for clause in given) or "1",
        tuple(value for clause in given for value in clause.values),
    )


def _among(ids: Iterable[str]) -> Clause:
    return Clause("episode_id IN (SELECT value FROM json_each(?))", (json.dumps(sorted(ids)),))


def ordered(connection: sqlite3.Connection, given: Condition, sort: str) -> list[tuple[Any, int]]:
    """Return (what it is ordered by, id) of the episodes that fit, in no order."""
    column, whole = SORTS[sort][1], given.whole
    wanted = given.search.to_fts()
    if column == "rank" and wanted:
        rows = connection.execute(
            f"SELECT bm25(words), id FROM words JOIN episodes ON id = words.rowid WHERE words MATCH ? AND {whole.sql}",
            (wanted, *whole.values),
        )
    else:
        shown = "id" if column == "rank" else f'"{column}"'
        rows = connection.execute(f"SELECT {shown}, id FROM episodes WHERE {whole.sql}", whole.values)
    return [(row[0], row[1]) for row in rows]


def counts_of(
    connection: sqlite3.Connection,
    given: Condition,
    labelled: Mapping[str, frozenset[str]],
    names: Iterable[str],
) -> dict[str, dict[str, int]]:
    """Return filter → value → how many episodes have it and fit everything that is asked but the filter itself.

    Under "has", whose flags must all hold, stand those that fit all; under "" → "" how many these are. One statement,
    so that the search, much the dearest part, runs once: a table that several parts of one read, SQLite keeps.

    Args:
        connection: of the index. ``given``: the question.
        labelled: as in `condition`.
        names: filters to count, of `PLAIN`, `TAGS`, "label" and "has".
    """
    sql, values = _counting(given, labelled, names)
    found: dict[str, dict[str, int]] = {}
    for name, value, count in connection.execute(sql, values):
        if count and (value or not name):
            found.setdefault(name, {})[value] = count
    return found


def _counting(
    given: Condition, labelled: Mapping[str, frozenset[str]], names: Iterable[str]
) -> tuple[str, tuple[Any, ...]]:
    chosen = _all(given.chosen.values())
    flags = {name: sql for name, (_, sql) in FLAGS.items() if sql}
    columns = [
        "id",
        "episode_id",
        *(f'"{name}"' for name in PLAIN),
        *(f'{sql} AS "is {f}"' for f, sql in flags.items()),
    ]
    values = [*given.base.values, *chosen.values]
    tables = (
        f"WITH base AS (SELECT {', '.join(columns)} FROM episodes WHERE {given.base.sql}), "
        f"fit AS (SELECT * FROM base WHERE {chosen.sql}) "
    )
    arms = ["SELECT '', '', COUNT(*) FROM fit"]
    tagged = json.dumps([[label, each] for label, ids in labelled.items() for each in sorted(ids)])
    for name in names:
        if name == "has":
            arms += [f"""SELECT 'has', '{flag}', SUM("is {flag}") FROM fit""" for flag in flags]
            arms.append(f"SELECT 'has', 'labelled', COUNT(*) FROM fit WHERE {_among(()).sql}")
            values.append(json.dumps(sorted(labelled.get("", ()))))
            continue
        others = _all(clause for other, clause in given.chosen.items() if other != name)
        source = f"SELECT * FROM base WHERE {others.sql}" if name in given.chosen else "SELECT * FROM fit"
        inside = others.values if name in given.chosen else ()
        if name in PLAIN:
            arms.append(f"""SELECT '{name}', "{name}", COUNT(*) FROM ({source}) GROUP BY 2""")
            values += inside
        elif name in TAGS:
            arms.append(
                f"SELECT '{name}', value, COUNT(*) FROM tags WHERE kind = '{name}' "
                f"AND episode IN (SELECT id FROM ({source})) GROUP BY 2"
            )
            values += inside
        else:
            arms.append(
                f"SELECT 'label', json_extract(l.value, '$[0]'), COUNT(*) FROM json_each(?) AS l "
                f"JOIN ({source}) AS e ON e.episode_id = json_extract(l.value, '$[1]') GROUP BY 2"
            )
            values += [tagged, *inside]
    return tables + " UNION ALL ".join(arms), tuple(values)


def rows_of(connection: sqlite3.Connection, ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return id → the figures of an episode, with its tags and the place of its record."""
    marks = ", ".join("?" * len(ids))
    found = {
        row["id"]: {**row, "domain": [], "task": [], "tool": []}
        for row in connection.execute(
            f"SELECT e.*, f.name AS file_name, f.failures FROM episodes e JOIN files f ON f.id = e.file "
            f"WHERE e.id IN ({marks})",
            list(ids),
        )
    }
    for kind, value, number in connection.execute(
        f"SELECT kind, value, episode FROM tags WHERE episode IN ({marks}) ORDER BY kind, value", list(ids)
    ):
        found[number][kind].append(value)
    return found


def find(connection: sqlite3.Connection, episode_id: str) -> dict[str, Any] | None:
    """Return the row of an episode: of one that is recorded twice, the later one that was not broken."""
    row = connection.execute(
        "SELECT e.id FROM episodes e JOIN files f ON f.id = e.file WHERE episode_id = ? ORDER BY f.failures, e.id DESC",
        (episode_id,),
    ).fetchone()
    return rows_of(connection, [row[0]])[row[0]] if row else None
