"""Where in a file a hunk of a patch belongs: by its context, narrowed by the ``@@`` lines before it.

A wrong guess goes unnoticed, so a hunk that fits several places is refused with what would tell them apart. ``@@``
lines that follow each other narrow: ``@@ class Toaster:`` and ``@@ def run(self):`` mean the ``run`` inside that class.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise


class PatchError(Exception):
    """A patch that can't be read or doesn't fit; ``kind`` is bad_patch, no_match or many_matches."""

    def __init__(self, message: str, kind: str = "bad_patch") -> None:
        super().__init__(message)
        self.kind = kind


class Lines:
    """The lines of a file without their ends, to look lines and runs of lines up in."""

    def __init__(self, bare: Sequence[str]) -> None:
        self.bare = list(bare)
        self._exact = _positions(self.bare)
        self._trimmed = [line.rstrip() for line in self.bare]
        self._right = _positions(self._trimmed)
        self._both = _positions([line.strip() for line in self.bare])

    def __len__(self) -> int:
        return len(self.bare)

    def like(self, anchor: str, begin: int, end: int) -> list[int]:
        """Return where a line stands in ``[begin, end)``: exactly, else without regard to blanks at its ends."""
        return _between(self._exact.get(anchor, ()), begin, end) or _between(
            self._both.get(anchor.strip(), ()), begin, end
        )

    def runs(self, old: Sequence[str], begin: int) -> list[int]:
        """Return where a run of lines begins from ``begin`` on: exactly, else without regard to trailing blanks."""
        return _runs(self.bare, self._exact, old, begin) or _runs(
            self._trimmed, self._right, [line.rstrip() for line in old], begin
        )

    def block_end(self, at: int) -> int:
        """Return where the block that a line opens ends: at the next line that is not indented more than it."""
        depth = _indent(self.bare[at])
        for index in range(at + 1, len(self.bare)):
            line = self.bare[index]
            if line.strip() and _indent(line) <= depth:
                return index
        return len(self.bare)


def place(
    lines: Lines, anchors: Sequence[str], old: Sequence[str], done: int, at_end: bool, label: str
) -> int:
    """Return the index of the first line that a hunk is about.

    Args:
        lines: the file.
        anchors: its ``@@`` lines, the widest first; none where the context alone decides.
        old: the lines that must be there; none for a pure insertion.
        done: what lies before belongs to earlier hunks.
        at_end: the hunk's lines are the last of the file.
        label: names the hunk in errors.

    Raises:
        PatchError: no_match or many_matches.
    """
    if not anchors:
        if not old:
            return len(lines)
        found = _at_end(lines, old, lines.runs(old, done), at_end)
        return _only(
            found, old, label, "Add lines of context, or an @@ line with the function or class above it"
        )
    tops = _anchored(lines, anchors, done, label)
    if not old:
        if at_end:
            return len(lines)
        how = "Add an @@ line before it with the class or section that it is in, or context lines below it"
        return _only([top + 1 for top in tops], [anchors[-1]], f"{label}: its @@ line", how)
    # the anchor may be repeated as the first line of context
    repeated = old[0].strip() == anchors[-1].strip()
    found = _at_end(lines, old, lines.runs(old, tops[0] if repeated else tops[0] + 1), at_end)
    inside: list[int] = []
    after: list[int] = []
    for top, following in pairwise([*tops, len(lines)]):
        own = _between(found, top if repeated else top + 1, following)
        block = _between(own, top, lines.block_end(top)) if own else []
        inside += block
        after += own if not block else []
    how = "Add lines of context, or one more @@ line before it with the class or section that it is in"
    return _only(inside or after, old, label, how)


def _anchored(lines: Lines, anchors: Sequence[str], done: int, label: str) -> list[int]:
    """Return where the last of some anchors stands, each inside what the one before it opens."""
    ranges = [(done, len(lines))]
    tops: list[int] = []
    for anchor in anchors:
        tops = sorted({top for begin, end in ranges for top in lines.like(anchor, begin, end)})
        if not tops and ranges:
            # flat text has no blocks: what follows, up to the next line of the same kind
            edges = [begin for begin, _ in ranges] + [len(lines)]
            tops = sorted({top for begin, end in pairwise(edges) for top in lines.like(anchor, begin, end)})
        if not tops:
            raise PatchError(f"{label}: its @@ line was not found: {anchor!r}", "no_match")
        ranges = [(top + 1, lines.block_end(top)) for top in tops]
    return tops


def _only(places: Sequence[int], old: Sequence[str], label: str, how: str) -> int:
    if not places:
        raise PatchError(f"{label} was not found in the file; its first line is {old[0]!r}", "no_match")
    if len(places) > 1:
        where = ", ".join(str(place + 1) for place in places[:5])
        raise PatchError(f"{label} fits {len(places)} places (lines {where}). {how}", "many_matches")
    return places[0]


def _at_end(lines: Lines, old: Sequence[str], places: Sequence[int], at_end: bool) -> list[int]:
    return [place for place in places if not at_end or place == len(lines) - len(old)]


def _positions(lines: Sequence[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for index, line in enumerate(lines):
        found.setdefault(line, []).append(index)
    return found


def _between(places: Sequence[int], begin: int, end: int) -> list[int]:
    return list(places[bisect_left(places, begin) : bisect_left(places, end)])


def _runs(lines: Sequence[str], known: dict[str, list[int]], old: Sequence[str], begin: int) -> list[int]:
    # the line that occurs least often decides where it is worth looking
    rarest = min(range(len(old)), key=lambda i: len(known.get(old[i], ())))
    starts = (place - rarest for place in known.get(old[rarest], ()))
    last = len(lines) - len(old)
    return [
        start for start in starts if begin <= start <= last and lines[start : start + len(old)] == list(old)
    ]


def _indent(line: str) -> int:
    return len(line.expandtabs(4)) - len(line.expandtabs(4).lstrip())
