"""How a wrong agent would have left one file: damaged forms of what the expert wrote.

A check that lets one of these pass would call a wrong answer right. Each form is one that matters whatever the
task is: a figure off by one, a line lost, the file empty or as it was. Forms that may be harmless are left
out: other code in programs, repeated lines outside tables, order where nobody asked for one.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

from ise_gym.foreign.values import Json

T = TypeVar("T")

MOST_FIGURES = 4
"""So many numbers of a file are put off by one, each by itself: the first, the last and some between."""

_NUMBER = re.compile(r"(?<![\w.#])\d+(?:\.\d+)?(?![\w%])(?!\.\d)")
_PROGRAMS = {".py", ".sh", ".bash", ".awk", ".sed", ".sql", ".js", ".pl", ".mk"}
_TABLES = {".csv", ".tsv", ".jsonl", ".ndjson"}
_ORDER = re.compile(
    r"\b(?:sort(?:ed|ing)?|order(?:ed)? (?:by|of)|in (?:\w+ )?order(?! to)|(?:alphabetical|chronological)(?:ly)?|"
    r"(?:a|de)scending|a[-–]z|newest|oldest|(?:largest|highest|smallest|lowest|longest) first)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Mutant:
    """A damaged form of one file.

    Attributes:
        kind: deleted, misnamed, empty, unedited, other, cut, figure, lost, doubled, swapped, kept or not-executable.
        what: how the file was left, to be read after its path.
        content: what the file then holds.
    """

    kind: str
    what: str
    content: bytes


def content_mutants(
    path: str, final: bytes, first: bytes | None = None, other: bytes | None = None, ordered: bool = False
) -> Iterator[Mutant]:
    """Yield the damaged forms of a file's content, all different from it.

    Args:
        path: decides by its suffix what the file is.
        final: what the expert left.
        first: what the file held before the request, None when it did not exist.
        other: what the expert left in this file in another instance.
        ordered: whether the user asked for an order.

    >>> forms = list(content_mutants("a.csv", b"n,x\\nann,7\\nbob,9\\n", ordered=True))
    >>> [mutant.what for mutant in forms][:3]
    ['is empty', "has '8' for '7' in line 2", "has '10' for '9' in line 3"]
    >>> [mutant.what for mutant in forms][3:]
    ['lacks line 3', 'has line 3 twice', 'has lines 2 and 3 swapped']
    """
    made = Counter([final])
    document = _document(final)
    for mutant in _all_forms(path, final, first, other, ordered):
        made[mutant.content] += 1
        # The same JSON with its keys in another order is not a wrong answer.
        same = document is not None and _document(mutant.content) == document
        if made[mutant.content] == 1 and not same:
            yield mutant


def _document(content: bytes) -> str | None:
    """Return a JSON document with its keys in order, as text: `1`, `1.0` and `true` are equal to Python only."""
    try:
        found = _parsed(content.decode("utf-8"))
    except UnicodeDecodeError:
        return None
    return None if found is None else json.dumps(found, sort_keys=True)


def _all_forms(
    path: str, final: bytes, first: bytes | None, other: bytes | None, ordered: bool
) -> Iterator[Mutant]:
    yield Mutant("empty", "is empty", b"")
    if first is not None:
        yield Mutant("unedited", "is as it was before", first)
    if is_program(path, final):
        return
    if other is not None and other != first:
        yield Mutant("other", "holds what another instance asks for", other)
    try:
        text = final.decode("utf-8")
    except UnicodeDecodeError:
        yield Mutant("cut", "ends in the middle", final[: len(final) // 2])
        return
    lines = text.split("\n")
    own = _written(lines, first)
    yield from _figures(lines, own)
    document = _parsed(text)
    if document is not None:
        yield from _list_forms(document, ordered)
        return
    rows = [at for at in own if re.search(r"\w", lines[at])]
    if len(rows) > 1:
        last = rows[-1]
        yield Mutant("lost", f"lacks line {last + 1}", _joined(lines[:last] + lines[last + 1 :]))
        if posixpath.splitext(path)[1] in _TABLES:
            doubled = lines[: last + 1] + lines[last:]
            yield Mutant("doubled", f"has line {last + 1} twice", _joined(doubled))
    if ordered:
        yield from _swapped(lines, rows[1:] if posixpath.splitext(path)[1] in _TABLES else rows)


def is_program(path: str, content: bytes) -> bool:
    """Return whether a file is code, in which a number or line may change without changing what it does."""
    name = posixpath.basename(path)
    return (
        posixpath.splitext(name)[1] in _PROGRAMS
        or content.startswith(b"#!")
        or name in ("Makefile", "Dockerfile")
    )


def asks_for_order(wordings: Sequence[str]) -> bool:
    """Return whether every wording asks for an order.

    >>> asks_for_order(["rows sorted by id", "in descending order"]), asks_for_order(["all orders", "sorted"])
    (True, False)
    """
    return all(_ORDER.search(text) for text in wordings)


def off_by_one(number: str) -> str:
    """Return a number's text one further in its last place.

    >>> off_by_one("41"), off_by_one("12.50"), off_by_one("007"), off_by_one("99.9")
    ('42', '12.51', '008', '100.0')
    """
    whole, dot, places = number.partition(".")
    digits = str(int(whole + places) + 1).zfill(len(whole + places))
    return f"{digits[: -len(places)]}.{places and digits[-len(places) :]}" if dot else digits


def figure_forms(text: str, most: int = MOST_FIGURES) -> Iterator[tuple[str, str, str]]:
    """Yield (text with one number off by one, the number, what it became) for some numbers of a text."""
    for match in _spread(list(_NUMBER.finditer(text)), most):
        changed = off_by_one(match[0])
        yield text[: match.start()] + changed + text[match.end() :], match[0], changed


def _figures(lines: Sequence[str], own: Sequence[int]) -> Iterator[Mutant]:
    places = [(at, match) for at in own for match in _NUMBER.finditer(lines[at])]
    for at, match in _spread(places, MOST_FIGURES):
        changed, line = off_by_one(match[0]), lines[at]
        damaged = [*lines[:at], line[: match.start()] + changed + line[match.end() :], *lines[at + 1 :]]
        yield Mutant("figure", f"has {changed!r} for {match[0]!r} in line {at + 1}", _joined(damaged))


def _written(lines: Sequence[str], first: bytes | None) -> list[int]:
    """Return which lines were not there before."""
    old = Counter((first or b"").decode("utf-8", "replace").split("\n"))
    own = []
    for at, line in enumerate(lines):
        if old[line]:
            old[line] -= 1
        elif line:
            own.append(at)
    return own


def _parsed(text: str) -> Any:
    """Return a JSON object or list, None for any other text."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


