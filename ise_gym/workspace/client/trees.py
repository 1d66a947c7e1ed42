"""Whole trees of one box, read and planted through its init.

Why apart from `BoxWorkspace`: a box is filled before it becomes somebody's workspace, while a spare waits for its
episode as well as in a restore.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from ise_gym.errors import WorkspaceError
from ise_gym.workspace.client.link import Call
from ise_gym.workspace.snapshots import trees as snapshots

BATCH = 8 << 20
PIECE = 48 << 20
_TIMEOUT_S = 300.0


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

    def tree(self, root: str, known: int = 0) -> snapshots.Tree:
        """Describe all under a folder; ``known`` entries at least, where more than usual must be there."""
        reply = self._call(
            "tree", root=root, budget=self._budget, template=max(known, self._template), timeout=_TIMEOUT_S
        )
        complete = not reply.header.get("full")
        return snapshots.Tree.parse(root, reply.header["top"], json.loads(reply.body), complete)

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
            if self.tree(tree.root, len(tree.entries)).manifest() != tree.manifest():
                raise WorkspaceError(f"the restored tree {tree.root} differs from the {whose}")
