"""The statistics against scipy, against brute force, and against the paper's published figures."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from ise_gym.evaluation.results import stats


@given(st.integers(0, 120), st.integers(0, 120))
def test_mcnemar_equals_scipy_binomial_test(only_a: int, only_b: int) -> None:
    expected = scipy_stats.binomtest(only_a, only_a + only_b, 0.5).pvalue if only_a + only_b else 1.0
    assert stats.mcnemar_exact(only_a, only_b) == pytest.approx(expected, rel=1e-9)


def test_pass_at_k_is_the_share_of_k_subsets_with_a_pass() -> None:
    for n, passed, k in [(5, 2, 1), (5, 2, 3), (6, 0, 2), (6, 6, 6), (7, 3, 5)]:
        trials = [1] * passed + [0] * (n - passed)
        subsets = list(itertools.combinations(trials, k))
        assert stats.pass_at_k(n, passed, k) == pytest.approx(sum(map(any, subsets)) / len(subsets))
        assert stats.pass_hat_k_unbiased(n, passed, k) == pytest.approx(sum(map(all, subsets)) / len(subsets))
        assert stats.pass_hat_k_power(n, passed, k) == pytest.approx((passed / n) ** k)


@pytest.mark.parametrize("arguments", [(3, 1, 4), (3, 4, 1), (3, 1, 0), (0, 0, 1)])
def test_k_beyond_the_trials_is_an_error(arguments: tuple[int, int, int]) -> None:
    for function in (stats.pass_at_k, stats.pass_hat_k_unbiased, stats.pass_hat_k_power):
        with pytest.raises(ValueError, match="k"):
            function(*arguments)


def test_power_equals_simulation() -> None:
    n, difference, discordance = 60, 0.2, 0.35
    rng = np.random.default_rng(5)
    p_b = (discordance + difference) / 2
    draws = rng.multinomial(n, [discordance - p_b, p_b, 1 - discordance], size=4000)
    rejected = np.mean([stats.mcnemar_exact(int(a), int(b)) <= 0.05 for a, b, _ in draws])
    assert stats.mcnemar_power(n, difference, discordance) == pytest.approx(float(rejected), abs=0.025)


def test_power_under_the_null_is_below_alpha() -> None:
    assert 0 < stats.mcnemar_power(114, 0.0, 0.3) <= 0.05


def test_minimum_detectable_difference() -> None:
    found = stats.minimum_detectable_difference(114, 0.3)
    assert found is not None
    assert stats.mcnemar_power(114, found, 0.3) == pytest.approx(0.8, abs=1e-3)
    larger = stats.minimum_detectable_difference(500, 0.3)
    assert larger is not None and larger < found
    assert stats.minimum_detectable_difference(4, 0.5) is None
    assert stats.minimum_detectable_difference(0, 0.5) is None
    assert stats.minimum_detectable_difference(100, 0.0) is None


def test_large_n_uses_an_approximation_that_joins_the_exact_one() -> None:
    exact = stats.minimum_detectable_difference(stats.EXACT_UP_TO, 0.3)
    approximate = stats.minimum_detectable_difference(stats.EXACT_UP_TO + 1, 0.3)
    assert exact is not None and approximate is not None
    assert approximate == pytest.approx(exact, rel=0.05)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_lowers_and_keeps_order(p_values: list[float]) -> None:
    adjusted = stats.holm(p_values)
    assert all(raw - 1e-12 <= new <= 1 for raw, new in zip(p_values, adjusted, strict=True))
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    assert all(adjusted[i] <= adjusted[j] + 1e-12 for i, j in itertools.pairwise(order))
    assert math.isclose(adjusted[order[0]], min(1.0, len(p_values) * p_values[order[0]]))
