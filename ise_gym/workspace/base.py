"""What a live OS workspace can do, whichever sandbox is under it.

`Workspace` is the layer that everything else executes through: tools, checks and the user's evidence.
All file access goes through the init inside the box, never through host paths, so that a symlink made
inside can only ever point inside.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from ise_gym.workspace.values import (
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
    Snapshot,
    diff_manifests,
)

__all__ = [
    "HOME",
    "WORKDIR",
    "Capabilities",
    "Diff",
    "ExecResult",
    "FileStat",
    "Hosted",
    "Hosting",
    "Limits",
    "Manifest",
    "ProcessStatus",
    "SeedFile",
    "Shell",
    "Snapshot",
    "Workspace",
    "diff_manifests",
]


@runtime_checkable
class Shell(Protocol):
    """A persistent bash on a pty inside the box: directory, variables and functions live on between commands."""

    def run(self, command: str, timeout: float | None = None) -> ExecResult:
        """Run one command; after a timeout the shell is usable again (its children are gone)."""
        ...

    def close(self) -> None:
        """End the shell and everything it started."""
        ...


@runtime_checkable
class Workspace(Protocol):
    """A live, isolated OS workspace.

    Paths given to file methods are absolute in-box paths or relative to `WORKDIR`. File methods raise the
    builtin ``FileNotFoundError``, ``IsADirectoryError``, ``NotADirectoryError``, ``PermissionError`` or
    ``OSError`` that the box's init met (running as the agent's user). A dead sandbox raises
    `ise_gym.errors.WorkspaceError`.
    """

    limits: Limits

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
        """Run a fresh process (no shell state) in its own process group and wait for it.

        ``env`` is added to the box's clean environment. stdin is closed after the given bytes. When the
        main process ends, output still held open by its children is not waited for, unless ``sweep`` is set: then
        whatever it left running is killed. 127 = not found.
        """
        ...

    def shell(self) -> Shell:
        """Open a persistent shell."""
        ...

    def spawn(
        self, command: str, *, cwd: str = WORKDIR, env: Mapping[str, str] | None = None, pty: bool = False
    ) -> str:
        """Start ``bash -c command`` in the background and return its id (``proc_1``, ``proc_2``, …)."""
        ...

    def poll(self, process_id: str, timeout: float = 0.0) -> ProcessStatus:
        """Return new output and state, waiting up to ``timeout`` seconds for the process to end."""
        ...

    def write_stdin(self, process_id: str, data: bytes, eof: bool = False) -> None:
        """Send bytes to a background process; ``eof`` closes its stdin. Unknown id: KeyError."""
        ...

    def kill(self, process_id: str, signal: int = 9) -> None:
        """Signal the background process's whole group. Unknown id: KeyError."""
        ...

    def freeze(self) -> None:
        """Stop every process in the box, so that nothing changes while it is looked at; fresh `exec` still works."""
        ...

    def thaw(self) -> bool:
        """Continue what `freeze` stopped; nothing when nothing is.

        False: something ran meanwhile, since the kernel or a program woke it. All processes were killed instead, and
        what was seen since `freeze` is worth nothing.
        """
        ...

    def processes(self) -> dict[str, str]:
        """Return id → command of the background processes started so far, ended ones included."""
        ...

    def read(self, path: str, offset: int = 0, limit: int | None = None) -> bytes:
        """Read bytes of a regular file (following symlinks inside the box)."""
        ...

    def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Create or replace a file, making parent folders. ``mode`` applies to new files only."""
        ...

    def remove(self, path: str) -> None:
        """Delete one file or symlink."""
        ...

    def list(self, path: str = WORKDIR) -> list[FileStat]:
        """Return the entries of a folder, sorted by name."""
        ...

    def stat(self, path: str) -> FileStat | None:
        """Describe a path without following a final symlink; None when there is nothing."""
        ...

    def seed(self, files: Iterable[SeedFile]) -> None:
        """Write many files at once, with fixed times, before an episode starts."""
        ...

    def reset(self) -> None:
        """Back to the empty template: no file, no process and no shell of the last episode is left."""
        ...

    def manifest(self) -> Manifest:
        """Hash the tree under `WORKDIR`."""
        ...

    def digest(self) -> str:
        """Return ``manifest().digest()``."""
        ...

    def snapshot(self) -> Snapshot:
        """Save the tree under `WORKDIR` and `HOME` (not processes)."""
        ...

    def restore(self, snapshot: Snapshot) -> None:
        """Reset, then put a snapshot's tree in place; verifies its digest."""
        ...

    def fork(self) -> Workspace:
        """Return a new workspace with the same tree."""
        ...

    def diff(self, since: Manifest) -> Diff:
        """Compare the present tree with an earlier manifest."""
        ...

    def capabilities(self) -> Capabilities:
        """Say what is really enforced."""
        ...

    def close(self) -> None:
        """End everything in the box; idempotent."""
        ...


class Hosted(Protocol):
    """What is served into one box from the harness side. Its workspace saves it with the tree and ends it with the box.

    `ise_gym.workspace.hosting` says how it comes to life again in another box.
    """

    def save(self) -> str:
        """Return what it is and how it stands, as text; it travels as `Snapshot.services`."""
        ...

    def close(self) -> None:
        """Stop serving; idempotent."""
        ...


@runtime_checkable
class Hosting(Workspace, Protocol):
    """A workspace into which something can be served: ports inside, whose connections arrive on the harness side."""

    services: Hosted | None
    """What is served now; None after a reset."""

    def listen(self, port: int) -> socket.socket:
        """Open a port of the box's loopback; whoever accepts on the socket serves the box and nobody else.

        Raises:
            OSError: the port is taken.
            WorkspaceError: the box has no network of its own.
        """
        ...

    def set_env(self, variables: Mapping[str, str]) -> None:
        """Add to the environment of every command that starts from now on, until the next reset."""
        ...
