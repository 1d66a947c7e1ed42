"""The YAML of a task as pydantic models, and the loader that says precisely what is wrong with a file.

The format is documented in ``docs/tasks.md``. The models check shape and names; what templates give is
checked when an instance is drawn, and what the task claims is proved by `ise_gym.rollout.prove`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from ise_gym.errors import UserError, nearest
from ise_gym.intents.yamlfile import line_of, read_yaml
from ise_gym.resources import os_world
from ise_gym.scenario import DEFAULT_TOOLS, Register

REGISTERS: tuple[Register, ...] = get_args(Register)
WordKind = Literal["noun", "adjective", "verb", "city", "company", "product"]
Tier = Literal["easy", "medium", "hard"]
_RESERVED = ("root", "range", "dict", "namespace", "zip", "loop", "self")
_STEP_KEYS = ("say", "key", "fails")


def _identifier(name: str) -> str:
    if not name.isidentifier() or name in _RESERVED:
        raise ValueError(
            f"'{name}' can't be a name: it needs letters, digits and _ only, and not one of {', '.join(_RESERVED)}"
        )
    return name


Name = Annotated[str, AfterValidator(_identifier)]
Template = str
"""A text that may hold templates; where a number or list is wanted, a lone ``{{ … }}`` gives it."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Table(_Model):
    """A list of dicts: ``rows`` of them, each with the ``columns`` drawn in order."""

    rows: int | Template
    columns: dict[str, Generator] = Field(min_length=1)


class Generator(_Model):
    """How one parameter is drawn: exactly one of the kinds, with that kind's options."""

    choice: list[Any] | Template | None = None
    sample: list[Any] | Template | None = None
    integer: Annotated[list[int | Template], Field(min_length=2, max_length=2)] | None = None
    decimal: Annotated[list[int | float | Template], Field(min_length=2, max_length=2)] | None = None
    person: Literal[True] | None = None
    date: Annotated[list[Template], Field(min_length=2, max_length=2)] | None = None
    time: Annotated[list[Template], Field(min_length=2, max_length=2)] | None = None
    code: Template | None = None
    boolean: Annotated[int | float, Field(ge=0, le=1)] | None = None
    word: WordKind | None = None
    table: Table | None = None
    value: Any = None
    weights: list[int | float] | None = None
    size: int | Template | Annotated[list[int], Field(min_length=2, max_length=2)] | None = None
    shuffled: bool = False
    step: Annotated[int, Field(ge=1)] = 1
    places: Annotated[int, Field(ge=0, le=9)] = 2
    unique: bool = False

    @model_validator(mode="after")
    def _one_kind(self) -> Generator:
        kinds = [kind for kind in KINDS if kind in self.model_fields_set]
        if len(kinds) != 1:
            raise ValueError(f"needs exactly one of {', '.join(KINDS)}; has {', '.join(kinds) or 'none'}")
        allowed = OPTIONS.get(kinds[0], set()) | {"unique"}
        extra = self.model_fields_set - {kinds[0]} - allowed
        if extra:
            raise ValueError(f"{kinds[0]} has no option {', '.join(sorted(extra))}")
        if self.weights is not None and (
            not isinstance(self.choice, list) or len(self.weights) != len(self.choice)
        ):
            raise ValueError("weights needs one number for each listed choice")
        return self

    @property
    def kind(self) -> str:
        """The name of the kind that is set."""
        return next(kind for kind in KINDS if kind in self.model_fields_set)


KINDS = (
    "choice", "sample", "integer", "decimal", "person", "date", "time", "code", "boolean", "word", "table",
    "value",
)  # fmt: skip
OPTIONS = {
    "choice": {"weights"},
    "sample": {"size", "shuffled"},
    "integer": {"step"},
    "decimal": {"places"},
}


