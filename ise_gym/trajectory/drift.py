"""Role drift of simulated users over many trajectories, before and after the guard.

*Before* is the share of user turns whose first draft a detector refused; *after* is the share that reached the
agent although a detector fires on it. Both carry Wilson's 95 % interval, since small shares are what is claimed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.table import Table

from ise_gym.statistics import wilson
from ise_gym.trajectory.figures import whole
from ise_gym.trajectory.record import Trajectory

MOST_TURNS = 10_000
"""User turns of one episode that are counted; no episode has as many."""


class DriftStats:
    """Streaming counts: `add` each trajectory, then read `summary`. Records without a guard are passed over."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._detectors: Counter[str] = Counter()
        self._by_turn: dict[int, Counter[str]] = {}
        self._by_user: dict[str, Counter[str]] = {}

    def add(self, trajectory: Trajectory) -> None:
        """Count the user turns of one guarded episode."""
        guard = trajectory.user.get("guard")
        if not isinstance(guard, Mapping):
            return
        listed = trajectory.user.get("drift")
        drift = [entry for entry in listed if isinstance(entry, Mapping)] if isinstance(listed, list) else []
        turns = min(whole(guard.get("turns")), MOST_TURNS)
        counts = {
            "turns": turns,
            "drifted": whole(guard.get("drifted")),
            "reached": whole(guard.get("reached")),
            "fallbacks": whole(guard.get("fallbacks")),
            "simulator_errors": whole(guard.get("simulator_errors")),
            "false_claims": whole(guard.get("false_claims")),
        }
        self._counts.update(counts)
        self._by_user.setdefault(str(trajectory.user.get("name", "unknown")), Counter()).update(counts)
        for name, count in guard.items():
            if name.startswith("detector:"):
                self._detectors[name.removeprefix("detector:")] += whole(count)
        for turn in range(1, turns + 1):
            self._by_turn.setdefault(turn, Counter())["turns"] += 1
        for entry in drift:
            if not 0 < (turn := whole(entry.get("turn"))) <= turns:
                continue  # of no turn that was counted
            place = self._by_turn[turn]
            place["drifted"] += 1
            place["reached"] += bool(entry.get("reached"))

    def summary(self) -> dict[str, Any]:
        """Return the figures as JSON; {} when no episode had a guard."""
        if not self._counts["turns"]:
            return {}
        return {
            **self._shares(self._counts),
            **{name: self._counts[name] for name in ("fallbacks", "simulator_errors", "false_claims")},
            "detectors": dict(sorted(self._detectors.items(), key=lambda item: (-item[1], item[0]))),
            "by_turn": {str(turn): self._shares(self._by_turn[turn]) for turn in sorted(self._by_turn)},
            "by_user": {name: self._shares(counts) for name, counts in sorted(self._by_user.items())},
        }

    def _shares(self, counts: Counter[str]) -> dict[str, Any]:
        turns = counts["turns"]
        shares: dict[str, Any] = {"turns": turns}
        for label, name in (("before", "drifted"), ("after", "reached")):
            low, high = wilson(min(counts[name], turns), turns)
            rate = counts[name] / turns if turns else None
            shares[label] = {"count": counts[name], "rate": rate, "low": low, "high": high}
        return shares


def drift_table(drift: Mapping[str, Any]) -> Table:
    """Return `DriftStats.summary` as a table: all turns, then by simulator and by turn of the episode."""
    table = Table(title="Role drift of the user", title_justify="left")
    for column in ("", "turns", "before the guard", "after the guard"):
        table.add_column(column, justify="right" if column else "left")
    table.add_row("all", *_row(drift))
    table.add_section()
    for name, shares in drift["by_user"].items():
        table.add_row(name, *_row(shares))
    table.add_section()
    for turn, shares in drift["by_turn"].items():
        if shares["before"]["count"]:
            table.add_row(f"turn {turn}", *_row(shares))
    return table


def _row(shares: Mapping[str, Any]) -> tuple[str, ...]:
    def share(part: Mapping[str, Any]) -> str:
        return f"{100 * part['rate']:.2f} % [{100 * part['low']:.2f}, {100 * part['high']:.2f}]"

    return (f"{shares['turns']:,}", share(shares["before"]), share(shares["after"]))
