"""Drafts the tasks of a blueprint in order: what an earlier one makes is handed on to those that are linked to it."""

from __future__ import annotations

import random
from collections.abc import Sequence

from ise_gym.intents.blueprint import Blueprint, Pick
from ise_gym.scenario import Register
from ise_gym.seeds import derive_seed
from ise_gym.tasks.draft import draft
from ise_gym.tasks.instance import DraftedTask, Split
from ise_gym.tasks.products import Product


def draft_tasks(blueprint: Blueprint, split: Split) -> tuple[DraftedTask, ...]:
    """Return the drafted tasks of a blueprint, worded for its persona's register."""
    register = blueprint.persona.register
    drafts: list[DraftedTask] = []
    for pick in blueprint.picks:
        drafted = draft(
            pick.task,
            pick.seed,
            pick.root,
            label=pick.label,
            split=split,
            asked="drawn" if pick.asked is None else pick.asked,
            registers=(register,),
            inputs=_handed_on(pick, drafts, register),
        )
        drafts.append(drafted)
    return tuple(drafts)


def _handed_on(pick: Pick, earlier: Sequence[DraftedTask], register: Register) -> dict[str, Product]:
    """Return what earlier tasks provide; nothing where the request that would make it isn't asked."""
    rng = random.Random(derive_seed("recalled", pick.seed))
    found = {}
    for link in pick.links:
        product = earlier[link.position].outputs.get(link.output)
        if product is not None:
            found[link.input] = product.recalled(register, rng)
    return found
