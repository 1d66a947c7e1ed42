"""The blueprint of an intent, I = P × 2^D × T* × C: who asks, in which domains, for which tasks, how complex.

Source: ISE, arXiv 2606.11520: complexity prior 10/40/50, two or three domains, three to six tasks. Every axis
is dealt evenly (`ise_gym.intents.axes`), and the blueprint of a seed doesn't depend on any other seed.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from ise_gym.errors import UserError
from ise_gym.foreign.values import Json
from ise_gym.intents.axes import deal, subsets
from ise_gym.intents.chaining import Link, arranged, linked, with_link
from ise_gym.intents.followups import USER_TURNS, follow_ups
from ise_gym.intents.options import DEFAULT_TASKS, Options, allowed_personas, allowed_tasks
from ise_gym.personas.affinity import WINDOW, load_affinity, share_out
from ise_gym.scenario import Complexity, Persona
from ise_gym.seeds import derive_seed
from ise_gym.tasks.file import TaskSpec
from ise_gym.tasks.generators import load_words

SAMPLER_VERSION = 1
"""Part of every derived seed: raise it when the same seed would give something else."""

COMPOSITION_VERSION = 2
"""Part of the catalog's hash alone: raise it when the same seed would combine other tasks or requests, while the
instances behind them stay what they were."""

COMPLEXITIES: tuple[Complexity, ...] = ("simple",) + ("medium",) * 4 + ("complex",) * 5
"""One block of the complexity axis: the paper's prior of 10, 40 and 50 per cent."""


@dataclass(frozen=True)
class Pick:
    """One task of an intent: ``asked`` names the follow-ups that are made; None leaves them to their chance.

    ``links`` says which inputs are outputs of earlier picks.
    """

    task: TaskSpec
    label: str
    root: str
    seed: int
    asked: tuple[str, ...] | None
    links: tuple[Link, ...] = ()


@dataclass(frozen=True)
class Blueprint:
    """What one intent is made from: a point of P × 2^D × T* × C, with seeds for all that is made from it."""

    seed: int
    persona: Persona
    complexity: Complexity
    domains: tuple[str, ...]
    picks: tuple[Pick, ...]
    voice_seed: int


