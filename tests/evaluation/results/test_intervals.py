"""Intervals of rates and differences: corners, clusters, agreement with scipy, and coverage by a small simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from ise_gym.evaluation.results import intervals
from ise_gym.evaluation.results.intervals import difference, rate_interval, rate_limits, t_score


def test_eighteen_of_eighteen_is_not_certain() -> None:
    for trials in (1, 3, 5):
        low, high = rate_interval([1.0] * 18, trials)
        assert high == 1.0 and 0.75 < low < 0.85
        low, high = rate_interval([0.0] * 18, trials)
        assert low == 0.0 and 0.15 < high < 0.25
    assert rate_interval([]) == (0.0, 1.0)


def test_without_the_correction_one_trial_is_wilsons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "CORRECTION", 0.0)
    for passed, n in ((43, 114), (0, 20), (20, 20), (1, 64)):
        found = rate_interval([1.0] * passed + [0.0] * (n - passed))
        expected = scipy_stats.binomtest(passed, n).proportion_ci(method="wilson")
        assert found == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_a_quarter_of_a_task_lies_between_wilson_and_newcombes_correction() -> None:
    low, high = rate_interval([1.0] * 43 + [0.0] * 71)
    test = scipy_stats.binomtest(43, 114)
    plain, wide = test.proportion_ci(method="wilson"), test.proportion_ci(method="wilsoncc")
    assert wide.low < low < plain.low and plain.high < high < wide.high


def test_trials_that_tell_nothing_new_narrow_nothing() -> None:
    tasks = [1.0] * 30 + [0.0] * 34
    one, five = rate_interval(tasks), rate_interval(tasks, 5)
    assert five == pytest.approx(one, abs=1e-9)
    coins = [0.4, 0.6] * 32
    assert rate_interval(coins, 5)[0] > rate_interval(tasks, 5)[0] + 0.05


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60))
def test_an_interval_holds_its_rate_and_stays_within_bounds(passes: list[int]) -> None:
    shares = [passed / 5 for passed in passes]
    low, high = rate_interval(shares, 5)
    assert 0 <= low <= sum(shares) / len(shares) + 1e-9 and sum(shares) / len(shares) - 1e-9 <= high <= 1


def test_equal_runs_may_still_differ() -> None:
    found = difference([1.0, 0.0] * 10, [1.0, 0.0] * 10)
    assert found.mean == 0 and found.low < -0.08 and found.high == -found.low
    shifted = difference([0.0] * 64, [1.0] * 40 + [0.0] * 24)
    assert shifted.low < 40 / 64 < shifted.high and shifted.low > 0.45
    with pytest.raises(ValueError, match="same length"):
        difference([1.0], [1.0, 0.0])
    with pytest.raises(ValueError, match="same length"):
        difference([], [])


def test_the_quantile_of_student_is_scipys() -> None:
    for freedom in (10, 19.5, 64, 220):
        assert t_score(0.95, freedom) == pytest.approx(scipy_stats.t.ppf(0.975, freedom), abs=2e-4)
    assert t_score(0.95, 4) == pytest.approx(scipy_stats.t.ppf(0.975, 4), abs=5e-3)


@pytest.mark.parametrize(("rate", "rho"), [(0.03, 0.7), (0.1, 1.0), (0.5, 0.3), (0.97, 0.7)])
def test_coverage_in_the_hard_corners(rate: float, rho: float) -> None:
    """The whole table is benchmarks/coverage.py; here the cells where cluster estimates go wrong."""
    rng = np.random.default_rng(0)
    n, trials, runs = 64, 3, 4000
    true = (
        rng.random((runs, n)) < rate
        if rho == 1
        else rng.beta(rate * (1 / rho - 1), (1 - rate) * (1 / rho - 1), (runs, n))
    )
    shares = rng.binomial(trials, true) / trials
    low, high = rate_limits(n, shares.sum(1), (shares**2).sum(1), trials)
    assert np.mean((low <= rate) & (rate <= high)) >= 0.94
