"""`memory_search` and `memory_get`: what the agent noted in MEMORY.md and memory/*.md of its workspace.

A workspace holds one folder per task, each with notes of its own, so the same two names count one level down as well.
Search is by words (BM25), so it works without an embedder; that nothing matches is an answer, not a failure.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Required, TypedDict

from ise_gym.tools.base import Tool, ToolContext, ToolOutcome
from ise_gym.tools.files.read_write import READ_LINES, show_lines
from ise_gym.tools.output import failure, in_box_path, os_failure
from ise_gym.tools.ranking import bm25
from ise_gym.tools.schema import function_tool
from ise_gym.workspace.base import WORKDIR, Workspace

MEMORY_FILE, MEMORY_FOLDER = "MEMORY.md", "memory"
MAX_RESULTS = 6
PASSAGE_LINES = 20
_SNIPPET = 700
_FILE_BYTES = 1 << 20
_ALL_BYTES = 2 << 20
"""Bytes of all notes that one search reads."""
_MOST_FILES = 1_000


class SearchArguments(TypedDict, total=False):
    """Arguments of `memory_search`."""

    query: Required[str]
    maxResults: int
    minScore: float


GetArguments = TypedDict("GetArguments", {"path": Required[str], "from": int, "lines": int}, total=False)
"""Arguments of `memory_get`: lines, counted from 1."""


@dataclass(frozen=True)
class Passage:
    """Some consecutive lines of a memory file; ``first`` and ``last`` are 1-based."""

    path: str
    first: int
    last: int
    text: str


def passages(path: str, text: str) -> Iterator[Passage]:
    """Cut a note at headings, blank lines and every `PASSAGE_LINES` lines.

    >>> [(p.first, p.last, p.text) for p in passages("MEMORY.md", "# Ports\\nweb 80\\n\\n# People\\nAda")]
    [(1, 2, '# Ports\\nweb 80'), (4, 5, '# People\\nAda')]
    """
    block: list[str] = []
    first = 1
    for number, line in enumerate(text.split("\n"), 1):
        ends = not line.strip() or line.startswith("#") or len(block) >= PASSAGE_LINES
        if block and ends:
            yield Passage(path, first, number - 1, "\n".join(block))
            block = []
        if line.strip():
            if not block:
                first = number
            block.append(line)
    if block:
        yield Passage(path, first, first + len(block) - 1, "\n".join(block))


def memory_files(workspace: Workspace) -> list[str]:
    """Return the memory files there are, relative to the workspace, sorted; links are not followed."""
    tops = [posixpath.basename(entry.path) for entry in workspace.list() if entry.kind == "dir"]
    places = ["", *(top for top in tops if top != MEMORY_FOLDER and not top.startswith("."))]
    found = []
    folders = []
    for place in places:
        path = posixpath.join(place, MEMORY_FILE)
        stat = workspace.stat(path)
        if stat is not None and stat.kind == "file":
            found.append(path)
        folders.append(posixpath.join(place, MEMORY_FOLDER))
    while folders and len(found) < _MOST_FILES:
        folder = folders.pop()
        stat = workspace.stat(folder)
        if stat is None or stat.kind != "dir":
            continue
        for entry in workspace.list(folder):
            path = posixpath.join(folder, posixpath.basename(entry.path))
            if entry.kind == "dir":
                folders.append(path)
            elif entry.kind == "file" and path.endswith(".md"):
                found.append(path)
    return sorted(found)


def search(context: ToolContext, arguments: SearchArguments) -> ToolOutcome:
    """Return the best passages for a query, best first."""
    query = arguments["query"]
    most = int(arguments.get("maxResults", MAX_RESULTS))
    least = arguments.get("minScore", 0.0)
    if not query.strip():
        return failure("memory_search: the query is empty", "bad_arguments")
    found: list[Passage] = []
    path, searched = MEMORY_FOLDER, 0
    try:
        files = memory_files(context.workspace)
        left = _ALL_BYTES
        for path in files:
            if left <= 0:
                break
            data = context.workspace.read(path, 0, min(_FILE_BYTES, left))
            left -= len(data)
            searched += 1
            found += passages(path, data.decode("utf-8", "replace"))
    except OSError as error:
        return os_failure("memory_search", path, error)
    if not files:
        return ToolOutcome(
            f"There is no memory yet: neither {MEMORY_FILE} nor {MEMORY_FOLDER}/*.md", success=True
        )
    # s / (1 + s) keeps the order and gives minScore a scale from 0 to 1
    scores = [score / (1 + score) for score in bm25(query, [passage.text for passage in found])]
    hits = [(score, passage) for score, passage in zip(scores, found, strict=True) if score > 0]
    hits = [(score, passage) for score, passage in hits if score >= least]
    if not hits:
        plural = "file" if searched == 1 else "files"
        rest = f"; {len(files) - searched} more were too much to search" if searched < len(files) else ""
        return ToolOutcome(f"No match in {searched} memory {plural}{rest}", success=True)
    hits.sort(key=lambda hit: (-hit[0], hit[1].path, hit[1].first))
    blocks = [
        f"{p.path}:{p.first}-{p.last} (score {score:.2f})\n{_snippet(p.text)}" for score, p in hits[:most]
    ]
    if len(hits) > most:
        blocks.append(f"[{len(hits) - most} weaker matches not shown]")
    if searched < len(files):
        blocks.append(
            f"[{len(files) - searched} more memory files were too much to search: use exec with grep]"
        )
    return ToolOutcome("\n\n".join(blocks), success=True)


def _snippet(text: str) -> str:
    return text if len(text) <= _SNIPPET else text[:_SNIPPET] + "…"


def is_memory_path(path: str) -> bool:
    """Say whether a path, relative to the workspace and normal, names a note of the workspace or of a folder in it.

    >>> [is_memory_path(p) for p in ("MEMORY.md", "trip/memory/a/b.md", "a/b/MEMORY.md", "../MEMORY.md")]
    [True, True, False, False]
    """
    parts = path.split("/")
    if parts[0] != MEMORY_FOLDER and not parts[0].startswith(".") and len(parts) > 1:
        parts = parts[1:]
    return parts == [MEMORY_FILE] or (parts[0] == MEMORY_FOLDER and len(parts) > 1 and path.endswith(".md"))


def get(context: ToolContext, arguments: GetArguments) -> ToolOutcome:
    """Show lines of a memory file."""
    path = posixpath.relpath(posixpath.normpath(in_box_path(arguments["path"])), WORKDIR)
    if not is_memory_path(path):
        return failure(
            f"memory_get: '{arguments['path']}' is no memory file ({MEMORY_FILE} or {MEMORY_FOLDER}/*.md); use read",
            "bad_arguments",
        )
    limit = int(arguments.get("lines", READ_LINES))
    return show_lines(context.workspace, "memory_get", path, int(arguments.get("from", 1)), limit)


MEMORY_SEARCH = Tool(
    function_tool(
        "memory_search",
        f"Search your notes ({MEMORY_FILE}, {MEMORY_FOLDER}/*.md, also those of each folder) by words.",
        {
            "query": {"type": "string"},
            "maxResults": {"type": "integer", "minimum": 1},
            "minScore": {"type": "number", "minimum": 0, "maximum": 1},
        },
        ["query"],
    ),
    search,
)

MEMORY_GET = Tool(
    function_tool(
        "memory_get",
        "Show lines of a note found by memory_search.",
        {
            "path": {"type": "string"},
            "from": {"type": "integer", "minimum": 1, "description": "First line"},
            "lines": {"type": "integer", "minimum": 1, "description": "Number of lines"},
        },
        ["path"],
    ),
    get,
)
