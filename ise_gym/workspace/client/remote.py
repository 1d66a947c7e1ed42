"""`Workspace` over a box's init: all that backends share.

A backend only says how a box is started and ended; every operation on files and processes is a request to
the init inside it, so that the backends can't differ in behaviour.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import os
import posixpath
import socket
import sys
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Self

from ise_gym.errors import WorkspaceError, WorkspaceUnusable
from ise_gym.workspace.backends.supply import Box, BoxSupply, end
from ise_gym.workspace.base import (
    HOME,
    WORKDIR,
    Capabilities,
    Diff,
    ExecResult,
    FileStat,
    Limits,
    Manifest,
    ProcessStatus,
    SeedFile,
    Session,
    Snapshot,
    diff_manifests,
)
from ise_gym.workspace.client.channel import Reply
from ise_gym.workspace.client.session import PtySession
from ise_gym.workspace.client.trees import BATCH, PIECE, TreeClient
from ise_gym.workspace.isolation import launcher
from ise_gym.workspace.isolation.environment import BOX_ENV, SEED_TIME
from ise_gym.workspace.snapshots import trees as snapshots
from ise_gym.workspace.snapshots.template import Template

if TYPE_CHECKING:
    from ise_gym.services.host import ServiceHost

_GRACE_S = 30.0
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


class BoxWorkspace(ABC):
    """A workspace whose work is done by the init in a box; subclasses start the boxes."""

    def __init__(
        self,
        limits: Limits | None = None,
        box: Future[Box] | None = None,
        template: Template | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self.template = template
        """What `reset` goes back to; None for an empty folder."""
        self._owner = os.getpid()
        self._lock = threading.RLock()
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
        self._sessions: list[PtySession] = []
        self._commands: dict[str, str] = {}
        self._shells = 0
        self._closed = False
        self.services: ServiceHost | None = None
        """The in-box services that run now; see `ise_gym.services`."""
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

    def request(self, op: str, body: bytes = b"", *, timeout: float = 60.0, **header: Any) -> Reply:
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

    @contextlib.contextmanager
    def _naming(self, path: str) -> Any:
        """Put the path into file errors."""
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from None

    # -- the box's own network ---------------------------------------------------------------------

    def listen(self, port: int) -> socket.socket:
        """Open a port of the box's loopback; whoever accepts on the socket serves the box and nobody else.

        Raises:
            OSError: the port is taken.
            WorkspaceError: the box has no network of its own.
        """
        if not self.capabilities().enforced.get("network"):
            raise WorkspaceError(
                f"the backend '{self.capabilities().backend}' shares this machine's network, so services can't "
                "be kept inside: use bubblewrap or docker"
            )
        reply = self.request("listen", port=port)
        return socket.socket(fileno=reply.fds[0])

    def set_env(self, variables: Mapping[str, str]) -> None:
        """Add to the environment of every command that starts from now on, until the next reset."""
        self.request("setenv", env=dict(variables))

    # -- processes ---------------------------------------------------------------------------------

    def exec(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        cwd: str = WORKDIR,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
        merge: bool = True,
        sweep: bool = False,
    ) -> ExecResult:
        """Run a fresh process and wait for it; see `Workspace.exec`."""
        if not argv:
            raise ValueError("exec needs at least a program name")
        limit = self.limits.command_timeout_s if timeout is None else timeout
        reply = self.request(
            "exec",
            stdin,
            timeout=limit + _GRACE_S,
            argv=list(argv),
            cwd=cwd,
            env=dict(env or {}),
            merge=merge,
            sweep=sweep,
            **({} if timeout is None else {"timeout_s": timeout}),
        )
        head = reply.header
        split = int(head["out"])
        code = head["code"]
        return ExecResult(
            output=reply.body[:split],
            stderr=reply.body[split:],
            exit_code=None if code is None else int(code),
            timed_out=bool(head["timed_out"]),
            dropped_bytes=int(head["dropped"]),
            seconds=float(head["seconds"]),
        )

    def session(self) -> Session:
        """Open a persistent shell; see `Workspace.session`."""
        with self._lock:
            self._shells += 1
            shell = PtySession(self, f"shell_{self._shells}")
            self._sessions.append(shell)
        return shell

    def spawn(
        self, command: str, *, cwd: str = WORKDIR, env: Mapping[str, str] | None = None, pty: bool = False
    ) -> str:
        """Start a background process; see `Workspace.spawn`."""
        with self._lock:
            name = f"proc_{len(self._commands) + 1}"
            with self._naming(cwd):
                self.request(
                    "spawn",
                    key=name,
                    argv=["/bin/bash", "-c", command],
                    cwd=cwd,
                    env=dict(env or {}),
                    pty=pty,
                )
            self._commands[name] = command
        return name

    def _known(self, process_id: str) -> None:
        if process_id not in self._commands:
            raise KeyError(process_id)

    def poll(self, process_id: str, timeout: float = 0.0) -> ProcessStatus:
        """Return new output and state; see `Workspace.poll`."""
        self._known(process_id)
        reply = self.request("poll", key=process_id, timeout=timeout + _GRACE_S, timeout_s=timeout)
        head = reply.header
        return ProcessStatus(
            running=bool(head["running"]),
            output=reply.body,
            exit_code=None if head["code"] is None else int(head["code"]),
            dropped_bytes=int(head["dropped"]),
        )

    def write_stdin(self, process_id: str, data: bytes, eof: bool = False) -> None:
        """Send bytes to a background process; BrokenPipeError when it no longer reads."""
        self._known(process_id)
        self.request("stdin", data, key=process_id, eof=eof)

    def kill(self, process_id: str, signal: int = 9) -> None:
        """Signal a background process's group; 9 takes what escaped the group as well."""
        self._known(process_id)
        self.request("kill", key=process_id, signal=int(signal))

    def freeze(self) -> None:
        """Stop every process in the box; see `Workspace.freeze`."""
        self.request("stop")
        self._frozen = True

    def thaw(self) -> None:
        """Continue what `freeze` stopped."""
        if self._frozen:
            self._frozen = False
            self.request("continue")

    def processes(self) -> dict[str, str]:
        """Return id → command of the background processes started so far."""
        return dict(self._commands)

    # -- files -------------------------------------------------------------------------------------

    def read(self, path: str, offset: int = 0, limit: int | None = None) -> bytes:
        """Read bytes of a regular file; see `Workspace.read`."""
        with self._naming(path):
            parts: list[bytes] = []
            while limit is None or limit > 0:
                want = PIECE if limit is None else min(limit, PIECE)
                piece = self.request("read", path=path, offset=offset, limit=want).body
                parts.append(piece)
                offset += len(piece)
                if limit is not None:
                    limit -= len(piece)
                if len(piece) < want:
                    break
            return b"".join(parts)

    def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Create or replace a file; see `Workspace.write`."""
        with self._naming(path):
            for at in range(0, max(1, len(data)), PIECE):
                self.request("write", data[at : at + PIECE], path=path, mode=mode, append=at > 0)

    def remove(self, path: str) -> None:
        """Delete one file or symlink."""
        with self._naming(path):
            self.request("remove", path=path)

    def list(self, path: str = WORKDIR) -> list[FileStat]:
        """Return the entries of a folder, sorted by name, with absolute paths."""
        with self._naming(path):
            reply = self.request("list", path=path)
        base = posixpath.join(WORKDIR, path).rstrip("/")
        return [
            FileStat(f"{base}/{name}", kind, int(size), int(mode), target)
            for name, kind, size, mode, target in reply.header["entries"]
        ]

    def stat(self, path: str) -> FileStat | None:
        """Describe a path without following a final symlink; None when there is nothing."""
        with self._naming(path):
            entry = self.request("stat", path=path).header["entry"]
        if entry is None:
            return None
        kind, size, mode, target = entry
        full = posixpath.join(WORKDIR, path)
        return FileStat(full.rstrip("/") or "/", kind, int(size), int(mode), target)

    def seed(self, files: Iterable[SeedFile]) -> None:
        """Write many files at once, with fixed times."""
        batch: list[SeedFile] = []
        size = 0

        def flush() -> None:
            self.request(
                "seed",
                b"".join(f.content for f in batch),
                files=[[f.path, f.mode, len(f.content)] for f in batch],
                mtime_ns=SEED_TIME * 10**9,
            )

        for file in files:
            batch.append(file)
            size += len(file.content)
            if size > BATCH:
                flush()
                batch, size = [], 0
        if batch:
            flush()

    # -- trees -------------------------------------------------------------------------------------

    @property
    def _trees(self) -> TreeClient:
        entries = 0 if self.template is None else self.template.entries
        return TreeClient(self.request, self._budget, entries)

    def _tree(self, root: str) -> snapshots.Tree:
        return self._trees.tree(root)

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
            from ise_gym.services.host import resume_services

            resume_services(self, snapshot.services)

    def fork(self) -> Self:
        """Return a new workspace with the same tree; its box starts while the tree is read."""
        with self._lock:
            if self._closed:
                raise WorkspaceError("the workspace is closed")
            box = self._supply.take(filled=False)
            self._supply.keep(filled=False)
        try:
            saved = self.snapshot()
            other = self._sibling(box)
            other._supply.copied_because, other._filled = self._supply.copied_because, False
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
                self._end_sessions()
                self._commands = {}
                self._shells = 0
                self._box = self._supply.take(filled).result()
                self._fresh, self._filled, self._frozen = True, filled, False
                if old is not None:
                    launcher.submit(old.dispose)
            if keep_spare:
                self._supply.keep(filled)

    def _end_services(self) -> None:
        if self.services is not None:
            self.services.close()
            self.services = None

    def _end_sessions(self) -> None:
        for shell in self._sessions:
            shell.close()
        self._sessions = []

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
            self._end_sessions()
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
