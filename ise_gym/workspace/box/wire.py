"""Frames and bounded buffers.

Protocol, on one stream socket: ``!II`` (header length, body length), a JSON header, a binary body. The
first frame configures; each later request carries an ``id`` that its reply repeats. A request may be
answered late (``exec`` when the command ends), so requests overlap. Descriptors of a pty travel by
SCM_RIGHTS.
"""

# pathlib would double the start-up time of a box.
from __future__ import annotations

import _socket
import os
import struct

TYPE_CHECKING = False  # `typing` costs 10 ms to import; type checkers take this name for true
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any, TypedDict

    class Header(TypedDict, total=False):
        """What a request says besides its body: ``id`` and ``op``, and what that operation takes."""

        id: int
        op: str
        # commands
        key: str
        argv: list[str]
        cwd: str
        env: dict[str, str]
        timeout_s: float
        merge: bool
        sweep: bool
        pty: bool
        fds: tuple[int, int, int]
        eof: bool
        signal: int
        keep_root: bool
        port: int
        # files and trees
        path: str
        offset: int
        limit: int
        mode: int
        append: bool
        paths: list[str]
        root: str
        budget: int
        template: int
        mtime_ns: int
        files: list[tuple[str, int, int]]
        entries: list[tuple[str, str, int, int, str, int]]
        folders: list[tuple[str, int, int]]
        # the first frame
        roots: dict[str, str]
        output_bytes: int
        rlimits: dict[str, int]


try:  # the C halves of `json`: importing the package would double the start-up time
    import _json as _accelerator
except ImportError:
    _accelerator = None  # type: ignore[assignment]


class _Context:
    strict = False
    object_hook = object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float
    memo: dict[str, str] = {}


def _codec() -> tuple[Callable[[str], Any], Callable[[Any], str]]:
    """Return (loads, dumps), from the accelerator where it has the interface of CPython 3.8 to 3.13."""
    try:
        fast: Any = _accelerator
        scan = fast.make_scanner(_Context())
        encode = fast.make_encoder({}, None, fast.encode_basestring_ascii, None, ":", ",", False, False, True)
        if "".join(encode(scan('{"probe": ["x", 1]}', 0)[0], 0)) == '{"probe":["x",1]}':
            return lambda text: scan(text, 0)[0], lambda value: "".join(encode(value, 0))
    except (AttributeError, TypeError):
        _Context.memo.clear()  # another interpreter: fall through to the package
    import json

    return json.loads, json.dumps


loads, dumps = _codec()

CHUNK = 1 << 18


class Capped:
    """Output with a fixed memory cost: the first and the last half of ``limit`` bytes, and a count."""

    def __init__(self, limit: int) -> None:
        self.half = max(1, limit // 2)
        self.head = bytearray()
        self.tail = bytearray()
        self.dropped = 0

    def add(self, data: bytes) -> None:
        """Append, dropping from the middle what is over the limit."""
        room = self.half - len(self.head)
        if room > 0:
            self.head += data[:room]
            data = data[room:]
        if data:
            self.tail += data
            if len(self.tail) > 4 * self.half:
                self._trim()

    def _trim(self) -> None:
        extra = len(self.tail) - self.half
        if extra > 0:
            del self.tail[:extra]
            self.dropped += extra

    def take(self) -> tuple[bytes, int]:
        """Return what was kept and how much was dropped, and start anew."""
        self._trim()
        out = bytes(self.head) + bytes(self.tail), self.dropped
        self.head, self.tail, self.dropped = bytearray(), bytearray(), 0
        return out


class Wire:
    """The init's end of the socket."""

    def __init__(self, sock: _socket.socket) -> None:
        self.sock = sock
        self.inbox = bytearray()

    def send(self, header: Mapping[str, object], body: bytes = b"", fds: Sequence[int] = ()) -> None:
        """Write one frame; blocks while the host does not read."""
        text = dumps(header).encode("ascii")
        frame = struct.pack("!II", len(text), len(body)) + text
        if fds:
            packed = struct.pack(str(len(fds)) + "i", *fds)
            sent = self.sock.sendmsg([frame], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, packed)])
            frame = frame[sent:]
        if len(body) < 65536:
            self.sock.sendall(frame + body)
        else:
            self.sock.sendall(frame)
            self.sock.sendall(body)

    def frames(self) -> Iterator[tuple[Header, bytes]]:
        """Read what is there and yield whole frames; EOFError when the host is gone."""
        data = self.sock.recv(CHUNK)
        if not data:
            raise EOFError
        self.inbox += data
        while len(self.inbox) >= 8:
            head, body = struct.unpack_from("!II", self.inbox)
            end = 8 + head + body
            if len(self.inbox) < end:
                return
            header = loads(self.inbox[8 : 8 + head].decode("ascii"))
            content = bytes(self.inbox[8 + head : end])
            del self.inbox[:end]
            yield header, content


def live_pids() -> frozenset[int]:
    """Every process that can be seen now."""
    return frozenset(int(name) for name in os.listdir("/proc") if name.isdigit())
