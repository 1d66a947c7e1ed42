"""The ``*** Begin Patch`` format: parsing it, and applying a file's hunks to its text.

Line numbers play no part in it; a hunk is placed by its context. Where that context is in several places
the patch is refused instead of guessing, since a wrong guess goes unnoticed.

    *** Begin Patch
    *** Add File: new.txt
    +first line
    *** Update File: app.py
    *** Move to: main.py
    @@ class App:
    @@ def main(self):
     context
    -removed
    +added
    *** Delete File: old.txt
    *** End Patch
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ise_gym.tools.files.placing import Lines, PatchError, place

_BEGIN, _END = "*** Begin Patch", "*** End Patch"
_ADD, _UPDATE, _DELETE = "*** Add File: ", "*** Update File: ", "*** Delete File: "
_MOVE, _EOF = "*** Move to: ", "*** End of File"
_UNIFIED = re.compile(r"@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@ ?(.*)")


@dataclass
class Hunk:
    """One change: lines marked ``" "`` (context), ``"-"`` or ``"+"``.

    Attributes:
        anchors: lines that stand before the place, the widest first: each is looked for inside what the one before
            it opens.
        lines: (mark, text) in order.
        at_end: the hunk's lines are the last of the file.
    """

    anchors: list[str] = field(default_factory=list)
    lines: list[tuple[str, str]] = field(default_factory=list)
    at_end: bool = False

    @property
    def old(self) -> list[str]:
        """The lines that must stand in the file."""
        return [text for mark, text in self.lines if mark != "+"]


@dataclass
class FileChange:
    """What a patch does to one file: ``action`` is add, update or delete."""

    action: str
    path: str
    move_to: str = ""
    content: list[str] = field(default_factory=list)
    hunks: list[Hunk] = field(default_factory=list)


def parse_patch(text: str) -> list[FileChange]:
    """Read a patch.

    Raises:
        PatchError: what is wrong, with the patch's line number.
    """
    lines = [line.removesuffix("\r") for line in text.strip().split("\n")]
    if not lines or lines[0].strip() != _BEGIN:
        raise PatchError(f"the first line must be '{_BEGIN}'")
    if lines[-1].strip() != _END:
        raise PatchError(f"the last line must be '{_END}'")
    changes: list[FileChange] = []
    for number, line in enumerate(lines[1:-1], 2):
        if (started := _section(line)) is not None:
            if not started.path:
                raise PatchError(f"line {number}: the path is missing")
            changes.append(started)
        elif not changes:
            if line.strip():
                raise PatchError(f"line {number}: expected '{_ADD.strip()}', '{_UPDATE.strip()}' or …")
        else:
            _body_line(changes[-1], line, number)
    if not changes:
        raise PatchError("the patch changes no file")
    for change in changes:
        if change.action == "update" and not change.move_to and not any(h.lines for h in change.hunks):
            raise PatchError(f"'{change.path}' is updated without any change")
    return changes


def _section(line: str) -> FileChange | None:
    for prefix, action in ((_ADD, "add"), (_UPDATE, "update"), (_DELETE, "delete")):
        if line.startswith(prefix.rstrip()):
            return FileChange(action, line[len(prefix.rstrip()) :].strip())
    return None


def _body_line(change: FileChange, line: str, number: int) -> None:
    if change.action == "add":
        if not line.startswith("+"):
            raise PatchError(f"line {number}: each line of a new file begins with '+'")
        change.content.append(line[1:])
    elif change.action == "delete":
        if line.strip():
            raise PatchError(f"line {number}: nothing may follow '{_DELETE.strip()}'")
    elif line.startswith(_MOVE.rstrip()):
        change.move_to = line[len(_MOVE.rstrip()) :].strip()
        if change.hunks or not change.move_to:
            raise PatchError(f"line {number}: '{_MOVE.strip()} PATH' stands right after '{_UPDATE.strip()}'")
    elif line.startswith("@@"):
        unified = _UNIFIED.fullmatch(line)
        anchor = unified[1] if unified else line[2:].removeprefix(" ")
        if anchor and change.hunks and change.hunks[-1].anchors and not change.hunks[-1].lines:
            change.hunks[-1].anchors.append(anchor)
        else:
            change.hunks.append(Hunk([anchor] if anchor.strip() else []))
    elif line.strip() == _EOF:
        if not change.hunks:
            raise PatchError(f"line {number}: '{_EOF}' stands after a hunk")
        change.hunks[-1].at_end = True
    else:
        if not change.hunks:
            change.hunks.append(Hunk())
        mark, text = (line[0], line[1:]) if line else (" ", "")  # editors strip the blank of an empty line
        if mark not in " +-":
            raise PatchError(f"line {number}: a line of a change begins with ' ', '-' or '+'")
        change.hunks[-1].lines.append((mark, text))


def apply_hunks(text: str, hunks: Sequence[Hunk]) -> str:
    """Apply hunks in order, each after the one before; untouched lines keep their bytes.

    A hunk matches whole lines: exactly, else without regard to trailing blanks. New lines get the line end that
    most lines of the file have.

    Raises:
        PatchError: a hunk or its anchors stand nowhere (no_match), or fit several places (many_matches).
    """
    # not splitlines: it also splits at form feeds and the like, which are not line ends here
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    newline = "\r\n" if text.count("\r\n") * 2 > text.count("\n") else "\n"
    bare = [line.removesuffix("\n").removesuffix("\r") for line in lines]
    known = Lines(bare)
    out: list[str] = []
    done = 0
    for number, hunk in enumerate(hunks, 1):
        if not hunk.lines:
            continue
        label = f"hunk {number}" if len(hunks) > 1 else "the hunk"
        start = place(known, hunk.anchors, hunk.old, done, hunk.at_end, label)
        out += lines[done:start]
        position = start
        for mark, new in hunk.lines:
            if mark == "+":
                out.append(new + newline)
            else:
                if mark == " ":
                    out.append(lines[position])
                position += 1
        done = position
    out += lines[done:]
    for index, line in enumerate(out[:-1]):
        if not line.endswith("\n"):  # a last line without its end, now followed by others
            out[index] = line + newline
    return "".join(out)
