"""Embedding near-duplicates: a text goes when its vector is too close to one that was kept before it.

Blocks of rows are compared with everything kept so far by one matrix product each, then among themselves, which
gives exactly what a loop over all pairs would give, at the speed of the product. No index, nothing approximate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ise_gym.intents.diversity.embedding import Matrix

_BLOCK = 1024


def near_duplicates(vectors: Matrix, threshold: float) -> dict[int, int]:
    """Return position of each text that is left out → position of the kept one that it repeats.

    Args:
        vectors: n × d, unit length.
        threshold: cosine from which two texts count as the same.

    >>> import numpy as np
    >>> near_duplicates(np.array([[1, 0], [0, 1], [0.999, 0.04]], np.float32), 0.99)
    {2: 0}
    """
    import numpy as np

    kept = np.empty_like(vectors)
    places: list[int] = []
    twins: dict[int, int] = {}
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK]
        before = len(places)
        close = np.full(len(block), -1)
        if before:
            similar = block @ kept[:before].T
            best = similar.argmax(axis=1)
            close = np.where(similar[np.arange(len(block)), best] >= threshold, best, -1)
        inside = block @ block.T >= threshold
        fresh = np.zeros(len(block), bool)
        for i in range(len(block)):
            if close[i] >= 0:
                twins[start + i] = places[close[i]]
            elif (earlier := inside[i, :i] & fresh[:i]).any():
                twins[start + i] = start + int(earlier.argmax())
            else:
                fresh[i] = True
        added = np.flatnonzero(fresh)
        kept[before : before + len(added)] = block[added]
        places.extend(start + int(i) for i in added)
    return twins
