"""The values that a workspace takes and gives: limits, results, files, trees, snapshots.

Why apart from the contract: both sides of a box and everything above speak in them, whichever sandbox is under it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ise_gym.errors import UserError
from ise_gym.messages import sha256_of

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


_TAKEN = (
    WORKDIR,
    HOME,
    "/tmp",
    "/var/tmp",
    "/dev",
    "/proc",
    "/sys",
    "/etc",
    "/run",
    "/usr",
    "/bin",
    "/sbin",
    "/boot",
)


def extra_folders(folders: Iterable[str]) -> tuple[str, ...]:
    """Return further writable folders of a box as they are mounted: absolute, each once, none inside another.

    >>> extra_folders(["/logs/", "/tests"])
    ('/logs', '/tests')

    Raises:
        UserError: not an absolute path, or one that the box has already or needs for itself.
    """
    if isinstance(folders, str):
        raise UserError(f"folders must be a list of paths, got the text {folders!r}")
    found: list[str] = []
    for given in folders:
        path = posixpath.normpath(given)
        if not path.startswith("/") or path.startswith("//") or "\0" in path:
            raise UserError(f"folders: {given!r} is no absolute path such as '/logs'")
        if path == "/" or path.startswith("/lib") or any(_inside(path, taken) for taken in _TAKEN):
            raise UserError(
                f"folders: {path} is the box's own; choose one outside of {', '.join(_TAKEN)} and /lib*"
            )
        if any(_inside(path, other) or _inside(other, path) for other in found):
            raise UserError(f"folders: {path} is given twice, or one is inside another")
        found.append(path)
    return tuple(found)


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + "/") or folder.startswith(path + "/")


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
        return self._digest

    @cached_property
    def _digest(self) -> str:
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
