"""What can be said about a task without running it: wordings, recoverable parameters, variety.

A wrong wording does not show in an executed plan, since the expert knows the parameters; so these findings
are made from the task file and from drawn texts alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ise_gym.foreign.values import Json
from ise_gym.tasks.draft import draft, draw_parameters
from ise_gym.tasks.expressions import names_in
from ise_gym.tasks.file import TaskSpec
from ise_gym.tasks.instance import TaskInstance
from ise_gym.tasks.model import REGISTERS, FileModel, RequestModel
from ise_gym.tasks.worldparts import loop_names

VARIETY_DRAWS = 400
VARIETY_NEEDED = 1000
"""How many distinct instances a task must have, by the estimate of `variety`."""

_GIST_DRAWS = 5
_DETAIL = re.compile(r"(?<!\S)[^\s/\d_{}]*[/\d_{}]\S*|(?<!\w)\w+\.\w+")

_LEFTOVER = re.compile(
    r"\{\{|\}\}|\{%|%\}|\bUndefined\b|\bNone\b|<(?:your|insert|todo)[^>]*>|\bTODO\b|\bXXX\b"
)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a task.

    Attributes:
        task: its name.
        seed: of the instance it was found with; -1 for findings about the file itself.
        kind: template, wording, recoverable, variety, idle, early, step, expert, undone, key, mutant, wrong, reply,
            answer, writes, output, infrastructure; knowledge, claim, cause, passed-over or unasked
            (`ise_gym.proving.knowledge`).
        detail: what, where, and what was found instead.
    """

    task: str
    seed: int
    kind: str
    detail: str


def review(task: TaskSpec) -> list[Finding]:
    """Find what is wrong with the file itself: unrecoverable parameters, details in a gist, too little variety."""
    found = [Finding(task.name, -1, "recoverable", text) for text in unrecoverable(task)]
    for seed in range(_GIST_DRAWS if task.model.gist else 0):
        for gist in draft(task, seed, registers=()).gists:
            if shown := _DETAIL.search(gist):
                text = f"the gist '{gist}' shows {shown[0]!r}: paths, file names and figures belong to the wordings"
                found.append(Finding(task.name, seed, "wording", text))
    estimate = variety(task)
    if estimate < VARIETY_NEEDED:
        text = (
            f"about {estimate:.0f} distinct instances, but {VARIETY_NEEDED} are needed: draw more parameters"
        )
        found.append(Finding(task.name, -1, "variety", text))
    return found


def review_texts(instance: TaskInstance) -> list[Finding]:
    """Find what is wrong with an instance's texts: too few wordings, leftovers of expressions."""
    problems: list[str] = []
    for request in instance.requests:
        missing = [register for register in REGISTERS if not request.wordings.get(register)]
        texts = [text for wordings in request.wordings.values() for text in wordings]
        if missing or len({text.casefold().strip() for text in texts}) < len(REGISTERS):
            problems.append(f"{request.name}: needs four different wordings over the four registers")
        answers = [str(answer["say"]) for answer in request.answers]
        wrong = [way.reply for way in request.wrong]
        spoken = [
            *texts,
            *answers,
            *request.replies,
            *wrong,
            request.reply,
            *(step.say for step in request.plan),
        ]
        for text in spoken:
            if match := _LEFTOVER.search(text):
                problems.append(f"{request.name}: {match[0]!r} stands in {text[:80]!r}")
        if not all(text.strip() for text in (*texts, request.reply)):
            problems.append(f"{request.name}: a wording or the reply is empty")
    return [Finding(instance.task, instance.seed, "wording", problem) for problem in problems]


def variety(task: TaskSpec) -> float:
    """Estimate how many distinct instances a task has, from how often random draws meet (birthday estimate).

    Skewed draws count for less than their number, as they should: the estimate is 1 / Σp².
    """
    seen = Counter(draw_parameters(task, seed, "root")[1] for seed in range(10_000, 10_000 + VARIETY_DRAWS))
    meetings = sum(n * (n - 1) // 2 for n in seen.values())
    return VARIETY_DRAWS * (VARIETY_DRAWS - 1) / 2 / meetings if meetings else float("inf")


def unrecoverable(task: TaskSpec) -> Iterator[str]:
    """Yield a line for each drawn parameter that checks depend on but neither wording nor start files show.

    Dependencies are followed through computed parameters (``value``, expressions in other generators) down to
    drawn ones. Every wording has to do it alone; earlier requests of the task are known to the agent as well.
    """
    sources, inputs = _sources(task), set(task.model.inputs)
    served = names_in(task.model.services) - loop_names(task.model.services)
    shown = _closure(_file_names(task.model.files) | served, sources)
    for request in task.model.requests:
        needed = {
            name
            for goal in request.subgoals
            for check in goal.checks
            for name in _needed(check, sources, inputs)
        }
        for register, texts in request.say.items():
            for index, text in enumerate(texts):
                told = _closure(names_in(text) | names_in(request.answers), sources)
                hidden = needed - shown - told - {"root"}
                if hidden:
                    yield (
                        f"requests.{request.name}.say.{register}.{index} doesn't give away "
                        f"{', '.join(sorted(hidden))}, which the checks depend on"
                    )
        shown = shown | _shared_names(request, sources)


def _needed(check: dict[str, Json], sources: dict[str, set[str]], inputs: set[str]) -> set[str]:
    """Return the drawn parameters and inputs that a check depends on, but for parameters it feeds to a program."""
    spec = check.get("command")
    if not isinstance(spec, dict):
        return _closure(names_in(check), sources)
    probes = {key: spec[key] for key in ("argv", "stdin") if key in spec}
    expected = {key: value for key, value in spec.items() if key not in probes}
    told = _closure(names_in(expected), sources) - _closure(names_in(probes), sources)
    return told | (names_in(spec) & inputs)


def _shared_names(request: RequestModel, sources: dict[str, set[str]]) -> set[str]:
    """Return what every wording of a request gives away."""
    texts = [text for wordings in request.say.values() for text in wordings]
    return set.intersection(*(_closure(names_in(text), sources) for text in texts))


def _file_names(files: list[FileModel]) -> set[str]:
    found: set[str] = set()
    for file in files:
        if file.for_:
            continue  # it isn't there when an earlier task provides the input
        raw = [file.path, file.content, file.csv, file.json_, file.jsonl, dict(file.each)]
        raw += [file.base64, file.wav, file.image, file.xlsx, file.docx, file.pdf]
        found |= names_in(raw) - set(file.each)
    return found


def _sources(task: TaskSpec) -> dict[str, set[str]]:
    """Map each parameter to the names that its own definition reads; drawn ones also stand for themselves."""
    found: dict[str, set[str]] = {name: set() for name in task.model.inputs}
    for name, generator in task.model.parameters.items():
        raw: Any = generator.model_dump(exclude_unset=True)
        inner = set(generator.table.columns) | {"index"} if generator.table else set()
        found[name] = names_in(raw) - inner
    return found


def _closure(names: set[str], sources: dict[str, set[str]]) -> set[str]:
    """Return the drawn parameters behind some names: those that read no others, followed all the way down."""
    seen: set[str] = set()
    open_names = [name for name in names if name in sources or name == "root"]
    while open_names:
        name = open_names.pop()
        if name in seen:
            continue
        seen.add(name)
        open_names.extend(inner for inner in sources.get(name, ()) if inner in sources or inner == "root")
    return seen - {name for name in seen if sources.get(name)}
