"""Brings people and their kind of work together without making either axis uneven.

Drawing domains by who asks would make some domain pairs rare. So the dealt domain sets stay as they are, and only
which of a few neighbouring seeds gets which set is decided here: within a window, people choose in turn among the
sets that were dealt to it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from ise_gym.errors import UserError, nearest
from ise_gym.personas.data import Family, personas_dir, validated

WINDOW = 240
"""Seeds that share out their domain sets among themselves."""


class Affinity(BaseModel):
    """``affinity.yaml``: domains that a family of industries asks for most, and the share that pays no heed."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    floor: Annotated[float, Field(ge=0, le=1)]
    families: dict[str, list[str]]


@lru_cache(maxsize=4)
def load_affinity(folder: Path | None = None) -> tuple[float, Mapping[str, frozenset[str]]]:
    """Return the floor, and for each industry the domains that fit it.

    Raises:
        UserError: a family that the persona catalog doesn't have.
    """
    folder = folder or personas_dir()
    path = folder / "affinity.yaml"
    found = validated(path, Affinity)
    known = {file.stem: file for file in (folder / "industries").glob("*.yaml")}
    fitting: dict[str, frozenset[str]] = {}
    for family, domains in found.families.items():
        if family not in known:
            raise UserError(f"{path}: families.{family}: no such family.{nearest(family, known)}")
        for industry in validated(known[family], Family).industries:
            fitting[industry] = frozenset(domains)
    return found.floor, fitting


def share_out(
    sets: Sequence[tuple[str, ...]],
    wishes: Sequence[frozenset[str]],
    floor: float,
    rng: random.Random,
) -> list[tuple[str, ...]]:
    """Return the sets in the order in which people get them; each is given once.

    Args:
        sets: domain sets, all of one size.
        wishes: one for each set: the domains that fit this person; empty when all do.
        floor: how often somebody takes any set.
        rng: decides who chooses first.

    >>> share_out([("a", "b"), ("c", "d")], [frozenset("cd"), frozenset("ab")], 0.0, random.Random(0))
    [('c', 'd'), ('a', 'b')]
    """
    left = list(sets)
    rng.shuffle(left)
    given: dict[int, tuple[str, ...]] = {}
    indifferent = [not wish or rng.random() < floor for wish in wishes]
    turns = sorted(range(len(sets)), key=lambda person: (indifferent[person], rng.random()))
    for person in turns:
        best = 0 if indifferent[person] else max(
            range(len(left)), key=lambda at: len(wishes[person].intersection(left[at]))
        )  # fmt: skip
        given[person] = left.pop(best)
    return [given[person] for person in range(len(sets))]
