"""What the author is asked to write about: who, in which field, what kind of work, how hard, in which language.

Everything is a function of the seed alone, so a pool of fifty thousand needs no list of what is still to be written.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import yaml

from ise_gym.errors import UserError
from ise_gym.intents.catalog import personas, tasks_of
from ise_gym.resources import os_world
from ise_gym.scenario import Complexity, Persona

COMPLEXITY: Mapping[Complexity, float] = {"simple": 0.1, "medium": 0.4, "complex": 0.5}
"""The paper's prior."""
LANGUAGES: Mapping[str, str] = {"en": "English", "zh": "Chinese (simplified)"}
TASKS: Mapping[Complexity, tuple[int, int]] = {"simple": (1, 1), "medium": (2, 3), "complex": (3, 5)}
"""How many tasks of the catalog an intent is inspired by."""


@dataclass(frozen=True)
class Wanted:
    """One intent that is to be written.

    Attributes:
        seed: what it was drawn by; ``id`` is stable.
        domains: name → title. ``tasks``: name → (title, description), as inspiration.
    """

    seed: int
    persona: Persona
    domains: Mapping[str, str]
    tasks: Mapping[str, tuple[str, str]]
    complexity: Complexity
    language: str

    @property
    def id(self) -> str:
        """The intent's id."""
        return f"written-{self.seed}"


def shares_of(text: str) -> dict[str, float]:
    """Read shares of languages such as ``en=0.8,zh=0.2``; they are brought to a sum of 1.

    Raises:
        UserError: an unknown language, or no share.

    >>> shares_of("en=3,zh=1")
    {'en': 0.75, 'zh': 0.25}
    """
    found: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, share = part.partition("=")
        try:
            found[name] = float(share) if share else 1.0
        except ValueError:
            raise UserError(f"--languages {part}: give NAME=SHARE, such as en=0.8") from None
        if name not in LANGUAGES or not 0 <= found[name] < float("inf"):
            raise UserError(
                f"--languages {part}: known languages are {', '.join(LANGUAGES)}, shares are 0 or more"
            )
    total = sum(found.values())
    if not total:
        raise UserError("--languages: give at least one language with a share above 0, such as en=0.8,zh=0.2")
    return {name: share / total for name, share in found.items()}


def wanted(seed: int, languages: Mapping[str, float]) -> Wanted:
    """Draw what is to be written for a seed."""
    rng = random.Random(f"author {seed}")
    catalog, titles = _by_domain(), _domains()
    complexity = rng.choices(list(COMPLEXITY), list(COMPLEXITY.values()))[0]
    count = rng.randint(*TASKS[complexity])
    domains = rng.sample(sorted(catalog), min(len(catalog), 1 if count == 1 else rng.randint(2, 3)))
    tasks: dict[str, tuple[str, str]] = {}
    for place in range(count):
        own = catalog[domains[place % len(domains)]]
        name = rng.choice(sorted(own))
        tasks[name] = own[name]
    language = rng.choices(list(languages), list(languages.values()))[0]
    return Wanted(
        seed, rng.choice(personas()), {d: titles.get(d, d) for d in domains}, tasks, complexity, language
    )


@lru_cache(maxsize=1)
def _by_domain() -> dict[str, dict[str, tuple[str, str]]]:
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for name, task in tasks_of(None).items():
        found.setdefault(name.partition("/")[0], {})[name] = (task.model.title, task.model.description)
    return found


@lru_cache(maxsize=1)
def _domains() -> dict[str, str]:
    listed = yaml.safe_load((os_world() / "domains.yaml").read_text(encoding="utf-8"))["domains"]
    return {name: f"{about['title']}: {about['description']}" for name, about in listed.items()}
