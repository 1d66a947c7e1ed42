"""`edit`: exact replacements in one file, all of them or none.

A replacement that matches nothing or several places is the commonest mistake of a model that edits, so the
error says which it was, how often, and what the nearest line really looks like.
"""

from __future__ import annotations

import difflib
import heapq
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Required, TypedDict

from ise_gym.tools.base import Tool, ToolContext, ToolOutcome
from ise_gym.tools.files.encoded import TooLargeError, editable_text, encoding_problem
from ise_gym.tools.output import failure, in_box_path, os_failure, path_problem
from ise_gym.tools.schema import function_tool

_BOM = "\ufeff"
_HINT_LINES = 5000
_HINT_WIDTH = 160
_HINT_CANDIDATES = 20
_MOST_PLACES = 100
MOST_EDITS = 100
"""Replacements of one call."""
_TWO_WAYS = (
    'send {"path": …, "oldText": …, "newText": …} for one replacement, '
    'or {"path": …, "edits": [{"oldText": …, "newText": …}, …]} for several'
)


class EditPair(TypedDict):
    """What is replaced by what."""

    oldText: str
    newText: str


class EditArguments(TypedDict, total=False):
    """Arguments of `edit`: one pair, or several."""

    path: Required[str]
    oldText: str
    newText: str
    edits: list[EditPair]


class EditError(Exception):
    """An edit that can't be applied; ``kind`` is no_match, many_matches, overlap or bad_arguments."""

    def __init__(self, message: str, kind: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True)
class Replacement:
    """Replace the one place where ``old`` stands by ``new``."""

    old: str
    new: str


def apply_edits(text: str, edits: Sequence[Replacement]) -> tuple[str, list[int]]:
    """Apply replacements to a text, each matched against the original.

    In a text with CRLF line ends ``\\n`` in ``old`` matches CRLF too, and line ends of ``new`` follow the
    text's majority. A byte-order mark at the start is not part of the text to match, and is kept.

    Args:
        text: the original.
        edits: at least one; they must not overlap.

    Returns:
        The new text, and the 1-based line at which each replacement began, in the order of ``edits``.

    Raises:
        EditError: no match, several matches, overlapping edits, an empty or unchanged replacement.

    >>> apply_edits("a = 1\\nb = 2\\n", [Replacement("b = 2", "b = 3")])
    ('a = 1\\nb = 3\\n', [2])
    """
    bom, body = (_BOM, text[1:]) if text.startswith(_BOM) else ("", text)
    carriage = "\r\n" in body
    flat = body.replace("\r\n", "\n") if carriage else body
    spans: list[tuple[int, int, int, str]] = []
    for number, edit in enumerate(edits, 1):
        label = f"edit {number}: " if len(edits) > 1 else ""
        old = edit.old.replace("\r\n", "\n") if carriage else edit.old
        if not old:
            raise EditError(f"{label}oldText is empty", "bad_arguments")
        if edit.old == edit.new:
            raise EditError(f"{label}oldText and newText are the same", "bad_arguments")
        places = _occurrences(flat, old)
        if not places:
            raise EditError(f"{label}oldText was not found.{_hint(flat, old)}", "no_match")
        if len(places) > 1:
            raise EditError(
                f"{label}oldText was found {_count(places)} times ({_line_list(flat, places)}); it must be unique. "
                "Add lines around it.",
                "many_matches",
            )
        spans.append((places[0], places[0] + len(old), number, edit.new))
    lines = [flat.count("\n", 0, start) + 1 for start, *_ in spans]
    spans.sort()
    for before, after in pairwise(spans):
        if after[0] < before[1]:
            raise EditError(f"edits {before[2]} and {after[2]} overlap; join them into one", "overlap")
    original = _OffsetMap(body) if carriage else None
    majority_crlf = carriage and body.count("\r\n") * 2 > body.count("\n")
    parts, end = [bom], 0
    for start, stop, _, new in spans:
        if original is not None:
            start, stop = original[start], original[stop]
            if majority_crlf:
                new = new.replace("\r\n", "\n").replace("\n", "\r\n")
        parts += [body[end:start], new]
        end = stop
    parts.append(body[end:])
    return "".join(parts), lines


class _OffsetMap:
    """Maps an offset in a text whose CRLF were made LF to the offset in the text itself."""

    def __init__(self, body: str) -> None:
        self.breaks: list[int] = []  # flat offsets of the LF that were CRLF
        position = body.find("\r\n")
        while position >= 0:
            self.breaks.append(position - len(self.breaks))
            position = body.find("\r\n", position + 2)

    def __getitem__(self, offset: int) -> int:
        return offset + bisect_left(self.breaks, offset)


def _occurrences(text: str, part: str) -> list[int]:
    """Return where ``part`` begins, overlapping places included; no more than one over `_MOST_PLACES`."""
    places: list[int] = []
    position = text.find(part)
    while position >= 0 and len(places) <= _MOST_PLACES:
        places.append(position)
        position = text.find(part, position + 1)
    return places


def _count(places: Sequence[int]) -> str:
    return str(len(places)) if len(places) <= _MOST_PLACES else f"more than {_MOST_PLACES}"


