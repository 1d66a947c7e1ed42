"""How well two raters agree beyond chance: of a judge's two readings, and of a judge with checks that know."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from ise_gym.statistics import Interval, wilson

Pair = tuple[bool, bool]


@dataclass(frozen=True)
class Agreement:
    """Of ``n`` pairs ``same`` are equal; ``kappa`` is None where chance alone would make all equal.

    ``interval`` is Wilson's of the share that is equal; ``kappa_interval`` holds the middle 95 % of a bootstrap.
    """

    n: int
    same: int
    interval: Interval
    kappa: float | None
    kappa_interval: Interval | None

    @property
    def share(self) -> float | None:
        """Fraction of pairs that are equal; None of nothing."""
        return self.same / self.n if self.n else None


def cohen_kappa(pairs: Sequence[Pair]) -> float | None:
    """Return Cohen's kappa of two raters' yes or no; None where it is not defined.

    Source: J. Cohen, A coefficient of agreement for nominal scales, 1960.

    >>> cohen_kappa([(True, True), (False, False), (True, False), (False, False)])
    0.5
    """
    n = len(pairs)
    if not n:
        return None
    observed = sum(a == b for a, b in pairs) / n
    first, second = sum(a for a, _ in pairs) / n, sum(b for _, b in pairs) / n
    chance = first * second + (1 - first) * (1 - second)
    return (observed - chance) / (1 - chance) if chance < 1 else None


def agreement(pairs: Sequence[Pair], resamples: int = 1000, seed: int = 0) -> Agreement:
    """Return how well the first of each pair agrees with the second, with intervals."""
    draw, n = random.Random(seed), len(pairs)
    kappas = sorted(
        kappa
        for _ in range(resamples if n else 0)
        if (kappa := cohen_kappa(draw.choices(pairs, k=n))) is not None
    )
    bounds = None
    if kappas:
        bounds = (kappas[int(0.025 * (len(kappas) - 1))], kappas[int(0.975 * (len(kappas) - 1))])
    same = sum(a == b for a, b in pairs)
    return Agreement(n, same, wilson(same, n), cohen_kappa(pairs), bounds)


def sentence(found: Agreement) -> str:
    """Say it in one line."""
    if found.share is None:
        return "nothing to compare"
    low, high = found.interval
    text = f"{found.same:,} of {found.n:,} = {100 * found.share:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
    if found.kappa is None or found.kappa_interval is None:
        return f"{text}; Cohen's kappa is not defined, one side is always the same"
    return f"{text}; Cohen's kappa {found.kappa:.2f} [{found.kappa_interval[0]:.2f}, {found.kappa_interval[1]:.2f}]"
