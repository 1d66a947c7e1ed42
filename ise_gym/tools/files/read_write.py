"""`read` and `write`: files of the workspace as text.

`read` shows a window of whole lines and says how to go on, so that following its notices reads any text
file completely; it fetches the file in chunks, so a huge one costs no memory.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Required, TypedDict

from ise_gym.tools.base import Tool, ToolContext, ToolOutcome
from ise_gym.tools.output import failure, in_box_path, os_failure, path_problem
from ise_gym.tools.schema import function_tool
from ise_gym.workspace.base import Workspace

READ_LINES = 2000
"""Most lines one `read` shows."""

READ_BYTES = 50_000
"""Most bytes one `read` shows."""

_CHUNK = 1 << 20
_COUNT_BYTES = 32 << 20  # beyond this a file's lines are not counted to the end
_SNIFF = 8192
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "PNG image"),
    (b"\xff\xd8\xff", "JPEG image"),
    (b"GIF87a", "GIF image"),
    (b"GIF89a", "GIF image"),
    (b"BM", "BMP image"),
    (b"%PDF-", "PDF document"),
    (b"PK\x03\x04", "ZIP archive"),
    (b"\x1f\x8b", "gzip data"),
    (b"\x7fELF", "ELF program"),
    (b"SQLite format 3\0", "SQLite database"),
)


class ReadArguments(TypedDict, total=False):
    """Arguments of `read`: lines, counted from 1."""

    path: Required[str]
    offset: int
    limit: int


class WriteArguments(TypedDict):
    """Arguments of `write`."""

    path: str
    content: str


def read(context: ToolContext, arguments: ReadArguments) -> ToolOutcome:
    """Show a file from line ``offset`` (1-based), at most ``limit`` lines."""
    limit = int(arguments.get("limit", READ_LINES))
    return show_lines(context.workspace, "read", arguments["path"], int(arguments.get("offset", 1)), limit)


def show_lines(workspace: Workspace, action: str, path: str, first: int, limit: int) -> ToolOutcome:
    """Show at most ``limit`` lines of a file from line ``first``; ``action`` is the tool's name, for errors."""
    if problem := path_problem(path):
        return failure(f"{action}: {problem}", "bad_arguments")
    window = _Window(action, first, min(limit, READ_LINES))
    try:
        if note := _binary_note(workspace.read(in_box_path(path), 0, _SNIFF)):
            size = _size(workspace, path)
            return ToolOutcome(f"[{path}: {note}, {size} bytes; not text, so not shown]", success=True)
        for chunk in _chunks(workspace, path):
            if not window.feed(chunk):
                break
        else:
            window.close()
    except IsADirectoryError as error:
        found = os_failure(action, path, error)
        listing = json.dumps({"command": f"ls -la {shlex.quote(path)}"}, ensure_ascii=False)
        return failure(f"{found.content}. To list it: exec {listing}", found.error)
    except OSError as error:
        return os_failure(action, path, error)
    return window.outcome(path)


