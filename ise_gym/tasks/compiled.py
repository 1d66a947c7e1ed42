"""A task with all its templates compiled, each part when it is first needed.

Compiling costs about a millisecond a template, rendering some microseconds: a pool of fifty thousand
intents compiles each task once and never touches the parts (files, checks, plans) that it doesn't print.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from ise_gym.checks import BaseCheck, build_check
from ise_gym.scenario import Check, Register, SubGoal
from ise_gym.services.spec import ServiceSpec
from ise_gym.tasks.chaining import Product
from ise_gym.tasks.expressions import Render, Scope, TemplateError, TextRender, compile_text, compile_value
from ise_gym.tasks.file import TaskSpec
from ise_gym.tasks.filters import to_csv, to_json
from ise_gym.tasks.generators import Draw, compile_generator
from ise_gym.tasks.media import MEDIA
from ise_gym.tasks.model import FileModel, MistakeBlock, RequestModel, StepModel, octal_mode
from ise_gym.tasks.worldparts import compile_services
from ise_gym.workspace.base import SeedFile

_TEXT_ARGUMENTS = {"command", "path", "content", "oldText", "newText", "input", "data", "text"}
"""Tool arguments that are text even when their template is a lone expression that gives a number."""


@dataclass(frozen=True)
class CompiledStep:
    """One step of a plan: its model, its rendered-later arguments and words."""

    model: StepModel
    arguments: Mapping[str, Render]
    say: Sequence[TextRender]


@dataclass(frozen=True)
class CompiledMistake:
    """A mistake block."""

    chance: float
    steps: tuple[CompiledStep, ...]


@dataclass(frozen=True)
class CompiledRequest:
    """The parts of a request that an executed episode needs (its wordings are compiled apart)."""

    model: RequestModel
    subgoals: tuple[tuple[str, tuple[Callable[[Scope], Check], ...]], ...]
    plan: tuple[CompiledStep | CompiledMistake, ...]
    reply: Sequence[TextRender]


class CompiledTask:
    """Compiled parts of one task; make it with `compile_task`."""

    def __init__(self, spec: TaskSpec) -> None:
        self.spec = spec

    @cached_property
    def parameters(self) -> list[tuple[str, Draw, bool]]:
        """(name, how to draw it, whether it is drawn rather than computed), in the order of the file."""
        return [
            (name, compile_generator(generator, self._at("parameters", name)), generator.kind != "value")
            for name, generator in self.spec.model.parameters.items()
        ]

    @cached_property
    def wordings(self) -> dict[str, dict[Register, list[TextRender]]]:
        """Request name → register → wordings."""
        return {
            request.name: {
                register: [
                    compile_text(text, self._at("requests", request.name, "say", register, i))
                    for i, text in enumerate(texts)
                ]
                for register, texts in request.say.items()
            }
            for request in self.spec.model.requests
        }

    @cached_property
    def gists(self) -> list[TextRender]:
        """What the task is about, in one phrase each; the title where the file has none."""
        title = self.spec.model.title
        gists = self.spec.model.gist or [title if title[:2].isupper() else title[:1].lower() + title[1:]]
        return [compile_text(text, self._at("gist", i)) for i, text in enumerate(gists)]

    @cached_property
    def files(self) -> list[tuple[str, Callable[[Scope], list[SeedFile]]]]:
        """One pair a file entry: the input that it stands for ("" for none), and what gives the entry's files."""
        return [
            (model.for_, _compile_file(model, self._at("files", index)))
            for index, model in enumerate(self.spec.model.files)
        ]

    @cached_property
    def inputs(self) -> dict[str, Callable[[Scope], Product]]:
        """Input name → the task's own product, for when no earlier task gives one."""
        return {
            name: self._product("inputs", name, model.path, model.what, "")
            for name, model in self.spec.model.inputs.items()
        }

    @cached_property
    def outputs(self) -> dict[str, Callable[[Scope], Product]]:
        """Output name → what is handed on."""
        return {
            name: self._product("outputs", name, model.path, model.what, model.kind)
            for name, model in self.spec.model.outputs.items()
        }

    def _product(self, part: str, name: str, path: str, what: str, kind: str) -> Callable[[Scope], Product]:
        where = compile_text(path, self._at(part, name, "path"))
        called = compile_text(what, self._at(part, name, "what"))
        return lambda scope: Product(where(scope), kind, called(scope))

    @cached_property
    def services(self) -> Callable[[Scope], tuple[ServiceSpec, ...]]:
        """How the task's services are rendered."""
        return compile_services(self.spec.model.services, str(self.spec.source))

    @cached_property
    def requests(self) -> dict[str, CompiledRequest]:
        """Request name → sub-goals, plan and reply."""
        return {model.name: self._request(model) for model in self.spec.model.requests}

    def _request(self, model: RequestModel) -> CompiledRequest:
        where = ("requests", model.name)
        subgoals = tuple(
            (
                goal.name,
                tuple(
                    _compile_check(check, self._at(*where, "subgoals", goal.name, i))
                    for i, check in enumerate(goal.checks)
                ),
            )
            for goal in model.subgoals
        )
        plan: list[CompiledStep | CompiledMistake] = []
        for index, item in enumerate(model.expert):
            at = (*where, "expert", index)
            if isinstance(item, MistakeBlock):
                steps = tuple(self._step(s, (*at, "mistake", i)) for i, s in enumerate(item.mistake.steps))
                plan.append(CompiledMistake(item.mistake.chance, steps))
            else:
                plan.append(self._step(item, at))
        return CompiledRequest(model, subgoals, tuple(plan), self._texts(model.reply, (*where, "reply")))

    def _step(self, model: StepModel, where: tuple[Any, ...]) -> CompiledStep:
        arguments = {
            name: compile_text(value, self._at(*where, name))
            if isinstance(value, str) and name in _TEXT_ARGUMENTS
            else compile_value(value, self._at(*where, name))
            for name, value in model.arguments.items()
        }
        return CompiledStep(model, arguments, self._texts(model.say, (*where, "say")))

    def _texts(self, raw: str | list[str], where: tuple[Any, ...]) -> list[TextRender]:
        texts = [raw] if isinstance(raw, str) else raw
        return [compile_text(text, self._at(*where)) for text in texts]

    def _at(self, *keys: Any) -> str:
        return f"{self.spec.source}: {'.'.join(map(str, keys))}"


