"""Variety of wording, without any model: distinct n-grams, self-BLEU, lengths."""

from __future__ import annotations

import math
import random
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ise_gym.intents.pool.dedup import normalised

_ORDERS = (1, 2, 3, 4)


def words_of(text: str) -> list[str]:
    """Return a text's words, without case and punctuation around them."""
    return [word for word in normalised(text).split() if word]


def distinct_n(texts: Sequence[Sequence[str]], n: int) -> float:
    """Return the share of n-grams that are distinct, in (0, 1]; it falls with the number of texts.

    Source: Li et al., arXiv 1510.03055.

    >>> distinct_n([["a", "b", "a", "b"]], 2)
    0.6666666666666666
    """
    grams = [tuple(words[i : i + n]) for words in texts for i in range(len(words) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 0.0


def self_bleu(texts: Sequence[Sequence[str]]) -> float:
    """Return the mean BLEU-4 of each text against all others, in [0, 1]: lower is more varied.

    Orders without a match count as half a match. Source: Texygen, arXiv 1802.01886.

    >>> self_bleu([["a", "b", "c", "d"], ["a", "b", "c", "d"]])
    1.0
    """
    if len(texts) < 2:
        return 0.0
    counted = [[Counter(_grams(words, n)) for n in _ORDERS] for words in texts]
    # of each n-gram the two highest counts in any text, so that "all but this one" costs one look
    highest: list[dict[tuple[str, ...], tuple[int, int, int]]] = [{} for _ in _ORDERS]
    for position, own in enumerate(counted):
        for order, counts in enumerate(own):
            for gram, count in counts.items():
                first, owner, second = highest[order].get(gram, (0, -1, 0))
                if count > first:
                    first, owner, second = count, position, first
                elif count > second:
                    second = count
                highest[order][gram] = (first, owner, second)
    lengths = [len(words) for words in texts]
    return statistics.fmean(_bleu(position, counted, highest, lengths) for position in range(len(texts)))


def _bleu(
    position: int,
    counted: Sequence[Sequence[Counter[tuple[str, ...]]]],
    highest: Sequence[dict[tuple[str, ...], tuple[int, int, int]]],
    lengths: Sequence[int],
) -> float:
    logs = []
    for order, counts in enumerate(counted[position]):
        total, matched = sum(counts.values()), 0
        if not total:
            continue
        for gram, count in counts.items():
            first, owner, second = highest[order][gram]
            matched += min(count, second if owner == position else first)
        logs.append(math.log((matched or 0.5) / total))
    if not logs:
        return 0.0
    own = lengths[position]
    others = (*lengths[:position], *lengths[position + 1 :])
    nearest = min(others, key=lambda other: (abs(other - own), other))
    penalty = 1.0 if own >= nearest else math.exp(1 - nearest / own)
    return penalty * math.exp(statistics.fmean(logs))


def _grams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def lexical_report(texts: Sequence[str], sample: int = 500, seed: int = 0) -> dict[str, Any]:
    """Return lengths of all texts, and distinct-n and self-BLEU of a random sample, as JSON."""
    chosen = random.Random(seed).sample(range(len(texts)), min(sample, len(texts)))
    words = [words_of(texts[i]) for i in sorted(chosen)]
    lengths = sorted(len(text.split()) for text in texts)
    marks = {f"p{percent}": lengths[(len(lengths) - 1) * percent // 100] for percent in (5, 25, 50, 75, 95)}
    return {
        "words": {"mean": statistics.fmean(lengths), "least": lengths[0], **marks, "most": lengths[-1]},
        "sample": len(words),
        "distinct": {str(n): distinct_n(words, n) for n in _ORDERS},
        "self_bleu": self_bleu(words),
    }
