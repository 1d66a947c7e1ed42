"""A persistent bash on a pty inside the box, driven without ever parsing its prompt.

Why not a prompt or a fixed sentinel: a command can print either. Here bash is not interactive. It runs a
small driver that reads each command, null-terminated, from a pipe of its own, evaluates it with the pty as
stdio, then reports the status on a second pipe and closes the output with a marker that holds a random
nonce. Both pipes are closed for the command and its children while it runs, so that printing or writing to
descriptors can't forge a status. A syntax error, an unterminated quote or ``break`` ends inside ``eval``;
``exit`` and ``exec`` end the shell, whose status the box's init learns by ``waitpid``; the next command
then gets a new shell.

The status is still reported by a shell that the commands control (they may redefine its builtins): checks
use a fresh ``exec`` instead.
"""

from __future__ import annotations

import os
import secrets
import select
import termios
import time
from typing import Any

from ise_gym.errors import WorkspaceError
from ise_gym.workspace.box.wire import Capped
from ise_gym.workspace.client.link import Link
from ise_gym.workspace.values import WORKDIR, ExecResult

TTY, COMMANDS, STATUS = 202, 200, 201
DRIVER = f"""exec </dev/null >/dev/null 2>&1
unset BASH_EXECUTION_STRING
while IFS= builtin read -r -d '' -u {COMMANDS} __ise_nonce && IFS= builtin read -r -d '' -u {COMMANDS} __ise_cmd; do
for __ise_once in 1; do
builtin eval "$__ise_cmd" <&{TTY} >&{TTY} 2>&{TTY} {COMMANDS}<&- {STATUS}>&- {TTY}>&-
done
builtin printf '%s %d\\n' "$__ise_nonce" "$?" >&{STATUS}
builtin printf '\\036%s\\036' "$__ise_nonce" >&{TTY}
done
"""
_GRACE_S = 0.5
_QUIET_S = 0.05