class _Window:
    """Collects the wanted lines, then only counts."""

    def __init__(self, action: str, first: int, limit: int) -> None:
        self.action, self.first, self.limit = action, first, limit
        self.shown: list[bytes] = []
        self.shown_bytes = 0
        self.ended = 0  # lines that ended with a newline
        self.line = b""  # start of the present, unfinished line
        self.line_bytes = 0
        self.seen_bytes = 0
        self.full = False
        self.cut = 0  # length of a single line too long to show whole
        self.counted = True

    def feed(self, chunk: bytes) -> bool:
        """Take the next part of the file; False when counting on would cost too much."""
        self.seen_bytes += len(chunk)
        position = 0
        while position < len(chunk) and not self.full:
            newline = chunk.find(b"\n", position)
            stop = len(chunk) if newline < 0 else newline + 1
            self.line_bytes += stop - position
            if len(self.line) <= READ_BYTES:
                self.line += chunk[position : min(stop, position + READ_BYTES + 1)]
            if newline >= 0:
                self._end_line()
                self.ended += 1
            position = stop
        if position < len(chunk):
            self.ended += chunk.count(b"\n", position)
            self.line_bytes = len(chunk) - 1 - chunk.rfind(b"\n")
        if self.full and self.seen_bytes > _COUNT_BYTES:
            self.counted = False
        return self.counted

    def close(self) -> None:
        """Take a last line that has no newline."""
        if self.line_bytes:
            if not self.full:
                self._end_line()
            self.ended += 1

    def _end_line(self) -> None:
        if self.ended + 1 >= self.first:
            if self.shown_bytes + self.line_bytes <= READ_BYTES:
                self.shown.append(self.line)
                self.shown_bytes += self.line_bytes
            else:
                if not self.shown:
                    self.cut = self.line_bytes
                    self.shown.append(self.line[:READ_BYTES])
                self.full = True
            self.full = self.full or len(self.shown) >= self.limit
        self.line, self.line_bytes = b"", 0

    def outcome(self, path: str) -> ToolOutcome:
        """Turn what was collected into the tool's answer."""
        if self.ended == 0 and self.first == 1:
            return ToolOutcome("(empty file)", success=True)
        if not self.shown:
            return failure(
                f"{self.action}: {path}: line {self.first} is beyond the end of the file ({self.ended} lines)",
                "beyond_end",
            )
        last = self.first + len(self.shown) - 1
        data = b"".join(self.shown)
        text = data.decode("utf-8", "replace")
        notes = []
        if "\ufffd" in text and not _is_utf8(data):
            notes.append("[Some bytes are not UTF-8 and show as \ufffd]")
        if self.cut:
            notes.append(
                f"[Line {last} has {self.cut} bytes; only its first {READ_BYTES} are shown. "
                "Use exec with cut or head -c for the rest]"
            )
        if not self.counted:
            notes.append(f"[Lines {self.first}-{last} shown, many more follow; go on with offset={last + 1}]")
        elif last < self.ended:
            notes.append(f"[Lines {self.first}-{last} of {self.ended} shown; go on with offset={last + 1}]")
        if not notes:
            return ToolOutcome(text, success=True)
        return ToolOutcome(text + ("" if text.endswith("\n") else "\n") + "\n".join(notes), success=True)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.end >= len(data) and error.reason == "unexpected end of data"
    return True


def _binary_note(start: bytes) -> str:
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WebP image"
    if b"\0" in start or not _is_utf8(start):
        for signature, name in _SIGNATURES:
            if start.startswith(signature):
                return name
    if start.startswith(b"%PDF-"):
        return "PDF document"
    return "binary data" if b"\0" in start else ""


def _size(workspace: Workspace, path: str) -> int:
    stat = workspace.stat(in_box_path(path))
    if stat is not None and stat.kind == "file":
        return stat.size
    return sum(map(len, _chunks(workspace, path)))  # a symlink: count what it leads to


def _chunks(workspace: Workspace, path: str) -> Iterator[bytes]:
    position = 0
    while chunk := workspace.read(in_box_path(path), position, _CHUNK):
        position += len(chunk)
        yield chunk


def write(context: ToolContext, arguments: WriteArguments) -> ToolOutcome:
    """Create or replace a file, making its parent folders."""
    path, data = arguments["path"], arguments["content"].encode("utf-8")
    if problem := path_problem(path):
        return failure(f"write: {problem}", "bad_arguments")
    try:
        context.workspace.write(in_box_path(path), data)
    except OSError as error:
        return os_failure("write", path, error)
    return ToolOutcome(f"Wrote {len(data)} bytes to {path}", success=True)


_PATH = {"type": "string", "description": "Relative to the workspace, or absolute"}

READ = Tool(
    function_tool(
        "read",
        f"Read a text file, at most {READ_LINES} lines or {READ_BYTES // 1000} KB a call.",
        {
            "path": _PATH,
            "offset": {"type": "integer", "minimum": 1, "description": "First line, from 1"},
            "limit": {"type": "integer", "minimum": 1, "description": "Number of lines"},
        },
        ["path"],
    ),
    read,
)

WRITE = Tool(
    function_tool(
        "write",
        "Create a file or replace all of it. Parent folders are made.",
        {"path": _PATH, "content": {"type": "string"}},
        ["path", "content"],
    ),
    write,
)
