"""The files of a recorded workspace after a step: what it began with, and what the steps did since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ise_gym.trajectory.record import Step
from ise_gym.trajectory.wishes import StartFile

MOST = 2_000
"""Paths that one tree shows."""


@dataclass
class Node:
    """A file or folder. ``state``: new, edited, gone or "" (as at the start); ``now``: by the step that is shown."""

    name: str
    path: str
    state: str = ""
    now: bool = False
    inside: dict[str, Node] = field(default_factory=dict)

    def sorted(self) -> list[Node]:
        """Return what is inside, folders first."""
        return sorted(self.inside.values(), key=lambda node: (not node.inside, node.name))


@dataclass(frozen=True)
class Tree:
    """The files after the step at ``message``; ``steps`` are the messages whose steps changed any."""

    root: Node
    message: int
    steps: tuple[int, ...]
    before: int | None
    after: int | None
    count: int


def tree_at(start: Sequence[StartFile], steps: Sequence[Step], message: int) -> Tree:
    """Return the files as they were after the last step at or before a message."""
    states: dict[str, tuple[str, bool]] = {file.path: ("", False) for file in start}
    touched = tuple(
        s.message for s in steps if s.files and (s.files.created or s.files.changed or s.files.deleted)
    )
    begun = set(states)
    for step in steps:
        if step.message > message or step.files is None:
            continue
        now = step.message == message
        for path in step.files.created:
            states[path] = ("edited" if path in begun else "new", now)
        for path in step.files.changed:
            state = states.get(path, ("edited", False))[0]
            states[path] = (state if state == "new" else "edited", now)
        for path in step.files.deleted:
            states[path] = ("gone", now)
    root = Node("", "")
    for path, (state, now) in sorted(states.items())[:MOST]:
        node = root
        parts = [part for part in path.split("/") if part]
        for depth, part in enumerate(parts, 1):
            node = node.inside.setdefault(part, Node(part, "/".join(parts[:depth])))
        node.state, node.now = state, now
    before = max((m for m in touched if m < message), default=None)
    after = min((m for m in touched if m > message), default=None)
    return Tree(root, message, touched, before, after, len(states))
