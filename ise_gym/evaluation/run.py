"""A run folder: what was run (``run.json``), what became of it (``trials.jsonl``), and the conversations.

``run.json`` is written once and holds the list of tasks itself, so that a comparison needs nothing but the two
folders, and a resumed run is refused when anything that shapes its results has changed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ise_gym.credentials import without_secrets
from ise_gym.errors import UserError
from ise_gym.evaluation.ledger import Trial, last_attempts, read_trials
from ise_gym.foreign.values import Json
from ise_gym.messages import canonical_json, sha256_of
from ise_gym.models.options import binding

FORMAT = "ise_gym eval run"
CARD = "run.json"
LEDGER = "trials.jsonl"
TRAJECTORIES = "trajectories"


_OF_SEATS = ("agent_options", "user_options")


class TaskEntry(BaseModel):
    """One task of the fixed list: its id and what results are grouped by.

    ``content`` holds what it was when it was played, part by part (`ise_gym.evaluation.content.task_content`); runs
    that were made before this was written down have none.
    """

    model_config = ConfigDict(extra="forbid")

    id: str
    labels: dict[str, str] = Field(default_factory=dict)
    content: dict[str, str] = Field(default_factory=dict)


class RunCard(BaseModel):
    """Everything that shapes a run's results.

    Attributes:
        suite: its name; ``suite_sha256``: of its manifest, or of the benchmark's commit.
        protocol: how tasks are played; runs of different protocols are never compared.
        agent: the spec given on the command line.
        trials: per task.
        options: user simulator, backend, judge, clock, … ; equal on resume. Credentials never get in, whoever makes
            the card; older cards that hold one are read without it.
        versions: packages, and the code's commit and hash; noted, not compared on resume.
        left_out: tasks of the suite that this run could not include → why.
        content: what all tasks share, part by part (`ise_gym.evaluation.content.shared_content`).
        changed: what is not as the suite has it frozen: tasks by id, shared parts and terms by name.
    """

    model_config = ConfigDict(extra="forbid")

    format: str = FORMAT
    schema_version: int = 1
    suite: str
    suite_sha256: str
    protocol: str
    agent: str
    trials: int
    seed: int
    tasks: list[TaskEntry]
    options: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    left_out: dict[str, str] = Field(default_factory=dict)
    content: dict[str, str] = Field(default_factory=dict)
    changed: list[str] = Field(default_factory=list)

    @field_validator("options")
    @classmethod
    def _hold_no_credentials(cls, options: dict[str, Json]) -> dict[str, Any]:
        cleaned: dict[str, Any] = without_secrets(options)
        return cleaned

    def task_list_sha256(self) -> str:
        """Hash of the task ids, order ignored."""
        return list_sha256([task.id for task in self.tasks])


def list_sha256(ids: list[str]) -> str:
    """Hash of a set of task ids, as printed beside every common set."""
    return sha256_of(sorted(ids))


@dataclass(frozen=True)
class Run:
    """A run read back: its card, every attempt, oldest first, and the last one at each trial."""

    path: Path
    card: RunCard
    trials: dict[tuple[str, int], Trial]
    every: tuple[Trial, ...]

    @property
    def attempts(self) -> int:
        """How many there are in all."""
        return len(self.every)

    @property
    def name(self) -> str:
        """What tables call it."""
        return self.path.name

    def verdicts(self, task: str) -> list[Trial]:
        """The task's trials that say something about the agent, in order."""
        found = (self.trials.get((task, trial)) for trial in range(self.card.trials))
        return [trial for trial in found if trial is not None and trial.is_verdict]


def open_run(path: str | Path, card: RunCard) -> Path:
    """Make a run folder, or check that an existing one holds the same run, and return it.

    Raises:
        UserError: a folder with something else in it, or with another run: names what differs.
    """
    folder = Path(path)
    file = folder / CARD
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: it is a file, but a run is a folder. Give another --out.")
    if file.exists():
        found = read_card(folder)
        if not found.content:  # made before contents were written down: what it was can't be told
            card = card.model_copy(update={"content": {}, "changed": [], "tasks": _bare(card.tasks)})
        differing = [
            name
            for name in RunCard.model_fields
            if name not in ("versions", "changed")
            and _plain(getattr(found, name)) != _plain(getattr(card, name))
        ]
        if differing:
            raise UserError(
                f"{folder} holds another run ({_changes(found, card, differing)}). "
                "Give the same arguments to resume it, or another --out."
            )
        return folder
    if folder.is_dir() and any(not p.name.startswith(".") for p in folder.iterdir()):
        raise UserError(f"{folder}: it is not empty and has no {CARD}. Give an empty or new folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".{CARD}.{os.getpid()}"
        draft.write_text(card.model_dump_json(indent=1) + "\n", encoding="utf-8")
        draft.replace(file)
    except OSError as error:
        raise UserError(f"{folder}: can't be written ({error.strerror}).") from error
    return folder


def read_card(path: str | Path) -> RunCard:
    """Read a run folder's card.

    Raises:
        UserError: no run there.
    """
    file = Path(path) / CARD
    try:
        card = RunCard.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        raise UserError(
            f"{path} is not an eval run: it has no {CARD}. `ise eval run --out DIR` makes one."
        ) from None
    except NotADirectoryError:
        raise UserError(f"{path} is not an eval run: it is a file. Give the run's folder.") from None
    except OSError as error:
        raise UserError(f"{file}: can't be read ({error.strerror}).") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "document"
        raise UserError(f"{file}: not a run card: {field}: {first['msg']}.") from error
    if card.format != FORMAT:
        raise UserError(f'{file}: not a run card ("format" is not "{FORMAT}").')
    return card


def load_run(path: str | Path) -> Run:
    """Read a run folder.

    Raises:
        UserError: no run there, or a broken ledger.
    """
    card = read_card(path)
    trials = read_trials(Path(path) / LEDGER)
    return Run(Path(path), card, last_attempts(trials), tuple(trials))


def _bare(tasks: list[TaskEntry]) -> list[TaskEntry]:
    return [task.model_copy(update={"content": {}}) for task in tasks]


def _plain(value: Any) -> str:
    if isinstance(value, list):
        value = [item.model_dump() if isinstance(item, BaseModel) else item for item in value]
    return canonical_json(_binding(value) if isinstance(value, dict) else value)


def _binding(options: dict[str, Any]) -> dict[str, Any]:
    """Return a card's options as they are compared: older cards hold all of an agent's options, each as text."""
    kept = {name: value for name, value in options.items() if name not in _OF_SEATS}
    for seat in _OF_SEATS:
        bound = binding(seat, options.get(seat) or {}).get(seat, {})
        kept |= {f"{seat}.{name}": str(value) for name, value in bound.items()}
    return kept


def _changes(found: RunCard, wanted: RunCard, names: list[str]) -> str:
    parts = []
    for name in names:
        old, new = getattr(found, name), getattr(wanted, name)
        if name == "tasks" and [task.id for task in old] == [task.id for task in new]:
            moved = [a.id for a, b in zip(old, new, strict=True) if a.content != b.content]
            told = f"{len(moved)} tasks are no longer what they were, for example {moved[0]}" if moved else ""
            parts.append(told or "other labels of tasks")
        elif name == "tasks":
            parts.append(f"{len(old)} tasks, now {len(new)}" if len(old) != len(new) else "another task list")
        elif isinstance(old, dict):
            old, new = _binding(old), _binding(new)
            changed = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
            parts += [f"{name}.{key} was {old.get(key)!r}, now {new.get(key)!r}" for key in changed]
        else:
            parts.append(f"{name} was {old!r}, now {new!r}")
    return "; ".join(parts)
