"""Makes glibc keep the memory that training frees.

A training step on a CPU frees and asks again for the same large tensors; by default each one is mapped and unmapped
by the kernel. Measured on the tiny recipe: 15 steps in 16 s instead of 22, a quarter of all time.
"""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3


def keep_freed_memory() -> bool:
    """Ask glibc to reuse freed memory; returns whether it could be asked (False on other C libraries)."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = ((_MMAP_THRESHOLD, 1 << 25), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 1 << 26))
    return all(mallopt(option, value) == 1 for option, value in settings)
