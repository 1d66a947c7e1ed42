"""Okapi BM25 over a handful of short passages.

In-house, since an optional library would make what a tool answers depend on what is installed.

Source: Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, 2009.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice

_WORD = re.compile(r"\w+")
_QUERY_CHARS, _QUERY_WORDS = 4_000, 200
"""What of a query is looked for."""
_K1, _B = 1.2, 0.75


def words(text: str) -> list[str]:
    """Split into case-folded words, of any script.

    >>> words("Größe: 3 kg, naïve_name")
    ['grösse', '3', 'kg', 'naïve_name']
    """
    return _WORD.findall(text.casefold())


def bm25(query: str, passages: Sequence[str]) -> list[float]:
    """Score each passage for a query; 0.0 exactly for those that share no word with it.

    >>> [round(s, 2) for s in bm25("red boat", ["a red boat", "a blue car", "red red wine"])]
    [1.45, 0.0, 0.65]
    """
    bags = [Counter(words(passage)) for passage in passages]
    lengths = [sum(bag.values()) for bag in bags]
    mean = sum(lengths) / len(lengths) if lengths else 0.0
    scores = [0.0] * len(bags)
    for term in islice(dict.fromkeys(words(query[:_QUERY_CHARS])), _QUERY_WORDS):
        holding = sum(term in bag for bag in bags)
        if not holding:
            continue
        weight = math.log(1 + (len(bags) - holding + 0.5) / (holding + 0.5))
        for index, bag in enumerate(bags):
            if count := bag[term]:
                damped = _K1 * (1 - _B + _B * lengths[index] / mean)
                scores[index] += weight * count * (_K1 + 1) / (count + damped)
    return scores
