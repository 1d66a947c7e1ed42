"""Processor time of every process that ends on this machine, as the kernel reports it when it ends (taskstats).

Why not `wait4`: it gives a command's time with all that it started in one sum, so that nothing tells bash from the
python3 that it ran. The kernel's notices name each program and its user. They need root in the first user and process
namespace.

The time in them is counted in ticks of the kernel's clock: whoever runs when it ticks is charged all of it (a tick is
4 ms at 250 Hz). For one program that says little, but nobody is favoured, so that the sums over thousands are right.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

_HEAD = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
_GENERIC, _CONTROL, _ERROR = 16, 16, 2
_GET_FAMILY, _FAMILY_ID, _FAMILY_NAME = 3, 1, 2
_GET, _REGISTER_CPUS = 1, 3
_OF_THREAD, _STATS = 4, 3
_ROOM = 32 << 20


@dataclass(frozen=True)
class Exit:
    """A thread that ended: the program it ran, its host user and pid, seconds of processor time, in ticks."""

    program: str
    uid: int
    pid: int
    seconds: float


class Exits:
    """A listener; `read` returns what ended since.

    Raises:
        OSError: the kernel gives no such notices, or not to this process.
    """

    def __init__(self) -> None:
        self._sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _GENERIC)
        try:
            self._sock.bind((0, 0))
            self._sock.setsockopt(socket.SOL_SOCKET, getattr(socket, "SO_RCVBUFFORCE", 33), _ROOM)
            self._ask(_CONTROL, _GET_FAMILY, _attribute(_FAMILY_NAME, b"TASKSTATS\0"))
            reply = self._sock.recv(1 << 16)
            if _HEAD.unpack_from(reply)[1] == _ERROR:
                raise OSError("this kernel has no taskstats")
            family = next(value for kind, value in _attributes(reply[20:]) if kind == _FAMILY_ID)
            cpus = f"0-{(os.cpu_count() or 1) - 1}\0".encode()
            self._ask(struct.unpack("=H", family)[0], _GET, _attribute(_REGISTER_CPUS, cpus))
            self._sock.setblocking(False)
        except BaseException:
            self._sock.close()
            raise

    def _ask(self, family: int, command: int, body: bytes) -> None:
        text = struct.pack("=BBH", command, 1, 0) + body
        self._sock.send(_HEAD.pack(_HEAD.size + len(text), family, 1, 1, 0) + text)

    def read(self) -> Iterator[Exit]:
        """Yield what ended since the last call.

        Raises:
            OSError: notices were lost, or never allowed.
        """
        while True:
            try:
                reply = self._sock.recv(1 << 16)
            except BlockingIOError:
                return
            length, kind, *_ = _HEAD.unpack_from(reply)
            if kind == _ERROR:
                if code := -struct.unpack_from("=i", reply, _HEAD.size)[0]:
                    raise OSError(code, os.strerror(code))
                continue
            for of, value in _attributes(reply[20:length]):
                if of == _OF_THREAD:
                    yield from (_exit(stats) for what, stats in _attributes(value) if what == _STATS)


def _exit(stats: bytes) -> Exit:
    """Read the fields that are needed of ``struct taskstats`` (linux/taskstats.h)."""
    (nanoseconds,) = struct.unpack_from("=Q", stats, 64)
    uid, _, pid = struct.unpack_from("=III", stats, 120)
    return Exit(stats[80:112].split(b"\0")[0].decode("utf-8", "replace"), uid, pid, nanoseconds / 1e9)


def _attribute(kind: int, value: bytes) -> bytes:
    found = struct.pack("=HH", 4 + len(value), kind) + value
    return found + bytes(-len(found) % 4)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4:
            return
        yield kind, data[at + 4 : at + length]
        at += (length + 3) & ~3
