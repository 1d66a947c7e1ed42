"""Draws the mean reward of reinforcement-learning runs: ``ise train plot-rewards RUN… --out FILE``.

Of each run it says the mean over the first and the last fifth of its steps, and the slope over all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ise_gym.errors import UserError
from ise_gym.storage.atomic import replacing
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


def read_rewards(runs: Sequence[str | Path]) -> dict[str, list[float]]:
    """Return the mean reward of each step, by run.

    Raises:
        UserError: not a run folder, two of the same name, or a run that logged no reward.
    """
    curves: dict[str, list[float]] = {}
    for run in runs:
        name = Path(run).resolve().name
        if name in curves:
            raise UserError(
                f"two of the runs are named {name}: rename one, since the plot tells them by name"
            )
        curves[name] = [reward for _, reward in read_card(run).rewards]
    empty = [name for name, rewards in curves.items() if not rewards]
    if empty:
        raise UserError(
            f"no rewards in the run card of {', '.join(empty)}: give finished runs of `ise train grpo`"
        )
    return curves


def summary_lines(curves: Mapping[str, Sequence[float]]) -> list[str]:
    """Return one line per run, and one on all of them."""
    lines = []
    for name, rewards in curves.items():
        first, last = means(rewards)
        lines.append(
            f"{name}: mean reward {first:.3f} → {last:.3f} over {len(rewards)} steps (first and last fifth), "
            f"slope {slope(rewards):+.4f} per step"
        )
    rising = sum(slope(rewards) > 0 for rewards in curves.values())
    return [*lines, f"slope above 0 in {rising} of {len(curves)} runs"]


def draw(curves: Mapping[str, Sequence[float]], out: Path) -> None:
    """Draw the curves, smoothed, with the raw rewards behind them.

    Raises:
        UserError: matplotlib is missing, or the file can't be written.
    """
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
    kinds = figure.canvas.get_supported_filetypes()
    if (kind := out.suffix.removeprefix(".")) not in kinds:
        raise UserError(f"{out}: name a picture, such as {out.stem}.png (known: {', '.join(sorted(kinds))})")
    with replacing(out) as file:
        figure.savefig(file, dpi=120, format=kind)
