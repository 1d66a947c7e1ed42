"""What somebody typed into the search field: as an expression for SQLite's FTS5, and as marks in a text that was found.

Words are looked for by their beginnings, all of them; "quoted words" stand beside each other as they are; ``-word`` is
not there; ``a OR b`` is one of both; ``user:``, ``agent:``, ``thought:``, ``call:``, ``result:`` and ``about:``
say where.
Nothing that is typed reaches SQLite as syntax.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

COLUMNS = ("user", "agent", "thought", "call", "result", "about")
"""What is searched apart: said by the user, by the agent, its reasoning, arguments of calls, results, all about it."""
BREAK = "\ue000"
"""Stands between two messages in the index, so that no phrase reaches over both."""
LONGEST = 400
"""Characters of a search that are read."""
MOST_TERMS = 24

_PART = re.compile(r'(-?)(?:(\w+):)?(?:"([^"]*)"?|(\S+))')
_TOKEN = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Term:
    """Tokens that stand beside each other. ``prefix``: the last one may go on. ``column``: "" is any."""

    tokens: tuple[str, ...]
    prefix: bool
    column: str = ""

    def to_fts(self) -> str:
        """Return the term as FTS5 has it."""
        phrase = '"' + " ".join(self.tokens) + '"' + ("*" if self.prefix else "")
        return f'{{"{self.column}"}} : {phrase}' if self.column else phrase

    def pattern(self) -> str:
        """Return the term as a pattern over `folded` text; between tokens anything that is none."""
        parts = [re.escape(token) for token in self.tokens]
        return r"(?<![^\W_])" + r"[\W_]+".join(parts) + (r"[^\W_]*" if self.prefix else r"(?![^\W_])")


@dataclass(frozen=True)
class Search:
    """A search: all of ``groups``, of each group any term; none of ``without``."""

    groups: tuple[tuple[Term, ...], ...] = ()
    without: tuple[Term, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.groups or self.without)

    def to_fts(self) -> str:
        """Return the wanted part for ``MATCH``; "" where there is none."""
        return " AND ".join("(" + " OR ".join(term.to_fts() for term in group) + ")" for group in self.groups)

    def unwanted(self) -> str:
        """Return what must not match; "" where all may."""
        return " OR ".join(term.to_fts() for term in self.without)

    def marker(self, column: str) -> Marker:
        """Return what finds and marks the wanted terms in texts of a column."""
        terms = [t for group in self.groups for t in group if t.column in ("", column)]
        return Marker(re.compile("|".join(term.pattern() for term in terms)) if terms else None)


class Marker:
    """Finds the terms of a search in one kind of text."""

    def __init__(self, pattern: re.Pattern[str] | None) -> None:
        self._pattern = pattern

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return where terms stand, in order."""
        if self._pattern is None or not text:
            return []
        return [match.span() for match in self._pattern.finditer(folded(text)) if match.end() > match.start()]

    def marked(self, text: str) -> Markup:
        """Return a text as HTML, everything escaped, its hits in ``<mark>``."""
        return marked(text, self.spans(text))

    def excerpt(self, text: str, around: int = 70) -> Markup:
        """Return the surroundings of the first hit, on one line; empty where there is none."""
        spans = self.spans(text)
        if not spans:
            return Markup("")
        begin, end = max(spans[0][0] - around, 0), min(spans[0][1] + 2 * around, len(text))
        inside = [(a - begin, b - begin) for a, b in spans if begin <= a and b <= end]
        shown = marked(text[begin:end], inside)
        return Markup("{}{}{}").format("…" if begin else "", shown, "…" if end < len(text) else "")


def marked(text: str, spans: Sequence[tuple[int, int]]) -> Markup:
    """Return a text as HTML with these parts in ``<mark>``.

    >>> marked("a <b> c", [(3, 4)])
    Markup('a &lt;<mark>b</mark>&gt; c')
    """
    parts, at = [], 0
    for begin, end in spans:
        parts += [escape(text[at:begin]), Markup("<mark>"), escape(text[begin:end]), Markup("</mark>")]
        at = end
    return Markup("").join([*parts, escape(text[at:])])


def folded(text: str) -> str:
    """Return a text without case and diacritics, character by character, as the index has it; as long as it was.

    >>> folded("Größe É")
    'große e'
    """
    if text.isascii():
        return text.lower()
    return "".join(map(_fold, text))


def _fold(char: str) -> str:
    if char < "\x80":
        return char.lower()
    first = unicodedata.normalize("NFD", char)[0].lower()
    return first if len(first) == 1 else char


def read(text: str) -> Search:
    """Read what was typed; words without a letter or digit in them say nothing.

    >>> read('retry "exit code" -user:thanks').to_fts()
    '("retry"*) AND ("exit code")'
    >>> read("log OR csv").to_fts()
    '("log"* OR "csv"*)'
    """
    groups: list[tuple[Term, ...]] = []
    without: list[Term] = []
    joined = False
    for minus, column, quoted, bare in _PART.findall(text[:LONGEST].replace(BREAK, " "))[:MOST_TERMS]:
        if bare == "OR" and not minus and not column:
            joined = bool(groups)
            continue
        if column and column not in COLUMNS:
            bare, column = (f"{column}:{quoted or bare}", "")
            quoted = ""
        tokens = tuple(_TOKEN.findall(folded(quoted or bare)))
        if not tokens:
            continue
        term = Term(tokens, prefix=not quoted, column=column)
        if minus:
            without.append(term)
        elif joined:
            groups[-1] = (*groups[-1], term)
        else:
            groups.append((term,))
        joined = False
    return Search(tuple(groups), tuple(without))
