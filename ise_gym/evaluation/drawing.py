"""Which parts a new suite is drawn from: tasks of the catalog, spread evenly over tiers, or joined to chains."""

from __future__ import annotations

import random
from collections.abc import Sequence

from ise_gym.errors import UserError, nearest
from ise_gym.evaluation.suite import Wanted
from ise_gym.intents.catalog import tasks_of
from ise_gym.tasks.file import TaskSpec


def catalog_tasks(
    domains: list[str], names: Sequence[str] = (), held_out: bool | None = None
) -> list[TaskSpec]:
    """Return the catalog's tasks, by name: those of some domains and of some names, where any are given.

    With ``held_out`` only those of families that are never drawn for training, or only the others.

    Raises:
        UserError: an unknown domain or task.
    """
    tasks = [task for _, task in sorted(tasks_of(None).items())]
    known = sorted({task.domain for task in tasks})
    for domain in domains:
        if domain not in known:
            raise UserError(f"unknown domain '{domain}'.{nearest(domain, known)} Known: {', '.join(known)}.")
    every = [task.name for task in tasks]
    for name in names:
        if name not in every:
            raise UserError(f"unknown task '{name}'.{nearest(name, every)} `ise tasks list` shows them.")
    return [
        task
        for task in tasks
        if (not domains or task.domain in domains)
        and (not names or task.name in names)
        and (held_out is None or task.model.held_out == held_out)
    ]


def singles(tasks: list[TaskSpec], tier: str, count: int) -> list[Wanted]:
    """Spread ``count`` scenarios of one task each evenly over the tasks of a tier.

    Raises:
        UserError: there are none.
    """
    chosen = [task for task in tasks if task.model.tier == tier]
    if count and not chosen:
        raise UserError(f"the catalog has no {tier} tasks in the selection.")
    # By name they are in order of domain: the first ones would be of the first domains only.
    if count < len(chosen):
        chosen = [chosen[place * len(chosen) // count] for place in range(count)]
    shares = {task.name: len(range(place, count, len(chosen))) for place, task in enumerate(chosen)}
    return [
        Wanted(
            {
                "tier": tier,
                "domain": task.domain,
                **({"family": task.model.family} if task.model.family else {}),
            },
            {"tasks": [task.name], "tasks_per_intent": [1, 1]},
            shares[task.name],
        )
        for task in chosen
        if shares[task.name]
    ]


def chained(tasks: list[TaskSpec], count: int, length: int) -> list[Wanted]:
    """Return ``count`` parts of one scenario each, of ``length`` different tasks; tasks take turns.

    Raises:
        UserError: too few tasks.
    """
    if count and len(tasks) < length:
        raise UserError(
            f"a chain of {length} tasks needs at least {length} to choose from; there are {len(tasks)}."
        )
    order: list[str] = []
    rng = random.Random(0)
    parts = []
    for _ in range(count):
        if len(order) < length:
            order += rng.sample([t.name for t in tasks if t.name not in order], len(tasks) - len(order))
        names, order = order[:length], order[length:]
        options = {"tasks": names, "tasks_per_intent": [length, length]}
        parts.append(Wanted({"tier": "chain", "domain": "several"}, options, 1))
    return parts
