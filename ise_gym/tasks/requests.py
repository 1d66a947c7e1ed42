"""Renders a request of a task file stage by stage: first what is said, then what is checked and how it is done.

A field that `Request` and `RequestModel` have by the same name is carried over, whatever it is; only what has another
form in the file than in an episode is written out here.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Literal

from ise_gym.checks import BaseCheck, build_check
from ise_gym.foreign.values import Json
from ise_gym.scenario import Check, PlanStep, Register, Request, SubGoal, WrongWay
from ise_gym.tasks.expressions import ExpressionError, Render, Scope, TextRender, compile_text, compile_value
from ise_gym.tasks.model import MistakeBlock, RequestModel, StepModel, WrongModel
from ise_gym.tools import TOOLS

Mistakes = Literal["drawn", "all", "none"]

_WRITTEN_OUT = {"wordings", "subgoals", "plan", "reply", "replies", "wrong"}
CARRIED = tuple(
    each.name
    for each in fields(Request)
    if each.name not in _WRITTEN_OUT
    and (each.name in RequestModel.model_fields or hasattr(RequestModel, each.name))
)
"""What a request has from the task file as it stands there, with its expressions rendered."""


def _is_text(tool: str, argument: str) -> bool:
    """Return whether a tool takes an argument as text, even where it is a lone expression that gives a number."""
    properties = TOOLS[tool].schema["function"]["parameters"].get("properties", {}) if tool else {}
    return bool(properties.get(argument, {}).get("type") == "string")


@dataclass(frozen=True)
class _Step:
    """One step of a plan: its model, its rendered-later arguments and words."""

    model: StepModel
    arguments: Mapping[str, Render]
    say: Sequence[TextRender]


@dataclass(frozen=True)
class _Mistake:
    """A mistake block."""

    chance: float
    steps: tuple[_Step, ...]


class CompiledRequest:
    """One request of a task with its expressions compiled, each part when it is first needed.

    Args:
        model: as the task file has it.
        where: file and key path, for errors.
    """

    def __init__(self, model: RequestModel, where: str) -> None:
        self.model, self.where = model, where

    def drafted(self, scope: Scope, registers: Collection[Register]) -> Request:
        """Return the request with its words in some registers; its names are the task file's own."""
        carried = {name: _frozen(render(scope)) for name, render in self._carried.items()}
        wordings = {
            register: tuple(render(scope) for render in texts)
            for register, texts in self._wordings.items()
            if register in registers
        }
        return Request(**carried, wordings=wordings)

    def completed(
        self, request: Request, scope: Scope, rng: random.Random, mistakes: Mistakes = "drawn"
    ) -> Request:
        """Return a drafted request with sub-goals, the expert's plan and its reply."""
        return replace(
            request,
            subgoals=tuple(
                SubGoal(name, tuple(build(scope) for build in checks)) for name, checks in self._subgoals
            ),
            plan=tuple(_rendered(self._plan, scope, rng, mistakes)),
            reply=rng.choice(self._reply)(scope),
            replies=tuple(render(scope) for render in self._reply),
            wrong=tuple(way(scope) for way in self._wrong),
        )

    @cached_property
    def _carried(self) -> dict[str, Render]:
        return {name: compile_value(getattr(self.model, name), f"{self.where}.{name}") for name in CARRIED}

    @cached_property
    def _wordings(self) -> dict[Register, list[TextRender]]:
        return {
            register: [compile_text(text, f"{self.where}.say.{register}.{i}") for i, text in enumerate(texts)]
            for register, texts in self.model.say.items()
        }

    @cached_property
    def _subgoals(self) -> list[tuple[str, list[Callable[[Scope], Check]]]]:
        return [
            (
                goal.name,
                [
                    _compile_check(check, f"{self.where}.subgoals.{goal.name}.{i}")
                    for i, check in enumerate(goal.checks)
                ],
            )
            for goal in self.model.subgoals
        ]

    @cached_property
    def _plan(self) -> list[_Step | _Mistake]:
        plan: list[_Step | _Mistake] = []
        for index, item in enumerate(self.model.expert):
            at = f"{self.where}.expert.{index}"
            if isinstance(item, MistakeBlock):
                steps = tuple(
                    _compile_step(step, f"{at}.mistake.{i}") for i, step in enumerate(item.mistake.steps)
                )
                plan.append(_Mistake(item.mistake.chance, steps))
            else:
                plan.append(_compile_step(item, at))
        return plan

    @cached_property
    def _wrong(self) -> list[Callable[[Scope], WrongWay]]:
        return [_compile_wrong(way, f"{self.where}.wrong.{i}") for i, way in enumerate(self.model.wrong)]

    @cached_property
    def _reply(self) -> list[TextRender]:
        return _compile_texts(self.model.reply, f"{self.where}.reply")


def _frozen(value: Json) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _compile_step(model: StepModel, where: str) -> _Step:
    arguments = {
        name: compile_text(value, f"{where}.{name}")
        if isinstance(value, str) and _is_text(model.tool, name)
        else compile_value(value, f"{where}.{name}")
        for name, value in model.arguments.items()
    }
    words = model.ask or model.say
    return _Step(model, arguments, _compile_texts(words, f"{where}.{'ask' if model.ask else 'say'}"))


def _compile_wrong(model: WrongModel, where: str) -> Callable[[Scope], WrongWay]:
    steps = [_compile_step(step, f"{where}.steps.{i}") for i, step in enumerate(model.steps)]
    reply = compile_text(model.reply, f"{where}.reply")

    def render(scope: Scope) -> WrongWay:
        rng = random.Random(0)  # a proof's own: no plan is drawn differently for it
        return WrongWay(
            model.why, tuple(_render_step(step, scope, rng, False) for step in steps), reply(scope)
        )

    return render


def _compile_texts(raw: str | list[str], where: str) -> list[TextRender]:
    texts = [raw] if isinstance(raw, str) else raw
    return [compile_text(text, where) for text in texts]


def _compile_check(raw: Mapping[str, Json], where: str) -> Callable[[Scope], BaseCheck]:
    kind, spec = next(iter(raw.items()))
    render = compile_value(spec, where)

    def build(scope: Scope) -> BaseCheck:
        try:
            return build_check(kind, render(scope))
        except (TypeError, ValueError) as error:
            raise ExpressionError(f"{where}.{kind}: {error}; fix the check (see docs/tasks.md)") from None

    return build


def _rendered(
    plan: Sequence[_Step | _Mistake], scope: Scope, rng: random.Random, mistakes: Mistakes
) -> Iterator[PlanStep]:
    for item in plan:
        if isinstance(item, _Mistake):
            drawn = rng.random() < item.chance
            steps = [_render_step(step, scope, rng, True) for step in item.steps]
            if mistakes == "all" or (mistakes == "drawn" and drawn):
                yield from steps
        else:
            yield _render_step(item, scope, rng, False)


def _render_step(step: _Step, scope: Scope, rng: random.Random, mistake: bool) -> PlanStep:
    model = step.model
    arguments = {name: render(scope) for name, render in step.arguments.items()}
    tool = TOOLS[model.tool].name if model.tool else ""  # module:Name is called by the tool's own name
    say = rng.choice(step.say)(scope)
    return PlanStep(tool, arguments, say, model.key, model.fails, mistake, bool(model.ask))
