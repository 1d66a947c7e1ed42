"""Notes and labels that people write about episodes, kept beside the store: appended, never rewritten.

``labels.jsonl`` in a store's folder (``FILE.labels.jsonl`` beside a file of records) holds one JSON object a line:
``id``, ``at`` (ISO UTC), ``by``, ``episode``, ``message`` (index of the message, or null for the whole), ``label`` and
``note``. A line with ``removes`` takes an earlier one back; both stay.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ise_gym.errors import UserError
from ise_gym.storage.appendlog import append_one
from ise_gym.trajectory.shards import beside

LONGEST_LABEL = 60
LONGEST_NOTE = 10_000
SUGGESTED = ("good", "bad", "unsure", "bug", "interesting")
"""Labels that are offered before any was given; any other may be written."""


@dataclass(frozen=True)
class Label:
    """A label, a note, or both, on an episode or on one of its messages."""

    id: str
    at: str
    by: str
    episode: str
    message: int | None
    label: str
    note: str


class Labels:
    """The log of one store, read again when it has grown; other programs may append to it."""

    def __init__(self, source: Path) -> None:
        self.path = beside(source, "labels.jsonl")
        self._read: tuple[int, int] = (-1, -1)
        self._labels: dict[str, Label] = {}
        self.problems: list[str] = []

    def all(self) -> list[Label]:
        """Return what was not taken back, oldest first."""
        try:
            state = self.path.stat()
        except OSError:
            return []
        now = (state.st_size, state.st_mtime_ns)
        if now != self._read:
            self._labels, self.problems = _read(self.path)
            self._read = now
        return list(self._labels.values())

    def of(self, episode: str) -> list[Label]:
        """Return those of one episode, oldest first."""
        return [label for label in self.all() if label.episode == episode]

    def by_label(self) -> dict[str, frozenset[str]]:
        """Return label → ids of the episodes that have it; "" → of all that have anything."""
        found: dict[str, set[str]] = {}
        for each in self.all():
            found.setdefault("", set()).add(each.episode)
            if each.label:
                found.setdefault(each.label, set()).add(each.episode)
        return {label: frozenset(ids) for label, ids in found.items()}

    def add(self, episode: str, label: str, note: str, *, message: int | None = None, by: str = "") -> Label:
        """Append one.

        Raises:
            UserError: there is neither a label nor a note, one is too long, or the file can't be written.
        """
        label, note = " ".join(label.split()), note.strip()
        if not label and not note:
            raise UserError("Write a label or a note.")
        if len(label) > LONGEST_LABEL or len(note) > LONGEST_NOTE:
            raise UserError(f"A label has at most {LONGEST_LABEL} characters, a note {LONGEST_NOTE:,}.")
        made = Label(secrets.token_hex(8), _now(), by, episode, message, label, note)
        append_one(self.path, asdict(made))
        return made

    def remove(self, number: str, *, by: str = "") -> None:
        """Take one back by its id.

        Raises:
            UserError: there is none of this id, or the file can't be written.
        """
        if number not in {label.id for label in self.all()}:
            raise UserError("This label is not there any more.")
        append_one(self.path, {"removes": number, "at": _now(), "by": by})


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _read(path: Path) -> tuple[dict[str, Label], list[str]]:
    found: dict[str, Label] = {}
    problems: list[str] = []
    data = path.read_bytes()
    for number, line in enumerate(data.split(b"\n")[:-1], 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            if "removes" in entry:
                found.pop(str(entry["removes"]), None)
            else:
                label = _label(entry)
                found[label.id] = label
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            problems.append(f"{path}, line {number}: not a label")
    return found, problems


def _label(entry: Mapping[str, object]) -> Label:
    message = entry.get("message")
    return Label(
        id=str(entry["id"]),
        at=str(entry.get("at", "")),
        by=str(entry.get("by", "")),
        episode=str(entry["episode"]),
        message=message if isinstance(message, int) and not isinstance(message, bool) else None,
        label=str(entry.get("label", "")),
        note=str(entry.get("note", "")),
    )
