"""The pydantic models of a task file: files, requests, checks, the expert's plan.

They check shape and names; what expressions give is checked when an instance is drawn, and what the task
claims is proved by `ise_gym.proving.catalog`. The format is documented in ``docs/tasks.md``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from ise_gym.checks import CHECKS
from ise_gym.errors import nearest
from ise_gym.foreign.values import Json
from ise_gym.scenario import DEFAULT_TOOLS, Register
from ise_gym.services.spec import KINDS, known_keys
from ise_gym.tasks.generator_model import Expression, Generator, Model, Name
from ise_gym.tools import TOOLS

REGISTERS: tuple[Register, ...] = get_args(Register)
Tier = Literal["easy", "medium", "hard"]
Kind = Literal["table", "json", "text", "script", "config", "image", "sound", "archive", "page", "folder"]
_STEP_KEYS = ("say", "key", "fails", "ask")


class FileModel(Model):
    """A file that exists at the start; exactly one of the content keys."""

    path: Expression
    mode: str | int = "644"
    for_: str = Field("", alias="for")
    each: dict[Name, list[Any] | Expression] = Field(default_factory=dict)
    content: Expression | None = None
    csv: Any = None
    json_: Any = Field(default=None, alias="json")
    jsonl: Any = None
    base64: Expression | None = None
    wav: dict[str, Any] | Expression | None = None
    image: dict[str, Any] | Expression | None = None
    xlsx: dict[str, Any] | Expression | None = None
    docx: dict[str, Any] | Expression | None = None
    pdf: dict[str, Any] | Expression | None = None

    @model_validator(mode="after")
    def _one_content(self) -> FileModel:
        kinds = ("content", "csv", "json_", "jsonl", "base64", "wav", "image", "xlsx", "docx", "pdf")
        given = [key for key in kinds if key in self.model_fields_set]
        if len(given) != 1:
            raise ValueError(
                "needs exactly one of content, csv, json, jsonl, base64, wav, image, xlsx, docx, pdf"
            )
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


class StepModel(Model):
    """One step of the expert: a tool call, words, or both."""

    tool: str = ""
    arguments: dict[str, Any] = Field(default_factory=dict)
    say: Expression | list[Expression] = ""
    key: bool = False
    fails: bool = False
    ask: Expression | list[Expression] = ""

    @model_validator(mode="before")
    @classmethod
    def _tool_key(cls, raw: Json) -> Any:
        if not isinstance(raw, Mapping):
            raise ValueError("a step is a mapping such as {exec: {command: ls}}")
        tools = [key for key in raw if key not in _STEP_KEYS]
        if len(tools) > 1:
            raise ValueError(f"a step has one tool, not {', '.join(map(str, tools))}")
        step = {key: raw[key] for key in _STEP_KEYS if key in raw}
        if not tools:
            return step
        tool = str(tools[0])
        if tool not in TOOLS:
            raise ValueError(f"no tool is named '{tool}'.{nearest(tool, (*TOOLS, *_STEP_KEYS))}")
        return {**step, "tool": tool, "arguments": raw[tool]}

    @model_validator(mode="after")
    def _something(self) -> StepModel:
        if self.ask:
            if self.tool or self.say or self.fails:
                raise ValueError("a step that asks the user has `ask` and at most `key`")
            return self
        if not self.tool and (not self.say or self.key or self.fails):
            raise ValueError(
                "a step without a tool only speaks: it needs `say` and neither `key` nor `fails`"
            )
        if self.key and self.fails:
            raise ValueError("a step that fails can't be a key step")
        return self


def _further_tool(name: str) -> str:
    if name in DEFAULT_TOOLS:
        raise ValueError(f"'{name}' is offered in any case: leave it out")
    if name not in TOOLS:
        further = [known for known in TOOLS if known not in DEFAULT_TOOLS]
        raise ValueError(
            f"no tool is named '{name}'.{nearest(name, further)} There are {', '.join(further)}."
        )
    return name


def _known_services(services: dict[str, list[dict[str, Json]]]) -> dict[str, list[dict[str, Any]]]:
    for kind, items in services.items():
        if kind not in KINDS:
            raise ValueError(f"no service is named '{kind}'.{nearest(kind, KINDS)}")
        for key in {key for item in items for key in item} - known_keys(kind) - {"each"}:
            raise ValueError(f"{kind}: there is no key '{key}'.{nearest(key, known_keys(kind))}")
    return services


class MistakeModel(Model):
    """A realistic mistake with its recovery, drawn with ``chance``; the plan works without it as well."""

    chance: Annotated[int | float, Field(ge=0, le=1)] = 0.6
    steps: list[StepModel] = Field(min_length=1)

    @model_validator(mode="after")
    def _no_key(self) -> MistakeModel:
        if any(step.key for step in self.steps):
            raise ValueError("a key step can't be part of a mistake: the plan must work without the block")
        return self


class MistakeBlock(Model):
    """The place of a mistake in a plan."""

    mistake: MistakeModel


def _kind_of_plan_item(raw: Json) -> str:
    is_mistake = isinstance(raw, MistakeBlock) or (isinstance(raw, Mapping) and "mistake" in raw)
    return "<mistake>" if is_mistake else "<step>"


PlanItem = Annotated[
    Annotated[StepModel, Tag("<step>")] | Annotated[MistakeBlock, Tag("<mistake>")],
    Discriminator(_kind_of_plan_item),
]
"""A step of a plan, or a mistake block; told apart by the key, so that errors speak of the right one."""


class WrongModel(Model):
    """A wrong way to treat a request, which the proof tries: ``why`` says what is wrong with it."""

    why: str
    steps: list[StepModel] = Field(default_factory=list)
    reply: Expression = "Done."


def _an_answer(answer: dict[str, Json]) -> dict[str, Any]:
    if set(answer) != {"about", "say"} or not isinstance(answer["about"], list) or not answer["about"]:
        raise ValueError("an answer has `about` (a list of words or groups of words) and `say`")
    if not isinstance(answer["say"], str) or not answer["say"].strip():
        raise ValueError("an answer's `say` is a text")
    return answer


class OutputModel(Model):
    """Something that the task makes and a later task may be given; ``after`` names the request that makes it."""

    path: Expression
    kind: Kind
    what: Expression
    after: str = ""


class InputModel(Model):
    """Something that an earlier task may give; ``path`` and ``what`` are those of the task's own start file."""

    accepts: list[Kind | Literal["file"]] = Field(min_length=1)
    path: Expression
    what: Expression


