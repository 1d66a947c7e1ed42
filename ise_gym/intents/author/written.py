"""One intent that a model wrote: the line of a file, how it is read back, and the scenario that is played."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ise_gym.checks import build_check
from ise_gym.errors import UserError
from ise_gym.intents.author.drawing import Wanted
from ise_gym.intents.catalog import system_prompt
from ise_gym.intents.increments import increments
from ise_gym.messages import sha256_of
from ise_gym.models.chat import read_object
from ise_gym.personas.protected import protected_spans
from ise_gym.scenario import Complexity, Persona, Request, Scenario, SubGoal
from ise_gym.workspace.base import SeedFile


class WrittenFile(BaseModel):
    """A text file that exists when the episode starts."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    path: str
    content: str


class Draft(BaseModel):
    """What a model answers, see `ise_gym.intents.author.prompt.SCHEMA`."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    request: str
    files: list[WrittenFile] = Field(default_factory=list, max_length=24)
    deliverables: list[str] = Field(default_factory=list)
    rubric: list[str]
    checks: list[dict[str, Any]] = Field(default_factory=list)


class WrittenLine(BaseModel):
    """A line of a file of written intents.

    Attributes:
        natural_language_intent: the request as the person puts it.
        checks: in the catalog's own language; they count only where ``proved``.
        proved: an idle agent fails the checks and an agent that solved it passes them.
        author: model, sampling, prompt version, tries; ``seed`` is what it was drawn by.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)
    id: str
    natural_language_intent: str
    language: str
    complexity: Complexity
    domains: list[str]
    tasks: list[str]
    persona: dict[str, Any]
    files: list[WrittenFile]
    deliverables: list[str]
    rubric: list[str]
    checks: list[dict[str, Any]]
    proved: bool = False
    author: dict[str, Any]


def read_draft(text: str) -> Draft | str:
    """Read a model's answer, past thinking, fences and chatter; a string says what is wrong.

    Small faults of form are fixed: one text where a list is asked for, numbers and objects where a file's content is.
    """
    value = read_object(text)
    if value is None:
        return "the answer holds no JSON object"
    try:
        return Draft.model_validate(_mended(value))
    except ValidationError as error:
        first = error.errors()[0]
        return f"`{'.'.join(map(str, first['loc']))}`: {first['msg'].lower()}"


def _mended(value: Mapping[str, Any]) -> dict[str, Any]:
    mended = dict(value)
    for key in ("deliverables", "rubric"):
        if isinstance(mended.get(key), str):
            mended[key] = [mended[key]]
        if isinstance(mended.get(key), list):
            mended[key] = [_point(entry) for entry in mended[key]]
    files = mended.get("files")
    if isinstance(files, dict):  # {"a.csv": "content"}
        files = [{"path": path, "content": content} for path, content in files.items()]
    if isinstance(files, list):
        mended["files"] = [_file(entry) for entry in files]
    if isinstance(mended.get("checks"), dict):
        mended["checks"] = [{kind: spec} for kind, spec in mended["checks"].items()]
    return mended


def _point(entry: object) -> Any:
    if isinstance(entry, dict) and len(texts := [v for v in entry.values() if isinstance(v, str)]) == 1:
        return texts[0]
    return entry


def _file(entry: object) -> Any:
    if not isinstance(entry, dict) or "path" not in entry:
        return entry
    content = entry.get("content", "")
    if not isinstance(content, str):
        content = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
    return {"path": entry["path"], "content": content}


def line_of(draft: Draft, item: Wanted, author: Mapping[str, object]) -> WrittenLine:
    """Return the line of a draft that passed the gate."""
    return WrittenLine(
        id=item.id,
        natural_language_intent=draft.request.strip(),
        language=item.language,
        complexity=item.complexity,
        domains=list(item.domains),
        tasks=list(item.tasks),
        persona=item.persona.to_json(voice=False),
        files=draft.files,
        deliverables=draft.deliverables,
        rubric=draft.rubric,
        checks=draft.checks,
        author={**author, "seed": item.seed},
    )


