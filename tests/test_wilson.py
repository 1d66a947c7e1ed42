"""Wilson's interval against scipy and against the paper's published figures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from ise_gym.statistics import wilson


@pytest.mark.parametrize(
    ("passed", "percent", "low", "high"),
    [
        (22, 19.3, 13.1, 27.5),
        (29, 25.4, 18.3, 34.1),
        (32, 28.1, 20.6, 36.9),
        (35, 30.7, 23.0, 39.7),
        (43, 37.7, 29.4, 46.9),
    ],
)
def test_wilson_of_the_published_pass_counts(passed: int, percent: float, low: float, high: float) -> None:
    interval = wilson(passed, 114)
    assert round(100 * passed / 114, 1) == percent
    assert [round(100 * end, 1) for end in interval] == [low, high]


@given(st.integers(1, 400), st.floats(0, 1), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_wilson_equals_scipy(n: int, share: float, level: float) -> None:
    passed = round(share * n)
    expected = binomtest(passed, n).proportion_ci(level, method="wilson")
    assert wilson(passed, n, level) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_edges() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 10)[0] == 0.0
    assert wilson(10, 10)[1] == 1.0
    with pytest.raises(ValueError, match="passed must lie"):
        wilson(3, 2)
    with pytest.raises(ValueError, match="level"):
        wilson(1, 2, 1.5)
