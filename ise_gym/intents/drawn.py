"""The 4D catalog as an endless source of scenarios: everything about one is a function of its seed.

``IntentSource(split="train")`` and ``IntentSource(split="eval")`` never share a task instance, whatever
their seeds: which split an instance belongs to is fixed by what was drawn for it (its fingerprint).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, cast

from ise_gym.errors import UserError, nearest
from ise_gym.intents.brief import brief_text, choose_gists
from ise_gym.intents.catalog import catalog_hash, personas, system_prompt, tasks_of
from ise_gym.intents.sampler import DEFAULT_TASKS, Blueprint, Options, Pick, Sampler
from ise_gym.intents.words import choose_wordings, intent_text, utter
from ise_gym.messages import sha256_of
from ise_gym.scenario import DEFAULT_TOOLS, Budget, Register, Request, Scenario
from ise_gym.tasks.chaining import Product
from ise_gym.tasks.generators import derive_seed
from ise_gym.tasks.instance import Split, TaskInstance, complete, draft, facts_of

SPLITS = ("", "train", "eval")
Names = Sequence[str] | str | None


@dataclass(frozen=True)
class Intent:
    """An intent before it is made executable.

    Attributes:
        id: as its scenario's.
        blueprint: who, where, what, how complex.
        instances: the drawn tasks, without files, checks and plans.
        utterances: what the user says, one text a request, in order of the tasks.
        text: the whole intent in natural language, with every request.
        brief: who wants what, in a few sentences without details: what is known before the conversation.
    """

    id: str
    blueprint: Blueprint
    instances: tuple[TaskInstance, ...]
    utterances: tuple[str, ...]
    text: str
    brief: str = ""


class IntentSource:
    """Scenarios drawn from the catalog, one for each seed ≥ 0.

    Args:
        split: "train" or "eval" (they share no task instance), or None for no split.
        seed_offset: added to every seed.
        domains, tasks, tier, registers: draw only from these (one name or several; all when None).
        tasks_per_intent: a number or (least, most); (3, 6) when None.
        chained: only intents in which a task works on what an earlier one made.
        folders: folders of task files to use instead of the catalog's own.

    Raises:
        UserError: an option names nothing known, or a task file is broken.
    """

    def __init__(
        self,
        split: str | None = None,
        *,
        seed_offset: int = 0,
        domains: Names = None,
        tasks: Names = None,
        tier: Names = None,
        tasks_per_intent: int | Sequence[int] | None = None,
        registers: Names = None,
        chained: bool = False,
        folders: Sequence[Path | str] | None = None,
    ) -> None:
        if (split or "") not in SPLITS:
            raise UserError(f"split '{split}' is none of train, eval.{nearest(str(split), SPLITS)}")
        self.options = Options(
            split=split or "",
            domains=_names(domains),
            tasks=_names(tasks),
            tier=_names(tier),
            tasks_per_intent=_range(tasks_per_intent),
            registers=_names(registers),
            chained=chained,
        )
        self.seed_offset = seed_offset
        self.folders = tuple(Path(folder) for folder in folders) if folders is not None else None
        self._open()

    def described(self) -> dict[str, Any]:
        """Return the arguments that make this source again (without the offset), JSON-able."""
        folders = {} if self.folders is None else {"folders": [str(folder) for folder in self.folders]}
        return {**self.options.to_json(), **folders}

    def _open(self) -> None:
        self.sampler = Sampler(tasks_of(self.folders), personas(), self.options)
        self.catalog = catalog_hash(self.folders)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the options only; a worker process loads the catalog itself."""
        return {"options": self.options, "seed_offset": self.seed_offset, "folders": self.folders}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Load the catalog again."""
        self.__dict__.update(state)
        self._open()

    @property
    def name(self) -> str:
        """``ise-os``, with the split and a hash of the other options where there are any."""
        parts = ["ise-os", self.options.split or "any"]
        rest = {name: value for name, value in self.described().items() if name != "split"}
        return "-".join(parts + ([sha256_of(rest)[:6]] if rest else []))

    def scenario(self, seed: int) -> Scenario:
        """Return the scenario of a seed, always the same."""
        return self.executable(self.intent(seed))

    def executable(self, intent: Intent) -> Scenario:
        """Return the scenario of an intent of this source: its files, sub-goals and plans, and its own words."""
        plan = intent.blueprint
        instances = [
            complete(pick.task, drafted) for pick, drafted in zip(plan.picks, intent.instances, strict=True)
        ]
        texts = iter(intent.utterances)
        requests = []
        for instance in instances:
            for request in instance.requests:
                text = next(texts)
                requests.append(
                    Request(
                        name=request.name,
                        text=text,
                        task=instance.task,
                        subgoals=request.subgoals,
                        plan=request.plan,
                        reply=request.reply,
                        supersedes=request.supersedes,
                        facts=facts_of(instance, text),
                        # a service changes no file; what an earlier task made lies in that task's folder
                        folder="" if instance.services or instance.chained else instance.root,
                    )
                )
        return Scenario(
            id=intent.id,
            seed=plan.seed,
            intent=intent.text,
            brief=intent.brief,
            persona=plan.persona,
            requests=tuple(requests),
            files=tuple(file for instance in instances for file in instance.files),
            domains=plan.domains,
            tasks=tuple(instance.task for instance in instances),
            complexity=plan.complexity,
            budget=budget_for(requests),
            tools=tuple(dict.fromkeys([*DEFAULT_TOOLS, *(tool for i in instances for tool in i.tools)])),
            services=tuple(service for instance in instances for service in instance.services),
            system_prompt=system_prompt(),
            split=self.options.split,
            metadata={
                "catalog": self.catalog,
                "options": self.described(),
                "tiers": [pick.task.model.tier for pick in plan.picks],
                "roots": {instance.label: instance.root for instance in instances},
                "fingerprints": fingerprints(intent),
                **({"chained": chained} if (chained := chained_inputs(instances)) else {}),
            },
        )

    def intent(self, seed: int) -> Intent:
        """Return the intent of a seed: what `scenario` starts from, some milliseconds cheaper."""
        if seed < 0:
            raise ValueError(f"seed must be ≥ 0, got {seed}")
        number = seed + self.seed_offset
        plan = self.sampler.blueprint(number)
        split = cast(Split, self.options.split)
        drafted: list[TaskInstance] = []
        for pick in plan.picks:
            instance = draft(
                pick.task,
                pick.seed,
                pick.root,
                label=pick.label,
                split=split,
                asked="drawn" if pick.asked is None else pick.asked,
                registers=(plan.persona.register,),
                inputs=_handed_on(pick, drafted, plan.persona.register),
            )
            drafted.append(instance)
        instances = tuple(drafted)
        rng = random.Random(plan.voice_seed)
        wordings = choose_wordings([r for i in instances for r in i.requests], plan.persona, rng)
        said = utter(wordings, plan.persona, rng)
        text = intent_text(wordings, plan.persona, rng)
        # a source of its own: briefs can be worded anew without changing a request
        own = random.Random(derive_seed("brief", plan.voice_seed))
        brief = brief_text(choose_gists(instances, own), plan.persona, own)
        return Intent(f"{self.name}-{number}", plan, instances, tuple(said), text, brief)

    def __iter__(self) -> Iterator[Scenario]:
        """Iterate from seed 0, without end."""
        return map(self.scenario, count())


def budget_for(requests: Sequence[Request]) -> Budget:
    """Return what an episode of these requests may cost: three times the expert's calls and some to spare.

    Every request may be asked three times (the scripted user's patience) before the user leaves.
    """
    calls = sum(bool(step.tool) for request in requests for step in request.plan)
    return Budget(user_turns=3 * len(requests) + 1, tool_calls=5 + 3 * calls)


def _handed_on(pick: Pick, earlier: Sequence[TaskInstance], register: Register) -> dict[str, Product]:
    """Return what earlier tasks provide; nothing where the request that would make it isn't asked."""
    rng = random.Random(derive_seed("recalled", pick.seed))
    found = {}
    for link in pick.links:
        product = earlier[link.position].outputs.get(link.output)
        if product is not None:
            found[link.input] = product.recalled(register, rng)
    return found


def chained_inputs(instances: Sequence[TaskInstance]) -> dict[str, dict[str, str]]:
    """Return label → input → path of all that earlier tasks of an intent provide."""
    return {
        instance.label: {name: product.path for name, product in instance.chained.items()}
        for instance in instances
        if instance.chained
    }


def fingerprints(intent: Intent) -> dict[str, str]:
    """Return label → fingerprint of an intent's task instances."""
    return {instance.label: instance.fingerprint for instance in intent.instances}


def _names(given: Names) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given or ())


def _range(given: int | Sequence[int] | None) -> tuple[int, int]:
    if given is None:
        return DEFAULT_TASKS
    values = [given, given] if isinstance(given, int) else list(given)
    if len(values) != 2 or not all(isinstance(value, int) for value in values):
        raise UserError(f"tasks_per_intent is {given!r}; it needs a number or a pair such as [3, 6]")
    return values[0], values[1]
