"""Answers from one store's index: which episodes fit, what they are, and how they are spread."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ise_gym.foreign.values import Json
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
class Condition:
    """A condition on ``episodes``, with its values, and the search that it holds."""

    sql: str
    values: tuple[Any, ...]
    search: words.Search


def condition(asked: Asked, labelled: Mapping[str, frozenset[str]]) -> Condition:
    """Return what a question asks of one store.

    Args:
        asked: the question; its ``store`` is the caller's affair.
        labelled: label → ids of the episodes that have it; "" → of all that have any note or label.
    """
    parts, values = [_SHOWN], list[Any]()

    def add(sql: str, *more: Json) -> None:
        parts.append(sql)
        values.extend(more)

    for name, chosen in asked.chosen:
        marks = ", ".join("?" * len(chosen))
        if name in PLAIN:
            add(f'"{name}" IN ({marks})', *chosen)
        elif name in TAGS:
            add(f"id IN (SELECT episode FROM tags WHERE kind = ? AND value IN ({marks}))", name, *chosen)
        elif name == "label":
            _among(add, frozenset().union(*(labelled.get(label, frozenset()) for label in chosen)))
    for flag in asked.flags:
        if flag == "labelled":
            _among(add, labelled.get("", frozenset()))
        else:
            add(FLAGS[flag][1])
    for name, low, high in asked.ranges:
        if low is not None:
            add(f'"{name}" >= ?', low)
        if high is not None:
            add(f'"{name}" <= ?', high)
    if asked.scenario:
        add("scenario_id = ?", asked.scenario)
    search = words.read(asked.q)
    if wanted := search.to_fts():
        add("id IN (SELECT rowid FROM words WHERE words MATCH ?)", wanted)
    if unwanted := search.unwanted():
        add("id NOT IN (SELECT rowid FROM words WHERE words MATCH ?)", unwanted)
    return Condition(" AND ".join(f"({part})" for part in parts), tuple(values), search)


def _among(add: Callable[..., None], ids: Iterable[str]) -> None:
    add("episode_id IN (SELECT value FROM json_each(?))", json.dumps(sorted(ids)))


def ordered(connection: sqlite3.Connection, given: Condition, sort: str) -> list[tuple[Any, int]]:
    """Return (what it is ordered by, id) of the episodes that fit, in no order."""
    column = SORTS[sort][1]
    wanted = given.search.to_fts()
    if column == "rank" and wanted:
        rows = connection.execute(
            f"SELECT bm25(words), id FROM words JOIN episodes ON id = words.rowid WHERE words MATCH ? AND {given.sql}",
            (wanted, *given.values),
        )
    else:
        shown = "id" if column == "rank" else f'"{column}"'
        rows = connection.execute(f"SELECT {shown}, id FROM episodes WHERE {given.sql}", given.values)
    return [(row[0], row[1]) for row in rows]


def spread(connection: sqlite3.Connection, name: str, given: Condition) -> dict[str, int]:
    """Return value → how many fitting episodes have it."""
    if name in PLAIN:
        sql = f'SELECT "{name}", COUNT(*) FROM episodes WHERE {given.sql} GROUP BY 1'
        values = given.values
    else:
        sql = (
            "SELECT value, COUNT(*) FROM tags WHERE kind = ? AND episode IN "
            f"(SELECT id FROM episodes WHERE {given.sql}) GROUP BY 1"
        )
        values = (name, *given.values)
    return {value: count for value, count in connection.execute(sql, values) if value}


def flagged(connection: sqlite3.Connection, given: Condition) -> dict[str, int]:
    """Return flag → how many fitting episodes have it; what labels say is left out."""
    names = [name for name, (_, sql) in FLAGS.items() if sql]
    sums = ", ".join(f"SUM({FLAGS[name][1]})" for name in names)
    row = connection.execute(f"SELECT {sums} FROM episodes WHERE {given.sql}", given.values).fetchone()
    return {name: int(row[at] or 0) for at, name in enumerate(names)}


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