def _known_check(check: dict[str, Json]) -> dict[str, Any]:
    if len(check) != 1:
        raise ValueError(f"one check an item, not {', '.join(check) or 'none'}")
    kind, spec = next(iter(check.items()))
    if kind not in CHECKS:
        raise ValueError(f"no check is named '{kind}'.{nearest(kind, CHECKS)}")
    CHECKS[kind].require_keys(spec, kind)
    return check


class SubGoalModel(Model):
    """One verifiable piece of a request."""

    name: str
    checks: list[Annotated[dict[str, Any], AfterValidator(_known_check)]] = Field(min_length=1)


class RequestModel(Model):
    """One thing that the user asks for, in one user turn.

    What `ise_gym.scenario.Request` has by the same name is carried over; `ise_gym.tasks.requests` renders the rest.
    """

    name: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")
    say: dict[Register, Annotated[list[Expression], Field(min_length=1)]]
    chance: Annotated[int | float, Field(gt=0, le=1)] = 1
    supersedes: list[str] = Field(default_factory=list)
    needs: list[str] = Field(default_factory=list)
    answers: list[Annotated[dict[str, Any], AfterValidator(_an_answer)]] = Field(default_factory=list)
    wrong: list[WrongModel] = Field(default_factory=list)
    subgoals: list[SubGoalModel] = Field(min_length=1)
    expert: list[PlanItem] = Field(min_length=1)
    reply: Expression | list[Expression]

    @model_validator(mode="after")
    def _registers(self) -> RequestModel:
        missing = [register for register in REGISTERS if register not in self.say]
        if missing:
            raise ValueError(f"say lacks a wording for {', '.join(missing)}")
        if len({goal.name for goal in self.subgoals}) != len(self.subgoals):
            raise ValueError("two sub-goals have the same name")
        return self

    @property
    def optional(self) -> bool:
        """Whether it is a follow-up that is not always made."""
        return self.chance < 1


