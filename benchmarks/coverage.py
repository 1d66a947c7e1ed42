"""How often the intervals of `ise eval` hold the truth: a table by number of tasks, trials and rate.

    python -m benchmarks.coverage            the table, in about a minute
    python -m benchmarks.coverage --runs N   with N simulated runs a cell

A run is simulated as passes a task: beta-binomial with the intraclass correlation rho (0: every task is the same coin,
1: every task passes always or never). For differences two runs are coupled: a share `alike` of tasks goes the same way
in both. Runs are drawn as counts of tasks by their passes, so a cell takes milliseconds; the interval is the very code
that prints the reports, given arrays. Beside it stands the share covered by mean ± 1.96
standard errors over tasks, which is what a percentile bootstrap amounts to: what was printed for several trials before.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ise_gym.evaluation.results.intervals import difference_limits, rate_limits

TASKS = (20, 64, 220)
TRIALS = (1, 3, 5)
RATES = (0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97)
PAIRS = (
    (0.03, 0.03), (0.03, 0.1), (0.05, 0.3), (0.1, 0.1), (0.1, 0.2), (0.3, 0.3), (0.3, 0.5), (0.5, 0.5),
    (0.5, 0.65), (0.7, 0.9), (0.9, 0.97), (0.97, 0.97), (0.5, 0.97), (0.2, 0.9), (0.03, 0.97),
)  # fmt: skip
ALIKE = (0.0, 0.5, 0.9)
FLOOR = 0.94

Array = NDArray[np.float64]


def passes(trials: int, rate: float, rho: float) -> Array:
    """Distribution of a task's passes, 0 … trials; array of trials + 1."""
    k = np.arange(trials + 1)
    if rho >= 1:
        return np.where(k == trials, rate, np.where(k == 0, 1 - rate, 0.0))
    ways = np.array([math.comb(trials, int(one)) for one in k], dtype=float)
    if rho <= 0:
        return np.asarray(ways * rate**k * (1 - rate) ** (trials - k))
    size = 1 / rho - 1
    a, b = rate * size, (1 - rate) * size
    logs = [
        math.lgamma(one + a) + math.lgamma(trials - one + b) - math.lgamma(trials + size)
        + math.lgamma(size) - math.lgamma(a) - math.lgamma(b)
        for one in range(trials + 1)
    ]  # fmt: skip
    return np.asarray(ways * np.exp(logs))


def coupled(first: Array, second: Array, alike: float) -> Array:
    """Joint distribution of a task's passes in two runs: independent, but in a share of cases in step."""
    together = np.minimum.outer(np.cumsum(first), np.cumsum(second))
    in_step = np.diff(np.diff(np.pad(together, ((1, 0), (1, 0))), axis=0), axis=1).clip(0)
    return np.asarray(alike * in_step + (1 - alike) * np.outer(first, second))


def rhos(trials: int) -> tuple[float, ...]:
    """How alike the trials of a task are; one trial has nobody to be alike."""
    return (1.0,) if trials == 1 else (0.0, 0.3, 0.7, 1.0)


def covered(low: Any, high: Any, truth: float) -> float:
    """Share of intervals that hold the truth."""
    return float(np.mean((low <= truth + 1e-12) & (high >= truth - 1e-12)))


def rate_cells(n: int, trials: int, runs: int, rng: np.random.Generator) -> Iterator[tuple[float, ...]]:
    """Yield (covered, covered by the normal limit, mean width, rate, rho) of every cell."""
    share = np.arange(trials + 1) / trials
    for rho in rhos(trials):
        for rate in RATES:
            counts = rng.multinomial(n, passes(trials, rate, rho), size=runs)
            total, squares = counts @ share, counts @ share**2
            low, high = rate_limits(n, total, squares, trials)
            error = 1.96 * np.sqrt(np.maximum(squares / n - (total / n) ** 2, 0) / n)
            plain = covered(total / n - error, total / n + error, rate)
            yield covered(low, high, rate), plain, float(np.mean(high - low)), rate, rho


def difference_cells(n: int, trials: int, runs: int, rng: np.random.Generator) -> Iterator[tuple[Any, ...]]:
    """Yield (covered, covered by the normal limit, mean width, rates, rho and alike) of every cell."""
    share = np.arange(trials + 1) / trials
    apart = (share[None, :] - share[:, None]).ravel()
    for rho in rhos(trials):
        for first, second in PAIRS:
            for alike in ALIKE:
                joint = coupled(passes(trials, first, rho), passes(trials, second, rho), alike).ravel()
                counts = rng.multinomial(n, joint / joint.sum(), size=runs)
                total, squares = counts @ apart, counts @ apart**2
                low, high = difference_limits(n, total, squares)
                error = 1.96 * np.sqrt(np.maximum(squares / n - (total / n) ** 2, 0) / n)
                plain = covered(total / n - error, total / n + error, second - first)
                where = f"{first:g} and {second:g}, rho {rho:g}, alike {alike:g}"
                yield covered(low, high, second - first), plain, float(np.mean(high - low)), where


def main() -> None:
    """Print both tables; exit code 1 when a cell is below the floor by more than the simulation's own error."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20_000, help="simulated runs a cell (default 20000)")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    slack = 2 * math.sqrt(FLOOR * (1 - FLOOR) / given.runs)
    low_cells = 0
    print("| figure | tasks | trials | least covered | mean | at | before: least | mean width |")
    print("|---|---|---|---|---|---|---|---|")
    for name, cells in (("rate", rate_cells), ("difference", difference_cells)):
        for n in TASKS:
            for trials in TRIALS:
                found = list(cells(n, trials, given.runs, rng))
                worst = min(found, key=lambda cell: cell[0])
                low_cells += sum(cell[0] < FLOOR - slack for cell in found)
                at = worst[3] if len(worst) == 4 else f"rate {worst[3]:g}, rho {worst[4]:g}"
                mean = sum(cell[0] for cell in found) / len(found)
                width = sum(cell[2] for cell in found) / len(found)
                print(
                    f"| {name} | {n} | {trials} | {worst[0]:.3f} | {mean:.3f} | {at} | "
                    f"{min(cell[1] for cell in found):.3f} | {100 * width:.1f} points |",
                    flush=True,
                )
    print(f"\n{low_cells} cells below {FLOOR:.0%} (less {slack:.4f} for {given.runs} runs a cell)")
    raise SystemExit(1 if low_cells else 0)


if __name__ == "__main__":
    main()
