"""Role drift of simulated users over many trajectories: what the guard refused, and what it must have let through.

*Refused* is the share of user turns whose first draft a detector refused, with Wilson's 95 % interval. *Script* is the
share that the scripted user spoke in the model's place. What reached the agent out of role is an estimate from the
guard's measured recall (`ise_gym.simulator.measuring.recall`): its own detectors are silent there by construction.
A count takes a reader: ``ise guard audit``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from ise_gym.simulator.measuring.recall import drift_past_guard, measured
from ise_gym.statistics import wilson
from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.wellformed import whole

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
            place["fallbacks"] += entry.get("action") == "fallback"

    def merge(self, other: DriftStats) -> None:
        """Count what another one counted."""
        self._counts.update(other._counts)
        self._detectors.update(other._detectors)
        for turn, counts in other._by_turn.items():
            self._by_turn.setdefault(turn, Counter()).update(counts)
        for name, counts in other._by_user.items():
            self._by_user.setdefault(name, Counter()).update(counts)

    def summary(self) -> dict[str, Any]:
        """Return the figures as JSON; {} when no episode had a guard."""
        if not self._counts["turns"]:
            return {}
        return {
            **self._shares(self._counts),
            **{name: self._counts[name] for name in ("fallbacks", "simulator_errors", "false_claims")},
            "estimated_from": vars(figures) if (figures := measured()) else None,
            "detectors": dict(sorted(self._detectors.items(), key=lambda item: (-item[1], item[0]))),
            "by_turn": {str(turn): self._shares(self._by_turn[turn]) for turn in sorted(self._by_turn)},
            "by_user": {name: self._shares(counts) for name, counts in sorted(self._by_user.items())},
        }

    def _shares(self, counts: Counter[str]) -> dict[str, Any]:
        turns = counts["turns"]
        shares: dict[str, Any] = {"turns": turns}
        for label, name in (("refused", "drifted"), ("script", "fallbacks")):
            low, high = wilson(min(counts[name], turns), turns)
            rate = counts[name] / turns if turns else None
            shares[label] = {"count": counts[name], "rate": rate, "low": low, "high": high}
        figures = measured()
        past = drift_past_guard(turns, counts["drifted"], counts["fallbacks"], figures) if figures else None
        shares["past_guard"] = vars(past) if past else None
        return shares


def drift_table(drift: Mapping[str, Any]) -> Table:
    """Return `DriftStats.summary` as a table: all turns, then by simulator and by turn of the episode."""
    table = Table(
        title="Role drift of the user",
        title_justify="left",
        caption="reached the agent: estimated from the guard's measured recall; `ise guard audit` counts it",
        caption_justify="left",
    )
    for column in (
        "",
        "turns",
        "drafts refused",
        "spoken by the script",
        "out of role, reached the agent (est.)",
    ):
        table.add_column(column, justify="right" if column else "left")
    table.add_row("all", *_row(drift))
    table.add_section()
    for name, shares in drift["by_user"].items():
        table.add_row(name, *_row(shares))
    table.add_section()
    for turn, shares in drift["by_turn"].items():
        if shares["refused"]["count"]:
            table.add_row(f"turn {turn}", *_row(shares))
    return table


def spoken_by(drift: Mapping[str, Any]) -> list[Text]:
    """Return a line for each simulator in whose place the script spoke: who said how many turns.

    >>> shares = {"turns": 70, "script": {"count": 22, "rate": 22 / 70}}
    >>> spoken_by({"by_user": {"llm:m": shares}})[0].plain
    'Of 70 user turns by llm:m the script spoke 22 (31 %): the model broke its role there.'
    """
    lines = []
    for name, shares in drift["by_user"].items():
        script = shares["script"]
        if script["count"]:
            told = (
                f"Of {shares['turns']:,} user turns by {name} the script spoke {script['count']:,} "
                f"({script['rate']:.0%}): the model broke its role there."
            ).replace("%)", " %)")
            lines.append(Text(told, style="red" if script["rate"] > FALLBACKS_TOO_MANY else ""))
    return lines


FALLBACKS_TOO_MANY = 0.05
"""Share of turns spoken by the script above which a user is the script as much as the model."""


def _row(shares: Mapping[str, Any]) -> tuple[str | Text, ...]:
    def share(part: Mapping[str, Any] | None) -> str:
        if part is None or part["rate"] is None:
            return "not measured"
        return f"{100 * part['rate']:.2f} % [{100 * part['low']:.2f}, {100 * part['high']:.2f}]"

    too_many = (shares["script"]["rate"] or 0.0) > FALLBACKS_TOO_MANY
    script = Text(share(shares["script"]), style="red" if too_many else "")
    return (f"{shares['turns']:,}", share(shares["refused"]), script, share(shares["past_guard"]))