def _list_forms(document: Json, ordered: bool) -> Iterator[Mutant]:
    """Damage the first list of a JSON document that has two items."""

    def dumped() -> bytes:
        return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"

    at, found = next(((at, items) for at, items in _lists(document) if len(items) > 1), ("", []))
    if not found:
        return
    place = f"at {at}" if at else "of the whole"
    last = found.pop()
    yield Mutant("lost", f"lacks the last item of the list {place}", dumped())
    found.append(last)
    if ordered and found[0] != found[1]:
        found[0], found[1] = found[1], found[0]
        yield Mutant("swapped", f"has the first two items of the list {place} swapped", dumped())


def _lists(value: Json, at: str = "") -> Iterator[tuple[str, list[Any]]]:
    if isinstance(value, list):
        yield at, value
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in pairs:
        yield from _lists(item, f"{at}.{key}".lstrip("."))


def _swapped(lines: Sequence[str], rows: Sequence[int]) -> Iterator[Mutant]:
    """Swap the first and the last pair of neighbouring rows that differ."""
    pairs = [(a, b) for a, b in pairwise(rows) if b == a + 1 and lines[a] != lines[b]]
    for a, b in dict.fromkeys(pairs[:1] + pairs[-1:]):
        damaged = list(lines)
        damaged[a], damaged[b] = damaged[b], damaged[a]
        yield Mutant("swapped", f"has lines {a + 1} and {b + 1} swapped", _joined(damaged))


def _spread(items: Sequence[T], most: int) -> list[T]:
    """Return at most so many of the items, evenly spread, first and last among them."""
    if len(items) <= most:
        return list(items)
    return [items[round(n * (len(items) - 1) / (most - 1))] for n in range(most)]


def _joined(lines: Sequence[str]) -> bytes:
    return "\n".join(lines).encode()
