"""What a step did to the workspace's files, for people who read a record: names, and small diffs of texts.

The names come from two manifests, which a step looks at anyway. The diffs need the contents: those of text files are
read after a step that made or changed them, and kept until the next. Both are bounded, and so is the work: nothing here
may make a step slow, whatever an agent writes. None of it reaches an agent, a user or an env's ``info``.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from ise_gym.episode.steps import FileChanges
from ise_gym.workspace.base import Manifest, SeedFile, Workspace

PATHS_KEPT = 40
"""Paths of one kind of change that are named; the others are counted."""

DIFF_BYTES = 4_000
"""Characters of all diffs of a step together."""

FILES_READ = 6
"""Files of a step whose contents are read for a diff."""

FILES_HELD = 256
"""Files whose contents are kept for later diffs; the oldest go first."""

FILE_BYTES = 32_000
"""Size of a file beyond which it is not read for a diff."""

LINES_MATCHED = 60
"""Lines between the first and the last change, on either side, up to which common ones are looked for."""

CONTEXT = 3
_LINE = 500

Entry = tuple[str, int, int, str]


def changes(before: Manifest, after: Manifest) -> FileChanges:
    """Name what was created, changed and deleted. What lies inside a ``.git`` folder is told as that folder."""
    old, new = before.entries, after.entries
    if old is new:
        return FileChanges()
    created, n = _named(p for p in new if p not in old)
    changed, m = _named(p for p, entry in new.items() if p in old and old[p] != entry)
    deleted, o = _named(p for p in old if p not in new)
    repositories = {p for p in (*created, *deleted) if p.endswith("/.git") and p in old and p in new}
    if repositories:  # objects came and went in one that was there before and still is
        changed = sorted({*changed, *repositories})
        created, deleted = ([p for p in paths if p not in repositories] for paths in (created, deleted))
    return FileChanges(created=created, changed=changed, deleted=deleted, more=(n + m + o) or None)


def _named(paths: Iterable[str]) -> tuple[list[str], int]:
    """Return the first paths in order, and how many more there are."""
    every = sorted({_outside_git(path) for path in paths})
    return every[:PATHS_KEPT], max(0, len(every) - PATHS_KEPT)


def _outside_git(path: str) -> str:
    head, inside, _ = f"/{path}".partition("/.git/")
    return f"{head}/.git"[1:] if inside else path


def held_at_start(files: Sequence[SeedFile]) -> dict[str, bytes]:
    """Return what `Contents` holds at the start of an episode."""
    return {file.path: file.content for file in files if len(file.content) <= FILE_BYTES}


class Contents:
    """Takes diffs against the contents of small files as they were last read.

    Args:
        held: path → content; changed in place. See `held_at_start`.
    """

    def __init__(self, held: dict[str, bytes]) -> None:
        self.texts = held

    def diffs(self, workspace: Workspace, before: Manifest, after: Manifest) -> dict[str, str]:
        """Return path → unified diff of texts that a step made or changed, and keep what was read.

        Raises:
            WorkspaceError: the sandbox failed.
        """
        shown: dict[str, str] = {}
        left = DIFF_BYTES
        for path in self._readable(before, after):
            known = before.entries.get(path)
            old = self.texts.get(path, b"") if known is not None else b""
            new = self._read(workspace, path, after.entries[path])
            if new is None or left <= 0 or (known is not None and _hash(old) != known[3]):
                continue
            text = diff_of(old, new)[:left]
            left -= len(text)
            shown[path] = text
        gone = [path for path in self.texts if path not in after.entries]
        rest = [path for path in self.texts if path in after.entries]
        for path in gone + rest[: max(0, len(rest) - FILES_HELD)]:
            del self.texts[path]
        return shown

    @staticmethod
    def _readable(before: Manifest, after: Manifest) -> list[str]:
        touched = [
            path
            for path, entry in after.entries.items()
            if entry[0] == "file"
            and entry[2] <= FILE_BYTES
            and (path not in before.entries or before.entries[path][3] != entry[3])
            and "/.git/" not in f"/{path}"
        ]
        return sorted(touched)[:FILES_READ]

    def _read(self, workspace: Workspace, path: str, entry: Entry) -> bytes | None:
        """Return what the manifest told of; None of what is something else by now, or can't be read."""
        self.texts.pop(path, None)
        try:
            data = workspace.read(path, limit=FILE_BYTES)
        except OSError:  # moved on since, or not readable for its owner
            return None
        if _hash(data) != entry[3]:
            return None
        self.texts[path] = data
        return data


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def diff_of(old: bytes, new: bytes) -> str:
    r"""Compare two small contents, as hunks of a unified diff; of binary ones only the sizes are told.

    >>> print(diff_of(b"a\nb\nc\n", b"a\nB\nc\n"))
    @@ -1,3 +1,3 @@
     a
    -b
    +B
     c
    """
    before, after = _lines(old), _lines(new)
    if before is None or after is None:
        return f"binary, {len(old)} → {len(new)} bytes"
    return "\n".join(_hunks(before, after))


def _lines(data: bytes) -> list[str] | None:
    """Return the lines of a text; None of what is none."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    if "\0" in text:
        return None
    lines = text.split("\n")
    if lines[-1]:
        lines[-1] += " (no newline at the end)"
    else:
        lines.pop()
    return lines


def _hunks(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    """Yield the lines of a unified diff, in time linear in the files: long changes are shown as one."""
    least = min(len(before), len(after))
    first = next((n for n in range(least) if before[n] != after[n]), least)
    common = least - first
    last = next((n for n in range(common) if before[-1 - n] != after[-1 - n]), common)
    start = max(0, first - CONTEXT)
    end = max(0, last - CONTEXT)
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    a, b = len(before) - first - last, len(after) - first - last
    if not a and not b:
        return
    if a <= LINES_MATCHED and b <= LINES_MATCHED:
        groups = list(difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(CONTEXT))
    else:
        head, tail = first - start, last - end
        groups = [
            [
                ("equal", 0, head, 0, head),
                ("replace", head, len(old) - tail, head, len(new) - tail),
                ("equal", len(old) - tail, len(old), len(new) - tail, len(new)),
            ]
        ]
    for group in groups:
        top, bottom = group[0], group[-1]
        yield f"@@ -{_span(start, top[1], bottom[2])} +{_span(start, top[3], bottom[4])} @@"
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                yield from (f" {line[:_LINE]}" for line in old[i1:i2])
            else:
                yield from (f"-{line[:_LINE]}" for line in old[i1:i2])
                yield from (f"+{line[:_LINE]}" for line in new[j1:j2])


def _span(start: int, begin: int, end: int) -> str:
    length = end - begin
    return f"{start + begin + (length > 0)}" if length == 1 else f"{start + begin + (length > 0)},{length}"


def described(
    contents: Contents | None, workspace: Workspace, before: Manifest, after: Manifest
) -> FileChanges:
    """Return what a step did, with diffs where contents are kept.

    Raises:
        WorkspaceError: the sandbox failed.
    """
    found = changes(before, after)
    if contents is None or not (found.created or found.changed or found.deleted):
        return found
    return found.model_copy(update={"diffs": contents.diffs(workspace, before, after)})


def flipped(before: Mapping[str, bool], after: Mapping[str, bool]) -> dict[str, bool]:
    """Return the sub-goals whose verdict changed, and what it is now."""
    return {key: holds for key, holds in after.items() if before.get(key, holds) != holds}
