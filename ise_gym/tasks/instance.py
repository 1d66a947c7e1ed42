"""Draws one instance of a task: its parameters, files, wordings, checks and the expert's plan, from a seed.

Two stages, because a pool of intents needs only the first: `draft` draws the parameters and words;
`complete` renders what an executed episode needs besides. Parameters, mistakes and the choice of
follow-ups have random sources of their own, so that asking for all mistakes changes no figure.
"""

from __future__ import annotations

import posixpath
import random
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from ise_gym.messages import sha256_of
from ise_gym.scenario import PlanStep, Register, SubGoal
from ise_gym.services.spec import ServiceSpec
from ise_gym.tasks.chaining import Product
from ise_gym.tasks.compiled import (
    CompiledMistake,
    CompiledRequest,
    CompiledStep,
    build_subgoals,
    compile_task,
)
from ise_gym.tasks.expressions import TemplateError, TextRender
from ise_gym.tasks.file import REGISTERS, TaskSpec
from ise_gym.tasks.generators import DrawState, derive_seed, load_words
from ise_gym.workspace.base import SeedFile

Split = Literal["", "train", "eval"]
EVAL_SHARE = 0.2
"""The share of all possible draws of a task that belong to the eval split."""

Mistakes = Literal["drawn", "all", "none"]


@dataclass(frozen=True)
class RequestInstance:
    """One request of an instance; ``name`` is ``<label>/<request>``. The last five are empty in a draft."""

    name: str
    wordings: Mapping[Register, tuple[str, ...]]
    supersedes: tuple[str, ...] = ()
    optional: bool = False
    subgoals: tuple[SubGoal, ...] = ()
    plan: tuple[PlanStep, ...] = ()
    reply: str = ""


@dataclass(frozen=True)
class TaskInstance:
    """One drawn instance of a task.

    Attributes:
        task: catalog name; ``label`` differs from it only where one scenario holds a task twice.
        fingerprint: hash of what was drawn (without `root`): equal for instances that are the same work.
        parameters: everything templates can name.
        files, services: empty in a draft.
        chained: the inputs that an earlier task of the intent provides.
        outputs: what a later task may be given, made by the requests that are asked.
        gists: what the task is about, in one phrase each.
        tools: those that the task offers beside the default ones.
    """

    task: str
    label: str
    seed: int
    root: str
    fingerprint: str
    parameters: Mapping[str, Any]
    requests: tuple[RequestInstance, ...]
    files: tuple[SeedFile, ...] = ()
    services: tuple[ServiceSpec, ...] = ()
    tools: tuple[str, ...] = ()
    chained: Mapping[str, Product] = field(default_factory=dict)
    outputs: Mapping[str, Product] = field(default_factory=dict)
    gists: tuple[str, ...] = ()


def split_of(fingerprint: str) -> Split:
    """Return the split that an instance belongs to: fixed by its fingerprint, so the two never share one."""
    return "eval" if int(fingerprint[:8], 16) < EVAL_SHARE * 2**32 else "train"


def instantiate(
    task: TaskSpec,
    seed: int,
    root: str | None = None,
    *,
    label: str | None = None,
    split: Split = "",
    asked: Collection[str] | Literal["drawn", "all", "required"] = "drawn",
    mistakes: Mistakes = "drawn",
    inputs: Mapping[str, Product] | None = None,
) -> TaskInstance:
    """Draw a whole instance: `draft` and `complete` in one.

    Raises:
        TemplateError: a template or generator of the task fails with these draws (file and key path named).
    """
    drafted = draft(task, seed, root, label=label, split=split, asked=asked, inputs=inputs)
    return complete(task, drafted, mistakes)


def draw_parameters(task: TaskSpec, seed: int, root: str, split: Split = "") -> tuple[dict[str, Any], str]:
    """Draw the parameters and return them with their fingerprint, again until they belong to the split."""
    for attempt in range(400):
        state = DrawState(random.Random(derive_seed("task", task.name, seed, attempt)), {"root": root})
        drawn = {}
        for name, draw, is_drawn in compile_task(task).parameters:
            state.scope[name] = draw(state)
            if is_drawn:
                drawn[name] = state.scope[name]
        fingerprint = sha256_of([task.name, drawn])[:16]
        if not split or split_of(fingerprint) == split:
            return state.scope, fingerprint
    raise TemplateError(
        f"{task.source}: parameters: too few different draws to find one of the {split} split"
    )


