"""Two trajectories of one intent side by side, and two runs over the same intents: what was gained and lost."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from ise_gym.evaluation.results.stats import mcnemar_exact
from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.stats import VERIFIED
from ise_gym.view.app.text import Marks
from ise_gym.view.app.turns import Section, sections_of
from ise_gym.view.index.asked import Asked
from ise_gym.view.library import Library, Run


@dataclass(frozen=True)
class Goal:
    """A sub-goal in both; None where one has it not."""

    name: str
    a: bool | None
    b: bool | None


def paired(a: Trajectory, b: Trajectory, marks: Marks) -> list[tuple[Section | None, Section | None]]:
    """Return the sections of both, those of the same user turn beside each other."""
    left = {section.number: section for section in sections_of(a, marks, "a-")}
    right = {section.number: section for section in sections_of(b, marks, "b-")}
    return [(left.get(number), right.get(number)) for number in sorted({*left, *right})]


def goals(a: Trajectory, b: Trajectory) -> list[Goal]:
    """Return the sub-goals of both."""
    return [
        Goal(name, a.subgoals.get(name), b.subgoals.get(name))
        for name in dict.fromkeys([*a.subgoals, *b.subgoals])
    ]


@dataclass(frozen=True)
class Pair:
    """One intent in two runs, by its rows. ``change``: gained, lost, same or "" (one was not verified)."""

    scenario: str
    a: dict[str, Any]
    b: dict[str, Any]
    change: str


@dataclass(frozen=True)
class TwoRuns:
    """Two runs over the intents that both hold; ``p``: exact McNemar over those that both decided."""

    pairs: tuple[Pair, ...]
    counts: dict[str, int]
    p: float | None
    only_a: int
    only_b: int


def two_runs(library: Library, a: Run, b: Run) -> TwoRuns:
    """Pair the episodes of two runs by intent, further samples of one in their order."""
    rows: list[dict[str, list[dict[str, Any]]]] = []
    for run in (a, b):
        found = library.found(Asked(chosen=(("store", (run.name,)),), sort="old"))
        by_intent: dict[str, list[dict[str, Any]]] = {}
        for _, row in _in_parts(library, found.places):
            by_intent.setdefault(row["scenario_id"], []).append(row)
        rows.append(by_intent)
    pairs: list[Pair] = []
    for scenario in rows[0].keys() & rows[1].keys():
        for one, other in zip_longest(rows[0][scenario], rows[1][scenario]):
            if one is not None and other is not None:
                pairs.append(Pair(scenario, one, other, _change(one["outcome"], other["outcome"])))
    order = {"gained": 0, "lost": 1, "same": 2, "": 3}
    pairs.sort(key=lambda pair: (order[pair.change], pair.scenario))
    counts = {name: sum(pair.change == name for pair in pairs) for name in ("gained", "lost", "same")}
    counts["a"] = sum(pair.a["outcome"] == "passed" for pair in pairs)
    counts["b"] = sum(pair.b["outcome"] == "passed" for pair in pairs)
    decided = sum(counts[name] for name in ("gained", "lost", "same"))
    p = mcnemar_exact(counts["gained"], counts["lost"]) if decided else None
    return TwoRuns(
        tuple(pairs), counts, p, len(rows[0].keys() - rows[1].keys()), len(rows[1].keys() - rows[0].keys())
    )


def _in_parts(library: Library, places: tuple[tuple[int, int], ...]) -> Any:
    for begin in range(0, len(places), 5_000):
        yield from library.rows(places[begin : begin + 5_000])


def _change(before: str, after: str) -> str:
    if before not in VERIFIED or after not in VERIFIED:
        return ""
    if (before == "passed") == (after == "passed"):
        return "same"
    return "gained" if after == "passed" else "lost"