def _line_list(text: str, places: Sequence[int], most: int = 5) -> str:
    numbers = [str(text.count("\n", 0, place) + 1) for place in places[:most]]
    return f"lines {', '.join(numbers)}{', …' if len(places) > most else ''}"


def _hint(text: str, old: str) -> str:
    """Point at the line that comes nearest to what was looked for."""
    wanted = next((line for line in old.split("\n") if line.strip()), "")
    lines = text.split("\n")[:_HINT_LINES]
    if not wanted:
        return ""
    if "\n" not in old or wanted not in lines:
        squeezed = " ".join(wanted.split())
        for number, line in enumerate(lines, 1):
            if squeezed and line != wanted and " ".join(line.split()) == squeezed:
                return f" Line {number} differs only in whitespace: {_quoted(line)}"
        if close := _nearest(wanted[:_HINT_WIDTH], [line[:_HINT_WIDTH] for line in lines if line.strip()]):
            number = next(n for n, line in enumerate(lines, 1) if line[:_HINT_WIDTH] == close)
            return f" The nearest is line {number}: {_quoted(lines[number - 1])}"
        return ""
    return f" Its first line stands at line {lines.index(wanted) + 1}, but the lines after it differ."


def _nearest(wanted: str, lines: Sequence[str], cutoff: float = 0.6) -> str:
    """Return the most similar line, "" when none is; `difflib.get_close_matches` with a bound on what is compared."""
    matcher = difflib.SequenceMatcher()
    matcher.set_seq2(wanted)
    rough: list[tuple[float, str]] = []
    for line in dict.fromkeys(lines):
        matcher.set_seq1(line)
        if matcher.real_quick_ratio() >= cutoff and (likeness := matcher.quick_ratio()) >= cutoff:
            rough.append((likeness, line))
    best = (cutoff, "")
    for _, line in heapq.nlargest(_HINT_CANDIDATES, rough):
        matcher.set_seq1(line)
        best = max(best, (matcher.ratio(), line))
    return best[1]


def _quoted(line: str) -> str:
    return repr(line if len(line) <= _HINT_WIDTH else line[:_HINT_WIDTH] + "…")


def edit(context: ToolContext, arguments: EditArguments) -> ToolOutcome:
    """Run the tool: both the flat form (oldText, newText) and the list form (edits)."""
    path = arguments["path"]
    if problem := path_problem(path):
        return failure(f"edit: {problem}", "bad_arguments")
    try:
        edits = _wanted(arguments)
    except EditError as error:
        return failure(f"edit: {error}", error.kind)
    try:
        before = editable_text(context.workspace, path)
        for one in edits:
            if problem := encoding_problem(before, one.new):
                raise EditError(problem, "encoding")
        after, lines = apply_edits(before, edits)
        context.workspace.write(in_box_path(path), after.encode("utf-8", "surrogateescape"))
    except EditError as error:
        return failure(f"edit: {path}: {error} Nothing was changed.", error.kind)
    except TooLargeError as error:
        return failure(f"edit: {path}: {error}", "too_large")
    except OSError as error:
        return os_failure("edit", path, error)
    where = ", ".join(map(str, lines))
    return ToolOutcome(
        f"Edited {path} at line {where}" if len(lines) == 1 else f"Edited {path} at lines {where}",
        success=True,
    )


def _wanted(arguments: EditArguments) -> list[Replacement]:
    """Return the replacements that a call means, in whichever of the two forms it says them.

    Raises:
        EditError: neither form is whole, or the two say different things.
    """
    listed = [Replacement(pair["oldText"], pair["newText"]) for pair in arguments.get("edits", ())]
    old, new = arguments.get("oldText"), arguments.get("newText")
    if len(listed) > MOST_EDITS:
        raise EditError(
            f"{len(listed)} edits are too many for one call (at most {MOST_EDITS})", "bad_arguments"
        )
    if listed and not old:  # an empty oldText is not a replacement: the list is what is meant
        return list(dict.fromkeys(listed))
    if old is None or new is None:
        missing = "oldText" if old is None else "newText"
        raise EditError(f"{missing} is missing: {_TWO_WAYS}", "bad_arguments")
    if listed and Replacement(old, new) not in listed:
        raise EditError(f"oldText/newText and edits say different things: {_TWO_WAYS}", "bad_arguments")
    return list(dict.fromkeys(listed)) or [Replacement(old, new)]


_OLD_NEW = {
    "oldText": {"type": "string", "description": "Exact text, must occur once"},
    "newText": {"type": "string"},
}

EDIT = Tool(
    function_tool(
        "edit",
        "Replace exact text in a file: oldText/newText, or several at once in edits.",
        {
            "path": {"type": "string"},
            **_OLD_NEW,
            "edits": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "properties": {"oldText": {"type": "string"}, "newText": {"type": "string"}},
                    "required": ["oldText", "newText"],
                    "additionalProperties": False,
                },
            },
        },
        ["path"],
    ),
    edit,
    {"path": "notes.txt", "oldText": "tea", "newText": "coffee"},
)
