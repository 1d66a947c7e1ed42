"""Statistics that keep a small benchmark honest: pass@k, exact tests, and what a number of tasks could have shown.

Two models that played the same tasks differ by less than two models that played different ones. So comparisons here
look only at the tasks where the two disagree (McNemar), and say how large a difference the number of tasks could have
shown at all; intervals are those of `ise_gym.evaluation.results.intervals`. numpy is the only dependency; scipy checks
these in the tests.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from ise_gym.statistics import z_score

EXACT_UP_TO = 1000
"""Above so many tasks the detectable difference is approximated."""


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """Two-sided exact McNemar p-value from the discordant pairs (passed only by A, only by B).

    Under the null each discordant pair goes either way with probability 1/2, so this is the two-sided
    binomial (sign) test. Exact integer arithmetic; without discordant pairs it is 1.

    Source: Q. McNemar, Note on the sampling error of the difference between correlated proportions, 1947.

    >>> mcnemar_exact(0, 6)
    0.03125
    """
    if only_a < 0 or only_b < 0:
        raise ValueError(f"counts must not be negative, got {only_a} and {only_b}")
    n = only_a + only_b
    tail = sum(math.comb(n, i) for i in range(min(only_a, only_b) + 1))
    return min(1.0, 2 * tail / (1 << n))


def pass_at_k(n: int, passed: int, k: int) -> float:
    """Chance that at least one of k trials passes, unbiased from n trials: 1 - C(n-c, k) / C(n, k).

    Source: Chen et al., Evaluating large language models trained on code, 2021, equation 1.

    >>> pass_at_k(n=4, passed=1, k=1)
    0.25
    """
    _check_k(n, passed, k)
    return 1.0 - math.comb(n - passed, k) / math.comb(n, k)


def pass_hat_k_unbiased(n: int, passed: int, k: int) -> float:
    """Chance that *all* of k trials pass, unbiased from n trials: C(c, k) / C(n, k).

    For k = n it is 1 when every trial passed and else 0, which is what Claw-Eval's batch summary prints.

    Source: Yao et al., tau-bench, 2024.

    >>> pass_hat_k_unbiased(n=4, passed=3, k=2)
    0.5
    """
    _check_k(n, passed, k)
    return math.comb(passed, k) / math.comb(n, k)


def pass_hat_k_power(n: int, passed: int, k: int) -> float:
    """The plug-in estimate (c / n)^k of the same chance, as in Claw-Eval's scoring module; biased upwards.

    >>> pass_hat_k_power(n=4, passed=3, k=2)
    0.5625
    """
    _check_k(n, passed, k)
    return math.pow(passed / n, k)


def _check_k(n: int, passed: int, k: int) -> None:
    if not 1 <= k <= n or not 0 <= passed <= n:
        raise ValueError(f"needs 1 <= k <= n and 0 <= passed <= n, got k={k}, n={n}, passed={passed}")


@lru_cache(maxsize=4096)
def _critical(n: int, alpha: float) -> int:
    """Largest k with an exact two-sided p-value <= alpha for (k, n - k); -1 when there is none."""
    budget = alpha * 2.0 ** (n - 1) if n < 1000 else int(alpha * 2**53) * 2 ** (n - 54)
    k, tail, ways = -1, 0, 1  # ways = C(n, k + 1)
    while 2 * (k + 1) < n and tail + ways <= budget:
        k += 1
        tail += ways
        ways = ways * (n - k) // (k + 1)
    return k


def _log_binomial(n: int, k: NDArray[np.int64], p: float) -> NDArray[np.float64]:
    """Log of the binomial probability mass at each k (array of ints), for 0 < p < 1."""
    log_factorial = _log_factorials(n)
    return np.asarray(
        log_factorial[n]
        - log_factorial[k]
        - log_factorial[n - k]
        + k * math.log(p)
        + (n - k) * math.log1p(-p)
    )


@lru_cache(maxsize=2048)
def _log_factorials(n: int) -> NDArray[np.float64]:
    return np.array([math.lgamma(i + 1) for i in range(n + 1)])


def mcnemar_power(n: int, difference: float, discordance: float, alpha: float = 0.05) -> float:
    """Exact power of the exact McNemar test.

    Args:
        n: paired tasks.
        difference: true difference of the two pass rates, in [0, discordance].
        discordance: share of tasks on which the two disagree, in (0, 1].
        alpha: significance level.
    """
    if not 0 < discordance <= 1 or not 0 <= difference <= discordance:
        raise ValueError(f"needs 0 <= difference <= discordance <= 1, got {difference} and {discordance}")
    share = (1 + difference / discordance) / 2
    if discordance < 1:
        weights = np.exp(_log_binomial(n, np.arange(n + 1), discordance))
    else:
        weights = np.eye(1, n + 1, n)[0]
    power = 0.0
    for disagreeing in np.nonzero(weights > 1e-12)[0].tolist():
        weight = float(weights[disagreeing])
        critical = _critical(disagreeing, alpha)
        if critical < 0:
            continue
        if share == 1.0:
            reject = 1.0
        else:
            low = np.arange(critical + 1)
            tails = np.concatenate([low, disagreeing - low])
            reject = float(np.exp(_log_binomial(disagreeing, tails, share)).sum())
        power += weight * reject
    return power


def minimum_detectable_difference(
    n: int, discordance: float, *, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    """Smallest true difference in pass rate that the exact McNemar test finds with the given power.

    Args:
        n: paired tasks.
        discordance: share of tasks on which the two sides disagree; take the observed share. The
            difference can't exceed it.
        alpha: significance level.
        power: chance of a significant result when the difference is real.

    Returns:
        A fraction, or None when even the largest possible difference would be missed too often.
    """
    if n <= 0 or not 0 < discordance <= 1:
        return None
    if n > EXACT_UP_TO:
        return _normal_detectable(n, discordance, alpha, power)
    if mcnemar_power(n, discordance, discordance, alpha) < power:
        return None
    low, high = 0.0, discordance
    for _ in range(30):
        middle = (low + high) / 2
        if mcnemar_power(n, middle, discordance, alpha) >= power:
            high = middle
        else:
            low = middle
    return high


def _normal_detectable(n: int, discordance: float, alpha: float, power: float) -> float | None:
    """Normal approximation for large n, where the exact sum gets slow. Source: Connor, Biometrics, 1987."""
    z_alpha, z_beta = z_score(1 - alpha), NormalDist().inv_cdf(power)
    low, high = 0.0, discordance

    def enough(difference: float) -> bool:
        needed = z_alpha * math.sqrt(discordance) + z_beta * math.sqrt(max(0.0, discordance - difference**2))
        return n * difference**2 >= needed**2

    if not enough(high):
        return None
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment for several comparisons, in the order given.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, 1979.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted = [0.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        running = max(running, (len(p_values) - rank) * p_values[index])
        adjusted[index] = min(1.0, running)
    return adjusted
