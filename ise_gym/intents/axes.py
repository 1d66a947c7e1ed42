"""Deals positions of an axis evenly: like rolling dice, but every side has come up before one comes again.

A scenario has to be a function of its seed alone, so evenness can't come from counting what came so
far. Instead seeds are cut into blocks of the axis' length, and each block is a permutation of its own.
"""

from __future__ import annotations

import random
from functools import lru_cache
from itertools import combinations

from ise_gym.foreign.values import Json
from ise_gym.seeds import derive_seed


@lru_cache(maxsize=512)
def _permutation(size: int, block: int, key: tuple[Json, ...]) -> tuple[int, ...]:
    order = list(range(size))
    random.Random(derive_seed("deal", size, block, *key)).shuffle(order)
    return tuple(order)


def deal(size: int, index: int, *key: Json, count: int = 1) -> tuple[int, ...]:
    """Return ``count`` different positions of 0 … size-1 for an index; ``key`` names the axis.

    Over any aligned block of ``size`` indices each position comes first exactly once.

    >>> sorted(deal(3, i, "axis")[0] for i in range(3))
    [0, 1, 2]
    """
    order = _permutation(size, index // size, key)
    at = index % size
    return tuple(order[(at + step) % size] for step in range(min(count, size)))


@lru_cache(maxsize=64)
def subsets(names: tuple[str, ...], size: int) -> tuple[tuple[str, ...], ...]:
    """Return all subsets of a size, in order."""
    return tuple(combinations(names, size))
