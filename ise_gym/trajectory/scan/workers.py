"""Does the same work for every part of a store, in this process or in several; results come in the order of the parts.

The parts are the same however many processes there are, so sums of fractions, and files, come out equal to the byte.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import islice
from typing import TypeVar

from ise_gym.errors import UserError
from ise_gym.trajectory.scan.parts import Part

T = TypeVar("T")
P = TypeVar("P", bound=Part)

WORTH_IT = 4 << 20
"""Bytes below which starting processes takes longer than the work."""
_AHEAD = 2
"""Parts that are worked on beyond one a process."""


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


def in_parts(parts: Sequence[P], work: Callable[[P], Iterable[T]], workers: int = 1) -> Iterator[T]:
    """Yield what the work yields of each part.

    Args:
        parts: see `ise_gym.trajectory.scan.parts.parts_of`.
        work: picklable, and so must be what it yields, where there is more than one worker.
        workers: processes; 0 is one a processor. Little work is done in this one.

    Raises:
        UserError: as the work does; a process that was killed (such as for want of memory).
    """
    count = min(workers or processors(), len(parts))
    if count < 2 or sum(part.size for part in parts) < WORTH_IT:
        for part in parts:
            yield from work(part)
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([_module_of(work)])
    with ProcessPoolExecutor(count, context, _begin, (dict(os.environ),)) as pool:
        try:
            rest = iter(parts)
            waiting: deque[Future[list[T]]] = deque(
                pool.submit(_listed, work, part) for part in islice(rest, count + _AHEAD)
            )
            while waiting:
                done = waiting.popleft().result()
                waiting.extend(pool.submit(_listed, work, part) for part in islice(rest, 1))
                yield from done
        except BrokenProcessPool as error:
            raise UserError(
                "a worker process was killed, perhaps because the memory was full; give fewer --workers."
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _module_of(work: object) -> str:
    while isinstance(work, partial):
        work = work.func
    return str(getattr(work, "__module__", "ise_gym.trajectory.store"))


def _listed(work: Callable[[P], Iterable[T]], part: P) -> list[T]:
    return list(work(part))


def _begin(environ: Mapping[str, str]) -> None:
    """Prepare a worker: the driver's environment, no say in a Ctrl-C, and an end when the driver ends."""
    os.environ.clear()  # the process that it was forked from may have begun with another one
    os.environ.update(environ)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_driver, daemon=True).start()


def _end_with_driver() -> None:
    if (driver := multiprocessing.parent_process()) is not None:
        driver.join()
        os._exit(1)