class PtyShell:
    """`Shell` over the pty that a box's init hands out; `Workspace.shell` makes them."""

    def __init__(self, box: Link, key: str) -> None:
        self._box = box
        self._key = key
        self._pty: Any = None
        self._cmd = -1
        self._status = -1
        self._mode: list[Any] = []
        self._directory = WORKDIR
        self._closed = False

    def _open(self) -> None:
        import pexpect.fdpexpect

        reply = self._box.request(
            "shell",
            key=self._key,
            argv=["/bin/bash", "--noprofile", "--norc", "-c", DRIVER, "bash"],
            cwd=self._directory,
            env=None,
            fds=[TTY, COMMANDS, STATUS],
        )
        if len(reply.fds) != 3:
            for fd in reply.fds:
                os.close(fd)
            raise WorkspaceError("the in-box agent did not hand out a terminal")
        master, self._cmd, self._status = reply.fds
        os.set_blocking(self._cmd, False)
        self._mode = termios.tcgetattr(master)
        self._pty = pexpect.fdpexpect.fdspawn(master, use_poll=True, timeout=None)
        self._pty.delaybeforesend = None

    def _drop(self) -> None:
        """Forget the shell: its descriptors here, its processes there."""
        if self._pty is None:
            return
        for fd in (self._pty.child_fd, self._cmd, self._status):
            os.close(fd)
        self._pty.child_fd = -1
        self._pty.closed = True
        self._pty = None
        self._box.request("forget", key=self._key)

    def run(self, command: str, timeout: float | None = None) -> ExecResult:
        """Run one command in the shell; see `Shell.run`."""
        if self._closed:
            raise WorkspaceError("the session is closed")
        text = command.encode("utf-8", "surrogateescape")
        if b"\0" in text:
            return ExecResult(b"bash: the command contains a null byte\n", 126)
        if self._pty is None:
            self._open()
        limits = self._box.limits
        started = time.monotonic()
        deadline = started + (limits.command_timeout_s if timeout is None else timeout)
        nonce = secrets.token_hex(8)
        self._discard()
        # A command may have left the terminal in another mode.
        termios.tcsetattr(self._pty.child_fd, termios.TCSANOW, self._mode)
        kept = Capped(limits.output_bytes)
        marker = b"\x1e" + nonce.encode() + b"\x1e"
        frame = nonce.encode() + b"\0" + text + b"\0"
        outcome = self._pump(kept, marker, frame, deadline)
        timed_out = outcome == "timeout"
        code: int | None = None
        if outcome == "done":
            code = self._read_status(nonce, deadline)
            timed_out = (
                code is None and not self._status_closed()
            )  # the command printed the marker and runs on
        if timed_out:
            outcome = self._interrupt(kept, marker)
            if outcome != "done" or self._read_status(nonce, time.monotonic() + _GRACE_S) is None:
                self._drop()
        elif code is None:
            code, timed_out = self._shell_ended(kept, deadline)
        output, dropped = kept.take()
        return ExecResult(
            output=output,
            exit_code=code,
            timed_out=timed_out,
            dropped_bytes=dropped,
            seconds=time.monotonic() - started,
        )

    def _discard(self) -> None:
        """Drop what background jobs printed after the last command's end."""
        poll = select.poll()
        poll.register(self._pty.child_fd, select.POLLIN)
        budget = 1 << 20
        while budget > 0 and any(event & select.POLLIN for _, event in poll.poll(0)):
            budget -= len(self._read())

    def _read(self) -> bytes:
        import pexpect

        try:
            data = self._pty.read_nonblocking(1 << 16, timeout=0)
        except (pexpect.EOF, pexpect.TIMEOUT):
            return b""
        return bytes(data)

    def _pump(self, kept: Capped, marker: bytes, frame: bytes, deadline: float) -> str:
        """Send the command and collect output until the marker: "done", "timeout" or "ended"."""
        tty = self._pty.child_fd
        poll = select.poll()
        poll.register(tty, select.POLLIN)
        poll.register(self._status, select.POLLHUP)
        pending = memoryview(frame)
        if pending:
            pending = self._send(pending)
            if pending:
                poll.register(self._cmd, select.POLLOUT)
        window = b""
        quiet = False
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                kept.add(window)
                return "timeout"
            events = dict(poll.poll(int(min(left, 3600.0) * 1000) + 1))
            if self._cmd in events and pending:
                pending = self._send(pending)
                if not pending:
                    poll.unregister(self._cmd)
            if events.get(tty, 0) & (select.POLLIN | select.POLLHUP):
                data = self._read()
                if not data:
                    kept.add(window)
                    return "ended"
                window += data
                at = window.find(marker)
                if at >= 0:
                    kept.add(window[:at])
                    return "done"
                keep = len(marker) - 1
                kept.add(window[:-keep])
                window = window[-keep:]
                continue
            if self._status in events and not quiet:
                # The shell is gone or replaced, and nothing it printed is left unread.
                kept.add(window)
                return "ended"

    def _send(self, pending: memoryview) -> memoryview:
        try:
            return pending[os.write(self._cmd, pending) :]
        except BlockingIOError:
            return pending
        except BrokenPipeError:
            return memoryview(b"")  # the shell has ended: `_pump` learns it from the status pipe

    def _status_closed(self) -> bool:
        """Whether the shell can report no status any more."""
        poll = select.poll()
        poll.register(self._status, select.POLLHUP)
        return bool(poll.poll(0))

    def _read_status(self, nonce: str, deadline: float) -> int | None:
        """Read the status line of this nonce; older ones belong to commands that were given up.

        None when the shell has ended, or when the deadline comes first: a command that knows its nonce can print the
        marker, but the shell reports a status only when it is done.
        """
        text = b""
        poll = select.poll()
        poll.register(self._status, select.POLLIN)
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(int(left * 1000) + 1):
                return None
            piece = os.read(self._status, 4096)
            if not piece:
                return None
            text += piece
            for line in text.split(b"\n")[:-1]:
                name, _, value = line.partition(b" ")
                if name == nonce.encode() and value.isdigit():
                    return int(value)

    def _interrupt(self, kept: Capped, marker: bytes) -> str:
        """Kill the command's processes; the shell itself only when it does not come back."""
        self._box.request("kill", key=self._key, signal=9, keep_root=True)
        outcome = self._pump(Capped(2), marker, b"", time.monotonic() + _GRACE_S)
        if outcome != "done":
            # A loop inside the shell: start over, in the directory where it stood.
            try:
                self._directory = str(self._box.request("cwd", key=self._key).header["cwd"])
            except OSError:
                self._directory = WORKDIR
        return outcome

    def _shell_ended(self, kept: Capped, deadline: float) -> tuple[int | None, bool]:
        """Wait for the shell, or for the program it became by ``exec``, while reading its output."""
        code: int | None = None
        timed_out = False
        while True:
            reply = self._box.request("poll", key=self._key, timeout_s=0.0)
            running = bool(reply.header["running"])
            data = self._wait_output(_QUIET_S if not running else 0.02)
            kept.add(data)
            if not running and not data:
                code = int(reply.header["code"])
                break
            if running and time.monotonic() > deadline:
                timed_out = True
                break
        self._directory = WORKDIR
        self._drop()
        return code, timed_out

    def _wait_output(self, seconds: float) -> bytes:
        poll = select.poll()
        poll.register(self._pty.child_fd, select.POLLIN)
        events = dict(poll.poll(int(seconds * 1000)))
        if events.get(self._pty.child_fd, 0) & select.POLLIN:
            return self._read()
        if events:
            time.sleep(0.002)  # hung up: poll returns at once from now on
        return b""

    def close(self) -> None:
        """End the shell and all it started."""
        if not self._closed:
            self._closed = True
            if self._box.alive:
                self._drop()
            elif self._pty is not None:
                for fd in (self._pty.child_fd, self._cmd, self._status):
                    os.close(fd)
                self._pty.child_fd = -1
                self._pty.closed = True
                self._pty = None
