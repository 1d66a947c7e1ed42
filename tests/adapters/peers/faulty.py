"""Episodes in which something goes wrong with the model, one kind a task, and what our records say of them."""

from __future__ import annotations

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
