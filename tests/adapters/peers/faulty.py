"""What our records say of episodes in which something goes wrong with the model, one kind a task, or a real one speaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from endpoint import Fault
from scripted import NUMBERS

from ise_gym.adapters.seat import Tasks
from ise_gym.trajectory.store import read_trajectories
from ise_gym.trajectory.untaught import untaught

KINDS: tuple[Fault, ...] = ("drip", "cut", "words", "broken", "full", "down")
PLAYED = NUMBERS[: len(KINDS) + 1]
"""One task a kind, and a last one in which nothing goes wrong."""


def faults(tasks: Tasks) -> dict[str, Fault]:
    """Return the opening words of each task, and its fault."""
    return {tasks.scenario(n).requests[0].text: kind for n, kind in zip(PLAYED, KINDS, strict=False)}


def recorded(tasks: Tasks, store: Path) -> list[list[Any]]:
    """Return of each record its fault, id, outcome, reason, and why some of its messages are not taught."""
    kinds = {tasks.scenario(n).id: kind for n, kind in zip(PLAYED, (*KINDS, "none"), strict=True)}
    rows = []
    for one in [*read_trajectories(store), *read_trajectories(store, failures=True)]:
        why = sorted(set(untaught(one.messages, one.steps).values()))
        rows.append([kinds[one.scenario_id], one.scenario_id, one.outcome, one.reason, why])
    return rows


def plumbing(store: Path, said: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Return what must hold of every episode, whatever its model is worth; ``said`` is what the peer heard, by task."""
    rows = []
    for one in read_trajectories(store):
        spoken = [m["content"] for m in one.messages if m["role"] == "assistant"]
        answers = [step.completion for step in one.steps]
        rows.append(
            {
                "outcome": one.outcome,
                "same": spoken == list(said[one.scenario_id]),
                "spoken": len(spoken),
                "ended": [answer.ended if answer else "" for answer in answers],
                "tokens": [answer.usage.get("completion", 0) if answer else 0 for answer in answers],
                "untaught": sorted(untaught(one.messages, one.steps).values()),
            }
        )
    return rows
