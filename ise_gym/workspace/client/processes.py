"""Commands of one box: run and waited for, in a shell, or in the background."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from ise_gym.workspace.base import Shell
from ise_gym.workspace.client.link import Link, naming
from ise_gym.workspace.client.shell import PtyShell
from ise_gym.workspace.values import WORKDIR, ExecResult, ProcessStatus

_GRACE_S = 30.0


class Processes(Link):
    """The part of a workspace that runs commands."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._shells: list[PtyShell] = []
        self._commands: dict[str, str] = {}

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

    def shell(self) -> Shell:
        """Open a persistent shell; see `Workspace.shell`."""
        with self._lock:
            self._shells.append(PtyShell(self, f"shell_{len(self._shells) + 1}"))
            return self._shells[-1]

    def spawn(
        self, command: str, *, cwd: str = WORKDIR, env: Mapping[str, str] | None = None, pty: bool = False
    ) -> str:
        """Start a background process; see `Workspace.spawn`."""
        with self._lock:
            name = f"proc_{len(self._commands) + 1}"
            with naming(cwd):
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

    def processes(self) -> dict[str, str]:
        """Return id → command of the background processes started so far."""
        return dict(self._commands)

    def _end_shells(self) -> None:
        for shell in self._shells:
            shell.close()
        self._shells = []
