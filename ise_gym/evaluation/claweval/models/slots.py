"""At most so many requests at once over all worker processes, without anything that a killed one could hold on to.

A slot is a file lock: the system frees it when its holder dies, which a semaphore shared between processes is not.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ise_gym.storage.locks import try_lock
from ise_gym.waiting import waiting

_PAUSE_S = 0.02


class Slots:
    """A fixed number of slots, shared by all processes that name the same folder.

    Args:
        folder: holds one lock file a slot; made when missing. "" for no limit.
        number: of slots.
    """

    def __init__(self, folder: str, number: int) -> None:
        self._files = [Path(folder) / str(i) for i in range(number)] if folder else []
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait for a slot and hold it."""
        if not self._files:
            yield
            return
        with waiting():
            descriptor = self._take()
        try:
            yield
        finally:
            os.close(descriptor)

    def _take(self) -> int:
        while True:
            for file in random.sample(self._files, len(self._files)):
                descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
                if try_lock(descriptor):
                    return descriptor
                os.close(descriptor)
            time.sleep(_PAUSE_S)
