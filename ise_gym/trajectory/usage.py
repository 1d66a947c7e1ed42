"""What models spent on a corpus: calls, tokens and cost of agents and simulated users, as endpoints reported them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.table import Table

from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.wellformed import amount, whole

SIDES = ("agent", "user")
COUNTS = ("calls", "prompt_tokens", "cached_tokens", "completion_tokens", "cut")


class UsageStats:
    """Streaming sums: `add` each trajectory, broken ones too (they cost as much), then read `summary`."""

    def __init__(self) -> None:
        self._sums: dict[tuple[str, str], Counter[str]] = {}
        self._cost: dict[tuple[str, str], float] = {}

    def add(self, trajectory: Trajectory) -> None:
        """Count one episode's agent and user; one without a model counts for nothing."""
        for side in SIDES:
            about: Mapping[str, Any] = getattr(trajectory, side)
            usage = about.get("usage")
            if not isinstance(usage, Mapping):
                continue
            key = (side, str(about.get("name", "unknown")))
            sums = self._sums.setdefault(key, Counter())
            sums["episodes"] += 1
            sums.update({name: whole(usage.get(name)) for name in COUNTS})
            if (cost := amount(usage.get("cost"))) is not None:
                self._cost[key] = self._cost.get(key, 0.0) + cost

    def merge(self, other: UsageStats) -> None:
        """Count what another one counted."""
        for key, sums in other._sums.items():
            self._sums.setdefault(key, Counter()).update(sums)
        for key, cost in other._cost.items():
            self._cost[key] = self._cost.get(key, 0.0) + cost

    def summary(self) -> dict[str, Any]:
        """Return ``{"agent": {name: figures}, "user": {name: figures}, "cost": total}``; {} when no model was asked.

        ``cost`` is None where prices were not given.
        """
        if not self._sums:
            return {}
        sides: dict[str, Any] = {side: {} for side in SIDES}
        for (side, name), sums in sorted(self._sums.items()):
            cost = self._cost.get((side, name))
            sides[side][name] = {
                "episodes": sums["episodes"],
                **{count: sums[count] for count in COUNTS},
                "cost": None if cost is None else round(cost, 6),
            }
        return {**sides, "cost": round(sum(self._cost.values()), 6) if self._cost else None}


def usage_table(usage: Mapping[str, Any]) -> Table:
    """Return `UsageStats.summary` as a table."""
    table = Table(title="Models", title_justify="left")
    heads = (
        "",
        "episodes",
        "calls",
        "prompt tokens",
        "cached",
        "completion tokens",
        "cut",
        "cost",
        "an episode",
    )
    for head in heads:
        table.add_column(head, justify="right" if head else "left")
    for side in SIDES:
        for name, figures in usage[side].items():
            cost, episodes = figures["cost"], figures["episodes"]
            table.add_row(
                f"{side} {name}",
                f"{episodes:,}",
                *(f"{figures[count]:,}" for count in COUNTS),
                "–" if cost is None else f"{cost:,.2f}",
                "–" if cost is None else f"{cost / episodes:,.4f}",
            )
    return table
