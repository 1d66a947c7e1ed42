"""Reads user turns that somebody labelled, each with all that a guard looks at, so that a guard can be run on them.

A set is JSONL, one turn a line, or the same with gzip; the format is documented in ``docs/simulator.md``, and
anyone can bring their own. `ise_gym.simulator.measuring.measure` says what the guard is worth on one.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ise_gym.errors import UserError, nearest
from ise_gym.messages import Message, assistant, user
from ise_gym.scenario import Persona, Register
from ise_gym.simulator.base import BackgroundProcess, Command, Evidence, FileNote, UserTurn, UserView
from ise_gym.simulator.detectors import DETECTORS
from ise_gym.simulator.knowledge import UserKnowledge, Wish
from ise_gym.workspace.base import Diff

Split = Literal["tuning", "held-out", "untuned-model"]
"""What a turn is for: rules and weights were made with it, or it has intents, or a model, that they never met."""
Source = Literal["written", "model"]


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


class _Note(_Strict):
    path: str
    change: str
    size: int = 0
    lines: tuple[str, ...] = ()
    line_count: int | None = None


class _Command(_Strict):
    tool: str
    text: str
    success: bool
    exit_code: int | None = None


class _Process(_Strict):
    command: str
    running: bool
    exit_code: int | None = None


class _Evidence(_Strict):
    request: str = ""
    remaining: int = 0
    turn: int | None = None
    passed: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    created: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()
    failed_commands: tuple[tuple[str, int | None], ...] = ()
    files: tuple[_Note, ...] = ()
    commands: tuple[_Command, ...] = ()
    processes: tuple[_Process, ...] = ()
    present: dict[str, int] | None = None


class _Turn(_Strict):
    text: str
    request: str = ""
    done: bool = False
    gave_up: bool = False
    meant: str = ""


class _Line(_Strict):
    id: str
    scenario: _Scenario | str
    persona: _Persona | str
    history: tuple[_Said, ...] = ()
    evidence: _Evidence | None = None
    turn: _Turn
    labels: tuple[str, ...] = ()
    split: Split = "held-out"
    source: Source = "written"
    language: str = "en"
    model: str = ""
    temperature: float | None = None
    prompt: str = ""
    agent: str = ""
    guard: bool | None = None
    attempt: str = ""
    sent: bool | None = None
    intent: str = ""


@dataclass(frozen=True)
class LabelledTurn:
    """One user turn in its context.

    Attributes:
        labels: why it is out of role, as names of detectors; empty for a turn in role.
        source: who wrote it: a simulated user that is a model, or a writer.
        model, temperature, prompt, attempt: of a model's draft; ``attempt`` is first, again (after a refusal) or other
            (drawn for the same moment, never sent).
        sent: whether it went to the agent. ``intent``: the intent it belongs to.
    """

    id: str
    turn: UserTurn
    view: UserView | None
    known: UserKnowledge
    labels: frozenset[str]
    split: Split
    source: Source = "written"
    language: str = "en"
    model: str = ""
    temperature: float | None = None
    prompt: str = ""
    attempt: str = ""
    sent: bool | None = None
    intent: str = ""


def read_set(path: Path) -> Iterator[LabelledTurn]:
    """Read a set, line by line.

    Raises:
        UserError: the file cannot be read, or a line is wrong (names line and field).
    """
    scenarios: dict[str, _Scenario] = {}
    personas: dict[str, _Persona] = {}
    known: dict[tuple[str, str], UserKnowledge] = {}
    try:
        raw = path.read_bytes()
        lines = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8").split("\n")
    except (OSError, EOFError, UnicodeDecodeError) as error:
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
        own = sum(said.role == "user" for said in line.history) if seen.turn is None else seen.turn
        view = UserView(_flipped(line.history), _evidence(seen), own, seen.request, seen.remaining)
    said = line.turn
    turn = UserTurn(said.text, said.request, said.done, said.gave_up, meant=said.meant)
    return LabelledTurn(
        line.id, turn, view, known, frozenset(line.labels), line.split, line.source, line.language, line.model,
        line.temperature, line.prompt, line.attempt, line.sent, line.intent,
    )  # fmt: skip


def _evidence(seen: _Evidence) -> Evidence:
    return Evidence(
        Diff(seen.created, seen.changed, seen.deleted),
        seen.failed_commands,
        seen.passed,
        seen.failed,
        tuple(FileNote(n.path, n.change, n.size, n.lines, n.line_count) for n in seen.files),
        tuple(Command(c.tool, c.text, c.success, c.exit_code) for c in seen.commands),
        tuple(BackgroundProcess(p.command, p.running, p.exit_code) for p in seen.processes),
        seen.present,
    )


def _flipped(history: Sequence[_Said]) -> tuple[Message, ...]:
    return tuple(assistant(s.content) if s.role == "user" else user(s.content) for s in history)