def gist_problem(text: str) -> str:
    """Return why a phrase can't be a gist; "" when it can. Expressions in it count as one word each.

    >>> gist_problem("merge the {{ team }} team's monthly exports")
    ''
    >>> gist_problem("Merge the exports.")
    'starts with a lower-case letter and ends without punctuation'
    """
    plain = _EXPRESSION.sub("it", text)
    words = plain.split()
    if not plain[:1].islower() or not plain[-1:].isalnum():
        return "starts with a lower-case letter and ends without punctuation"
    if not _GIST_WORDS[0] <= len(words) <= _GIST_WORDS[1]:
        return f"has {len(words)} words, and needs {_GIST_WORDS[0]} to {_GIST_WORDS[1]}"
    if _DETAIL.search(plain):
        return "holds a path, file name, figure or punctuation; these belong to the wordings"
    return ""


_GIST_WORDS = (3, 12)
_EXPRESSION = re.compile(r"\{\{(?:[^{}\n]|\{(?!\{)|\}(?!\}))*\}\}")
_DETAIL = re.compile(r"[^\w\s'’-]|\d|_")


def _a_gist(text: str) -> str:
    if problem := gist_problem(text):
        raise ValueError(f"'{text}' {problem}")
    return text


class TaskModel(Model):
    """A whole task file."""

    title: str
    description: str
    gist: list[Annotated[Expression, AfterValidator(_a_gist)]] = Field(default_factory=list)
    tier: Tier
    family: str = Field("", pattern=r"^([a-z0-9]+(-[a-z0-9]+)*)?$")
    held_out: bool = False
    parameters: dict[Name, Generator] = Field(default_factory=dict)
    tools: list[Annotated[str, AfterValidator(_further_tool)]] = Field(default_factory=list)
    inputs: dict[Name, InputModel] = Field(default_factory=dict)
    outputs: dict[Name, OutputModel] = Field(default_factory=dict)
    files: list[FileModel] = Field(default_factory=list)
    services: Annotated[dict[str, list[dict[str, Any]]], AfterValidator(_known_services)] = Field(
        default_factory=dict
    )
    requests: list[RequestModel] = Field(min_length=1)

    @model_validator(mode="after")
    def _families(self) -> TaskModel:
        if self.held_out and not self.family:
            raise ValueError("held_out: name the `family`, which is held out as a whole")
        return self

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
                            f"requests.{index}.{key}: '{name}' is not an earlier request.{nearest(name, earlier)}"
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

    @model_validator(mode="after")
    def _chaining(self) -> TaskModel:
        for index, file in enumerate(self.files):
            if file.for_ and file.for_ not in self.inputs:
                raise ValueError(
                    f"files.{index}.for: '{file.for_}' is not an input.{nearest(file.for_, self.inputs)}"
                )
        for name in self.inputs:
            if name in self.parameters:
                raise ValueError(f"inputs.{name}: a parameter has that name")
            if name not in {file.for_ for file in self.files}:
                raise ValueError(f"inputs.{name}: needs a start file with `for: {name}`")
        requests = [request.name for request in self.requests]
        for name, output in self.outputs.items():
            if output.after and output.after not in requests:
                raise ValueError(
                    f"outputs.{name}.after: '{output.after}' is not a request.{nearest(output.after, requests)}"
                )
        return self
