"""A frozen suite: which scenarios it consists of, by seed, and what each must look like when drawn again.

A suite that is drawn afresh each time measures something else each time. The manifest holds for every task the
seed and a hash of the scenario that the seed gave, so a catalog that has changed underneath is noticed before
any figure is printed, and it holds the fingerprints of the task instances, so training data can be checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ise_gym.errors import UserError, nearest
from ise_gym.evaluation.run import TaskEntry
from ise_gym.messages import sha256_of
from ise_gym.resources import data_dir
from ise_gym.scenario import Scenario

SUITES = data_dir("eval") / "suites"
ALIASES = {"builtin": "builtin-v1"}
HELD_OUT = "eval"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Entry(_Strict):
    """One task: the seed that draws it, the id and hash of the scenario, its task instances' fingerprints."""

    seed: int = Field(ge=0)
    id: str
    sha256: str
    instances: list[str] = Field(min_length=1)


class Part(_Strict):
    """Entries that are drawn with the same options.

    Attributes:
        labels: what results are grouped by (tier, domain).
        options: keyword arguments of `ise_gym.intents.source.IntentSource`, besides ``split``. They name the
            catalog tasks, so that what is frozen doesn't change when other tasks are added.
    """

    labels: dict[str, str] = Field(default_factory=dict)
    options: dict[str, Any] = Field(default_factory=dict)
    entries: list[Entry] = Field(min_length=1)


class Manifest(_Strict):
    """A suite of held-out scenarios."""

    name: str
    description: str = ""
    parts: list[Part] = Field(min_length=1)

    def sha256(self) -> str:
        """Hash of everything in it; runs carry it, and only runs with equal ones are compared."""
        return sha256_of(self.model_dump())

    def numbered(self) -> list[tuple[Part, Entry]]:
        """Return all entries with their parts, in order."""
        return [(part, entry) for part in self.parts for entry in part.entries]

    def fingerprints(self) -> set[str]:
        """Fingerprints of every task instance in the suite."""
        return {print_ for _, entry in self.numbered() for print_ in entry.instances}


def load_suite(name: str) -> Manifest:
    """Load a suite by name (``builtin``, ``demo-easy``, …) or from a YAML file.

    Raises:
        UserError: no such suite (with the nearest name), or a file that isn't a manifest (with the field).
    """
    known = {path.stem: path for path in sorted(SUITES.glob("*.yaml"))}
    file = known.get(ALIASES.get(name, name))
    if file is None:
        file = Path(name)
        if not file.is_file():
            names = sorted({*known, *(alias for alias, full in ALIASES.items() if full in known)})
            raise UserError(
                f"unknown suite '{name}'.{nearest(name, names)} Known: {', '.join(names) or 'none'}, or a file."
            )
    try:
        return Manifest.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        field_ = ".".join(str(part) for part in first["loc"]) or "document"
        raise UserError(f"{file}: not a suite: {field_}: {first['msg']}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: not a suite: {error}.") from error


def save_suite(manifest: Manifest, file: Path) -> None:
    """Write a manifest, one line an entry, so that a change shows as the lines that it touches."""
    lines = [f"name: {_flow(manifest.name)}", f"description: {_flow(manifest.description)}", "parts:"]
    for part in manifest.parts:
        lines += [f"- labels: {_flow(part.labels)}", f"  options: {_flow(part.options)}", "  entries:"]
        lines += [f"  - {_flow(entry.model_dump())}" for entry in part.entries]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _flow(value: Any) -> str:
    dumped = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True, sort_keys=False)
    return dumped.removesuffix("\n").removesuffix("\n...")


def scenario_sha256(scenario: Scenario) -> str:
    """Hash of all that the agent and its user can see of a scenario, and of the sub-goals' names."""
    return sha256_of(
        {
            "id": scenario.id,
            "seed": scenario.seed,
            "persona": scenario.persona.name,
            "system_prompt": scenario.system_prompt,
            "tools": list(scenario.tools),
            "files": sorted([f.path, f.mode, sha256_of(f.content.hex())] for f in scenario.files),
            "requests": [
                {"name": r.name, "text": r.text, "subgoals": [goal.name for goal in r.subgoals]}
                for r in scenario.requests
            ],
            **({"services": [[s.kind, s.data] for s in scenario.services]} if scenario.services else {}),
        }
    )


