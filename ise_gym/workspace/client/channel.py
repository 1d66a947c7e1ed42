"""The host's end of the talk with a box's init.

Requests overlap: one thread may wait for a long command while another kills a background process. There is
no reader thread; whichever caller waits reads for all (leader and followers), which keeps an idle workspace
free and saves a thread switch per request.

What arrives was written inside a sandbox, so sizes are bounded and types are checked before use.
"""

from __future__ import annotations

import array
import json
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ise_gym.errors import WorkspaceError, WorkspaceUnusable

HEADER_LIMIT = 64 << 20
BODY_LIMIT = 72 << 20
_HEAD = struct.Struct("!II")
_MAX_FDS = 4


@dataclass(frozen=True)
class Reply:
    """One answer: its JSON header, its binary body and descriptors that came with it."""

    header: Mapping[str, Any]
    body: bytes
    fds: tuple[int, ...] = ()


class Channel:
    """Framed request and reply over a stream socket, safe to use from several threads."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._sock.settimeout(60.0)
        self._poll = select.poll()
        self._poll.register(sock.fileno(), select.POLLIN)
        self._inbox = bytearray()
        self._fds: list[int] = []
        self._next_id = 0
        self._send_lock = threading.Lock()
        self._turn = threading.Condition()
        self._reading = False
        self._close_wanted = False
        self._replies: dict[int, Reply] = {}
        self._abandoned: set[int] = set()
        self._broken = ""

    def request(self, op: str, body: bytes = b"", *, timeout: float = 60.0, **header: object) -> Reply:
        """Send one request and wait for its reply.

        Raises:
            OSError: the file error that the init met, with its errno.
            WorkspaceUnusable: the box was silent for ``timeout`` seconds, or its init failed at the request: it does
                nothing but serve, so what runs or lies in the box keeps it from that.
            WorkspaceError: the box is dead, or spoke nonsense.
        """
        number = self._send({"op": op, **header}, body)
        reply = self._receive(number, time.monotonic() + timeout, op)
        if "errno" in reply.header:
            code = int(reply.header["errno"])
            raise OSError(code, os.strerror(code), header.get("path"))
        if "bug" in reply.header:
            raise WorkspaceUnusable(f"the init failed at '{op}': {str(reply.header['bug'])[:500]}")
        return reply

    def _send(self, header: dict[str, object], body: bytes) -> int:
        with self._send_lock:
            if self._broken:
                raise WorkspaceError(self._broken)
            self._next_id += 1
            header["id"] = self._next_id
            text = json.dumps(header, separators=(",", ":")).encode("ascii")
            try:
                self._sock.sendall(_HEAD.pack(len(text), len(body)) + text + body)
            except OSError as error:
                self._fail(f"the sandbox stopped listening ({error})")
                raise WorkspaceError(self._broken) from error
            return self._next_id

    def _receive(self, number: int, deadline: float, op: str) -> Reply:
        try:
            while True:
                with self._turn:
                    while True:
                        if number in self._replies:
                            return self._replies.pop(number)
                        if self._broken:
                            raise WorkspaceError(self._broken)
                        if not self._reading:
                            self._reading = True
                            break
                        self._turn.wait(max(0.0, deadline - time.monotonic()))
                        if time.monotonic() > deadline:
                            break
                    if time.monotonic() > deadline and not self._reading:
                        break
                try:
                    if not self._read_frame(deadline):
                        raise WorkspaceUnusable(f"the sandbox did not answer '{op}' in time")
                finally:
                    with self._turn:
                        self._reading = False
                        if self._close_wanted:
                            self._sock.close()
                        self._turn.notify_all()
        except BaseException:
            with self._turn:
                self._abandoned.add(number)
            raise
        raise WorkspaceUnusable(f"the sandbox did not answer '{op}' in time")

    def _read_frame(self, deadline: float) -> bool:
        """Read until one frame is filed under its id; False when the time is up."""
        while not self._file_frame():
            left = deadline - time.monotonic()
            if left <= 0 or not self._poll.poll(int(left * 1000) + 1):
                return False
            try:
                data, ancillary, _, _ = self._sock.recvmsg(
                    1 << 18, socket.CMSG_SPACE(_MAX_FDS * 4), socket.MSG_CMSG_CLOEXEC
                )
            except OSError as error:
                data, ancillary = b"", []
                reason = str(error)
            else:
                reason = "end of stream"
            for level, kind, raw in ancillary:
                if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                    self._fds += array.array("i", raw[: len(raw) - len(raw) % 4])
            if not data:
                self._fail(f"the sandbox has ended ({reason})")
                raise WorkspaceError(self._broken)
            self._inbox += data
        return True

    def _file_frame(self) -> bool:
        if len(self._inbox) < _HEAD.size:
            return False
        head, body = _HEAD.unpack_from(self._inbox)
        if head > HEADER_LIMIT or body > BODY_LIMIT:
            self._fail("the sandbox sent an oversized frame")
            raise WorkspaceError(self._broken)
        end = _HEAD.size + head + body
        if len(self._inbox) < end:
            return False
        try:
            header = json.loads(self._inbox[_HEAD.size : _HEAD.size + head])
            number = int(header["id"])
        except (ValueError, KeyError, TypeError) as error:
            self._fail("the sandbox sent a malformed frame")
            raise WorkspaceError(self._broken) from error
        reply = Reply(header, bytes(self._inbox[_HEAD.size + head : end]), tuple(self._fds))
        self._fds = []
        del self._inbox[:end]
        with self._turn:
            if number in self._abandoned:
                self._abandoned.discard(number)
                for fd in reply.fds:
                    os.close(fd)
            else:
                self._replies[number] = reply
        return True

    def _fail(self, reason: str) -> None:
        self._broken = self._broken or reason

    @property
    def broken(self) -> str:
        """Why the channel can't be used any more; empty while it can."""
        return self._broken

    def close(self) -> None:
        """Close the socket: the init reads end of file and the box ends."""
        self._fail("the workspace is closed")
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            self._broken = self._broken or "closed"  # the peer went first
        # A descriptor that is closed while another thread is about to wait on it may be somebody else's by then.
        with self._send_lock, self._turn:
            self._close_wanted = True
            if not self._reading:
                self._sock.close()
        for reply in self._replies.values():
            for fd in reply.fds:
                os.close(fd)
        self._replies.clear()
