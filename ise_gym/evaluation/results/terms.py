"""What differs between two runs beside their agents: only where nothing does is a difference one of models."""

from __future__ import annotations

from collections.abc import Sequence

from ise_gym.errors import UserError
from ise_gym.evaluation.content import JUDGED, SHARED, TERMS, differing
from ise_gym.evaluation.run import Run

CODE, PACKAGES, SEED = "code", "packages", "seed"


def check_comparable(first: Run, other: Run) -> None:
    """Refuse runs that did not play the same thing.

    Raises:
        UserError: another suite, protocol or version of the suite, or tasks that ask or check something else.
    """
    where = f"{first.path} and {other.path} can't be compared"
    if first.card.suite != other.card.suite:
        raise UserError(f"{where}: the suites are {first.card.suite!r} and {other.card.suite!r}.")
    if first.card.protocol != other.card.protocol:
        raise UserError(
            f"{where}: the protocols are {first.card.protocol!r} and {other.card.protocol!r}, and their figures "
            "mean different things. Run both with the same --protocol."
        )
    if first.card.suite_sha256 != other.card.suite_sha256:
        raise UserError(
            f"{where}: both played {first.card.suite!r}, but in different versions "
            f"({first.card.suite_sha256[:12]} and {other.card.suite_sha256[:12]}). Run one of them again."
        )
    moved = {name: tasks for name, tasks in _by_part(first, other).items() if name in JUDGED}
    if moved:
        told = "; ".join(
            f"{_PARTS[name]} differ in {len(tasks)} tasks, for example {tasks[0]}"
            for name, tasks in moved.items()
        )
        raise UserError(
            f"{where}: the tasks of {first.card.suite!r} were changed between them ({told}). Run one of them again."
        )


_PARTS = {"task": "request, files or persona", "checks": "checks", **TERMS}


def other_terms(first: Run, other: Run) -> dict[str, str]:
    """Return the terms that two comparable runs don't share: name → what differs, in words."""
    found: dict[str, str] = {}
    for name, tasks in _by_part(first, other).items():
        found[name] = f"the {_PARTS[name]} differ in {len(tasks)} tasks, for example {tasks[0]}"
    for name in differing(first.card.content, other.card.content):
        found[name] = f"the {SHARED[name]} differ ({first.card.content[name]} and {other.card.content[name]})"
    for key in sorted({*first.card.options, *other.card.options}):
        mine, theirs = other.card.options.get(key), first.card.options.get(key)
        if mine != theirs:
            found[key] = f"{other.name} ran with {key}={mine!r}, {first.name} with {theirs!r}"
    if told := _code(first, other):
        found[CODE] = told
    if told := _packages(first, other):
        found[PACKAGES] = told
    if first.card.seed != other.card.seed:
        found[SEED] = f"{other.name} ran with the seed {other.card.seed}, {first.name} with {first.card.seed}"
    return found


def unknown_terms(run: Run) -> str:
    """Say that a run doesn't know what it played; "" when it does, or comes from a suite that says so itself."""
    if run.card.content or run.card.suite == "claweval":
        return ""
    return "was made before runs recorded the content of their tasks: whether it was the same can't be told"


def changed_text(changed: Sequence[str]) -> str:
    """Say what of a run is not as its suite has it frozen."""
    known = {**SHARED, "trials": "number of trials", "tasks left out": "task list"}
    shared = [known[name] for name in changed if name in known]
    tasks = [name for name in changed if name not in known]
    parts = [*shared, *([f"{len(tasks)} tasks (for example {tasks[0]})"] if tasks else [])]
    return f"not as the suite has it frozen: {', '.join(parts)}"


def _by_part(first: Run, other: Run) -> dict[str, list[str]]:
    contents = {task.id: task.content for task in first.card.tasks}
    found: dict[str, list[str]] = {}
    for task in other.card.tasks:
        for name in differing(contents.get(task.id, {}), task.content):
            found.setdefault(name, []).append(task.id)
    return found


def _code(first: Run, other: Run) -> str:
    """Say how the code differs; "" where it is the same, or one of them doesn't tell."""
    mine, theirs = first.card.versions, other.card.versions
    if not mine.get("code") or not theirs.get("code"):
        return ""
    if mine["code"] == theirs["code"]:
        return ""
    shown = [f"{v.get('commit', '')[:12] or 'no commit'}, code {v['code']}" for v in (mine, theirs)]
    return f"the code differs ({shown[0]}; {shown[1]})"


def _packages(first: Run, other: Run) -> str:
    """Say which versions of Python and packages differ; "" where none does that both tell."""
    mine, theirs = first.card.versions, other.card.versions
    apart = [name for name in mine if name in theirs and mine[name] != theirs[name]]
    shown = [f"{name} {mine[name]} and {theirs[name]}" for name in apart if name not in ("code", "commit")]
    return f"the versions differ ({', '.join(shown)})" if shown else ""
