"""The ``dummy`` backend: a workspace in memory, for testing the layers above without a sandbox.

Files are real (in a dict); commands are a handful of builtins, plus whatever functions a test brings. There
are no symlinks, no shell syntax and no clocks.
"""

from __future__ import annotations

import errno
import json
import os
import posixpath
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Self

from ise_gym.errors import WorkspaceError
from ise_gym.workspace.base import Shell
from ise_gym.workspace.snapshots.template import Template, template_tree
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

Command = Callable[["DummyWorkspace", Sequence[str], bytes], ExecResult]


def _fail(code: int, path: str) -> OSError:
    return OSError(code, os.strerror(code), path)


class DummyWorkspace:
    """`Workspace` in memory.

    Args:
        limits: only ``output_bytes`` matters here.
        commands: program name → function of (workspace, argv, stdin); they win over the builtins ``true``,
            ``false``, ``echo``, ``cat``, ``rm`` and ``exit``.
        template: what to start from; only its files and folders are taken.

    >>> w = DummyWorkspace()
    >>> w.write("a.txt", b"hello")
    >>> w.exec(["cat", "a.txt"]).output
    b'hello'
    >>> w.exec(["/bin/bash", "-c", "exit 3"]).exit_code
    3
    """

    isolates = False

    def __init__(
        self,
        limits: Limits | None = None,
        commands: Mapping[str, Command] | None = None,
        template: Template | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self._template = template
        self._commands = dict(commands or {})
        self._closed = False
        self._clear()

    def _clear(self) -> None:
        self._files: dict[str, tuple[bytes, int]] = {}
        self._dirs: set[str] = {"/", "/home", HOME, WORKDIR, "/tmp"}
        self._processes: dict[str, tuple[str, ExecResult, bool]] = {}
        if self._template is not None:
            tree, contents = template_tree(self._template)
            for entry in tree.entries:
                if entry.kind == "dir":
                    self._dirs.add(f"{WORKDIR}/{entry.path}")
                elif entry.kind == "file":
                    self._files[f"{WORKDIR}/{entry.path}"] = (bytes(contents[entry.value]), entry.mode)

    def _path(self, path: str) -> str:
        if self._closed:
            raise WorkspaceError("the workspace is closed")
        return posixpath.normpath(posixpath.join(WORKDIR, path))

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
        """Run a builtin or a given function; ``bash -c`` takes one simple command."""
        self._path(cwd)
        words = list(argv)
        if posixpath.basename(words[0]) in ("bash", "sh") and len(words) >= 3 and words[1] == "-c":
            try:
                words = shlex.split(words[2]) or ["true"]
            except ValueError as error:
                return ExecResult(f"bash: syntax error: {error}\n".encode(), 2)
        result = self._run(words, stdin)
        half = max(1, self.limits.output_bytes // 2)
        extra = len(result.output) - 2 * half
        if extra <= 0:
            return result
        return ExecResult(
            result.output[:half] + result.output[-half:],
            result.exit_code,
            result.stderr,
            result.timed_out,
            result.dropped_bytes + extra,
        )

    def _run(self, words: Sequence[str], stdin: bytes) -> ExecResult:
        name, rest = posixpath.basename(words[0]), words[1:]
        if name in self._commands:
            return self._commands[name](self, words, stdin)
        if name in ("true", "false"):
            return ExecResult(b"", int(name == "false"))
        if name == "echo":
            return ExecResult(" ".join(rest).encode() + b"\n", 0)
        if name == "exit":
            return ExecResult(b"", int(rest[0]) & 255 if rest else 0)
        if name in ("cat", "rm"):
            out = b"" if rest or name == "rm" else stdin
            for path in rest:
                try:
                    if name == "rm":
                        self.remove(path)
                    else:
                        out += self.read(path)
                except OSError as error:
                    return ExecResult(out + f"{name}: {path}: {error.strerror}\n".encode(), 1)
            return ExecResult(out, 0)
        return ExecResult(f"{words[0]}: command not found\n".encode(), 127)

    def shell(self) -> Shell:
        """Open a shell without state."""
        return _DummyShell(self)

    def spawn(
        self, command: str, *, cwd: str = WORKDIR, env: Mapping[str, str] | None = None, pty: bool = False
    ) -> str:
        """Run the command at once and keep its result for `poll`."""
        name = f"proc_{len(self._processes) + 1}"
        self._processes[name] = (command, self.exec(["bash", "-c", command], cwd=cwd), False)
        return name

    def poll(self, process_id: str, timeout: float = 0.0) -> ProcessStatus:
        """Return the output once, then nothing."""
        command, result, seen = self._processes[process_id]
        self._processes[process_id] = (command, result, True)
        return ProcessStatus(False, b"" if seen else result.output, result.exit_code)

    def write_stdin(self, process_id: str, data: bytes, eof: bool = False) -> None:
        """Fail as for a process that has ended: every one has."""
        command = self._processes[process_id][0]
        raise BrokenPipeError(errno.EPIPE, "the process has ended", command)

    def kill(self, process_id: str, signal: int = 9) -> None:
        """Do nothing: every process has ended."""
        self._processes[process_id]

    def freeze(self) -> None:
        """Do nothing: no process outlives its call."""

    def thaw(self) -> bool:
        """Do nothing: all stood still."""
        return True

    def processes(self) -> dict[str, str]:
        """Return id → command."""
        return {name: command for name, (command, _, _) in self._processes.items()}

    # -- files -------------------------------------------------------------------------------------

    def read(self, path: str, offset: int = 0, limit: int | None = None) -> bytes:
        """Read a file."""
        full = self._path(path)
        if full in self._dirs:
            raise _fail(errno.EISDIR, path)
        if full not in self._files:
            raise _fail(errno.ENOENT, path)
        data = self._files[full][0]
        return data[offset:] if limit is None else data[offset : offset + limit]

    def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Create or replace a file, making parent folders."""
        full = self._path(path)
        if full in self._dirs:
            raise _fail(errno.EISDIR, path)
        parent = posixpath.dirname(full)
        missing = []
        while parent not in self._dirs:
            if parent in self._files:
                raise _fail(errno.ENOTDIR, path)
            missing.append(parent)
            parent = posixpath.dirname(parent)
        self._dirs.update(missing)
        self._files[full] = (bytes(data), self._files[full][1] if full in self._files else mode)

    def remove(self, path: str) -> None:
        """Delete a file."""
        full = self._path(path)
        if full in self._dirs:
            raise _fail(errno.EISDIR, path)
        if self._files.pop(full, None) is None:
            raise _fail(errno.ENOENT, path)

    def list(self, path: str = WORKDIR) -> list[FileStat]:
        """Return the entries of a folder, sorted by name."""
        full = self._path(path)
        if full in self._files:
            raise _fail(errno.ENOTDIR, path)
        if full not in self._dirs:
            raise _fail(errno.ENOENT, path)
        names = [p for p in (*self._files, *self._dirs) if p != "/" and posixpath.dirname(p) == full]
        return [entry for name in sorted(names) if (entry := self.stat(name)) is not None]

    def stat(self, path: str) -> FileStat | None:
        """Describe a path; None when there is nothing."""
        full = self._path(path)
        if full in self._dirs:
            return FileStat(full, "dir", 0, 0o755)
        if full not in self._files:
            return None
        data, mode = self._files[full]
        return FileStat(full, "file", len(data), mode)

    def seed(self, files: Iterable[SeedFile]) -> None:
        """Write many files."""
        for file in files:
            self.write(file.path, file.content, file.mode)

    # -- trees and life ----------------------------------------------------------------------------

    def reset(self) -> None:
        """Forget everything."""
        self._path("/")
        self._clear()

    def manifest(self) -> Manifest:
        """Hash the tree under `WORKDIR`."""
        prefix = WORKDIR + "/"
        entries = {p[len(prefix) :]: ("dir", 0o755, 0, "") for p in self._dirs if p.startswith(prefix)}
        for path, (data, mode) in self._files.items():
            if path.startswith(prefix):
                entries[path[len(prefix) :]] = ("file", mode, len(data), sha256(data).hexdigest())
        return Manifest(entries)

    def digest(self) -> str:
        """Return ``manifest().digest()``."""
        return self.manifest().digest()

    def snapshot(self) -> Snapshot:
        """Save all files."""
        files = {path: [data.hex(), mode] for path, (data, mode) in sorted(self._files.items())}
        return Snapshot(self.digest(), json.dumps([files, sorted(self._dirs)]).encode())

    def restore(self, snapshot: Snapshot) -> None:
        """Bring a snapshot's files back."""
        files, dirs = json.loads(snapshot.payload)
        self.reset()
        self._files = {path: (bytes.fromhex(data), mode) for path, (data, mode) in files.items()}
        self._dirs = set(dirs)
        if self.digest() != snapshot.digest:
            raise WorkspaceError("the snapshot can't be used: its digest is not that of its tree")

    def fork(self) -> Self:
        """Return a copy."""
        other = type(self)(self.limits, self._commands, self._template)
        other.restore(self.snapshot())
        return other

    def diff(self, since: Manifest) -> Diff:
        """Compare with an earlier manifest."""
        return diff_manifests(since, self.manifest())

    def capabilities(self) -> Capabilities:
        """Nothing runs, so nothing is enforced."""
        return Capabilities("dummy", {}, ("In memory: no process is ever started.",))

    def close(self) -> None:
        """Refuse further use."""
        self._closed = True


class _DummyShell:
    def __init__(self, workspace: DummyWorkspace) -> None:
        self._workspace = workspace

    def run(self, command: str, timeout: float | None = None) -> ExecResult:
        """Run one command."""
        return self._workspace.exec(["bash", "-c", command], timeout=timeout)

    def close(self) -> None:
        """Nothing to end."""
