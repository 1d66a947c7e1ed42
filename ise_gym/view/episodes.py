"""Which episodes a report shows, and how they travel in the page: a line in the list, and a packed conversation.

The conversation is gzipped JSON in base64, unpacked by the browser when it is opened, so that a report of 300 long
episodes is a few megabytes and opens at once.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ise_gym.foreign.values import Json
from ise_gym.trajectory.conversations import delegated
from ise_gym.trajectory.record import Step, Trajectory
from ise_gym.trajectory.stats import Stats, read_all, recoveries

INTENT_SHOWN = 400


@dataclass(frozen=True)
class StoreView:
    """One store in the report: its name, its statistics, and the episodes chosen for the browser."""

    name: str
    summary: dict[str, Any]
    episodes: int
    chosen: frozenset[int]


@dataclass(frozen=True)
class EpisodeView:
    """One episode: what the list shows (JSON) and the packed rest."""

    line: dict[str, Any]
    packed: str


def survey(path: str | Path, name: str, quota: int, wanted: Container[str] = ()) -> StoreView:
    """Read a store once: statistics, and which of its episodes to show; those that are wanted by id always are."""
    stats, outcomes, asked_for = Stats(), [], set()
    for number, trajectory in enumerate(read_all(path)):
        stats.add(trajectory)
        outcomes.append(trajectory.outcome)
        if trajectory.episode_id in wanted:
            asked_for.add(number)
    return StoreView(name, stats.summary(), len(outcomes), frozenset(choose(outcomes, quota)) | asked_for)


def choose(outcomes: Sequence[str], quota: int) -> list[int]:
    """Choose episodes to show: all when they fit, else up to half of the places to those that did not pass.

    Within both groups they are spread evenly, so that the choice is the same every time.

    >>> choose(["passed"] * 8 + ["failed"], 3)
    [0, 4, 8]
    """
    if len(outcomes) <= quota:
        return list(range(len(outcomes)))
    passed = [n for n, outcome in enumerate(outcomes) if outcome == "passed"]
    other = [n for n, outcome in enumerate(outcomes) if outcome != "passed"]
    for_other = min(len(other), max(quota // 2, quota - len(passed)))
    return sorted([*_spread(other, for_other), *_spread(passed, quota - for_other)])


def _spread(items: Sequence[int], count: int) -> list[int]:
    return [items[k * len(items) // count] for k in range(count)]


def views(path: str | Path, store: StoreView, several: bool) -> Iterator[EpisodeView]:
    """Read a store again and yield its chosen episodes."""
    for number, trajectory in enumerate(read_all(path)):
        if number in store.chosen:
            yield view(trajectory, store.name if several else "")


def view(trajectory: Trajectory, store: str = "") -> EpisodeView:
    """Split an episode into its line in the list and its packed conversation."""
    found = recoveries(trajectory)
    guard = trajectory.user.get("guard") or {}
    line = {
        "id": trajectory.episode_id,
        "scenario": trajectory.scenario_id,
        "store": store,
        "outcome": trajectory.outcome,
        "score": trajectory.score,
        "who": ", ".join(str(trajectory.persona.get(k) or "") for k in ("name", "role")).strip(", "),
        "intent": trajectory.intent[:INTENT_SHOWN],
        "domains": trajectory.domains,
        "tasks": trajectory.tasks,
        "complexity": trajectory.complexity,
        "turns": sum(m["role"] == "user" for m in trajectory.messages),
        "calls": sum(len(m.get("tool_calls") or ()) for m in trajectory.messages),
        "failed": found.failed,
        "recovered": found.recovered,
        "drift": guard.get("drifted", 0),
        "sessions": len(trajectory.sessions),
    }
    rest = trajectory.model_dump(include=_KEPT)
    rest["steps"] = _by_message(trajectory.steps)
    rest["sessions"] = [
        {**part.session, "messages": part.messages, "steps": _by_message(part.steps)}
        for part in delegated(trajectory)
    ]
    return EpisodeView(line, pack(rest))


def _by_message(steps: Iterable[Step]) -> dict[int, dict[str, Any]]:
    return {step.message: step.model_dump(exclude={"message"}) for step in steps}


_KEPT = {
    "scenario_id",
    "seed",
    "intent",
    "persona",
    "reason",
    "subgoals",
    "counts",
    "messages",
    "tools",
    "agent",
    "user",
    "hashes",
    "env",
    "metadata",
    "timings",
}


def pack(value: Json) -> str:
    """Return gzipped JSON in base64; equal values give equal text."""
    return base64.b64encode(gzip.compress(json.dumps(value).encode(), compresslevel=6, mtime=0)).decode(
        "ascii"
    )


def names(paths: Iterable[str | Path]) -> list[str]:
    """Return short, distinct names of store folders.

    The conversations of an evaluation, ``RUN/trajectories``, are called after their run.

    >>> names(["out/before", "out/after/trajectories", "elsewhere/after"])
    ['before', 'after', 'after (2)']
    """
    seen: dict[str, int] = {}
    found = []
    for path in paths:
        place = Path(path).resolve()
        name = (place.parent if place.name == "trajectories" else place).name or "store"
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found
