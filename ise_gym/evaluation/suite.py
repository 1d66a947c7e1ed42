"""A suite's scenarios: drawn from the catalog, frozen into a manifest, and held to it when they are played.

They are kept beside the manifest (`ise_gym.evaluation.carrying`); where they aren't, the catalog has to draw them
again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ise_gym.errors import UserError
from ise_gym.evaluation.carrying import beside, read_scenario
from ise_gym.evaluation.content import content_sha256, shared_content, task_content
from ise_gym.evaluation.manifest import HELD_OUT, Entry, Manifest, Part, Terms, load_suite
from ise_gym.evaluation.run import TaskEntry
from ise_gym.messages import sha256_of
from ise_gym.scenario import Scenario


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
    syntax: ClassVar[str] = "suite:NAME or suite:FILE.yaml"

    def __post_init__(self) -> None:
        every = self.manifest.numbered()
        count = len(every) if self.limit is None else min(self.limit, len(every))
        self._chosen = [every[i * len(every) // count] for i in range(count)]
        self.name = self.manifest.name

    @classmethod
    def from_argument(cls, argument: str, limit: int | None = None) -> SuiteSource:
        """Open the suite of ``suite:NAME``."""
        return cls(load_suite(argument), limit)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without the opened catalogs: each worker opens its own."""
        return {**self.__dict__, "_sources": {}}

    def ids(self) -> list[str]:
        """Ids of the scenarios, without drawing them."""
        return [entry.id for _, entry in self._chosen]

    def scenario(self, seed: int) -> Scenario:
        """Return the scenario at a place (0 … n-1), kept or drawn, and check that it is the one that was frozen."""
        part, entry = self._chosen[seed]
        drawn = self._kept(entry) or self._drawn(part, entry)
        if drawn.id != entry.id or scenario_sha256(drawn) != entry.sha256:
            raise self._moved(entry, "draws what was frozen")
        if self.manifest.protocol > 1 and content_sha256(task_content(drawn)) != entry.content_sha256:
            raise self._moved(entry, "judges as was frozen (its checks, tools, prompt or limits differ)")
        return drawn

    def _kept(self, entry: Entry) -> Scenario | None:
        file = self.manifest.file
        return read_scenario(beside(file), entry.id) if file is not None else None

    def _drawn(self, part: Part, entry: Entry) -> Scenario:
        key = sha256_of(part.options)
        if key not in self._sources:
            self._sources[key] = open_source(part.options)
        drawn: Scenario = self._sources[key].scenario(entry.seed)
        return drawn

    def _moved(self, entry: Entry, what: str) -> UserError:
        return UserError(
            f"suite {self.name}: the catalog no longer {what} for {entry.id} (seed {entry.seed}). Use the version "
            "of ise_gym that it was frozen with, or freeze a new suite: `ise eval suite freeze`."
        )

    def __iter__(self) -> Iterator[Scenario]:
        return (self.scenario(index) for index in range(len(self._chosen)))

    def tasks(self) -> list[TaskEntry]:
        """The fixed list of a run: ids, labels and what each task is now, part by part. Draws every scenario."""
        return [
            TaskEntry(id=entry.id, labels=part.labels, content=task_content(scenario))
            for (part, entry), scenario in zip(self._chosen, self, strict=True)
        ]

    def changed(self, tasks: Sequence[TaskEntry]) -> list[str]:
        """Return the ids of the tasks whose content is not the frozen one, as far as that was written down."""
        return [
            entry.id
            for (_, entry), task in zip(self._chosen, tasks, strict=True)
            if entry.content_sha256 and content_sha256(task.content) != entry.content_sha256
        ]


def with_content(manifest: Manifest) -> Manifest:
    """Return a suite with its content as it is drawn today; what is drawn, and its `Manifest.sha256`, stay as they are.

    Raises:
        UserError: the catalog no longer draws it.
    """
    drawn = iter(SuiteSource(manifest.model_copy(update={"protocol": 1})))
    parts = [
        part.model_copy(
            update={
                "entries": [
                    entry.model_copy(update={"content_sha256": content_sha256(task_content(next(drawn)))})
                    for entry in part.entries
                ]
            }
        )
        for part in manifest.parts
    ]
    shared = shared_content(manifest.terms.user, manifest.terms.user_options)
    return manifest.model_copy(update={"parts": parts, "content": shared})


@dataclass(frozen=True)
class Wanted:
    """A part to be drawn: its labels, the options of its source, and how many entries."""

    labels: Mapping[str, str]
    options: Mapping[str, Any]
    count: int


def freeze(
    name: str,
    wanted: Sequence[Wanted],
    *,
    first_seed: int = 0,
    description: str = "",
    terms: Terms | None = None,
) -> Manifest:
    """Draw a suite and freeze it, under protocol 2.

    Args:
        name: of the suite.
        wanted: its parts.
        first_seed: where drawing begins; scenarios whose task instances are in the suite already are skipped.
        description: one line on what it is for.
        terms: how it is meant to be played; the scripted user and one trial per task when not given.

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
                entry = Entry(
                    seed=seed,
                    id=scenario.id,
                    sha256=scenario_sha256(scenario),
                    instances=prints,
                    content_sha256=content_sha256(task_content(scenario)),
                )
                entries.append(entry)
            seed += 1
        parts.append(Part(labels=dict(part.labels), options=dict(part.options), entries=entries))
    agreed = terms or Terms()
    return Manifest(
        name=name,
        description=description,
        protocol=2,
        terms=agreed,
        content=shared_content(agreed.user, agreed.user_options),
        parts=parts,
    )


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
