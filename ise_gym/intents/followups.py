"""How long a conversation gets: which follow-ups of the chosen tasks are asked, by the intent's complexity."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from ise_gym.intents.options import DEFAULT_TASKS
from ise_gym.scenario import Complexity
from ise_gym.tasks.file import TaskSpec

USER_TURNS: Mapping[Complexity, tuple[int, int]] = {"simple": (5, 6), "medium": (6, 7), "complex": (7, 8)}
"""How many requests an intent of full size aims at; follow-ups are chosen to come near it."""


def follow_ups(
    chosen: Sequence[TaskSpec], complexity: Complexity, rng: random.Random
) -> list[tuple[str, ...] | None]:
    """Choose follow-ups so that intents of full size have a length that fits their complexity.

    Smaller intents leave each follow-up to its own chance (None).
    """
    if len(chosen) < DEFAULT_TASKS[0]:
        return [None] * len(chosen)
    required = sum(request.chance == 1 for task in chosen for request in task.model.requests)
    wanted = rng.randint(*USER_TURNS[complexity]) - required
    ranked = sorted(
        (rng.random() ** (1 / request.chance), position, request.name)
        for position, task in enumerate(chosen)
        for request in task.model.requests
        if request.chance < 1
    )
    taken: set[tuple[int, str]] = set()
    for _, position, name in reversed(ranked):
        more = {(position, needed) for needed in _with_needed(chosen[position], name)} - taken
        if len(taken) + len(more) <= wanted:
            taken |= more
    return [
        tuple(r.name for r in task.model.requests if (position, r.name) in taken)
        for position, task in enumerate(chosen)
    ]


def _with_needed(task: TaskSpec, name: str) -> set[str]:
    """Return a follow-up and those that it builds on, without which it would not be asked."""
    requests = {request.name: request for request in task.model.requests}
    found, waiting = set(), [name]
    while waiting:
        request = requests[waiting.pop()]
        if request.chance < 1:
            found.add(request.name)
            waiting.extend(request.needs)
    return found
