"""Recorded text on its way into a page: escaped, bounded, its hits marked, and what does not show made visible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup, escape

from ise_gym.view.index.words import COLUMNS, Marker, Search

LINES = 14
CHARACTERS = 3_000
MOST = 400_000
"""Characters of one text that a page shows at all; the raw record has the rest."""

_VISIBLE = {n: 0x2400 + n for n in range(32) if n not in (9, 10)}
_VISIBLE |= {
    0x7F: 0x2421,
    **dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F), 0x2370),
}


def visible(text: str) -> str:
    """Return a text of the same length in which control characters, and those that turn the direction, are signs."""
    return text if text.isprintable() else text.translate(_VISIBLE)


@dataclass(frozen=True)
class Shown:
    """A text in a page: ``html`` of what is shown, ``lines`` of all, and whether something is left out."""

    html: Markup
    lines: int
    cut: bool
    hits: int


class Marks:
    """Marks the hits of one search in texts of every column."""

    def __init__(self, search: Search) -> None:
        self._markers: Mapping[str, Marker] = {column: search.marker(column) for column in COLUMNS}

    def marked(self, column: str, text: str) -> Markup:
        """Return a whole text as HTML."""
        return self._markers[column].marked(visible(text[:MOST]))

    def hits(self, column: str, text: str) -> int:
        """Return how often the search stands in a text."""
        return len(self._markers[column].spans(text[:MOST]))

    def excerpt(self, column: str, text: str) -> Markup:
        """Return the surroundings of the first hit; empty without one."""
        return self._markers[column].excerpt(visible(text))

    def shown(self, column: str, text: str, *, full: bool = False) -> Shown:
        """Return the beginning of a text as HTML; all of it where a hit lies beyond."""
        clear = visible(text[:MOST])
        spans = self._markers[column].spans(clear)
        end = len(clear) if full else _end(clear)
        if spans and spans[-1][1] > end:
            end = len(clear)
        html = self._markers[column].marked(clear[:end])
        return Shown(html, clear.count("\n") + 1, end < len(text), len(spans))


def _end(text: str) -> int:
    at = -1
    for _ in range(LINES):
        at = text.find("\n", at + 1)
        if at < 0:
            return min(len(text), CHARACTERS) if len(text) > CHARACTERS + 400 else len(text)
    if text.count("\n", at) <= 3 and len(text) <= CHARACTERS:  # a button would be as long
        return len(text)
    return min(at, CHARACTERS)


def diff_html(diff: str) -> Markup:
    """Return a unified diff as lines with classes."""
    parts = []
    for line in diff.split("\n"):
        kind = {"+": "add", "-": "del", "@": "at"}.get(line[:1], "same")
        parts.append(Markup('<span class="{}">{}\n</span>').format(kind, escape(visible(line))))
    return Markup("").join(parts)
