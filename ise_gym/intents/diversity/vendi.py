"""Vendi scores: the effective number of distinct texts in a pool (Friedman & Dieng, arXiv 2210.02410).

Only the dual form is used, the spectrum of the d × d matrix XᵀX / n: it equals that of the n × n cosine kernel and
stays small for any n. A score can't exceed the embedding's width, so n, d, q and the embedder belong to the figure.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from ise_gym.errors import UserError

if TYPE_CHECKING:
    from ise_gym.intents.diversity.embedding import Matrix

Order = float | Literal["inf"]
ORDERS: tuple[Order, ...] = (0.1, 0.5, 1, 2, 5, "inf")
SIZES = (200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000)
_Z = 1.96


@dataclass(frozen=True)
class Interval:
    """A score with the 95 % interval of its bootstrap."""

    score: float
    low: float
    high: float
    resamples: int


@dataclass(frozen=True)
class CurvePoint:
    """The mean score of random subsets of one size, with the smallest and largest of them."""

    n: int
    score: float
    least: float
    most: float
    subsets: int


def vendi(vectors: Matrix, q: Order = 1) -> float:
    """Return the Vendi score of unit vectors (n × d), by ``vendi_score.vendi.score_dual``.

    Raises:
        UserError: the ``vendi-score`` package is not installed.
    """
    return float(_score_dual()(vectors, q=q, normalize=False))


def bootstrap(vectors: Matrix, resamples: int = 100, seed: int = 0) -> Interval:
    """Return the score with an interval for another pool of this size from the same source.

    The interval is the score ± 1.96 standard deviations over resampled pools. Their own percentiles would
    lie too low: a pool drawn with replacement holds repeats, which a fresh one does not.
    """
    import numpy as np

    score, rng, n = vendi(vectors), np.random.default_rng(seed), len(vectors)
    found = []
    for _ in range(resamples):
        times = rng.multinomial(n, np.full(n, 1 / n)).astype(np.float32)
        found.append(vendi(vectors * np.sqrt(times)[:, None]))  # a row taken k times weighs k in XᵀX
    spread = _Z * float(np.std(found, ddof=1)) if resamples > 1 else 0.0
    return Interval(score, score - spread, score + spread, resamples)


def curve(vectors: Matrix, subsets: int = 5, seed: int = 0) -> list[CurvePoint]:
    """Return scores of random subsets of growing size, up to the whole pool."""
    rng, n = random.Random(seed), len(vectors)
    points = []
    for size in [size for size in SIZES if size < n] + [n]:
        scores = [vendi(vectors[rng.sample(range(n), size)]) for _ in range(subsets if size < n else 1)]
        points.append(CurvePoint(size, sum(scores) / len(scores), min(scores), max(scores), len(scores)))
    return points


def sweep(vectors: Matrix, orders: Sequence[Order] = ORDERS) -> dict[str, float]:
    """Return the score by order q: small q counts rare texts in full, large q only the commonest kind."""
    return {str(q): vendi(vectors, q) for q in orders}


def vendi_report(vectors: Matrix, resamples: int = 100, seed: int = 0) -> dict[str, Any]:
    """Return everything that is said about the spread of a pool's vectors, as JSON."""
    return {
        "n": len(vectors),
        "width": int(vectors.shape[1]),
        "q": 1,
        "kernel": "cosine",
        "bootstrap": asdict(bootstrap(vectors, resamples, seed)),
        "curve": [asdict(point) for point in curve(vectors, seed=seed)],
        "by_order": sweep(vectors),
    }


def _score_dual() -> Callable[..., Any]:
    try:
        from vendi_score.vendi import score_dual
    except ImportError:
        raise UserError("Vendi scores need the vendi-score package: pip install 'ise-gym[embed]'") from None
    found: Callable[..., Any] = score_dual
    return found