class FileModel(_Model):
    """A file that exists at the start; exactly one of the content keys."""

    path: Template
    mode: str | int = "644"
    each: dict[Name, list[Any] | Template] = Field(default_factory=dict)
    content: Template | None = None
    csv: Any = None
    json_: Any = Field(default=None, alias="json")
    jsonl: Any = None
    base64: Template | None = None
    wav: dict[str, Any] | Template | None = None
    image: dict[str, Any] | Template | None = None

    @model_validator(mode="after")
    def _one_content(self) -> FileModel:
        kinds = ("content", "csv", "json_", "jsonl", "base64", "wav", "image")
        given = [key for key in kinds if key in self.model_fields_set]
        if len(given) != 1:
            raise ValueError("needs exactly one of content, csv, json, jsonl, base64, wav, image")
        octal_mode(self.mode)
        return self


def octal_mode(mode: str | int) -> int:
    """Read permission bits written in octal digits (``"755"`` or ``755``).

    >>> octal_mode("755") == octal_mode(755) == octal_mode("0755") == 0o755
    True
    """
    digits = str(mode)
    if not (3 <= len(digits) <= 4) or any(digit not in "01234567" for digit in digits):
        raise ValueError(f"mode {mode!r} is not three octal digits, such as '644'")
    return int(digits, 8)


class StepModel(_Model):
    """One step of the expert: a tool call, words, or both."""

    tool: str = ""
    arguments: dict[str, Any] = Field(default_factory=dict)
    say: Template | list[Template] = ""
    key: bool = False
    fails: bool = False

    @model_validator(mode="before")
    @classmethod
    def _tool_key(cls, raw: Any) -> Any:
        if not isinstance(raw, Mapping):
            raise ValueError("a step is a mapping such as {exec: {command: ls}}")
        tools = [key for key in raw if key not in _STEP_KEYS]
        if len(tools) > 1:
            raise ValueError(f"a step has one tool, not {', '.join(map(str, tools))}")
        step = {key: raw[key] for key in _STEP_KEYS if key in raw}
        if not tools:
            return step
        tool = str(tools[0])
        known = (*DEFAULT_TOOLS, *_more_tools())
        if tool not in known:
            raise ValueError(f"no tool is named '{tool}'.{nearest(tool, (*known, *_STEP_KEYS))}")
        return {**step, "tool": tool, "arguments": raw[tool]}

    @model_validator(mode="after")
    def _something(self) -> StepModel:
        if not self.tool and (not self.say or self.key or self.fails):
            raise ValueError(
                "a step without a tool only speaks: it needs `say` and neither `key` nor `fails`"
            )
        if self.key and self.fails:
            raise ValueError("a step that fails can't be a key step")
        return self


def _more_tools() -> list[str]:
    """Return the tools that a task may offer beside the default ones."""
    from ise_gym.tools import TOOLS

    return [name for name in TOOLS if name not in DEFAULT_TOOLS]


def _further_tool(name: str) -> str:
    if name not in _more_tools():
        raise ValueError(f"'{name}' is no further tool.{nearest(name, _more_tools())}")
    return name


