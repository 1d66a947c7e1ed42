"""The filters of task files' expressions beside Jinja's own: figures, dates, paths and tables as authors need them.

Each is a plain function of its input. Jinja's ``random`` filter is taken away: an expression must give the
same text each time, so everything drawn is a parameter.
"""

from __future__ import annotations

import csv
import datetime
import hashlib
import io
import json
import posixpath
import re
import shlex
import statistics
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ise_gym.foreign.values import Json

_UNDECOMPOSED = str.maketrans(
    {"ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "ß": "ss", "đ": "d", "Đ": "D", "ı": "i", "æ": "ae", "Æ": "Ae",
     "œ": "oe", "þ": "th", "ð": "d", "’": "", "'": ""}
)  # fmt: skip


def to_ascii(text: str) -> str:
    """Spell Latin letters without marks, as mail addresses and file names need them.

    >>> to_ascii("Søren Núñez")
    'Soren Nunez'
    """
    plain = unicodedata.normalize("NFKD", text.translate(_UNDECOMPOSED))
    return "".join(c for c in plain if ord(c) < 128)


def slug(text: Json) -> str:
    """Lower-case ASCII words joined by hyphens.

    >>> slug("Zürich: North & South")
    'zurich-north-south'
    """
    return re.sub(r"[^a-z0-9]+", "-", to_ascii(str(text)).lower()).strip("-")


def cell(value: Json) -> str:
    """Print one CSV cell: ``true``/``false`` for booleans, nothing for None, numbers as Python does."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def to_csv(
    rows: Iterable[Mapping[str, Json]], columns: Sequence[str] | None = None, delimiter: str = ","
) -> str:
    """Write dicts as CSV text with a header and ``\\n`` line ends; columns default to the first row's keys.

    >>> to_csv([{"id": "A-1", "ok": True}])
    'id,ok\\nA-1,true\\n'
    """
    table = list(rows)
    names = list(columns) if columns is not None else list(table[0]) if table else []
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n", delimiter=delimiter)
    writer.writerow(names)
    writer.writerows([cell(row[name]) for name in names] for row in table)
    return out.getvalue()


def to_json(value: Json, indent: int | None = None, sort_keys: bool = False) -> str:
    """Dump JSON as it is (Jinja's own escapes ``<``, ``>``, ``&`` and ``'`` for HTML).

    >>> to_json({"a": "<é>"})
    '{"a": "<é>"}'
    """
    return json.dumps(value, indent=indent, sort_keys=sort_keys, ensure_ascii=False)


def from_json(text: str) -> Any:
    """Parse JSON: the way to build a list or dict with a loop.

    >>> from_json('[1, {"a": true}]')
    [1, {'a': True}]
    """
    return json.loads(text)


def money(value: float) -> str:
    """Two decimals, no grouping.

    >>> money(3)
    '3.00'
    """
    return f"{value:.2f}"


def sha256(text: Json) -> str:
    """Return the hex SHA-256 of a text's UTF-8 bytes."""
    return hashlib.sha256(str(text).encode()).hexdigest()


def lines(text: str) -> list[str]:
    """Return the lines of a text."""
    return text.splitlines()


def mean(values: Iterable[float]) -> float:
    """Return the arithmetic mean of at least one number."""
    return statistics.fmean(values)


def median(values: Iterable[float]) -> float:
    """Return the median of at least one number."""
    return statistics.median(values)


def add_days(day: str, days: int) -> str:
    """Move an ISO date.

    >>> add_days("2025-12-31", 1)
    '2026-01-01'
    """
    return (datetime.date.fromisoformat(day) + datetime.timedelta(days=int(days))).isoformat()


def weekday(day: str) -> str:
    """Return the English name of an ISO date's weekday.

    >>> weekday("2025-01-01")
    'Wednesday'
    """
    names = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    return names[datetime.date.fromisoformat(day).weekday()]


def sort_by(rows: Iterable[Json], *keys: str, reverse: bool = False) -> list[Any]:
    """Sort dicts by one or several keys, exactly (Jinja's ``sort`` ignores case).

    >>> sort_by([{"a": 2}, {"a": 1}], "a")
    [{'a': 1}, {'a': 2}]
    """
    rest = list(keys)
    if rest and isinstance(rest[-1], bool):
        reverse = bool(rest.pop())
    return sorted(rows, key=lambda row: tuple(row[key] for key in rest), reverse=reverse)


def where(rows: Iterable[Mapping[str, Json]], key: str, value: Json) -> list[Any]:
    """Keep the dicts whose ``key`` equals ``value``."""
    return [row for row in rows if row[key] == value]


def pluck(rows: Iterable[Mapping[str, Json]], *keys: str) -> list[Any]:
    """Take one key of each dict as a list; several keys give smaller dicts.

    >>> pluck([{"a": 1, "b": 2}], "a")
    [1]
    >>> pluck([{"a": 1, "b": 2, "c": 3}], "a", "c")
    [{'a': 1, 'c': 3}]
    """
    if len(keys) == 1:
        return [row[keys[0]] for row in rows]
    return [{key: row[key] for key in keys} for row in rows]


def zip_with(first: Iterable[Json], second: Iterable[Json]) -> list[list[Any]]:
    """Pair two lists of one length."""
    return [list(pair) for pair in zip(first, second, strict=True)]


def counts(values: Iterable[Json]) -> dict[Any, int]:
    """Count values: most first, equal counts in order of value.

    >>> counts(["b", "a", "a", "c"])
    {'a': 2, 'b': 1, 'c': 1}
    """
    found: dict[Any, int] = {}
    for value in values:
        found[value] = found.get(value, 0) + 1
    return dict(sorted(found.items(), key=lambda item: (-item[1], str(item[0]))))


def but_with(mapping: Mapping[str, Json], **changes: object) -> dict[str, Any]:
    """Copy a dict with some keys changed or added.

    >>> but_with({"a": 1}, b=2)
    {'a': 1, 'b': 2}
    """
    return {**mapping, **changes}


FILTERS: dict[str, Callable[..., Any]] = {
    "add_days": add_days,
    "ascii": to_ascii,
    "basename": posixpath.basename,
    "but_with": but_with,
    "counts": counts,
    "csv": to_csv,
    "dirname": posixpath.dirname,
    "fromjson": from_json,
    "lines": lines,
    "mean": mean,
    "median": median,
    "money": money,
    "pluck": pluck,
    "quote": lambda value: shlex.quote(str(value)),
    "sha256": sha256,
    "slug": slug,
    "sort_by": sort_by,
    "tojson": to_json,
    "weekday": weekday,
    "where": where,
    "zip_with": zip_with,
}
