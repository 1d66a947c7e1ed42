"""Measures the detectors on user turns that people labelled, so that "the guard works" is a figure.

A set is JSONL, one turn a line; the format is documented in ``docs/simulator.md``, and anyone can bring their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ise_gym.errors import UserError, nearest
from ise_gym.messages import Message, assistant, user
from ise_gym.scenario import Persona, Register
from ise_gym.simulator.base import Evidence, UserTurn, UserView
from ise_gym.simulator.detectors import DETECTORS, detect
from ise_gym.simulator.knowledge import UserKnowledge, Wish
from ise_gym.workspace.base import Diff

Split = Literal["tuning", "held-out"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Wish(_Strict):
    name: str
    text: str
    facts: tuple[str, ...] = ()


class _Scenario(_Strict):
    id: str
    wishes: tuple[_Wish, ...] = Field(min_length=1)
    files: dict[str, str] = Field(default_factory=dict)


class _Persona(_Strict):
    name: str
    role: str = ""
    industry: str = ""
    register_: Register = Field(default="collaborative", alias="register")
    work_context: str = ""
    voice: dict[str, Any] = Field(default_factory=dict)


class _Said(_Strict):
    role: Literal["user", "assistant"]
    content: str


class _Evidence(_Strict):
    request: str = ""
    remaining: int = 0
    passed: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    created: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    failed_commands: tuple[tuple[str, int | None], ...] = ()


class _Turn(_Strict):
    text: str
    request: str = ""
    done: bool = False
    gave_up: bool = False


class _Line(_Strict):
    id: str
    scenario: _Scenario | str
    persona: _Persona | str
    history: tuple[_Said, ...] = ()
    evidence: _Evidence | None = None
    turn: _Turn
    labels: tuple[str, ...] = ()
    split: Split = "held-out"


@dataclass(frozen=True)
class LabelledTurn:
    """One user turn in its context, with the names of the detectors that should fire on it."""

    id: str
    turn: UserTurn
    view: UserView | None
    known: UserKnowledge
    labels: frozenset[str]
    split: Split


@dataclass
class Score:
    """Counts of one detector, or of all together."""

    hits: int = 0
    false_alarms: int = 0
    misses: int = 0

    @property
    def precision(self) -> float:
        """Share of its hits that are right; 1.0 without hits."""
        fired = self.hits + self.false_alarms
        return self.hits / fired if fired else 1.0

    @property
    def recall(self) -> float:
        """Share of the labelled turns that it finds; 1.0 without any."""
        labelled = self.hits + self.misses
        return self.hits / labelled if labelled else 1.0


@dataclass(frozen=True)
class Mistake:
    """A turn on which a detector was wrong: it fired ``words`` without a label, or was silent ("")."""

    id: str
    detector: str
    words: str
    text: str


@dataclass(frozen=True)
class Evaluation:
    """What the detectors did on a set.

    Attributes:
        turns: how many turns; ``clean``: how many have no label.
        flagged_clean: clean turns on which any detector fired: what the guard would resample for nothing.
        detectors: counts by detector; ``overall``: their sum.
    """

    turns: int
    clean: int
    flagged_clean: int
    detectors: Mapping[str, Score]
    overall: Score
    mistakes: tuple[Mistake, ...]


def read_set(path: Path) -> Iterator[LabelledTurn]:
    """Read a set, line by line.

    Raises:
        UserError: the file cannot be read, or a line is wrong (names line and field).
    """
    scenarios: dict[str, _Scenario] = {}
    personas: dict[str, _Persona] = {}
    known: dict[tuple[str, str], UserKnowledge] = {}
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        where = f"{path}, line {number}"
        try:
            line = _Line.model_validate(json.loads(text))
        except json.JSONDecodeError as error:
            raise UserError(f"{where}: not JSON: {error.msg} at character {error.pos + 1}") from error
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"])
            raise UserError(f"{where}: {field}: {first['msg']}") from error
        for label in line.labels:
            if label not in DETECTORS:
                raise UserError(f"{where}: no detector {label!r}.{nearest(label, DETECTORS)}")
        if isinstance(line.scenario, _Scenario):
            scenarios[line.scenario.id] = line.scenario
        if isinstance(line.persona, _Persona):
            personas[line.persona.name] = line.persona
        scenario = line.scenario if isinstance(line.scenario, str) else line.scenario.id
        persona = line.persona if isinstance(line.persona, str) else line.persona.name
        if scenario not in scenarios or persona not in personas:
            missing = scenario if scenario not in scenarios else persona
            raise UserError(f"{where}: {missing!r} was not given in full on an earlier line")
        key = (scenario, persona)
        if key not in known or not isinstance(line.scenario, str) or not isinstance(line.persona, str):
            known[key] = _knowledge(scenarios[scenario], personas[persona])
        yield _labelled(line, known[key])


def evaluate(turns: Iterable[LabelledTurn], split: Split | None = None) -> Evaluation:
    """Run every detector over the turns of a split (all of them for None)."""
    scores = {name: Score() for name in DETECTORS}
    mistakes: list[Mistake] = []
    count = clean = flagged = 0
    for labelled in turns:
        if split is not None and labelled.split != split:
            continue
        fired = {hit.detector: hit.words for hit in detect(labelled.turn, labelled.view, labelled.known)}
        count += 1
        clean += not labelled.labels
        flagged += not labelled.labels and bool(fired)
        for name, score in scores.items():
            wanted, got = name in labelled.labels, name in fired
            score.hits += wanted and got
            score.misses += wanted and not got
            score.false_alarms += got and not wanted
            if wanted != got:
                mistakes.append(Mistake(labelled.id, name, fired.get(name, ""), labelled.turn.text))
    overall = Score(
        *(sum(getattr(s, f) for s in scores.values()) for f in ("hits", "false_alarms", "misses"))
    )
    return Evaluation(count, clean, flagged, scores, overall, tuple(mistakes))


def _knowledge(scenario: _Scenario, persona: _Persona) -> UserKnowledge:
    who = Persona(
        name=persona.name,
        role=persona.role,
        industry=persona.industry,
        work_context=persona.work_context,
        register=persona.register_,
        voice=persona.voice,
    )
    wishes = tuple(Wish(wish.name, wish.text, wish.facts) for wish in scenario.wishes)
    return UserKnowledge(who, wishes, tuple(scenario.files.items()))


def _labelled(line: _Line, known: UserKnowledge) -> LabelledTurn:
    view = None
    if line.evidence is not None:
        seen = line.evidence
        diff = Diff(seen.created, seen.changed, seen.deleted)
        evidence = Evidence(diff, seen.failed_commands, seen.passed, seen.failed)
        own = sum(said.role == "user" for said in line.history)
        view = UserView(_flipped(line.history), evidence, own, seen.request, seen.remaining)
    turn = UserTurn(line.turn.text, line.turn.request, line.turn.done, line.turn.gave_up)
    return LabelledTurn(line.id, turn, view, known, frozenset(line.labels), line.split)


def _flipped(history: Sequence[_Said]) -> tuple[Message, ...]:
    return tuple(assistant(s.content) if s.role == "user" else user(s.content) for s in history)
