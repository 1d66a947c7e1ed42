"""An intents file: one JSON line an intent, with what is needed to rebuild its scenario exactly.

A line carries its scenario, and is played from that under any later catalog. A lean one leaves checks and files out:
its seed and options are there, and the hash of the catalog, and a scenario that reads differently when it is drawn
again is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ise_gym.errors import UserError
from ise_gym.intents.executable import executable
from ise_gym.intents.intent import Intent
from ise_gym.intents.source import IntentSource
from ise_gym.messages import canonical_json, sha256_of
from ise_gym.scenario import Complexity, Scenario
from ise_gym.scenario.carried import carries, opaque_checks, packed, to_json, unpacked


class IntentLine(BaseModel):
    """One line of an intents file. Keys that other tools add are kept out of the way, not refused.

    Attributes:
        natural_language_intent: the brief. In files of before there were briefs, the whole text.
        whole: the whole text with every request; "" in those older files.
        utterances: one text per request, where a model worded the intent; else the catalog words them again.
        template_sha256: hash of the catalog's own text; "" when the line has that text itself.
        realiser: which model worded it, or why the catalog's own words had to do.
        scenario: the scenario itself, in the words of the line (`ise_gym.scenario.carried.packed`, with the expert's
            plans). Such a line needs no catalog to be played; lean lines have none.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str
    seed: int = Field(ge=0)
    catalog: str
    options: dict[str, Any]
    natural_language_intent: str
    complexity: Complexity
    domains: list[str]
    tasks: list[str]
    persona: dict[str, Any]
    requests: int
    fingerprints: dict[str, str]
    whole: str = ""
    utterances: list[str] = Field(default_factory=list)
    template_sha256: str = ""
    realiser: dict[str, Any] = Field(default_factory=dict)
    scenario: dict[str, Any] = Field(default_factory=dict)

    def text(self) -> str:
        """Return the whole text."""
        return self.whole or self.natural_language_intent

    def tells(self, intent: Intent) -> bool:
        """Return whether the catalog gives this intent for the line, in the same words, whoever worded it since."""
        if self.whole and self.natural_language_intent != intent.brief:
            return False
        own = self.template_sha256 or sha256_of(self.text())
        return (intent.id, sha256_of(intent.text)) == (self.id, own)


def line_of(intent: Intent, source: IntentSource, *, self_contained: bool = False) -> IntentLine:
    """Describe an intent of a source as a line; a self-contained one carries its scenario.

    Raises:
        UserError: one of its checks has no name by which another process could read it.
    """
    blueprint = intent.blueprint
    scenario = carried(executable(intent, source.catalog, source.described())) if self_contained else {}
    return IntentLine(
        id=intent.id,
        seed=blueprint.seed,
        catalog=source.catalog,
        options=source.described(),
        natural_language_intent=intent.brief,
        whole=intent.text,
        complexity=blueprint.complexity,
        domains=list(blueprint.domains),
        tasks=[drafted.task for drafted in intent.drafts],
        persona=blueprint.persona.to_json(voice=False),
        requests=len(intent.utterances),
        fingerprints=intent.fingerprints(),
        scenario=scenario,
    )


def carried(scenario: Scenario) -> dict[str, Any]:
    """Return what a line carries of its scenario: all of it.

    Raises:
        UserError: it can't be carried whole; says why.
    """
    if unnamed := opaque_checks(to_json(scenario)):
        raise UserError(
            f"{scenario.id} can't carry its scenario: its check {unnamed[0]} is not a registered one. Register it by "
            "an entry point of the group ise_gym.check, or draw lean lines (--lean)."
        )
    found = packed(scenario, plans=True)
    if not carries(found):
        raise UserError(f"{scenario.id} is too large to carry its scenario ({found['left_out']})")
    return found


@dataclass(frozen=True)
class _Entry:
    """Where a line stands, and the key of its options."""

    number: int
    offset: int
    id: str
    options: str


