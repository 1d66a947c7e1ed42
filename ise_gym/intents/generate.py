"""Writes a pool of intents: ``intents.jsonl`` and a manifest that says what is in it."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from ise_gym.errors import UserError
from ise_gym.intents.drawn import IntentSource
from ise_gym.intents.intentfile import IntentLine, line_of
from ise_gym.messages import canonical_json

FILE, MANIFEST = "intents.jsonl", "manifest.json"
POOL_STRIDE = 1_000_000_000
"""Pool seed s draws the scenario seeds s·10⁹, s·10⁹+1, …: pools of different seeds share none."""


@dataclass
class Tally:
    """What a pool holds, counted while it is written."""

    intents: int = 0
    requests: int = 0
    axes: dict[str, Counter[str]] = field(
        default_factory=lambda: {
            axis: Counter() for axis in ("complexity", "register", "domains", "tasks", "domain_sets")
        }
    )
    instances: set[str] = field(default_factory=set)

    def add(self, line: IntentLine) -> None:
        """Count one intent."""
        self.intents += 1
        self.requests += line.requests
        self.axes["complexity"][line.complexity] += 1
        self.axes["register"][line.persona["register"]] += 1
        self.axes["domains"].update(line.domains)
        self.axes["tasks"].update(line.tasks)
        self.axes["domain_sets"]["+".join(line.domains)] += 1
        self.instances.update(line.fingerprints.values())

    def to_json(self) -> dict[str, Any]:
        """Return the counts, sorted by name."""
        counts = {axis: dict(sorted(values.items())) for axis, values in self.axes.items()}
        return {
            "count": self.intents,
            "requests": self.requests,
            "distinct_task_instances": len(self.instances),
            **counts,
        }


def generate(
    count: int,
    seed: int,
    out: Path | str,
    *,
    on_progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> Path:
    """Draw intents and write them; both files appear whole or not at all.

    Args:
        count: how many.
        seed: of the pool; the same seed, options and catalog give the same bytes.
        out: folder, made if it isn't there.
        on_progress: called with (written, count).
        **options: of `IntentSource`.

    Returns:
        The path of ``intents.jsonl``.

    Raises:
        UserError: a bad option, or a folder that can't be written.
    """
    source = IntentSource(**options)
    folder = Path(out)
    tally = Tally()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _replacing(folder / FILE) as file:
            for done, line in enumerate(draw_lines(source, seed, count), 1):
                file.write((canonical_json(line.model_dump()) + "\n").encode())
                tally.add(line)
                if on_progress is not None:
                    on_progress(done, count)
        with _replacing(folder / MANIFEST) as file:
            manifest = {"catalog": source.catalog, "seed": seed, "options": source.options.to_json()}
            file.write((json.dumps(manifest | tally.to_json(), indent=2, ensure_ascii=False) + "\n").encode())
    except OSError as error:
        raise UserError(f"{folder}: can't be written ({error.strerror or error})") from None
    return folder / FILE


def draw_lines(source: IntentSource, seed: int, count: int) -> Iterator[IntentLine]:
    """Draw the lines of a pool in order."""
    for index in range(count):
        yield line_of(source.intent(seed * POOL_STRIDE + index), source)


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file beside ``path`` and put it in its place when all went well."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("wb") as file:
            yield file
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
