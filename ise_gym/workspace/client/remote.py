"""`Workspace` over a box's init: all that backends share.

A backend only says how a box is started and ended; every operation on files and processes is a request to
the init inside it, so that the backends can't differ in behaviour.
"""

from __future__ import annotations

import atexit
import dataclasses
import os
import socket
import sys
import weakref
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Self

from ise_gym.errors import WorkspaceError, WorkspaceUnusable
from ise_gym.workspace.base import Hosted
from ise_gym.workspace.client.channel import Reply
from ise_gym.workspace.client.files import Files
from ise_gym.workspace.client.processes import Processes
from ise_gym.workspace.client.supply import Box, BoxSupply, end
from ise_gym.workspace.client.trees import Described, TreeClient
from ise_gym.workspace.hosting import resume
from ise_gym.workspace.isolation import launcher
from ise_gym.workspace.isolation.environment import BOX_ENV
from ise_gym.workspace.snapshots import trees as snapshots
from ise_gym.workspace.snapshots.template import Template
from ise_gym.workspace.values import (
    HOME,
    WORKDIR,
    Capabilities,
    Diff,
    Limits,
    Manifest,
    Snapshot,
    diff_manifests,
    extra_folders,
)

_live: weakref.WeakSet[BoxWorkspace] = weakref.WeakSet()


def init_config(
    limits: Limits, rlimits: Mapping[str, int], roots: Mapping[str, str], env: Mapping[str, str]
) -> dict[str, Any]:
    """Return the first frame for an init."""
    return {
        "env": dict(env),
        "roots": dict(roots),
        "cwd": WORKDIR,
        "output_bytes": limits.output_bytes,
        "timeout_s": limits.command_timeout_s,
        "rlimits": dict(rlimits),
    }


