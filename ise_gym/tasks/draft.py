"""Drafts a task: its parameters are drawn from a seed, and its wordings rendered with them.

Parameters and the choice of follow-ups have random sources of their own, so that asking for another follow-up
changes no figure.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, Literal

from ise_gym.messages import sha256_of
from ise_gym.scenario import Register
from ise_gym.seeds import derive_seed
from ise_gym.tasks.compiled import compile_task
from ise_gym.tasks.expressions import ExpressionError
from ise_gym.tasks.file import REGISTERS, TaskSpec
from ise_gym.tasks.generators import DrawState, load_words
from ise_gym.tasks.instance import DraftedTask, Split, split_of
from ise_gym.tasks.products import Product

Asked = Collection[str] | Literal["drawn", "all", "required"]
"""Which follow-ups are made: by their chance, all, none, or those named."""


def draft(
    task: TaskSpec,
    seed: int,
    root: str | None = None,
    *,
    label: str | None = None,
    split: Split = "",
    asked: Asked = "drawn",
    registers: Collection[Register] = REGISTERS,
    inputs: Mapping[str, Product] | None = None,
) -> DraftedTask:
    """Draw parameters and wordings only.

    Args:
        task: the loaded task.
        seed: any integer; the instance is a function of it (and of `root` and `split`).
        root: the instance's folder; drawn when None.
        label: how requests are named, ``task.name`` by default.
        split: draw until the instance belongs to it; "" takes the first.
        asked: which follow-ups are made.
        registers: which wordings are rendered.
        inputs: what earlier tasks provide; for the other inputs the instance makes start files of its own.
    """
    if root is None:
        root = random.Random(derive_seed("root", task.name, seed)).choice(load_words().folders)
    label = label or task.name
    names = _asked(task, seed, asked)
    parameters, fingerprint = draw_parameters(task, seed, root, split)
    compiled, chained = compile_task(task), dict(inputs or {})
    for name, own in compiled.inputs.items():
        parameters[name] = (chained.get(name) or own(parameters)).scope()
    unrecalled = {name: product.unrecalled().scope() for name, product in chained.items()}
    gists = tuple(render({**parameters, **unrecalled}) for render in compiled.gists)
    outputs = {
        name: compiled.outputs[name](parameters)
        for name, model in task.model.outputs.items()
        if not model.after or model.after in names
    }
    requests = []
    for name, parts in compiled.requests.items():
        if name not in names:
            continue
        request = parts.drafted(parameters, registers)
        supersedes = tuple(f"{label}/{other}" for other in request.supersedes if other in names)
        requests.append(replace(request, name=f"{label}/{name}", task=task.name, supersedes=supersedes))
    return DraftedTask(
        task=task.name,
        label=label,
        seed=seed,
        root=root,
        fingerprint=fingerprint,
        parameters=parameters,
        requests=tuple(requests),
        chained=chained,
        outputs=outputs,
        gists=gists,
    )


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
    raise ExpressionError(
        f"{task.source}: parameters: too few different draws to find one of the {split} split"
    )
