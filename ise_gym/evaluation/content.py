"""What a frozen suite means: everything that decides what is asked and whether it passes, each part with a hash.

A suite whose hash covers ids and names only can be made easier without anybody noticing: a weaker check, a more
patient user and a friendlier tool description all leave it as it was. So the parts of a task (what is asked, its
checks, tools, prompt, limits) are hashed one by one, and so are the parts that all tasks share (the user, its phrases,
the box's limits); a difference can then be named. How a check or a tool is *coded* is the code's part: runs record that
version (`ise_gym.evaluation.code`).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from ise_gym.errors import UserError
from ise_gym.messages import sha256_of
from ise_gym.resources import os_world
from ise_gym.scenario import Request, Scenario
from ise_gym.simulator import make_user
from ise_gym.simulator.briefing.prompt import FORMAT, INTRODUCTION, answer_schema
from ise_gym.simulator.guard import RoleGuard
from ise_gym.simulator.principles import PRINCIPLES
from ise_gym.simulator.scripted import CONNECTIVE_RATE
from ise_gym.tools import tool_schemas
from ise_gym.workspace.base import Limits

JUDGED = ("task", "checks")
"""Parts of a task that make it another task when they differ; the others are terms under which it is played."""

TERMS = {"tools": "tool schemas", "prompt": "system prompt", "limits": "budgets"}
"""The other parts of a task → what they are called."""

SHARED = {
    "user": "user simulator",
    "phrases": "phrases of the user",
    "box": "limits of the box",
    "services": "mock services",
    "benchmark": "files of the benchmark",
}
"""What all tasks of a suite share → what it is called; the last two are Claw-Eval's, the others a built-in suite's."""

SPOKEN = ("phrases.yaml", "personas/words.yaml", "personas/habits.yaml")
"""The data, below ``envs/os``, that the scripted user speaks from."""

Content = dict[str, str]
"""Part → 16 hex digits."""


def task_content(scenario: Scenario) -> Content:
    """Return the parts of one task, each hashed: task, checks, tools, prompt, limits.

    The expert's plan and closing words are left out: they decide nothing for any other agent.

    Raises:
        UserError: a check or a service holds something that can't be written down.
    """
    parts: dict[str, Any] = {
        "task": {
            "id": scenario.id,
            "seed": scenario.seed,
            "intent": scenario.intent,
            "brief": scenario.brief,
            "persona": scenario.persona.to_json(),
            "files": sorted([f.path, f.mode, f.content.hex()] for f in scenario.files),
            "services": written(scenario.services),
            "requests": [_asked(request) for request in scenario.requests],
        },
        "checks": [
            [request.name, goal.name, goal.final, written(goal.checks)]
            for request in scenario.requests
            for goal in request.subgoals
        ],
        "tools": tool_schemas(scenario.tools),
        "prompt": scenario.system_prompt,
        "limits": written(scenario.budget),
    }
    return {name: sha256_of(value)[:16] for name, value in parts.items()}


def shared_content(user: str = "scripted", options: Mapping[str, object] | None = None) -> Content:
    """Return what all tasks of a suite share, each part hashed: user, phrases, box.

    Args:
        user: the simulator that asks; ``options``: its keyword arguments.
    """
    parts = {
        "user": _user(user, options or {}),
        "phrases": {name: spoken_data(name) for name in SPOKEN},
        "box": written(Limits()),
    }
    return {name: sha256_of(value)[:16] for name, value in parts.items()}


def content_sha256(parts: Mapping[str, str]) -> str:
    """Return the one hash of a task's parts."""
    return sha256_of(dict(parts))


def spoken_data(name: str) -> Any:
    """Return one file of the user's words as data: comments and line ends are nobody's words."""
    return yaml.load((os_world() / name).read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)


def written(value: object) -> Any:
    """Return a value as JSON that differs when anything in it differs; dataclasses are named by their kind.

    >>> from ise_gym.checks import build_check
    >>> written(build_check("exists", "a.txt"))
    {'kind': 'ExistsCheck', 'path': 'a.txt'}

    Raises:
        UserError: something that has no such form (a function, an open file).
    """
    match value:
        case Enum():
            return written(value.value)
        case None | bool() | int() | float() | str():
            return value
        case BaseModel():
            return {"kind": type(value).__qualname__, **value.model_dump(mode="json")}
        case bytes():
            return {"bytes": value.hex()}
        case re.Pattern():
            return {"pattern": value.pattern, "flags": value.flags}
        case Path():
            return {"path": str(value)}
        case Mapping():
            return {str(key): written(item) for key, item in value.items()}
        case set() | frozenset():
            return sorted((written(item) for item in value), key=sha256_of)
        case list() | tuple():
            return [written(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: written(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"kind": type(value).__qualname__, **fields}
    if vars_of := getattr(value, "__dict__", None):
        return {"kind": type(value).__qualname__, **written(vars_of)}
    raise UserError(
        f"{type(value).__qualname__} {value!r} can't be written down, so a suite that holds it can't be frozen: "
        "make it a dataclass of plain values."
    )


def differing(first: Mapping[str, str], second: Mapping[str, str]) -> list[str]:
    """Return the parts that two contents both have and that differ, in order."""
    return [name for name in first if name in second and first[name] != second[name]]


def _asked(request: Request) -> dict[str, Any]:
    return {
        "name": request.name,
        "text": request.text,
        "facts": written(request.facts),
        "supersedes": written(request.supersedes),
        "folder": request.folder,
        "subgoals": [goal.name for goal in request.subgoals],
        **({"answers": written(request.answers)} if request.answers else {}),
    }


def _user(user: str, options: Mapping[str, Any]) -> Any:
    described = make_user(user, guard=False, **options).describe()
    parts: dict[str, Any] = {
        "spec": user,
        "describes": {name: value for name, value in described.items() if name not in _OF_AN_EPISODE},
        "connective_rate": CONNECTIVE_RATE,
        "resamples": RoleGuard(make_user("scripted", guard=False)).resamples,
    }
    if user.startswith("llm:"):
        principles = [principle.prompt for principle in PRINCIPLES.values()]
        parts["prompts"] = [INTRODUCTION, principles, FORMAT, written(answer_schema())]
    return parts


_OF_AN_EPISODE = frozenset({"usage", "guard", "drift", "prompt_sha256"})
"""What a simulator tells of the episode that it has just played."""
