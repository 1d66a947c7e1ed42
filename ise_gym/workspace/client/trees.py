"""Whole trees of one box, read and planted through its init.

Why apart from `BoxWorkspace`: a box is filled before it becomes somebody's workspace, while a spare waits for its
episode as well as in a restore.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ise_gym.errors import WorkspaceError
from ise_gym.workspace.client.link import Call
from ise_gym.workspace.snapshots import trees as snapshots

BATCH = 8 << 20
PIECE = 48 << 20
_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Described:
    """What an init said of a tree, unread: two that are equal are of equal trees, clocks and inodes included."""

    root: str
    top: Sequence[int]
    complete: bool
    rows: bytes

    def tree(self) -> snapshots.Tree:
        """Read it; WorkspaceError when it is no description."""
        return snapshots.Tree.parse(self.root, self.top, json.loads(self.rows), self.complete)


class TreeClient:
    """Trees of one box.

    Args:
        call: sends a request to the box's init.
        budget: bytes to hash for a tree; what is over it, as only sparse files can be, is not looked into.
        template: number of files and folders that the box may start from.
    """

    def __init__(self, call: Call, budget: int, template: int = 0) -> None:
        self._call = call
        self._budget = budget
        self._template = template

    def described(self, root: str, known: int = 0) -> Described:
        """Describe all under a folder; ``known`` entries at least, where more than usual must be there."""
        reply = self._call(
            "tree", root=root, budget=self._budget, template=max(known, self._template), timeout=_TIMEOUT_S
        )
        return Described(root, reply.header["top"], not reply.header.get("full"), reply.body)

    def fetch(self, paths: Sequence[str], size: int) -> Sequence[bytes]:
        """Read several files, or one of any size."""
        if len(paths) == 1:
            parts: list[bytes] = []
            for at in range(0, max(1, size), PIECE):
                call = self._call("fetch", paths=paths, offset=at, limit=PIECE, timeout=_TIMEOUT_S)
                parts.append(call.body)
            return [b"".join(parts)]
        reply = self._call("fetch", paths=paths, offset=0, limit=2 * BATCH, timeout=_TIMEOUT_S)
        out, at = [], 0
        for length in reply.header["sizes"]:
            out.append(reply.body[at : at + length])
            at += length
        return out

    def plant(self, trees: Sequence[snapshots.Tree], blobs: Mapping[str, memoryview], whose: str) -> None:
        """Fill an empty box and verify it entry by entry.

        Args:
            trees: what to put in place.
            blobs: contents by SHA-256.
            whose: "snapshot" or "template", for the error.

        Raises:
            WorkspaceError: what is there afterwards is something else.
        """
        newest_first = bool(self._call("order").header["newest_first"])
        for entries, body in snapshots.plant(trees, blobs, newest_first):
            self._call("plant", body, entries=entries, timeout=_TIMEOUT_S)
        self._call("stamp", folders=snapshots.folders(trees))
        for tree in trees:
            if self.described(tree.root, len(tree.entries)).tree().manifest() != tree.manifest():
                raise WorkspaceError(f"the restored tree {tree.root} differs from the {whose}")
