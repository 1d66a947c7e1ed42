"""The interval of a proportion: pass rates, drift rates and recall are all printed with it, in every room."""

from __future__ import annotations

import math
from statistics import NormalDist

Interval = tuple[float, float]


def z_score(level: float) -> float:
    """Return the normal quantile of a two-sided confidence level.

    >>> round(z_score(0.95), 4)
    1.96
    """
    if not 0 < level < 1:
        raise ValueError(f"confidence level must lie between 0 and 1, got {level}")
    return NormalDist().inv_cdf((1 + level) / 2)


def wilson(passed: int, n: int, level: float = 0.95) -> Interval:
    """Wilson score interval of a proportion, as fractions. With n = 0 nothing is known: (0, 1).

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 1927.

    >>> low, high = wilson(43, 114)
    >>> f"{100 * low:.1f} {100 * high:.1f}"
    '29.4 46.9'
    """
    if not 0 <= passed <= n:
        raise ValueError(f"passed must lie in 0..n, got {passed} of {n}")
    if n == 0:
        return 0.0, 1.0
    z2 = math.pow(z_score(level), 2)
    p = passed / n
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n * n))) / (1 + z2 / n)
    # The exact ends are 0 and 1 at the corners; rounding may miss them by one ulp.
    low = 0.0 if passed == 0 else max(0.0, centre - half)
    high = 1.0 if passed == n else min(1.0, centre + half)
    return low, high
