"""Completes a drafted task with what an executed episode needs: files, services, sub-goals, the expert's plan.

Mistakes have a random source of their own, so that asking for all of them changes no figure.
"""

from __future__ import annotations

import posixpath
import random
from collections.abc import Mapping, Sequence

from ise_gym.seeds import derive_seed
from ise_gym.tasks.compiled import compile_task
from ise_gym.tasks.draft import Asked, draft
from ise_gym.tasks.expressions import ExpressionError
from ise_gym.tasks.file import TaskSpec
from ise_gym.tasks.instance import DraftedTask, Split, TaskInstance
from ise_gym.tasks.products import Product
from ise_gym.tasks.requests import Mistakes
from ise_gym.tasks.ways import another_way
from ise_gym.workspace.base import SeedFile


def complete(
    task: TaskSpec, drafted: DraftedTask, mistakes: Mistakes = "drawn", ways: Sequence[str] | None = None
) -> TaskInstance:
    """Add files, services, sub-goals, plans and replies to a draft.

    Args:
        task: the loaded task.
        drafted: its draft.
        mistakes: which mistakes the plans have.
        ways: the tools of an episode whose plans and replies are put in one of several ways
            (`ise_gym.tasks.ways`); as the task file has them when None.

    Raises:
        ExpressionError: an expression of the task fails with these draws (file and key path named).
    """
    compiled, scope = compile_task(task), drafted.parameters
    files = tuple(
        file
        for stands_for, entry in compiled.files
        if stands_for not in drafted.chained
        for file in entry(scope)
    )
    _require_own_paths(task, files, drafted.root)
    rng = random.Random(derive_seed("expert", task.name, drafted.seed))
    requests = tuple(
        compiled.requests[request.name.rsplit("/", 1)[1]].completed(request, scope, rng, mistakes)
        for request in drafted.requests
    )
    if ways is not None:
        requests = tuple(
            another_way(
                request, ways, random.Random(derive_seed("ways", task.name, drafted.seed, request.name))
            )
            for request in requests
        )
    return TaskInstance(
        **{**vars(drafted), "requests": requests},
        files=files,
        services=compiled.services(scope),
        tools=tuple(task.model.tools),
    )


def instantiate(
    task: TaskSpec,
    seed: int,
    root: str | None = None,
    *,
    label: str | None = None,
    split: Split = "",
    asked: Asked = "drawn",
    mistakes: Mistakes = "drawn",
    inputs: Mapping[str, Product] | None = None,
    ways: Sequence[str] | None = None,
) -> TaskInstance:
    """Draw a whole instance: `draft` and `complete` in one.

    Raises:
        ExpressionError: an expression or generator of the task fails with these draws (file and key path named).
    """
    drafted = draft(task, seed, root, label=label, split=split, asked=asked, inputs=inputs)
    return complete(task, drafted, mistakes, ways)


def own_input_files(task: TaskSpec, drafted: DraftedTask, name: str) -> tuple[SeedFile, ...]:
    """Return the start files that stand for an input where no earlier task provides it."""
    entries = [entry for stands_for, entry in compile_task(task).files if stands_for == name]
    return tuple(file for entry in entries for file in entry(drafted.parameters))


def _require_own_paths(task: TaskSpec, files: Sequence[SeedFile], root: str) -> None:
    seen: set[str] = set()
    for file in files:
        if posixpath.normpath(file.path) != file.path or not file.path.startswith(f"{root}/"):
            raise ExpressionError(
                f"{task.source}: files: {file.path!r} does not lie below {{{{ root }}}} ({root})"
            )
        if file.path in seen:
            raise ExpressionError(f"{task.source}: files: {file.path!r} is made twice with these draws")
        seen.add(file.path)
