"""Intervals of pass rates and of their differences, over tasks that were each played once or several times.

Trials of one task are not independent tasks, so what counts is how much the *tasks* differ: a rate over tasks that all
give themselves away at once is known as well as one trial per task would tell it, one over tasks that are coin
tosses as well as all their trials. A bootstrap of 18 tasks that all passed says [100, 100], which nobody believes; both
intervals here have a rule for such corners: half a task of either kind is added before spread is measured.

Their coverage is what `benchmarks/coverage.py` prints: at least 94 % at 20, 64 and 220 tasks, rates from 3 to 97 %,
one, three and five trials, however alike the trials of a task are; for differences too, however alike the two runs are.
The functions of moments take arrays as well, so that the benchmark measures this very code.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ise_gym.statistics import Interval, z_score

Number: TypeAlias = "np.float64 | npt.NDArray[np.float64]"
"""One figure, or an array of them."""


CORRECTION = 0.25
"""Part of a task by which the observed rate is moved inwards (half a task is Newcombe's continuity correction, which is
too wide); without any, Wilson's interval covers 92 % at 20 tasks."""

UNSEEN = 0.5
"""Tasks of either extreme that are added where the spread between tasks is measured."""

UNSEEN_PAIRS = 0.75
"""The same for differences: tasks that only the one run passed, and only the other."""

METHOD = "Wilson over tasks"


@dataclass(frozen=True)
class Difference:
    """A mean difference over tasks with its 95 % interval."""

    mean: float
    low: float
    high: float


def rate_interval(shares: Sequence[float], trials: float = 1.0, level: float = 0.95) -> Interval:
    """Interval of the mean of per-task shares.

    Args:
        shares: one number in [0, 1] a task; none gives (0, 1).
        trials: how many trials per task stand behind them, on average.
        level: confidence level.

    >>> low, high = rate_interval([1.0] * 18, trials=3)
    >>> f"{100 * low:.1f} {100 * high:.1f}"
    '80.2 100.0'
    """
    values = np.asarray(shares, dtype=np.float64)
    if values.size == 0:
        return 0.0, 1.0
    low, high = rate_limits(values.size, values.sum(), (values**2).sum(), trials, level)
    return float(low), float(high)


def rate_limits(
    n: int, total: Number, squares: Number, trials: float = 1.0, level: float = 0.95
) -> tuple[Number, Number]:
    """Return Wilson's score limits at the number of independent trials that the spread between tasks amounts to.

    That number is n times the variance of a single trial over that of a task's share, between n (tasks decide
    everything) and n times the trials (tasks decide nothing): the design effect of cluster samples.

    Args:
        n: tasks. ``total``, ``squares``: sum of their shares, and of the squares; numbers or arrays.
        trials, level: as of `rate_interval`.

    Sources: E. B. Wilson, JASA 1927; L. Kish, Survey Sampling, 1965 (design effect); R. G. Newcombe, Statistics in
    Medicine 17, 1998, method 4 (continuity correction).
    """
    mean = total / n
    padded = n + 2 * UNSEEN
    centre = (total + UNSEEN) / padded
    variance = (squares + UNSEEN) / padded - centre**2
    effective: Number = np.asarray(
        np.clip(n * centre * (1 - centre) / variance, n, n * max(1.0, trials)), dtype=np.float64
    )
    low = _score_limit(np.maximum(0.0, mean - CORRECTION / effective), effective, -z_score(level))
    high = _score_limit(np.minimum(1.0, mean + CORRECTION / effective), effective, z_score(level))
    # The exact ends are 0 and 1 at the corners; rounding may miss them.
    return np.where(mean <= 0, 0.0, np.clip(low, 0, 1)), np.where(mean >= 1, 1.0, np.clip(high, 0, 1))


def _score_limit(p: Number, n: Number, z: float) -> Number:
    half = z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (p + z * z / (2 * n) + half) / (1 + z * z / n)


def difference(first: Sequence[float], second: Sequence[float], level: float = 0.95) -> Difference:
    """Mean of ``second - first`` over tasks that both sides played, with its interval.

    Args:
        first, second: shares in [0, 1], in the same order of tasks.
        level: confidence level.

    Raises:
        ValueError: different lengths, or none.
    """
    if len(first) != len(second) or not first:
        raise ValueError(
            f"paired values must have the same length, at least 1; got {len(first)} and {len(second)}"
        )
    values = np.asarray(second, dtype=np.float64) - np.asarray(first, dtype=np.float64)
    low, high = difference_limits(values.size, values.sum(), (values**2).sum(), level)
    return Difference(float(values.mean()), float(low), float(high))


def difference_limits(n: int, total: Number, squares: Number, level: float = 0.95) -> tuple[Number, Number]:
    """Return a t interval of a mean difference, after tasks were added that went either way.

    Args:
        n: tasks. ``total``, ``squares``: sum of their differences, and of the squares; numbers or arrays.
        level: confidence level.

    Source: A. Agresti and Y. Min, Statistics in Medicine 24, 2005 (pseudo-counts for paired proportions).
    """
    padded = n + 2 * UNSEEN_PAIRS
    centre = total / padded
    variance = (squares + 2 * UNSEEN_PAIRS - padded * centre**2) / (padded - 1) / padded
    half = t_score(level, padded - 1) * np.sqrt(variance)
    return np.maximum(-1.0, centre - half), np.minimum(1.0, centre + half)


def t_score(level: float, freedom: float) -> float:
    """Two-sided quantile of Student's t by its expansion in 1/freedom: off by 0.003 at 4 and by nothing seen at 10.

    Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5.

    >>> round(t_score(0.95, 19), 3)
    2.093
    """
    z = z_score(level)
    z3, z5, z7, z9 = (math.pow(z, k) for k in (3, 5, 7, 9))
    terms = (
        (z3 + z) / 4,
        (5 * z5 + 16 * z3 + 3 * z) / 96,
        (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / 384,
        (79 * z9 + 776 * z7 + 1482 * z5 - 1920 * z3 - 945 * z) / 92160,
    )
    return z + sum(term / math.pow(freedom, k) for k, term in enumerate(terms, start=1))