def instance_fingerprints(scenario: Scenario) -> list[str]:
    """Fingerprints of the task instances in a scenario, as its source recorded them.

    Raises:
        UserError: the source recorded none.
    """
    found = scenario.metadata.get("fingerprints")
    values = list(found.values()) if isinstance(found, Mapping) else list(found or ())
    if not values:
        raise UserError(f"scenario {scenario.id} has no fingerprints of its task instances.")
    return sorted(str(value) for value in values)


def open_source(options: Mapping[str, Any]) -> Any:
    """Open the held-out half of the catalog with a part's options."""
    from ise_gym.intents.source import IntentSource

    try:
        return IntentSource(split=HELD_OUT, **options)
    except TypeError as error:
        raise UserError(f"suite options {dict(options)} don't fit the catalog: {error}") from error


@dataclass
class SuiteSource:
    """A suite's scenarios, by their place in it; what a rollout plays.

    Args:
        manifest: the suite.
        limit: play only so many, spread evenly over the suite.

    Raises (from `scenario`):
        UserError: the catalog no longer draws what was frozen.
    """

    manifest: Manifest
    limit: int | None = None
    name: str = field(init=False)
    _sources: dict[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        every = self.manifest.numbered()
        count = len(every) if self.limit is None else min(self.limit, len(every))
        self._chosen = [every[i * len(every) // count] for i in range(count)]
        self.name = self.manifest.name

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without the opened catalogs: each worker opens its own."""
        return {**self.__dict__, "_sources": {}}

    def ids(self) -> list[str]:
        """Ids of the scenarios, without drawing them."""
        return [entry.id for _, entry in self._chosen]

    def scenario(self, seed: int) -> Scenario:
        """Draw the scenario at a place (0 … n-1) and check that it is the one that was frozen."""
        part, entry = self._chosen[seed]
        key = sha256_of(part.options)
        if key not in self._sources:
            self._sources[key] = open_source(part.options)
        drawn: Scenario = self._sources[key].scenario(entry.seed)
        if drawn.id != entry.id or scenario_sha256(drawn) != entry.sha256:
            raise UserError(
                f"suite {self.name}: the catalog no longer draws what was frozen for {entry.id} (seed "
                f"{entry.seed}). Use the version of ise_gym that it was frozen with, or freeze a new suite: "
                "`ise eval suite freeze`."
            )
        return drawn

    def __iter__(self) -> Iterator[Scenario]:
        return (self.scenario(index) for index in range(len(self._chosen)))

    def tasks(self) -> list[TaskEntry]:
        """The fixed list of a run: ids and labels."""
        return [TaskEntry(id=entry.id, labels=part.labels) for part, entry in self._chosen]


@dataclass(frozen=True)
class Wanted:
    """A part to be drawn: its labels, the options of its source, and how many entries."""

    labels: Mapping[str, str]
    options: Mapping[str, Any]
    count: int


def freeze(name: str, wanted: Sequence[Wanted], *, first_seed: int = 0, description: str = "") -> Manifest:
    """Draw a suite and freeze it.

    Args:
        name: of the suite.
        wanted: its parts.
        first_seed: where drawing begins; scenarios whose task instances are in the suite already are skipped.
        description: one line on what it is for.

    Raises:
        UserError: the catalog doesn't hold enough different held-out instances.
    """
    seen: set[str] = set()
    ids: set[str] = set()
    parts = []
    for part in wanted:
        entries: list[Entry] = []
        source = open_source(part.options)
        seed = first_seed
        while len(entries) < part.count:
            if seed > first_seed + 50 * part.count + 50:
                raise UserError(
                    f"only {len(entries)} of {part.count} different scenarios could be drawn with "
                    f"{dict(part.options)}; ask for fewer."
                )
            scenario = source.scenario(seed)
            prints = instance_fingerprints(scenario)
            if scenario.split != HELD_OUT:
                raise UserError(f"scenario {scenario.id} is not held out (its split is {scenario.split!r}).")
            if seen.isdisjoint(prints) and scenario.id not in ids:
                seen.update(prints)
                ids.add(scenario.id)
                entry = Entry(seed=seed, id=scenario.id, sha256=scenario_sha256(scenario), instances=prints)
                entries.append(entry)
            seed += 1
        parts.append(Part(labels=dict(part.labels), options=dict(part.options), entries=entries))
    return Manifest(name=name, description=description, parts=parts)


def check_unique(ids: Iterable[str]) -> None:
    """Refuse a suite that holds a scenario twice.

    Raises:
        UserError: names the first.
    """
    seen: set[str] = set()
    for one in ids:
        if one in seen:
            raise UserError(f"the suite contains {one} twice.")
        seen.add(one)
