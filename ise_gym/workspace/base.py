"""What a live OS workspace can do, whichever sandbox is under it.

`Workspace` is the layer that everything else executes through: tools, checks and the user's evidence.
All file access goes through the init inside the box, never through host paths, so that a symlink made
inside can only ever point inside.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

WORKDIR = "/workspace"
"""Where the agent's files live in every backend; relative paths are resolved against it."""

HOME = "/home/user"
"""The agent's home folder; not part of the digest."""


@dataclass(frozen=True)
class Limits:
    """Resource limits of one workspace. `Capabilities` says which of them a backend really enforces."""

    memory_mb: int = 1024
    disk_mb: int = 256
    processes: int = 128
    open_files: int = 1024
    command_timeout_s: float = 120.0
    output_bytes: int = 64_000
    """Output kept of one command: the first and the last half; the middle is counted and dropped."""


@dataclass(frozen=True)
class SeedFile:
    """A file that exists when the episode starts. ``path`` is relative to `WORKDIR`."""

    path: str
    content: bytes
    mode: int = 0o644


@dataclass(frozen=True)
class ExecResult:
    """Outcome of one command, as the box's init saw it through ``waitpid``.

    Attributes:
        output: stdout (and stderr, when merged), head and tail within the limit, decoded by the caller.
        stderr: empty when merged.
        exit_code: the real exit status; ``128 + n`` for death by signal n; None when it timed out.
        timed_out: the whole process group was killed because the time was up.
        dropped_bytes: how much was cut from the middle of ``output``.
        seconds: wall time, for timings only; never part of an observation.
    """

    output: bytes
    exit_code: int | None
    stderr: bytes = b""
    timed_out: bool = False
    dropped_bytes: int = 0
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """True when the command ended by itself with status 0."""
        return self.exit_code == 0 and not self.timed_out


@dataclass(frozen=True)
class ProcessStatus:
    """State of a background process.

    Attributes:
        output: what it printed since the last poll (head and tail capped).
        exit_code: None while it runs.
    """

    running: bool
    output: bytes = b""
    exit_code: int | None = None
    dropped_bytes: int = 0


@dataclass(frozen=True)
class FileStat:
    """One entry of a folder. ``kind`` is file, dir, symlink or other; ``target`` of symlinks only."""

    path: str
    kind: str
    size: int
    mode: int
    target: str = ""


@dataclass(frozen=True)
class Manifest:
    """The tree under `WORKDIR`: path → (kind, mode, size, SHA-256 of content or link target)."""

    entries: Mapping[str, tuple[str, int, int, str]]

    def digest(self) -> str:
        """Merkle-style hash over names, kinds, modes and contents; clocks and owners play no part."""
        from ise_gym.messages import sha256_of

        return sha256_of([[path, *entry] for path, entry in sorted(self.entries.items())])

    def below(self, folder: str) -> Manifest:
        """Return the part below a folder (all of it for "")."""
        if not folder:
            return self
        inside = folder.rstrip("/") + "/"
        return Manifest({p: e for p, e in self.entries.items() if p == folder or p.startswith(inside)})


@dataclass(frozen=True)
class Diff:
    """How one manifest differs from an earlier one; paths sorted."""

    created: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.created or self.changed or self.deleted)


def diff_manifests(before: Manifest, after: Manifest) -> Diff:
    """Compare two manifests; folders count only when created or deleted."""
    old, new = before.entries, after.entries
    return Diff(
        created=tuple(sorted(new.keys() - old.keys())),
        changed=tuple(sorted(p for p in new.keys() & old.keys() if new[p] != old[p])),
        deleted=tuple(sorted(old.keys() - new.keys())),
    )


@dataclass(frozen=True)
class Capabilities:
    """What is *really* enforced here; a backend never claims more.

    Attributes:
        backend: its full name.
        enforced: limit or isolation name → True, False, or a word on how ("cgroup v2", "rlimit per process").
        notes: what a user should know, one sentence each.
    """

    backend: str
    enforced: Mapping[str, bool | str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """A saved workspace tree; opaque but for its digest. Only the backend that made it reads ``payload``.

    ``services`` holds the in-box services and their state (JSON), "" where none runs.
    """

    digest: str
    payload: bytes
    services: str = ""


@runtime_checkable
class Session(Protocol):
    """A persistent bash on a pty inside the box: directory, variables and functions live on between commands."""

    def run(self, command: str, timeout: float | None = None) -> ExecResult:
        """Run one command; after a timeout the session is usable again (its children are gone)."""
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

    def session(self) -> Session:
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

    def thaw(self) -> None:
        """Continue what `freeze` stopped; nothing when nothing is."""
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
