"""Locks on files that the system frees when their holder dies, however it dies: nothing stale is ever left behind."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from ise_gym.errors import UserError


def try_lock(descriptor: int) -> bool:
    """Lock an open file for this holder alone; False when another one has it. Closing the file frees it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def held_alone(path: Path, refusal: str) -> Iterator[None]:
    """Hold a lock file, made when missing, for the length of a block.

    Raises:
        UserError: another holder has it; says ``refusal``.
    """
    with path.open("a") as file:
        if not try_lock(file.fileno()):
            raise UserError(refusal)
        yield
