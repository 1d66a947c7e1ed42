"""Scenarios as Harbor task folders: ``ise harbor-tasks --source suite:demo-easy --out tasks``.

Two kinds. ``live`` is one step, for agents that run in the harness's process with our user (`ise_gym.adapters.harbor`).
``steps`` has a step for every request, with static instructions, for agents of others: nobody corrects or accepts.

What is expected lies in ``tests/``, which no agent sees: Harbor puts it into an environment for its verifier alone,
and our own verifier reads it on the host.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from ise_gym.errors import UserError
from ise_gym.scenario import PlanStep, Request, Scenario
from ise_gym.scenario.carried import opaque_checks, packed, to_json, unpacked
from ise_gym.storage.atomic import replacing

Kind = Literal["live", "steps"]
SCENARIO = "scenario.json"
FOLDERS = ("/logs", "/tests", "/solution", "/installed-agent")
"""Where Harbor keeps its own things in an environment."""

_TEST = """#!/bin/bash
# The sub-goals are verified from outside of the environment; without a reward Harbor reports an error, not a zero.
echo 'run with --verifier ise_gym.adapters.harbor:ISEVerifier' >&2
exit 1
"""


def write_tasks(scenarios: Iterable[Scenario], out: str | Path, kind: Kind = "live") -> list[Path]:
    """Write a folder for every scenario; return them.

    Raises:
        UserError: a scenario with checks that have no form as data, or a folder that exists already.
    """
    return [write_task(scenario, Path(out), kind) for scenario in scenarios]


def write_task(scenario: Scenario, out: Path, kind: Kind) -> Path:
    """Write one task folder, see `write_tasks`."""
    if hidden := opaque_checks(to_json(scenario)):
        raise UserError(f"{scenario.id}: its checks {', '.join(hidden)} can't be written down")
    folder = out / name_of(scenario.id)
    if folder.exists():
        raise UserError(f"{folder} exists already: name another folder")
    _put(folder / "tests" / SCENARIO, json.dumps(packed(scenario, plans=True)))
    _put(folder / "task.toml", _toml(scenario, kind))
    _put(
        folder / "environment" / "Dockerfile",
        "FROM ise-gym-os\nCOPY files/ /workspace/\nWORKDIR /workspace\n",
    )
    (folder / "environment" / "files").mkdir(parents=True)
    for file in scenario.files:
        with replacing(folder / "environment" / "files" / file.path) as made:
            made.write(file.content)
        (folder / "environment" / "files" / file.path).chmod(file.mode)
    if kind == "live":
        _step(folder, scenario.requests, scenario.requests[0].text)
    for number, request in enumerate(scenario.requests if kind == "steps" else ()):
        _step(folder / "steps" / step_name(number), [request], request.text)
    return folder


def read_task(folder: Path) -> Scenario:
    """Return the scenario of a task folder.

    Raises:
        UserError: it is none of ours, or was damaged.
    """
    try:
        return unpacked(json.loads((folder / "tests" / SCENARIO).read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise UserError(f"{folder}: no task that `ise harbor-tasks` wrote ({error})") from error


def name_of(scenario_id: str) -> str:
    """Return a scenario's id as Harbor takes names.

    >>> name_of("intent 17/b")
    'intent-17-b'
    """
    return re.sub(r"[^A-Za-z0-9._-]+", "-", scenario_id).strip("-.").lower()


def step_name(number: int) -> str:
    """Return the name of the step of a request, counted from 0."""
    return f"{number + 1:02}-request"


def _step(folder: Path, requests: Iterable[Request], text: str) -> None:
    _put(folder / "instruction.md", text + "\n")
    _put(folder / "tests" / "test.sh", _TEST, 0o755)
    plan = [step for request in requests for step in request.plan if step.tool]
    if all(step.tool in ("exec", "write") for step in plan):
        lines = ["#!/bin/bash", "cd /workspace", *map(_as_shell, plan)]
        _put(folder / "solution" / "solve.sh", "\n".join(lines) + "\n", 0o755)


def _as_shell(step: PlanStep) -> str:
    if step.tool == "exec":
        return f"( {step.arguments['command']}\n)"
    path, content = (shlex.quote(str(step.arguments[key])) for key in ("path", "content"))
    return f'mkdir -p "$(dirname {path})" && printf %s {content} > {path}'


def _toml(scenario: Scenario, kind: Kind) -> str:
    text = {
        "name": json.dumps(f"ise-gym/{name_of(scenario.id)}"),
        "description": json.dumps(scenario.brief or scenario.requests[0].text),
    }
    lines = ['schema_version = "1.4"']
    if kind == "steps":  # a mean would take a sub-goal that is not yet asked for as lost
        lines.append('multi_step_reward_strategy = "final"')
    lines += ["[task]", f"name = {text['name']}", f"description = {text['description']}"]
    lines += ["[environment]", 'workdir = "/workspace"', 'network_mode = "no-network"']
    for number, _ in enumerate(scenario.requests if kind == "steps" else ()):
        lines += ["[[steps]]", f'name = "{step_name(number)}"']
    return "\n".join(lines) + "\n"


def _put(path: Path, text: str, mode: int = 0o644) -> None:
    with replacing(path) as file:
        file.write(text.encode())
    path.chmod(mode)