class WrittenFileSource:
    """The scenarios of a file of written intents, by their place in it (larger seeds start over).

    Raises:
        UserError: unreadable, empty, or a bad line (with its number).
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._lines: list[WrittenLine] = []
        try:
            with self.path.open(encoding="utf-8") as file:
                for number, text in enumerate(file, 1):
                    if text.strip():
                        self._lines.append(parse_line(text, f"{self.path}:{number}"))
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{self.path}: can't be read as a file of intents ({error})") from None
        if not self._lines:
            raise UserError(f"{self.path}: holds no intent; write some with `ise intents write`")

    @property
    def name(self) -> str:
        """The file's name without ending."""
        return self.path.stem

    def __len__(self) -> int:
        return len(self._lines)

    def ids(self) -> list[str]:
        """Return the ids in order."""
        return [line.id for line in self._lines]

    def line(self, place: int) -> WrittenLine:
        """Return a line."""
        return self._lines[place % len(self._lines)]

    def scenario(self, seed: int) -> Scenario:
        """Return the scenario at a place of the file."""
        return scenario_of(self.line(seed), seed % len(self._lines))

    def __iter__(self) -> Iterator[Scenario]:
        """Iterate over the file once."""
        return (self.scenario(place) for place in range(len(self)))


def parse_line(text: str, where: str) -> WrittenLine:
    """Parse one line; ``where`` goes into the `UserError` for a bad one."""
    try:
        return WrittenLine.model_validate(json.loads(text))
    except ValidationError as error:
        first = error.errors()[0]
        problem = f"{'.'.join(map(str, first['loc'])) or 'the line'}: {first['msg']}"
    except (ValueError, RecursionError) as error:
        problem = f"not JSON ({error})"
    raise UserError(f"{where}: not a written intent: {problem}; fix or delete the line")


def scenario_of(line: WrittenLine, seed: int = 0, *, with_checks: bool | None = None) -> Scenario:
    """Return the scenario of a written intent.

    Args:
        line: of the file.
        seed: of the scenario.
        with_checks: whether its checks become sub-goals of the last request; None: where they are proved. Without,
            the episode ends as ``unverified``, and a judge may read it against its rubric.
    """
    turns = increments(line.natural_language_intent)
    use = line.proved if with_checks is None else with_checks
    goals = tuple(
        SubGoal(f"check {number}: {kind} {path_of(spec)}".strip(), (build_check(kind, spec),))
        for number, (kind, spec) in enumerate((pair for check in line.checks for pair in check.items()), 1)
        if use
    )
    persona: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in line.persona.items()}
    requests = [
        Request(name=f"written/{n}", text=turn, facts=tuple(dict.fromkeys(protected_spans(turn))))
        for n, turn in enumerate(turns, 1)
    ]
    if goals:
        last = requests[-1]
        requests[-1] = Request(name=last.name, text=last.text, facts=last.facts, subgoals=goals)
    return Scenario(
        id=line.id,
        seed=seed,
        intent=line.natural_language_intent,
        persona=Persona(**persona),
        requests=tuple(requests),
        files=tuple(SeedFile(file.path, file.content.encode()) for file in line.files),
        domains=tuple(line.domains),
        tasks=tuple(line.tasks),
        complexity=line.complexity,
        system_prompt=system_prompt(),
        metadata={
            "source": "written",
            "verifiable": bool(goals),
            "rubric": line.rubric,
            "deliverables": line.deliverables,
            "language": line.language,
            "author": line.author,
            "sha256": sha256_of(line.natural_language_intent),
        },
    )


def path_of(spec: object) -> str:
    """Return the path that a check looks at, "" for none."""
    found = spec.get("path", "") if isinstance(spec, Mapping) else spec
    return found if isinstance(found, str) else ""
