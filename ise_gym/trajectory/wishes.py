"""What the user of a recorded episode wanted, wish by wish, and what the workspace held when it began.

Both are read from the scenario that the record carries; a record without one has neither.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ise_gym.errors import UserError
from ise_gym.scenario.carried import carries, plain_form
from ise_gym.trajectory.record import Trajectory


@dataclass(frozen=True)
class Wish:
    """One thing that the user asks for.

    Attributes:
        name: ``task/request``; ``text``: as the user says it.
        goals: its sub-goals, by the names that they have in the record.
        settled: whether all of them hold at the end; None where none was looked at.
        optional: a follow-up. ``supersedes``: names of earlier wishes that it changes.
    """

    name: str
    text: str
    goals: tuple[str, ...]
    settled: bool | None
    optional: bool = False
    supersedes: tuple[str, ...] = ()


@dataclass(frozen=True)
class StartFile:
    """A file that existed when the episode began; ``text`` is None where it is not UTF-8. ``size`` in bytes."""

    path: str
    size: int
    text: str | None


@dataclass(frozen=True)
class Given:
    """What an episode began with."""

    wishes: tuple[Wish, ...] = ()
    files: tuple[StartFile, ...] = ()


def given(trajectory: Trajectory) -> Given:
    """Return the wishes and files of an episode; empty where the record carries no scenario, or a damaged one."""
    if not carries(trajectory.scenario):
        return Given()
    with contextlib.suppress(UserError, KeyError, TypeError, AttributeError, ValueError, IndexError):
        data = plain_form(trajectory.scenario)
        held = trajectory.subgoals
        return Given(
            tuple(_wish(each, held) for each in data.get("requests", ())), _files(data.get("files", ()))
        )
    return Given()


def _wish(data: Mapping[str, Any], held: Mapping[str, bool]) -> Wish:
    name = str(data["name"])
    goals = tuple(f"{name}: {goal['name']}" for goal in data.get("subgoals", ()))
    seen = [held[goal] for goal in goals if goal in held]
    return Wish(
        name=name,
        text=str(data.get("text", "")),
        goals=goals,
        settled=all(seen) and len(seen) == len(goals) if seen else None,
        optional=bool(data.get("optional")),
        supersedes=tuple(map(str, data.get("supersedes", ()))),
    )


def _files(data: Any) -> tuple[StartFile, ...]:
    found: list[StartFile] = []
    for entry in data:
        path = str(entry["path"])
        if "as" in entry:
            same = found[entry["as"]]
            found.append(StartFile(path, same.size, same.text))
        elif "text" in entry:
            found.append(StartFile(path, len(entry["text"].encode("utf-8", "replace")), entry["text"]))
        else:
            found.append(StartFile(path, len(base64.b64decode(entry["base64"])), None))
    return tuple(found)
