"""Links the tasks of an intent: which of them works on what an earlier one made (`ise_gym.tasks.products`)."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ise_gym.tasks.file import TaskSpec

CHANCE = 0.9
"""How often an input is linked to a fitting output of an earlier task of the same intent."""

MOST_DOMAINS = 3
"""Of an intent (arXiv 2606.11520: two or three)."""


@dataclass(frozen=True)
class Link:
    """An input of a task that is an output of the task at an earlier position of the intent."""

    input: str
    position: int
    output: str


def fits(kind: str, accepts: Sequence[str]) -> bool:
    """Return whether an input takes a kind; ``file`` takes all but folders.

    >>> fits("table", ["file"]), fits("folder", ["file"]), fits("folder", ["folder", "text"])
    (True, False, True)
    """
    return kind in accepts or ("file" in accepts and kind != "folder")


def arranged(tasks: Sequence[TaskSpec]) -> list[TaskSpec]:
    """Return tasks in an order in which those that can be given something come after one that makes it."""
    ordered = list(tasks)
    for task in tasks:
        at = ordered.index(task)
        if not task.model.inputs or _offers(task, ordered[:at]):
            continue
        later = next((n for n, other in enumerate(ordered) if n > at and _offers(task, [other])), None)
        if later is not None and not any(_offers(other, [task]) for other in ordered[at + 1 : later + 1]):
            ordered.insert(later, ordered.pop(at))
    return ordered


def linked(tasks: Sequence[TaskSpec], rng: random.Random, *, surely: bool = False) -> list[tuple[Link, ...]]:
    """Choose for each task which of its inputs earlier tasks provide; nothing is handed on twice.

    Args:
        tasks: of an intent, in order.
        rng: the only source of chance.
        surely: link all that can be linked, and only to what is made whatever follow-ups are asked.
    """
    taken: set[tuple[int, str]] = set()
    links: list[tuple[Link, ...]] = []
    for at, task in enumerate(tasks):
        own = []
        for name in task.model.inputs:
            offers = [
                (n, out) for n, out in _offers(task, tasks[:at], name, surely) if (n, out) not in taken
            ]  # fmt: skip
            if offers and (surely or rng.random() < CHANCE):
                position, output = rng.choice(offers)
                taken.add((position, output))
                own.append(Link(name, position, output))
        links.append(tuple(own))
    return links


def with_link(tasks: Sequence[TaskSpec], others: Sequence[TaskSpec]) -> list[TaskSpec] | None:
    """Exchange as few tasks as it takes for one of them to work on what another surely makes.

    Who comes in takes the place of a task of its domain where it can, and brings no fourth domain if there is a way.

    Args:
        tasks: two or more, of an intent.
        others: who may come in, the preferred ones first.

    Returns:
        The tasks, or None where no two of all these fit.
    """
    if _linkable(tasks):
        return list(tasks)
    fitting: list[TaskSpec] | None = None
    for pair in _pairs(tasks, [other for other in others if other not in tasks]):
        found = list(tasks)
        for task in pair:
            if task not in found:
                found[_place(task, found, pair)] = task
        if _linkable(found):
            if len({task.domain for task in found}) <= MOST_DOMAINS:
                return found
            fitting = fitting or found
    return fitting


def _pairs(inside: Sequence[TaskSpec], outside: Sequence[TaskSpec]) -> Iterator[tuple[TaskSpec, TaskSpec]]:
    """Yield who could take from whom, those first that bring in the fewest from outside."""
    for takers, makers in ((inside, inside), (inside, outside), (outside, inside), (outside, outside)):
        for taker in takers:
            if taker.model.inputs:
                yield from ((taker, maker) for maker in makers if _offers(taker, [maker], surely=True))


def _linkable(tasks: Sequence[TaskSpec]) -> bool:
    return any(linked(arranged(tasks), random.Random(0), surely=True))


def _place(task: TaskSpec, tasks: Sequence[TaskSpec], staying: Sequence[TaskSpec]) -> int:
    """Return whose place a task takes: so that the fewest domains come in or go."""
    domains = [other.domain for other in tasks]
    free = [at for at, other in enumerate(tasks) if other not in staying]

    def strangeness(at: int) -> tuple[int, bool]:
        after = {*domains[:at], *domains[at + 1 :], task.domain}
        return max(0, len(after) - MOST_DOMAINS), domains[at] != task.domain

    return min(free, key=strangeness)


def _offers(
    task: TaskSpec, others: Sequence[TaskSpec], name: str = "", surely: bool = False
) -> list[tuple[int, str]]:
    """Return (position, output) of what other tasks make that an input (any without a name) takes."""
    inputs = [task.model.inputs[name]] if name else list(task.model.inputs.values())
    return [
        (at, output)
        for at, other in enumerate(others)
        if other is not task
        for output, model in other.model.outputs.items()
        if any(fits(model.kind, wanted.accepts) for wanted in inputs) and not (surely and model.after)
    ]
