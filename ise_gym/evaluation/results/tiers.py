"""How hard tasks are, measured: pass rates by tier of some runs, and the tiers that follow from them.

A tier in a task file is its author's guess. Here a catalog task's difficulty is the share of its trials that passed at
the first attempt, as the mean over agents; an agent that passed everything or nothing separates no task from another
and is left out of it. Adding runs and asking again gives the tiers anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

from ise_gym.errors import UserError
from ise_gym.evaluation.manifest import Manifest, load_suite
from ise_gym.evaluation.results.summary import Rate, first_rate, rate
from ise_gym.evaluation.run import Run

EASY, MEDIUM = 2 / 3, 1 / 3
"""From which share on a task counts as easy or medium; below, it is hard."""


@dataclass(frozen=True)
class Line:
    """An agent's figures on one tier of a suite; the tier "all" is the whole suite."""

    suite: str
    agent: str
    tier: str
    passed: Rate
    first: Rate


@dataclass(frozen=True)
class Measured:
    """One catalog task: the tier of its file, what was measured, over how many agents, and the tier that follows."""

    task: str
    authored: str
    share: float
    agents: int
    tier: str


@dataclass(frozen=True)
class Tiers:
    """What some runs say about tiers.

    Attributes:
        lines: figures by suite, agent and tier.
        tasks: by name; those that no agent separates are not among them.
        uninformative: agents that passed all or none of their tasks.
    """

    lines: list[Line] = field(default_factory=list)
    tasks: list[Measured] = field(default_factory=list)
    uninformative: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON."""
        return asdict(self)


def tier_of(share: float) -> str:
    """Return the tier of a share of first attempts that passed.

    >>> tier_of(0.9), tier_of(0.5), tier_of(0.1)
    ('easy', 'medium', 'hard')
    """
    return "easy" if share >= EASY else "medium" if share >= MEDIUM else "hard"


def measure(runs: Sequence[Run]) -> Tiers:
    """Return the figures by tier of some runs, and the tiers of their catalog tasks.

    Raises:
        UserError: a run of no suite of the catalog.
    """
    suites = {run.card.suite: load_suite(run.card.suite) for run in runs}
    shares: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    authored: dict[str, str] = {}
    lines = [line for run in runs for line in _lines(run)]
    for run in runs:
        named = _catalog_tasks(suites[run.card.suite])
        for entry in run.card.tasks:
            firsts = [t.first_attempt for t in run.verdicts(entry.id) if t.first_attempt is not None]
            if (task := named.get(entry.id)) and firsts:
                shares[task][run.card.agent] += map(float, firsts)
                authored[task] = entry.labels.get("tier", "")
    dull = _uninformative(shares)
    found = []
    for task, by_agent in sorted(shares.items()):
        telling = [fmean(values) for agent, values in by_agent.items() if agent not in dull]
        if telling:
            share = fmean(telling)
            found.append(Measured(task, authored[task], share, len(telling), tier_of(share)))
    return Tiers(lines, found, dull)


def _lines(run: Run) -> list[Line]:
    tiers: dict[str, list[str]] = defaultdict(list)
    for task in run.card.tasks:
        tiers[task.labels.get("tier", "")].append(task.id)
    tiers["all"] = [task.id for task in run.card.tasks]
    made = []
    for tier, ids in tiers.items():
        verdicts = [run.verdicts(id_) for id_ in ids]
        made.append(Line(run.card.suite, run.card.agent, tier, rate(verdicts), first_rate(verdicts)))
    return made


def _catalog_tasks(manifest: Manifest) -> dict[str, str]:
    """Return scenario id → catalog task, for the scenarios of a single one."""
    return {
        entry.id: part.options["tasks"][0]
        for part, entry in manifest.numbered()
        if len(part.options.get("tasks", ())) == 1
    }


def _uninformative(shares: Mapping[str, Mapping[str, Sequence[float]]]) -> list[str]:
    every: dict[str, list[float]] = defaultdict(list)
    for by_agent in shares.values():
        for agent, values in by_agent.items():
            every[agent] += values
    if not every:
        raise UserError("these runs hold no verdict on a single catalog task: nothing can be measured.")
    return sorted(agent for agent, values in every.items() if len(set(values)) == 1)