def _known_services(services: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    from ise_gym.services.spec import KINDS, known_keys

    for kind, items in services.items():
        if kind not in KINDS:
            raise ValueError(f"no service is named '{kind}'.{nearest(kind, KINDS)}")
        for key in {key for item in items for key in item} - known_keys(kind) - {"each"}:
            raise ValueError(f"{kind}: there is no key '{key}'.{nearest(key, known_keys(kind))}")
    return services


class MistakeModel(_Model):
    """A realistic mistake with its recovery, drawn with ``chance``; the plan works without it as well."""

    chance: Annotated[int | float, Field(ge=0, le=1)] = 0.6
    steps: list[StepModel] = Field(min_length=1)

    @model_validator(mode="after")
    def _no_key(self) -> MistakeModel:
        if any(step.key for step in self.steps):
            raise ValueError("a key step can't stand in a mistake: the plan must work without the block")
        return self


class MistakeBlock(_Model):
    """The place of a mistake in a plan."""

    mistake: MistakeModel


def _kind_of_plan_item(raw: Any) -> str:
    is_mistake = isinstance(raw, MistakeBlock) or (isinstance(raw, Mapping) and "mistake" in raw)
    return "<mistake>" if is_mistake else "<step>"


PlanItem = Annotated[
    Annotated[StepModel, Tag("<step>")] | Annotated[MistakeBlock, Tag("<mistake>")],
    Discriminator(_kind_of_plan_item),
]
"""A step of a plan, or a mistake block; told apart by the key, so that errors speak of the right one."""


def _known_check(check: dict[str, Any]) -> dict[str, Any]:
    from ise_gym.checks import CHECKS

    if len(check) != 1:
        raise ValueError(f"one check an item, not {', '.join(check) or 'none'}")
    kind, spec = next(iter(check.items()))
    if kind not in CHECKS:
        raise ValueError(f"no check is named '{kind}'.{nearest(kind, CHECKS)}")
    CHECKS[kind].require_keys(spec, kind)
    return check


class SubGoalModel(_Model):
    """One verifiable piece of a request."""

    name: str
    checks: list[Annotated[dict[str, Any], AfterValidator(_known_check)]] = Field(min_length=1)


class RequestModel(_Model):
    """One thing that the user asks for, in one user turn."""

    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    say: dict[Register, Annotated[list[Template], Field(min_length=1)]]
    chance: Annotated[int | float, Field(gt=0, le=1)] = 1
    supersedes: list[str] = Field(default_factory=list)
    needs: list[str] = Field(default_factory=list)
    subgoals: list[SubGoalModel] = Field(min_length=1)
    expert: list[PlanItem] = Field(min_length=1)
    reply: Template | list[Template]

    @model_validator(mode="after")
    def _registers(self) -> RequestModel:
        missing = [register for register in REGISTERS if register not in self.say]
        if missing:
            raise ValueError(f"say lacks a wording for {', '.join(missing)}")
        if len({goal.name for goal in self.subgoals}) != len(self.subgoals):
            raise ValueError("two sub-goals have the same name")
        return self


class TaskModel(_Model):
    """A whole task file."""

    title: str
    description: str
    tier: Tier
    parameters: dict[Name, Generator] = Field(default_factory=dict)
    tools: list[Annotated[str, AfterValidator(_further_tool)]] = Field(default_factory=list)
    files: list[FileModel] = Field(default_factory=list)
    services: Annotated[dict[str, list[dict[str, Any]]], AfterValidator(_known_services)] = Field(
        default_factory=dict
    )
    requests: list[RequestModel] = Field(min_length=1)

    @model_validator(mode="after")
    def _references(self) -> TaskModel:
        earlier: list[str] = []
        for index, request in enumerate(self.requests):
            if request.name in earlier:
                raise ValueError(f"requests.{index}: the name '{request.name}' occurs twice")
            for key in ("supersedes", "needs"):
                for name in getattr(request, key):
                    if name not in earlier:
                        raise ValueError(
                            f"requests.{index}.{key}: '{name}' is no earlier request.{nearest(name, earlier)}"
                        )
            earlier.append(request.name)
            offered = {"", *DEFAULT_TOOLS, *self.tools}
            for item in request.expert:
                for step in item.mistake.steps if isinstance(item, MistakeBlock) else [item]:
                    if step.tool not in offered:
                        raise ValueError(f"requests.{index}.expert: list '{step.tool}' under `tools` first")
        if self.requests[0].chance != 1:
            raise ValueError("requests.0.chance: the first request is always asked")
        return self


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

    A folder holds ``<domain>/<task>.yaml``, or is itself one domain's folder.

    Raises:
        UserError: a folder without tasks, a broken file, or a name that occurs twice.
    """
    found: dict[str, TaskSpec] = {}
    for folder in [os_world() / "domains"] if folders is None else folders:
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


class _Domain(_Model):
    title: str
    description: str


class _Domains(_Model):
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
        ("expert", StepModel), ("mistake", MistakeModel), ("table", Table), ("columns", Generator),
    ):  # fmt: skip
        if key in steps:
            model = target
    return {field.alias or name for name, field in model.model_fields.items()} | {"mistake"}


Table.model_rebuild()
