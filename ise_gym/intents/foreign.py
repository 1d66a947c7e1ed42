"""Intents from elsewhere as scenarios: ISETrace intent files, and files of queries.

Such a line says what somebody wants, but not how to tell whether it was done. So these scenarios have requests and no
sub-goals, and nothing here pretends otherwise: the scripted user makes one request after the other, can neither object
nor be satisfied by evidence, and the episode ends as ``unverified``, never as passed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ise_gym.errors import UserError
from ise_gym.intents.author.written import WrittenFileSource
from ise_gym.intents.catalog import system_prompt
from ise_gym.intents.diversity.pool import axes_of
from ise_gym.intents.increments import increments
from ise_gym.intents.lines import IntentFileSource
from ise_gym.messages import sha256_of
from ise_gym.personas.protected import protected_spans
from ise_gym.scenario import Complexity, Persona, Register, Request, Scenario

_log = logging.getLogger(__name__)
_REPORTED = 20

_STYLES: Mapping[Register, tuple[str, ...]] = {
    "casual": ("casual", "informal", "friendly", "relaxed", "chatty", "playful", "laid-back"),
    "formal": ("formal", "polite", "official", "diplomatic", "ceremonious", "courteous"),
    "analytical": ("analytical", "technical", "precise", "data-driven", "terse", "concise", "methodical"),
    "collaborative": ("collaborative", "supportive", "consultative", "open", "warm"),
}


class _Persona(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)
    name: str = ""
    role: str = ""
    industry: str = ""
    expertise: list[str] = Field(default_factory=list)
    experience_level: str = ""
    communication_style: str = ""
    work_context: str = ""


class _Metadata(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)
    persona: _Persona = _Persona()


class ForeignLine(BaseModel):
    """One line: an ISETrace intent (``natural_language_intent``), or a query (``query`` or ``question``)."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    id: str | int = ""
    natural_language_intent: str = ""
    query: str = ""
    question: str = ""
    answer: Any = None
    complexity: Complexity = "medium"
    metadata: _Metadata = _Metadata()

    @property
    def kind(self) -> Literal["intent", "query"]:
        """What the line is."""
        return "intent" if self.natural_language_intent.strip() else "query"

    @property
    def text(self) -> str:
        """What is wanted."""
        return (self.natural_language_intent or self.query or self.question).strip()


class ForeignFileSource:
    """The scenarios of an ISETrace intent file or a query file, by their place in it (larger seeds start over).

    Args:
        path: a JSONL file.

    Attributes:
        problems: line number → why the line was skipped; each is logged as a warning as well.

    Raises:
        UserError: unreadable, or no line can be used.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.problems: dict[int, str] = {}
        self._lines: list[tuple[str, ForeignLine, dict[str, tuple[str, ...]]]] = []
        try:
            with self.path.open(encoding="utf-8", errors="strict") as file:
                self._read(file)
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{self.path}: can't be read as a file of intents ({error})") from None
        if not self._lines:
            raise UserError(
                f"{self.path}: no line can be used; first problem: "
                f"{next((f'line {n}: {why}' for n, why in self.problems.items()), 'the file is empty')}"
            )
        for number, why in list(self.problems.items())[:_REPORTED]:
            _log.warning("%s:%d: skipped: %s", self.path, number, why)
        if self.problems:
            _log.warning("%s: %d lines skipped, %d used", self.path, len(self.problems), len(self._lines))

    def _read(self, file: Iterator[str]) -> None:
        seen: dict[str, int] = {}
        for number, text in enumerate(file, 1):
            if not text.strip():
                continue
            found = _parse(text)
            if isinstance(found, str):
                self.problems[number] = found
                continue
            line, axes = found
            id_ = str(line.id) or f"line-{number}"
            if id_ in seen:
                self.problems[number] = f"the id {id_} is on line {seen[id_]} as well"
                continue
            seen[id_] = number
            self._lines.append((id_, line, axes))

    @property
    def name(self) -> str:
        """The file's name without ending."""
        return self.path.stem

    def __len__(self) -> int:
        return len(self._lines)

    def ids(self) -> list[str]:
        """Return the ids in order."""
        return [id_ for id_, _, _ in self._lines]

    def scenario(self, seed: int) -> Scenario:
        """Return the scenario at a place of the file; it has no sub-goals."""
        place = seed % len(self._lines)
        id_, line, axes = self._lines[place]
        turns = increments(line.text) if line.kind == "intent" else [line.text]
        return Scenario(
            id=id_,
            seed=place,
            intent=line.text,
            persona=_persona(line.metadata.persona),
            requests=tuple(
                Request(
                    name=f"{line.kind}/{number}", text=turn, facts=tuple(dict.fromkeys(protected_spans(turn)))
                )
                for number, turn in enumerate(turns, 1)
            ),
            domains=axes["domain"],
            tasks=axes["task"],
            complexity=line.complexity,
            system_prompt=system_prompt(),
            metadata={"source": line.kind, "verifiable": False, "sha256": sha256_of(line.text)},
        )

    def __iter__(self) -> Iterator[Scenario]:
        """Iterate over the file once."""
        return (self.scenario(place) for place in range(len(self)))


def _parse(text: str) -> tuple[ForeignLine, dict[str, tuple[str, ...]]] | str:
    """Read one line; a string says what is wrong with it."""
    try:
        raw = json.loads(text)
        line = ForeignLine.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'the line'}: {first['msg']}"
    except (ValueError, RecursionError) as error:
        return f"not JSON ({error})"
    if not line.text:
        return "no text under natural_language_intent, query or question"
    return line, axes_of(raw)


def _persona(given: _Persona) -> Persona:
    return Persona(
        given.name,
        given.role,
        given.industry,
        tuple(given.expertise),
        given.experience_level,
        given.communication_style,
        given.work_context,
        _register(given.communication_style),
    )


def _register(style: str) -> Register:
    """Guess the register from the name of a style: ISETrace's personas have no register."""
    words = style.lower().replace("informal", "casual")
    return next(
        (name for name, marks in _STYLES.items() if any(mark in words for mark in marks)), "collaborative"
    )


_FOREIGN_KEYS = {"natural_language_intent", "query", "question"}


def open_intent_file(path: Path | str) -> IntentFileSource | ForeignFileSource | WrittenFileSource:
    """Open a file of intents, whoever wrote it: the catalog's own (with checks), a model's, ISETrace's, or queries.

    The first line that is a JSON object decides.

    Raises:
        UserError: unreadable, or nothing in it can be used.
    """
    try:
        with Path(path).open(encoding="utf-8") as file:
            first = next((keys for line in file if (keys := _keys(line))), None)
    except (OSError, UnicodeDecodeError):
        return IntentFileSource(path)  # says what is wrong
    if first is not None and {"author", "rubric"} <= first:
        return WrittenFileSource(path)
    foreign = first is not None and "seed" not in first and bool(first & _FOREIGN_KEYS)
    return ForeignFileSource(path) if foreign else IntentFileSource(path)


def _keys(line: str) -> set[str]:
    try:
        found = json.loads(line)
    except ValueError:
        return set()
    return set(found) if isinstance(found, dict) else set()
