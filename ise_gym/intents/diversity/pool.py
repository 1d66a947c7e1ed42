"""Reads what is measured: one text an intent and where it stands on the axes, from any JSONL file of intents.

The catalog's own pools, ISETrace intent files and plain query files are all read, so that two pools are
measured by one and the same code.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from ise_gym.errors import UserError
from ise_gym.foreign.values import Json

TEXT_KEYS = ("natural_language_intent", "query", "question", "intent", "text")
"""Where the text of a line may stand; the first that is there counts."""

Field = Literal["brief", "whole"]
FIELDS: tuple[Field, ...] = get_args(Field)
"""The catalog's pools say each intent twice: in brief (``natural_language_intent``), and with every request."""

_PERSONA_AXES = ("name", "role", "industry", "experience_level", "communication_style", "register")


@dataclass
class Pool:
    """The texts of a file, and one tuple of values an axis for each text.

    Attributes:
        path: where it was read from.
        texts: in the order of the file.
        axes: axis → for each text its values (a tuple: an intent has one persona, but several domains).
        problems: line number → why it was skipped.
        keys: for each text where its line had it.
    """

    path: Path
    texts: list[str] = field(default_factory=list)
    axes: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)
    problems: dict[int, str] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)

    def require_whole(self) -> None:
        """Raise `UserError` when lines were skipped."""
        if self.problems:
            number, why = next(iter(self.problems.items()))
            raise UserError(
                f"{self.path}:{number}: {why}; {len(self.problems)} bad lines in all: fix or delete them"
            )

    def leading_domains(self) -> list[str]:
        """Return the domain that most of each text's tasks belong to; "" where none is known."""
        named = self.axes.get("domain", [()] * len(self.texts))
        tasks = self.axes.get("task", [()] * len(self.texts))
        leading = []
        for position, (domains, own) in enumerate(zip(named, tasks, strict=True)):
            votes = Counter(task.split("/")[0] for task in own if "/" in task)
            # ties go round, or the first name in the alphabet would win them all
            order = domains[position % len(domains) :] + domains[: position % len(domains)] if domains else ()
            leading.append(max(order, key=lambda name: votes[name]) if order else "")
        return leading


def read_pool(path: Path | str, which: Field = "brief") -> Pool:
    """Read a JSONL file of intents or queries; lines without a text are skipped and named in ``problems``.

    Args:
        path: the file, or a pool's folder.
        which: of lines that have both texts; other lines have only one, and it is read.

    Raises:
        UserError: unreadable, or no line holds a text.
    """
    path = Path(path)
    file = path / "intents.jsonl" if path.is_dir() else path
    pool = Pool(file)
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: can't be read as a file of intents ({error})") from None
    for number, line in enumerate(lines, 1):
        if line.strip():
            _take(pool, number, line, ("whole", *TEXT_KEYS) if which == "whole" else TEXT_KEYS)
    if not pool.texts:
        raise UserError(
            f"{file}: no line holds a text under {', '.join(TEXT_KEYS)}; "
            f"first problem: {next(iter(pool.problems.items()), 'the file is empty')}"
        )
    return pool


def _take(pool: Pool, number: int, line: str, keys: Sequence[str]) -> None:
    try:
        record = json.loads(line)
    except ValueError as error:
        pool.problems[number] = f"not JSON ({error})"
        return
    if not isinstance(record, dict):
        pool.problems[number] = "not an object"
        return
    key = next((key for key in keys if isinstance(record.get(key), str)), "")
    text = record.get(key, "")
    if not text.strip():
        pool.problems[number] = f"no text under {', '.join(TEXT_KEYS)}"
        return
    pool.texts.append(text)
    pool.keys.append(f"{key} (brief)" if key == TEXT_KEYS[0] and "whole" in record else key)
    for axis, values in axes_of(record).items():
        pool.axes.setdefault(axis, []).append(values)


def axes_of(record: Mapping[str, Json]) -> dict[str, tuple[str, ...]]:
    """Return where a line stands: complexity, domain, task and the persona's axes; () where it doesn't say."""
    metadata = record.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    persona = record.get("persona") or metadata.get("persona")
    persona = persona if isinstance(persona, dict) else {}
    axes = {axis: _words(persona.get(axis)) for axis in _PERSONA_AXES}
    axes["complexity"] = _words(record.get("complexity"))
    named = metadata.get("domains")
    if isinstance(named, list) and all(isinstance(item, dict) for item in named):  # ISETrace names them here
        axes["domain"] = tuple(str(item.get("name", "")) for item in named)
        axes["task"] = tuple(
            str(task.get("name", "")) for item in named for task in item.get("selected_tasks") or ()
        )
    else:
        axes["domain"], axes["task"] = _words(record.get("domains")), _words(record.get("tasks"))
    return axes


def _words(value: Json) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(str(item) for item in value)
    return (value,) if isinstance(value, str) and value else ()