@lru_cache(maxsize=4096)
def compile_task(spec: TaskSpec) -> CompiledTask:
    """Return the compiled form of a task; the same object for the same loaded task."""
    return CompiledTask(spec)


def _compile_check(raw: Mapping[str, Any], where: str) -> Callable[[Scope], BaseCheck]:
    kind, spec = next(iter(raw.items()))
    render = compile_value(spec, where)

    def build(scope: Scope) -> BaseCheck:
        try:
            return build_check(kind, render(scope))
        except (TypeError, ValueError) as error:
            raise TemplateError(f"{where}.{kind}: {error}; mend the check (see docs/tasks.md)") from None

    return build


def _compile_file(model: FileModel, where: str) -> Callable[[Scope], list[SeedFile]]:
    path = compile_text(model.path, f"{where}.path")
    content = _compile_content(model, where)
    loops = [(name, compile_value(raw, f"{where}.each.{name}")) for name, raw in model.each.items()]
    mode = octal_mode(model.mode)

    def expand(scope: Scope, remaining: Sequence[tuple[str, Render]]) -> list[SeedFile]:
        if not remaining:
            return [SeedFile(path(scope), content(scope), mode)]
        (name, render), *rest = remaining
        items = render(scope)
        if not isinstance(items, list):
            raise TemplateError(f"{where}.each.{name}: needs a list, not {items!r}")
        return [file for item in items for file in expand({**scope, name: item}, rest)]

    return lambda scope: expand(scope, loops)


def _compile_content(model: FileModel, where: str) -> Callable[[Scope], bytes]:
    if model.content is not None:
        text = compile_text(model.content, f"{where}.content")
        return lambda scope: text(scope).encode()
    kind, raw = next(
        (kind, getattr(model, field))
        for kind, field in (
            ("csv", "csv"),
            ("json", "json_"),
            ("jsonl", "jsonl"),
            *((name, name) for name in MEDIA),
        )
        if field in model.model_fields_set
    )
    render = compile_value(raw, f"{where}.{kind}")

    def write(scope: Scope) -> bytes:
        value = render(scope)
        if kind in MEDIA:
            try:
                return MEDIA[kind](value)
            except ValueError as error:
                raise TemplateError(f"{where}.{kind}: {error}; mend the file (see docs/tasks.md)") from None
        if kind == "json":
            return (to_json(value, indent=2) + "\n").encode()
        if not isinstance(value, list):
            raise TemplateError(f"{where}.{kind}: needs a list, not {value!r}")
        return (to_csv(value) if kind == "csv" else "".join(to_json(item) + "\n" for item in value)).encode()

    return write


def build_subgoals(request: CompiledRequest, scope: Scope) -> tuple[SubGoal, ...]:
    """Render a request's sub-goals."""
    return tuple(SubGoal(name, tuple(build(scope) for build in checks)) for name, checks in request.subgoals)
