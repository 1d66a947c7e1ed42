"""Loads task files, and says precisely what is wrong with one: file, line, key and the nearest known name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from ise_gym.errors import UserError, nearest
from ise_gym.resources import os_world
from ise_gym.tasks.generator_model import Generator, Model, Table
from ise_gym.tasks.model import (
    REGISTERS,
    FileModel,
    InputModel,
    MistakeModel,
    OutputModel,
    RequestModel,
    StepModel,
    SubGoalModel,
    TaskModel,
    Tier,
)
from ise_gym.tasks.yamlfile import line_of, read_yaml

__all__ = ["REGISTERS", "Domain", "TaskSpec", "Tier", "load_domains", "load_task", "load_tasks"]


@dataclass(frozen=True, eq=False)
class TaskSpec:
    """A loaded task. ``name`` is ``<domain>/<file name without .yaml>``; ``digest`` hashes the file's text."""

    name: str
    domain: str
    source: Path
    digest: str
    model: TaskModel


def load_task(path: Path, domain: str | None = None) -> TaskSpec:
    """Load one task file; the domain defaults to the folder's name.

    Raises:
        UserError: unreadable, not YAML, or not a task; with file, line, key path and the nearest known name.
    """
    raw = read_yaml(path)
    domain = domain or path.parent.name
    try:
        model = TaskModel.model_validate(raw)
    except ValidationError as error:
        raise UserError(_explain(path, error)) from None
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return TaskSpec(f"{domain}/{path.stem}", domain, path, digest, model)


def load_tasks(folders: Sequence[Path] | None = None) -> dict[str, TaskSpec]:
    """Load every task below the given folders (the catalog's own without any), sorted by name.

    A folder holds ``<domain>/<task>.yaml``, or is itself one domain's folder; ``catalog`` stands for the
    catalog's own where no folder has that name.

    Raises:
        UserError: a folder without tasks, a broken file, or a name that occurs twice.
    """
    found: dict[str, TaskSpec] = {}
    for folder in map(_folder, ["catalog"] if folders is None else folders):
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder of tasks")
        paths = sorted(p for p in folder.rglob("*.yaml") if not p.name.startswith("."))
        if not paths:
            raise UserError(f"{folder}: holds no task (*.yaml)")
        for path in paths:
            task = load_task(path)
            if task.name in found:
                raise UserError(
                    f"{path}: the task {task.name} is already defined by {found[task.name].source}"
                )
            found[task.name] = task
    return dict(sorted(found.items()))


def _folder(given: Path | str) -> Path:
    return os_world() / "domains" if str(given) == "catalog" and not Path("catalog").is_dir() else Path(given)


class _Domain(Model):
    title: str
    description: str


class _Domains(Model):
    domains: dict[str, _Domain]


@dataclass(frozen=True)
class Domain:
    """One of the ten areas of work that intents draw from."""

    name: str
    title: str
    description: str


def load_domains() -> dict[str, Domain]:
    """Load ``envs/os/domains.yaml``: all domains of the design, whether they have tasks yet or not."""
    path = os_world() / "domains.yaml"
    try:
        model = _Domains.model_validate(read_yaml(path))
    except ValidationError as error:
        raise UserError(_explain(path, error)) from None
    return {name: Domain(name, item.title, item.description) for name, item in model.domains.items()}


def _explain(path: Path, error: ValidationError) -> str:
    """Write pydantic's findings as lines of: file, line, key path, problem, nearest name."""
    parts = []
    for item in error.errors()[:5]:
        keys = [
            key
            for key in item["loc"]
            if not (isinstance(key, str) and ("[" in key or key[:1] == "<" or key in _UNION_TAGS))
        ]
        dotted = ".".join(map(str, keys)) or "the whole file"
        problem = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            known = _known_keys(item["loc"])
            problem = f"there is no such key.{nearest(str(keys[-1]), known)}"
        parts.append(f"{path}:{line_of(path, keys)}: {dotted}: {problem}")
    more = error.error_count() - len(parts)
    return "\n".join(parts) + (f"\n… and {more} more" if more > 0 else "")


_UNION_TAGS = {"str", "int", "float", "list", "dict"}


def _known_keys(location: tuple[int | str, ...]) -> set[str]:
    """Return the keys allowed at the place of an unknown one."""
    model: type[BaseModel] = TaskModel
    steps = [key for key in location[:-1] if isinstance(key, str)]
    for key, target in (
        ("parameters", Generator), ("files", FileModel), ("requests", RequestModel), ("subgoals", SubGoalModel),
        ("inputs", InputModel), ("outputs", OutputModel), ("expert", StepModel), ("mistake", MistakeModel),
        ("table", Table), ("columns", Generator),
    ):  # fmt: skip
        if key in steps:
            model = target
    return {field.alias or name for name, field in model.model_fields.items()} | {"mistake"}
