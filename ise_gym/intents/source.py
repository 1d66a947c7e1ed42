"""The 4D catalog as an endless source of scenarios: everything about one is a function of its seed.

`IntentSource.intent` is the way of an intent: blueprint → drafted tasks → words; `scenario` then makes it executable.

``IntentSource(split="train")`` and ``IntentSource(split="eval")`` never share a task instance, whatever
their seeds: which split an instance belongs to is fixed by what was drawn for it (its fingerprint).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, cast

from ise_gym.errors import UserError, nearest
from ise_gym.intents.blueprint import Sampler
from ise_gym.intents.brief import brief_text, choose_gists
from ise_gym.intents.catalog import catalog_hash, personas, tasks_of
from ise_gym.intents.drafts import draft_tasks
from ise_gym.intents.executable import executable
from ise_gym.intents.intent import Intent
from ise_gym.intents.options import DEFAULT_TASKS, Options
from ise_gym.intents.whole import whole_text
from ise_gym.intents.words import choose_wordings, utter
from ise_gym.messages import sha256_of
from ise_gym.scenario import Scenario
from ise_gym.seeds import derive_seed
from ise_gym.tasks.instance import Split

SPLITS = ("", "train", "eval")
Names = Sequence[str] | str | None


class IntentSource:
    """Scenarios of the catalog, one for each seed ≥ 0.

    Args:
        split: "train" or "eval" (they share no task instance), or None for no split.
        seed_offset: added to every seed.
        domains, tasks, tier, registers: only these (one name or several; all when None).
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

    def __setstate__(self, state: Mapping[str, object]) -> None:
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
        return executable(self.intent(seed), self.catalog, self.described())

    def intent(self, seed: int) -> Intent:
        """Return the intent of a seed: what `scenario` starts from, some milliseconds cheaper."""
        if seed < 0:
            raise ValueError(f"seed must be ≥ 0, got {seed}")
        number = seed + self.seed_offset
        id_ = f"{self.name}-{number}"
        blueprint = self.sampler.blueprint(number)
        persona = blueprint.persona
        drafts = draft_tasks(blueprint, cast(Split, self.options.split))
        rng = random.Random(blueprint.voice_seed)
        wordings = choose_wordings(drafts, persona, rng)
        utterances = tuple(utter(wordings, persona, rng))
        text = whole_text(wordings, persona, rng)
        # a source of its own: briefs can be worded anew without changing a request
        own = random.Random(derive_seed("brief", blueprint.voice_seed))
        brief = brief_text(choose_gists(drafts, own), persona, own)
        return Intent(id_, blueprint, drafts, utterances, text, brief)

    def __iter__(self) -> Iterator[Scenario]:
        """Iterate from seed 0, without end."""
        return map(self.scenario, count())


def _names(given: Names) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given or ())


def _range(given: int | Sequence[int] | None) -> tuple[int, int]:
    if given is None:
        return DEFAULT_TASKS
    values = [given, given] if isinstance(given, int) else list(given)
    if len(values) != 2 or not all(isinstance(value, int) for value in values):
        raise UserError(f"tasks_per_intent is {given!r}; it needs a number or a pair such as [3, 6]")
    return values[0], values[1]