class Sampler:
    """Samples blueprints from tasks and personas.

    Args:
        tasks: the catalog's tasks.
        personas: who may ask.
        options: what is allowed.

    Raises:
        UserError: an option names nothing known, or nothing is left to choose from.
    """

    def __init__(
        self, tasks: Mapping[str, TaskSpec], personas: Sequence[Persona], options: Options | None = None
    ) -> None:
        self.options = options or Options()
        self.tasks = allowed_tasks(tasks, self.options)
        self.personas = allowed_personas(personas, self.options)
        self.by_domain: dict[str, list[TaskSpec]] = defaultdict(list)
        for task in self.tasks:
            self.by_domain[task.domain].append(task)
        self.domains = tuple(sorted(self.by_domain))
        self._shared: dict[tuple[int, int], dict[int, tuple[str, ...]]] = {}

    def blueprint(self, seed: int) -> Blueprint:
        """Return the blueprint of a seed (≥ 0), always the same."""
        key = (SAMPLER_VERSION, self.options.split)
        persona = self.personas[deal(len(self.personas), seed, *key, "persona")[0]]
        complexity = COMPLEXITIES[deal(len(COMPLEXITIES), seed, *key, "complexity")[0]]
        rng = random.Random(derive_seed(*key, "plan", seed))
        count = self._task_count(complexity, rng)
        domains = self._domains(seed, count, key)
        chosen = self._tasks(seed, count, domains, rng, key)
        while self._falls_short(chosen, complexity):
            chosen = self._tasks(seed, len(chosen) + 1, domains, rng, key)
        if self.options.chained:
            domains = tuple(sorted({task.domain for task in chosen}))
        chosen = arranged(chosen)
        chances = random.Random(derive_seed(*key, "chain", seed))
        links = linked(chosen, chances, surely=self.options.chained)
        asked = follow_ups(chosen, complexity, rng)
        folders = load_words().folders
        places = deal(len(folders), derive_seed(*key, "roots", seed), "roots", count=len(chosen))
        picks = []
        for position, task in enumerate(chosen):
            earlier = sum(other is task for other in chosen[:position])
            label = f"{task.name}#{earlier + 1}" if earlier else task.name
            own_seed = derive_seed(*key, seed, label)
            picks.append(
                Pick(task, label, folders[places[position]], own_seed, asked[position], links[position])
            )
        return Blueprint(seed, persona, complexity, domains, tuple(picks), derive_seed(*key, "voice", seed))

    def _task_range(self, complexity: Complexity) -> tuple[int, int]:
        """Return how many tasks an intent may have: of 3–6, simple takes 3, medium 3–5, complex 3–6."""
        least, most = self.options.tasks_per_intent
        if complexity == "simple":
            return least, least
        return least, most if complexity == "complex" else max(least, most - 1)

    def _task_count(self, complexity: Complexity, rng: random.Random) -> int:
        """Return a number of tasks, fewer rather than more: the length comes from what is asked about each."""
        least, most = self._task_range(complexity)
        count = min(rng.randint(least, most), rng.randint(least, most))
        return min(count, rng.randint(least, most)) if least < most else count

    def _falls_short(self, chosen: Sequence[TaskSpec], complexity: Complexity) -> bool:
        """Tell whether another task is allowed, and needed for a conversation of the least length."""
        requests = sum(len(task.model.requests) for task in chosen)
        return (
            DEFAULT_TASKS[0] <= len(chosen) < self._task_range(complexity)[1]
            and requests < USER_TURNS[complexity][0]
        )

    def _domains(self, seed: int, count: int, key: tuple[Json, ...]) -> tuple[str, ...]:
        """Return two or three domains (fewer only where there are fewer, or a single task)."""
        wanted = self._domain_count(seed, key)
        size = min(wanted, count, len(self.domains))
        if size < wanted or size == len(self.domains):
            return self._dealt(seed, size, key)
        window = seed // WINDOW
        if (window, size) not in self._shared:
            if len(self._shared) > 64:
                self._shared.clear()
            self._shared[window, size] = self._share(window, size, key)
        return self._shared[window, size][seed]

    def _share(self, window: int, size: int, key: tuple[Json, ...]) -> dict[int, tuple[str, ...]]:
        """Share out the sets of one size that were dealt to a window among the people who got that size."""
        seeds = [
            s for s in range(window * WINDOW, (window + 1) * WINDOW) if self._domain_count(s, key) == size
        ]
        people = [self.personas[deal(len(self.personas), s, *key, "persona")[0]] for s in seeds]
        floor, fitting = load_affinity()
        wishes = [fitting.get(person.industry, frozenset()) for person in people]
        rng = random.Random(derive_seed(*key, "affinity", window, size))
        given = share_out([self._dealt(s, size, key) for s in seeds], wishes, floor, rng)
        return dict(zip(seeds, given, strict=True))

    def _domain_count(self, seed: int, key: tuple[Json, ...]) -> int:
        return (2, 3)[deal(2, seed, *key, "domain count")[0]]

    def _dealt(self, seed: int, size: int, key: tuple[Json, ...]) -> tuple[str, ...]:
        """Return the set that a seed was dealt, before people choose."""
        sets = subsets(self.domains, size)
        return sets[deal(len(sets), seed // 2 if size > 1 else seed, *key, "domains", size)[0]]

    def _tasks(
        self, seed: int, count: int, domains: Sequence[str], rng: random.Random, key: tuple[Json, ...]
    ) -> list[TaskSpec]:
        """Return the tasks: each domain at least once, no task twice while others are left."""
        shares = [1] * len(domains)
        for _ in range(count - len(domains)):
            room = [i for i, name in enumerate(domains) if shares[i] < len(self.by_domain[name])]
            shares[rng.choice(room or range(len(domains)))] += 1
        chosen: list[TaskSpec] = []
        for name, share in zip(domains, shares, strict=True):
            own = self.by_domain[name]
            dealt = deal(len(own), seed, *key, "tasks", name, count=share)
            chosen.extend(own[dealt[i % len(dealt)]] for i in range(share))
        rng.shuffle(chosen)
        return self._chain(chosen, seed, key) if self.options.chained else chosen

    def _chain(self, chosen: list[TaskSpec], seed: int, key: tuple[Json, ...]) -> list[TaskSpec]:
        """Bring in a task that works on another's product, or its maker, where none of the chosen ones does."""
        takers = [task for task in self.tasks if task.model.inputs]
        dealt = deal(len(takers), seed, *key, "takers", count=len(takers)) if takers else ()
        makers = deal(len(self.tasks), seed, *key, "makers", count=len(self.tasks))
        others = [*(takers[at] for at in dealt), *(self.tasks[at] for at in makers)]
        found = with_link(chosen, others)
        if found is None:
            raise UserError("chained: none of the allowed tasks takes what another makes; allow more tasks")
        return found

    def space(self) -> int:
        """Count the points of P × 2^D × T* × C, before any parameter is drawn (an exact whole number).

        With ``chained`` some of them are exchanged for others.
        """
        total = 0
        for complexity in get_args(Complexity):
            least, most = self._task_range(complexity)
            for count in range(least, most + 1):
                for size in {min(wanted, count, len(self.domains)) for wanted in (2, 3)}:
                    sizes = [[len(self.by_domain[n]) for n in names] for names in subsets(self.domains, size)]
                    total += sum(spread(own, count) for own in sizes)
        return total * len(self.personas)


def spread(sizes: Sequence[int], count: int) -> int:
    """Count the ways to take ``count`` tasks of some domains, at least one of each."""
    ways = [1] + [0] * count
    for size in sizes:
        ways = [
            sum(ways[total - own] * math.comb(size, own) for own in range(1, min(size, total) + 1))
            for total in range(count + 1)
        ]
    return ways[count]
