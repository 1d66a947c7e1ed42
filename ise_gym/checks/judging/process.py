"""The process that judges: takes a check and what it found, answers whether that is right.

It starts with an empty environment and limits on memory and processor time that no input can lift: the timer's signal
ends the process whatever C code it is in. It has no other descriptor than the socket it serves, and ends with it.
"""

from __future__ import annotations

import json
import pickle
import resource
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import Any

HEAD = struct.Struct("!Q")
MEMORY = 512 << 20
"""Bytes of address space that a judgement may take, on top of what the idle process has."""

SECONDS = 2.0
"""Processor time of one judgement."""


def receive(sock: socket.socket, most: int) -> bytes | None:
    """Read one frame; None when the other side is gone or announces more than ``most`` bytes."""
    head = _exactly(sock, HEAD.size)
    if head is None:
        return None
    (size,) = HEAD.unpack(head)
    return _exactly(sock, size) if size <= most else None


def _exactly(sock: socket.socket, size: int) -> bytes | None:
    found = bytearray()
    while len(found) < size:
        piece = sock.recv(min(size - len(found), 1 << 20))
        if not piece:
            return None
        found += piece
    return bytes(found)


def judgement(frame: bytes) -> tuple[bool, str]:
    """Judge one pickled (check, material); every exception is a verdict."""
    from ise_gym.checks.verdicts import Unreadable, failed

    try:
        check, material = pickle.loads(frame)
        result = check.judge(material)
    except Unreadable as problem:
        result = failed(str(problem))
    except MemoryError:
        result = failed(f"what was found takes more than {MEMORY >> 20} MB to read")
    except RecursionError:
        result = failed("what was found is nested too deeply to be read")
    except Exception as problem:
        result = failed(f"what was found can't be checked ({type(problem).__name__}: {problem})")
    return result.passed, result.reason


def serve(sock: socket.socket) -> None:
    """Judge until the harness is gone."""
    import ise_gym.checks  # noqa: F401  (loaded before the limits count)

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C is for the harness, which ends this process by its socket
    sock.sendall(HEAD.pack(0))
    while (frame := receive(sock, 1 << 32)) is not None:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        answer = json.dumps(judgement(frame)).encode("ascii")
        signal.setitimer(signal.ITIMER_PROF, 0)
        del frame
        sock.sendall(HEAD.pack(len(answer)) + answer)


def main(arguments: list[str]) -> None:
    """Serve on the descriptor named by the first argument."""
    found: Any = socket.socket(fileno=int(arguments[0]))
    serve(found)


if __name__ == "__main__":
    main(sys.argv[1:])
