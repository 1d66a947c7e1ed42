"""What Gymnasium's vector envs need to carry messages right, also through shared memory.

`AsyncVectorEnv` keeps observations in shared memory by default and reads them as a live view. Message
observations have no fixed size, so each env gets a region that holds its latest observation as
length-prefixed JSON. With this registered, ``gym.make_vec("ISE-OS-v0", n, vectorization_mode="async")`` needs no
special arguments, and the path that Gymnasium tests most (shared memory) is the one in use.

And two things that a vector env does not say to its envs: that they are its envs, and that its process has died.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import multiprocessing
import os
import select
import sys
import threading
from collections.abc import Iterator, Sequence
from multiprocessing.sharedctypes import RawArray
from typing import TypeAlias

from gymnasium.vector.utils import (
    create_shared_memory,
    read_from_shared_memory,
    write_to_shared_memory,
)

from ise_gym.messages import Message
from ise_gym.spaces import MessageSequenceSpace

REGION_BYTES = 4 * 1024 * 1024
"""Room for one env's observation, UTF-8 JSON. Tool output is capped far below (see `Limits.output_bytes`)."""
_HEADER = 8

_VECTORS = "gymnasium.vector."
_following = False

Region: TypeAlias = "ctypes.Array[ctypes.c_char]"


class SharedObservations(Sequence[tuple[Message, ...]]):
    """Live view of n envs' latest observations; ``copy.deepcopy`` makes a plain tuple of it."""

    def __init__(self, regions: Sequence[Region]) -> None:
        self._regions = regions

    def __len__(self) -> int:
        return len(self._regions)

    def __getitem__(self, index: int) -> tuple[Message, ...]:  # type: ignore[override]
        region = self._regions[index]
        view = memoryview(region).cast("B")
        size = int.from_bytes(view[:_HEADER], "little")
        if size == 0:
            return ()
        return tuple(json.loads(bytes(view[_HEADER : _HEADER + size]).decode("utf-8", "surrogatepass")))

    def __iter__(self) -> Iterator[tuple[Message, ...]]:
        return (self[i] for i in range(len(self)))

    def __deepcopy__(self, memo: dict[int, object]) -> tuple[tuple[Message, ...], ...]:
        return tuple(self)


@create_shared_memory.register(MessageSequenceSpace)
def _create(space: MessageSequenceSpace, n: int = 1, ctx: object = None) -> tuple[Region, ...]:
    return tuple(RawArray(ctypes.c_char, _HEADER + REGION_BYTES) for _ in range(n))


@read_from_shared_memory.register(MessageSequenceSpace)
def _read(space: MessageSequenceSpace, shared_memory: Sequence[Region], n: int = 1) -> SharedObservations:
    return SharedObservations(shared_memory)


@write_to_shared_memory.register(MessageSequenceSpace)
def _write(
    space: MessageSequenceSpace, index: int, value: tuple[Message, ...], shared_memory: Sequence[Region]
) -> None:
    data = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    if len(data) > REGION_BYTES:
        raise ValueError(
            f"an observation of {len(data)} bytes does not fit the {REGION_BYTES} bytes of shared memory; "
            'pass vector_kwargs={"shared_memory": False} or lower Limits.output_bytes'
        )
    view = memoryview(shared_memory[index]).cast("B")
    view[:_HEADER] = len(data).to_bytes(_HEADER, "little")
    view[_HEADER : _HEADER + len(data)] = data


def made_by_a_vector() -> bool:
    """Tell whether the caller is being made by a vector env, in this process or in a worker of one.

    Vector envs make their envs by the same ``gymnasium.make`` as anyone; only the stack tells.
    """
    frame = sys._getframe(1)
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).startswith(_VECTORS):
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def end_with_parent() -> None:
    """In a daemonic child of `multiprocessing` (a worker of a vector env), end at once when the parent has died.

    `multiprocessing` ends such children only when the parent exits in good order. One whose parent was killed would go
    on waiting at a pipe whose other end its siblings hold too, and its boxes, which die with it, would live on.
    """
    global _following
    parent = multiprocessing.parent_process()
    if _following or parent is None or parent.pid is None or not multiprocessing.current_process().daemon:
        return
    _following = True
    if os.getppid() != parent.pid:  # it died before anyone could look, or a fork server stands between
        handle = int(parent.sentinel)
    else:
        try:
            handle = os.pidfd_open(parent.pid)
        except OSError:
            # An old kernel: the sentinel is a pipe, and says so once all who hold its end have gone.
            handle = int(parent.sentinel)

    def follow() -> None:
        waiting = select.poll()
        waiting.register(handle, select.POLLIN | select.POLLHUP)
        with contextlib.suppress(OSError):
            waiting.poll()
            os._exit(1)

    threading.Thread(target=follow, name="ise-follow-parent", daemon=True).start()
