"""How evenly a pool covers the axes that it was sampled from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from ise_gym.intents.diversity.pool import Pool


def evenness(counts: Mapping[str, int]) -> float:
    """Return the Shannon entropy of counts divided by its maximum: 1 when all are equal, 0 for a single value.

    >>> evenness({"a": 5, "b": 5}), evenness({"a": 9})
    (1.0, 0.0)
    """
    total = sum(counts.values())
    shares = [count / total for count in counts.values() if count]
    if len(shares) < 2:
        return 0.0
    return -sum(share * math.log(share) for share in shares) / math.log(len(shares))


def axis_report(values: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    """Return how many values an axis has in a pool, its entropy in bits, and how even it is."""
    counts = Counter(value for own in values for value in own)
    even = evenness(counts)
    top = counts.most_common(3)
    return {
        "values": len(counts),
        "texts": sum(1 for own in values if own),
        "entropy_bits": even * math.log2(len(counts)) if len(counts) > 1 else 0.0,
        "evenness": even,
        "commonest": {name: count / sum(counts.values()) for name, count in top},
    }


def domain_pairs(values: Sequence[tuple[str, ...]]) -> dict[str, dict[str, int]]:
    """Return the symmetric matrix of how many texts have both of two domains; its diagonal is the domain's own."""
    names = sorted({name for own in values for name in own})
    matrix = {name: dict.fromkeys(names, 0) for name in names}
    for own in values:
        for name in set(own):
            matrix[name][name] += 1
        for first, second in combinations(sorted(set(own)), 2):
            matrix[first][second] += 1
            matrix[second][first] += 1
    return matrix


def coverage_report(pool: Pool) -> dict[str, Any]:
    """Return the axes that the file tells of, the domain pairs, and shares of registers, as JSON."""
    axes = {axis: axis_report(values) for axis, values in sorted(pool.axes.items()) if any(values)}
    registers = Counter(value for own in pool.axes.get("register", ()) for value in own)
    return {
        "axes": axes,
        "domain_pairs": domain_pairs(pool.axes.get("domain", ())),
        "registers": {name: count / registers.total() for name, count in sorted(registers.items())},
    }