class IntentFileSource:
    """The scenarios of an intents file, by their place in it (0 … n-1; larger seeds start over).

    Args:
        path: a JSONL file that ``ise intents generate`` wrote.

    Raises:
        UserError: unreadable, empty, or a bad line (with its number).
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._read()

    def _read(self) -> None:
        self._entries: list[_Entry] = []
        self._options: dict[str, dict[str, Any]] = {}
        self._sources: dict[str, IntentSource] = {}
        seen: dict[str, int] = {}
        try:
            with self.path.open("rb") as file:
                offset = 0
                for number, raw in enumerate(file, 1):
                    start, offset = offset, offset + len(raw)
                    text = raw.decode()
                    if not text.strip():
                        continue
                    line = self._parse(number, text)
                    if line.id in seen:
                        raise UserError(
                            f"{self.path}:{number}: the id {line.id} is on line {seen[line.id]} as well"
                        )
                    seen[line.id] = number
                    key = canonical_json(line.options)
                    self._options[key] = line.options
                    self._entries.append(_Entry(number, start, line.id, key))
        except FileNotFoundError:
            raise UserError(
                f"{self.path}: no such intents file; write one with `ise intents generate`"
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{self.path}: can't be read as an intents file ({error})") from None
        if not self._entries:
            raise UserError(f"{self.path}: holds no intent; write some with `ise intents generate`")

    def _parse(self, number: int, text: str) -> IntentLine:
        try:
            return IntentLine.model_validate(json.loads(text))
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"])) or "the line"
            problem = f"{key}: {first['msg']}"
        except ValueError as error:
            problem = f"not JSON ({error})"
        raise UserError(f"{self.path}:{number}: not an intent: {problem}; fix or delete the line")

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without opened catalogs: each worker opens its own."""
        return {**self.__dict__, "_sources": {}}

    @property
    def name(self) -> str:
        """The file's name without ending."""
        return self.path.stem

    def __len__(self) -> int:
        return len(self._entries)

    def ids(self) -> list[str]:
        """Return the ids in order, without building scenarios."""
        return [entry.id for entry in self._entries]

    def entry(self, place: int) -> tuple[IntentLine, Intent]:
        """Return a line and the intent that the catalog gives for it (in the catalog's own words).

        Raises:
            UserError: the catalog no longer gives what the line says.
        """
        found = self._entries[place % len(self._entries)]
        line = self._line(found)
        source = self._source(found)
        intent = source.intent(line.seed)
        if not line.tells(intent):
            raise UserError(
                f"{self.path}:{found.number}: {line.id} was drawn from catalog {line.catalog}, and the present one "
                f"({source.catalog}) draws something else for its seed; generate the file again"
            )
        if line.utterances and len(line.utterances) != len(intent.utterances):
            raise UserError(
                f"{self.path}:{found.number}: {line.id} has {len(line.utterances)} utterances for "
                f"{len(intent.utterances)} requests; word it again with `ise intents realise`"
            )
        return line, intent

    def _line(self, entry: _Entry) -> IntentLine:
        with self.path.open("rb") as file:
            file.seek(entry.offset)
            return self._parse(entry.number, file.readline().decode())

    def scenario(self, seed: int) -> Scenario:
        """Return the scenario at a place of the file: the line's own, or rebuilt in the words of the line.

        Raises:
            UserError: the catalog no longer gives what the line says.
        """
        line = self._line(self._entries[seed % len(self._entries)])
        if carries(line.scenario):
            try:
                return unpacked(line.scenario)
            except UserError as error:
                raise UserError(f"{self.path}: {line.id}: {error}") from None
        return self.drawn(*self.entry(seed))

    def drawn(self, line: IntentLine, intent: Intent) -> Scenario:
        """Return the scenario of an intent that `entry` gave, in the words of a line."""
        source = self._sources[canonical_json(line.options)]
        if line.utterances:
            intent = replace(intent, utterances=tuple(line.utterances), text=line.text())
        scenario = executable(intent, source.catalog, source.described())
        if not line.utterances:
            return scenario
        return replace(scenario, metadata={**scenario.metadata, "realiser": dict(line.realiser)})

    def _source(self, entry: _Entry) -> IntentSource:
        if entry.options not in self._sources:
            try:
                self._sources[entry.options] = IntentSource(**self._options[entry.options])
            except TypeError as error:
                raise UserError(
                    f"{self.path}:{entry.number}: options don't fit this version: {error}"
                ) from None
        return self._sources[entry.options]

    def __iter__(self) -> Iterator[Scenario]:
        """Iterate over the file once."""
        return (self.scenario(index) for index in range(len(self)))