def draft(
    task: TaskSpec,
    seed: int,
    root: str | None = None,
    *,
    label: str | None = None,
    split: Split = "",
    asked: Collection[str] | Literal["drawn", "all", "required"] = "drawn",
    registers: Collection[Register] = REGISTERS,
    inputs: Mapping[str, Product] | None = None,
) -> TaskInstance:
    """Draw parameters and wordings only.

    Args:
        task: the loaded task.
        seed: any integer; the instance is a function of it (and of `root` and `split`).
        root: the instance's folder; drawn when None.
        label: how requests are named, ``task.name`` by default.
        split: draw until the instance belongs to it; "" takes the first.
        asked: which follow-ups are made: by their chance, all, none, or those named.
        registers: which wordings are rendered.
        inputs: what earlier tasks provide; for the other inputs the instance makes start files of its own.
    """
    if root is None:
        root = random.Random(derive_seed("root", task.name, seed)).choice(load_words().folders)
    label = label or task.name
    parameters, fingerprint = draw_parameters(task, seed, root, split)
    compiled, chained = compile_task(task), dict(inputs or {})
    for name, own in compiled.inputs.items():
        parameters[name] = (chained.get(name) or own(parameters)).scope()
    unrecalled = {name: product.unrecalled().scope() for name, product in chained.items()}
    gists = tuple(render({**parameters, **unrecalled}) for render in compiled.gists)
    names = _asked(task, seed, asked)
    outputs = {
        name: compiled.outputs[name](parameters)
        for name, model in task.model.outputs.items()
        if not model.after or model.after in names
    }
    requests = []
    for model in task.model.requests:
        if model.name not in names:
            continue
        wordings = {
            register: tuple(render(parameters) for render in texts)
            for register, texts in compiled.wordings[model.name].items()
            if register in registers
        }
        replaced = tuple(f"{label}/{name}" for name in model.supersedes if name in names)
        requests.append(RequestInstance(f"{label}/{model.name}", wordings, replaced, model.chance < 1))
    return TaskInstance(
        task.name,
        label,
        seed,
        root,
        fingerprint,
        parameters,
        tuple(requests),
        chained=chained,
        outputs=outputs,
        gists=gists,
    )


def complete(task: TaskSpec, drafted: TaskInstance, mistakes: Mistakes = "drawn") -> TaskInstance:
    """Add files, sub-goals, plans and replies to a draft."""
    compiled, scope = compile_task(task), drafted.parameters
    rng = random.Random(derive_seed("expert", task.name, drafted.seed))
    requests = []
    for request in drafted.requests:
        parts = compiled.requests[request.name.rsplit("/", 1)[1]]
        requests.append(
            RequestInstance(
                request.name,
                request.wordings,
                request.supersedes,
                request.optional,
                build_subgoals(parts, scope),
                tuple(_plan(parts, scope, rng, mistakes)),
                rng.choice(parts.reply)(scope),
            )
        )
    files = tuple(
        file
        for stands_for, entry in compiled.files
        if stands_for not in drafted.chained
        for file in entry(scope)
    )
    _require_own_paths(task, files, drafted.root)
    services = compiled.services(scope)
    return replace(
        drafted, requests=tuple(requests), files=files, services=services, tools=tuple(task.model.tools)
    )


def own_input_files(task: TaskSpec, drafted: TaskInstance, name: str) -> tuple[SeedFile, ...]:
    """Return the start files that stand for an input where no earlier task provides it."""
    entries = [entry for stands_for, entry in compile_task(task).files if stands_for == name]
    return tuple(file for entry in entries for file in entry(drafted.parameters))


def _asked(task: TaskSpec, seed: int, asked: Collection[str] | str) -> set[str]:
    """Return the names of the requests that are made; one that needs an unasked one is left out."""
    rng = random.Random(derive_seed("asked", task.name, seed))
    names: set[str] = set()
    for model in task.model.requests:
        drawn = rng.random() < model.chance
        if asked == "drawn":
            wanted = drawn
        elif asked == "all":
            wanted = True
        elif asked == "required":
            wanted = model.chance == 1
        else:
            wanted = model.chance == 1 or model.name in asked
        if wanted and names.issuperset(model.needs):
            names.add(model.name)
    return names


def _plan(
    request: CompiledRequest, scope: Mapping[str, Any], rng: random.Random, mistakes: Mistakes
) -> Iterator[PlanStep]:
    for item in request.plan:
        if isinstance(item, CompiledMistake):
            drawn = rng.random() < item.chance
            steps = [_step(step, scope, rng, True) for step in item.steps]
            if mistakes == "all" or (mistakes == "drawn" and drawn):
                yield from steps
        else:
            yield _step(item, scope, rng, False)


def _step(step: CompiledStep, scope: Mapping[str, Any], rng: random.Random, mistake: bool) -> PlanStep:
    model = step.model
    arguments = {name: render(scope) for name, render in step.arguments.items()}
    say: Sequence[TextRender] = step.say
    return PlanStep(model.tool, arguments, rng.choice(say)(scope), model.key, model.fails, mistake)


def _require_own_paths(task: TaskSpec, files: Sequence[SeedFile], root: str) -> None:
    seen: set[str] = set()
    for file in files:
        if posixpath.normpath(file.path) != file.path or not file.path.startswith(f"{root}/"):
            raise TemplateError(
                f"{task.source}: files: {file.path!r} does not lie below {{{{ root }}}} ({root})"
            )
        if file.path in seen:
            raise TemplateError(f"{task.source}: files: {file.path!r} is made twice with these draws")
        seen.add(file.path)


_PATH = re.compile(r"(?<![\w.\-])[\w.\-]+(?:/[\w.\-]+)+/?")


def facts_of(instance: TaskInstance, text: str) -> tuple[str, ...]:
    """Return what of an utterance a user may say again: its paths, and drawn words and figures it contains."""
    found = dict.fromkeys(match.rstrip("./") for match in _PATH.findall(text))
    for value in _scalars({k: v for k, v in instance.parameters.items() if k != "root"}):
        if len(value) > 1 and re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text):
            found.setdefault(value)
    return tuple(found)


def _scalars(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _scalars(item)
    elif isinstance(value, list):
        if len(value) <= 20:
            for item in value:
                yield from _scalars(item)
    elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
        yield str(value)
