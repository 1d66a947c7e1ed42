"""The task's own date for services that move their fixtures to today.

Some services shift the dates in their fixtures at start, so that mail is recent and meetings are near, while the
prompts and graders of the same tasks name fixed days: such a task can't be solved on any other day than its author's.
With the task's clock every such service starts at the moment at which it shifts nothing, and its clock stands still
there. That repairs the tasks and is not what the benchmark does, so a run says which clock it had.
"""

from __future__ import annotations

import datetime as datetime_module
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from types import ModuleType

CLOCKS = ("upstream", "task")


@contextmanager
def standing_at(moment: datetime) -> Iterator[None]:
    """Let code that is loaded inside see a clock that stands at a moment (aware), for as long as it lives."""

    class Standing(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return moment.astimezone(tz) if tz else moment.astimezone().replace(tzinfo=None)

        @classmethod
        def utcnow(cls) -> datetime:  # type: ignore[override]
            return moment.astimezone(datetime_module.UTC).replace(tzinfo=None)

    original = datetime_module.datetime
    datetime_module.datetime = Standing  # type: ignore[misc]
    try:
        yield
    finally:
        datetime_module.datetime = original  # type: ignore[misc]


def shift_of(module: ModuleType, env: Mapping[str, str], root: Path) -> timedelta:
    """Return by how much a loaded service has moved the dates of its fixtures; zero when it moves none.

    Args:
        module: the service.
        env: its environment; variables that name JSON files are its fixtures, and so are paths of such files that the
            module itself holds: a task may leave a service its own default.
        root: what those paths are relative to.
    """
    held_paths = (str(value) for value in vars(module).values() if isinstance(value, Path | str))
    for value in dict.fromkeys([*env.values(), *held_paths]):
        if not value.endswith(".json") or "\n" in value:
            continue
        file = root / value
        if not file.is_file():
            continue
        written = json.loads(file.read_text(encoding="utf-8"))
        for held in vars(module).values():
            if isinstance(held, list) and isinstance(written, list) and len(held) == len(written):
                shift = _first_shift(written, held)
                if shift:
                    return shift
    return timedelta()


def _first_shift(written: Sequence[object], held: Sequence[object]) -> timedelta:
    for old, new in zip(written, held, strict=True):
        if not (isinstance(old, dict) and isinstance(new, dict)) or old.keys() != new.keys():
            return timedelta()
        for name in old:
            before, after = _moment(old[name]), _moment(new[name])
            if before and after and before != after:
                return after - before
    return timedelta()


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str) or len(value) < len("2026-03-02T09:00"):
        return None
    try:
        found = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=datetime_module.UTC)
