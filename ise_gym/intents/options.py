"""Which part of the space intents are made from: domains, tasks, tiers, registers, and how many tasks each has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from ise_gym.errors import UserError, nearest
from ise_gym.scenario import Persona
from ise_gym.tasks.file import REGISTERS, TaskSpec, Tier

DEFAULT_TASKS = (3, 6)


@dataclass(frozen=True)
class Options:
    """What is allowed; everything is allowed by default. JSON-able through `to_json`.

    Attributes:
        split: "train" and "eval" never share a task instance; "" takes of both.
        domains, tasks, tier, registers: only these.
        tasks_per_intent: (least, most); least goes with simple intents, most with complex ones.
        chained: in every intent a task works on what an earlier one made; else where the tasks happen to fit.
    """

    split: str = ""
    domains: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    tier: tuple[str, ...] = ()
    tasks_per_intent: tuple[int, int] = DEFAULT_TASKS
    registers: tuple[str, ...] = ()
    chained: bool = False

    def to_json(self) -> dict[str, object]:
        """Return what differs from the defaults."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        default = Options()
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in plain.items()
            if value != getattr(default, name)
        }


def allowed_tasks(tasks: Mapping[str, TaskSpec], options: Options) -> list[TaskSpec]:
    """Return the tasks that the options allow.

    Raises:
        UserError: an option names nothing known, or no task is left.
    """
    domains = {task.domain for task in tasks.values()}
    for what, given, known in (
        ("domain", options.domains, domains),
        ("task", options.tasks, set(tasks)),
        ("tier", options.tier, set(get_args(Tier))),
    ):
        for name in given:
            if name not in known:
                raise UserError(
                    f"no {what} is named '{name}'.{nearest(name, known)} Known: {', '.join(sorted(known)[:20])}"
                )
    least, most = options.tasks_per_intent
    if options.chained and least < 2:
        raise UserError(
            f"chained: an intent needs two tasks or more, and tasks_per_intent is ({least}, {most})"
        )
    if not 1 <= least <= most:
        raise UserError(f"tasks_per_intent is ({least}, {most}); it needs 1 ≤ least ≤ most")
    allowed = [
        task
        for task in tasks.values()
        if (not options.domains or task.domain in options.domains)
        and (not options.tasks or task.name in options.tasks)
        and (not options.tier or task.model.tier in options.tier)
        and not (options.split == "train" and task.model.held_out)
    ]
    if not allowed:
        raise UserError(f"no task fits {options.to_json()}; allow more domains, tasks or tiers")
    return allowed


def allowed_personas(personas: Sequence[Persona], options: Options) -> Sequence[Persona]:
    """Return the personas that the options allow.

    Raises:
        UserError: an option names nothing known, or nobody is left.
    """
    for name in options.registers:
        if name not in REGISTERS:
            raise UserError(f"no register is named '{name}'.{nearest(name, REGISTERS)}")
    allowed = [p for p in personas if not options.registers or p.register in options.registers]
    if not allowed:
        raise UserError(f"no persona speaks in {', '.join(options.registers)}")
    return allowed