class BoxWorkspace(Processes, Files):
    """A workspace whose work is done by the init in a box; subclasses start the boxes."""

    def __init__(
        self,
        limits: Limits | None = None,
        box: Future[Box] | None = None,
        template: Template | None = None,
        folders: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.limits = limits or Limits()
        self.folders = extra_folders(folders)
        """Writable folders beside the usual ones; empty after each reset, outside of digest and snapshot."""
        self.template = template
        """What `reset` goes back to; None for an empty folder."""
        self.spare_box = True
        """Whether the next box is made while this one is used; without it, each `reset` and `fork` starts one."""
        self._owner = os.getpid()
        self._box: Box | None = None
        self._fresh = True
        self._frozen = False
        self._filled = True
        self._budget = 4 * self.limits.disk_mb << 20
        copied = ""
        if template is not None:
            self._budget += template.size_bytes
            copied = self._why_copied(template)
        self._supply = BoxSupply(self._starter(), template, self._budget, copied)
        self._last: tuple[Described, snapshots.Tree] | None = None
        self._closed = False
        self.services: Hosted | None = None
        self._box = box.result() if box else self._supply.first()
        _live.add(self)

    @abstractmethod
    def _starter(self) -> Callable[[Template | None], Box]:
        """Return what starts a box, see `BoxSupply`; without a reference to this workspace, so that it can go."""

    @abstractmethod
    def _sibling(self, box: Future[Box]) -> BoxWorkspace:
        """Make another workspace of the same kind and limits around a fresh box."""

    @abstractmethod
    def capabilities(self) -> Capabilities:
        """Say what is really enforced."""

    def box_env(self) -> Mapping[str, str]:
        """Return the clean environment of every command."""
        return BOX_ENV

    # -- boxes that start from a template ----------------------------------------------------------

    def _why_copied(self, template: Template) -> str:
        """Say why this backend copies a template into each box; "" where it mounts it."""
        return "this backend mounts nothing of the host"

    @property
    def _room_mb(self) -> int:
        """Room for the template in a box into which it is copied, in MB."""
        return 0 if self.template is None else self.template.megabytes

    def _template_word(self) -> dict[str, str]:
        """Return the line of `capabilities` about the template, if there is one."""
        if self.template is None:
            return {}
        copied = self._supply.copied_because
        return {"template": f"copied at each reset: {copied}" if copied else "overlay, copy-on-write"}

    # -- the init ----------------------------------------------------------------------------------

    @property
    def alive(self) -> bool:
        """True while the box answers."""
        return self._box is not None and not self._box.channel.broken

    def request(self, op: str, body: bytes = b"", *, timeout: float = 60.0, **header: object) -> Reply:
        """Send a request to the init; a silent or dead box raises `WorkspaceError`."""
        box = self._box
        if box is None:
            raise WorkspaceError("the workspace is closed")
        self._fresh = False
        try:
            return box.channel.request(op, body, timeout=timeout, **header)
        except WorkspaceUnusable:
            raise
        except WorkspaceError as error:
            if reason := box.overwhelmed():
                raise WorkspaceUnusable(reason) from error
            raise

    def freeze(self) -> None:
        """Stop every process in the box; see `Workspace.freeze`."""
        self.request("stop")
        self._frozen = True

    def thaw(self) -> bool:
        """Continue what `freeze` stopped; see `Workspace.thaw`."""
        if not self._frozen:
            return True
        self._frozen = False
        return bool(self.request("continue").header["still"])

    # -- the box's own network ---------------------------------------------------------------------

    def listen(self, port: int) -> socket.socket:
        """Open a port of the box's loopback; see `Hosting.listen`."""
        if not self.capabilities().enforced.get("network"):
            raise WorkspaceError(
                f"the backend '{self.capabilities().backend}' shares this machine's network, so services can't "
                "be kept inside: use bubblewrap or docker"
            )
        reply = self.request("listen", port=port)
        return socket.socket(fileno=reply.fds[0])

    def set_env(self, variables: Mapping[str, str]) -> None:
        """Add to the environment of later commands; see `Hosting.set_env`."""
        self.request("setenv", env=dict(variables))

    # -- trees -------------------------------------------------------------------------------------

    @property
    def _trees(self) -> TreeClient:
        entries = 0 if self.template is None else self.template.entries
        return TreeClient(self.request, self._budget, entries)

    def _tree(self, root: str) -> snapshots.Tree:
        said = self._trees.described(root)
        if self._last is None or said != self._last[0]:  # most tool calls change no file
            self._last = said, said.tree()
        return self._last[1]

    def manifest(self) -> Manifest:
        """Hash the tree under `WORKDIR`."""
        return self._tree(WORKDIR).manifest()

    def digest(self) -> str:
        """Return ``manifest().digest()``."""
        return self.manifest().digest()

    def diff(self, since: Manifest) -> Diff:
        """Compare the present tree with an earlier manifest."""
        return diff_manifests(since, self.manifest())

    def snapshot(self) -> Snapshot:
        """Save the trees under `WORKDIR` and `HOME`; OSError when they hold more than can be kept."""
        frozen = self._frozen
        self.freeze()  # nothing changes between the look at a file and its reading
        try:
            trees = [self._tree(WORKDIR), self._tree(HOME)]
            saved = snapshots.save(trees, self._trees.fetch)
        finally:
            if not frozen and self.alive:
                self.thaw()
        return saved if self.services is None else dataclasses.replace(saved, services=self.services.save())

    def restore(self, snapshot: Snapshot) -> None:
        """Reset, put a snapshot's trees in place and verify them; see `Workspace.restore`."""
        self._renew(keep_spare=not self._fresh, filled=False)
        self._plant(snapshot)

    def _plant(self, snapshot: Snapshot) -> None:
        """Fill a fresh box."""
        trees, blobs = snapshots.load(snapshot)
        self._trees.plant(trees, blobs, "snapshot")
        if snapshot.services:
            resume(self, snapshot.services)

    def fork(self) -> Self:
        """Return a new workspace with the same tree; its box starts while the tree is read."""
        with self._lock:
            if self._closed:
                raise WorkspaceError("the workspace is closed")
            box = self._supply.take(filled=False)
            if self.spare_box:
                self._supply.keep(filled=False)
        try:
            saved = self.snapshot()
            other = self._sibling(box)
            other._supply.copied_because, other._filled = self._supply.copied_because, False
            other.spare_box = self.spare_box
        except BaseException:
            end(box)
            raise
        try:
            other._plant(saved)
        except BaseException:
            other.close()
            raise
        return other  # type: ignore[return-value]

    # -- life --------------------------------------------------------------------------------------

    def reset(self) -> None:
        """Replace the box by a fresh one, unless nothing was done in it; see `Workspace.reset`."""
        self._renew(keep_spare=True, filled=True)

    def _renew(self, keep_spare: bool, filled: bool) -> None:
        with self._lock:
            if self._closed:
                raise WorkspaceError("the workspace is closed")
            self._end_services()  # a scheduler may be there though nothing was done in the box
            right = self.template is None or self._filled == filled
            if not (self._fresh and self.alive and right):
                old, self._box = self._box, None
                if old is not None:
                    old.kill()
                self._end_shells()
                self._commands = {}
                self._box = self._supply.take(filled).result()
                self._fresh, self._filled, self._frozen = True, filled, False
                if old is not None:
                    launcher.submit(old.dispose)
            if keep_spare and self.spare_box:
                self._supply.keep(filled)

    def _end_services(self) -> None:
        if self.services is not None:
            self.services.close()
            self.services = None

    def close(self) -> None:
        """End everything in the box; idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if os.getpid() != self._owner:
                return  # a forked copy: the box belongs to the parent
            boxes = [] if self._box is None else [self._box]
            self._box = None
            self._end_services()
            self._end_shells()
            self._supply.close()
        for box in boxes:
            box.kill()
        for box in boxes:
            box.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True) and not sys.is_finalizing():
            self.close()


@atexit.register
def _close_all() -> None:
    """End what was left open while the launcher thread still runs; a box would die a moment later anyway."""
    for workspace in list(_live):
        workspace.close()
