"""Draws the mean reward of reinforcement-learning runs: ``python -m training.plot_rewards RUN… --out FILE``.

Prints for each run the mean over the first and the last fifth of its steps, and the slope over all of them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ise_gym.errors import UserError, one_line_errors
from ise_gym.training.runcard import read_card


def means(rewards: Sequence[float]) -> tuple[float, float]:
    """Return the mean over the first and over the last fifth."""
    part = max(1, len(rewards) // 5)
    return sum(rewards[:part]) / part, sum(rewards[-part:]) / part


def slope(rewards: Sequence[float]) -> float:
    """Return the slope of the least-squares line through the rewards, per step; 0 for fewer than two.

    >>> slope([0.0, 0.5, 1.0])
    0.5
    """
    middle, mean = (len(rewards) - 1) / 2, sum(rewards) / max(1, len(rewards))
    spread = sum((at - middle) ** 2 for at in range(len(rewards)))
    return (
        sum((at - middle) * (reward - mean) for at, reward in enumerate(rewards)) / spread if spread else 0.0
    )


def smoothed(rewards: Sequence[float], width: int = 5) -> list[float]:
    """Return the trailing mean over ``width`` steps."""
    return [sum(rewards[max(0, n - width + 1) : n + 1]) / min(n + 1, width) for n in range(len(rewards))]


@one_line_errors
def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.plot_rewards", description=__doc__)
    parser.add_argument("runs", nargs="+", help="output folders of ise_gym.training.grpo")
    parser.add_argument("--out", default="rewards.png", help="the picture")
    given = parser.parse_args(arguments)
    curves = {Path(run).name: [reward for _, reward in read_card(run).rewards] for run in given.runs}
    empty = [name for name, rewards in curves.items() if not rewards]
    if empty:
        raise UserError(
            f"no rewards in the run card of {', '.join(empty)}: give finished runs of ise_gym.training.grpo"
        )
    _draw(curves, Path(given.out))
    for name, rewards in curves.items():
        first, last = means(rewards)
        print(
            f"{name}: mean reward {first:.3f} → {last:.3f} over {len(rewards)} steps (first and last fifth), "
            f"slope {slope(rewards):+.4f} a step"
        )
    print(f"slope above 0 in {sum(slope(rewards) > 0 for rewards in curves.values())} of {len(curves)} runs")
    print(f"written to {given.out}")
    return 0


def _draw(curves: dict[str, list[float]], out: Path) -> None:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError("plots need matplotlib: pip install 'ise-gym[embed]'") from None
    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for name, rewards in curves.items():
        (line,) = axes.plot(smoothed(rewards), label=name)
        axes.plot(rewards, color=line.get_color(), alpha=0.25)
    axes.set_xlabel("step")
    axes.set_ylabel("mean reward (verified share of sub-goals)")
    axes.legend()
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=120)


if __name__ == "__main__":
    sys.exit(main())
