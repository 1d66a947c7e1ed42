"""A whole experiment as one plan: stages with the command of each, what it will take, and which are done.

A stage is one command that can be interrupted and repeated. That a stage has ended well is noted in
``RUNS/stages/NAME.json`` with the command it was, so that a plan whose command has changed since says so. Figures in a
plan are estimates that its file derives; nothing is measured here but the seconds a stage took.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import yaml
from pydantic import Field, model_validator

from ise_gym.errors import UserError, nearest
from ise_gym.resources import data_dir
from ise_gym.storage.atomic import replacing
from ise_gym.training.config import Section, parse

State = Literal["done", "changed", "to do"]
_NAME = r"[a-z0-9][a-z0-9_-]*"
_HOLE = re.compile(r"\{([a-z_0-9]+)\}")


class Hardware(Section):
    """A machine to plan for. Rates are tokens a second of one card.

    Attributes:
        cards: GPUs; 0 for a machine without any.
        dollars_per_hour: of the whole machine.
        train, prefill, decode: tokens per second and card in training, of prompts read, and of answers written.
        scaling: share of a card's rate that each of several keeps in training.
        vars: values of the plan's variables on this machine.
    """

    cards: int = Field(ge=0)
    dollars_per_hour: float = Field(ge=0)
    train: float = Field(gt=0)
    prefill: float = Field(gt=0)
    decode: float = Field(gt=0)
    scaling: float = Field(default=1.0, gt=0, le=1)
    vars: dict[str, str] = Field(default_factory=dict)


class Work(Section):
    """What a stage takes.

    Attributes:
        train: tokens that go through training, all epochs together.
        prefill, decode: prompt tokens read that no cache holds, and tokens written, by a model on the machine.
        api_in, api_out: tokens sent to and received from a paid endpoint.
        dollars_in, dollars_out: its prices of a million of each.
        cpu_hours: of work that no card does.
    """

    train: float = Field(default=0, ge=0)
    prefill: float = Field(default=0, ge=0)
    decode: float = Field(default=0, ge=0)
    api_in: float = Field(default=0, ge=0)
    api_out: float = Field(default=0, ge=0)
    dollars_in: float = Field(default=0, ge=0)
    dollars_out: float = Field(default=0, ge=0)
    cpu_hours: float = Field(default=0, ge=0)


class Stage(Section):
    """One command.

    Attributes:
        name: of the stage.
        what: it is for, in a few words.
        command: with variables in braces; begins with ``ise``, ``torchrun`` or ``accelerate``, or any program's name.
        work: what it takes.
        endpoint: what has to be serving while it runs, for a person to start.
    """

    name: str = Field(pattern=f"^{_NAME}$")
    what: str
    command: str
    work: Work = Work()
    endpoint: str = ""


class Experiment(Section):
    """A plan; ``vars`` must hold ``runs``, the folder of all that it makes."""

    recipes: ClassVar[str] = ""

    what: str
    vars: dict[str, str]
    hardware: dict[str, Hardware] = Field(min_length=1)
    stages: tuple[Stage, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_whole(self) -> Experiment:
        if "runs" not in self.vars:
            raise ValueError("vars must hold runs, the folder of all that the experiment makes")
        names = [stage.name for stage in self.stages]
        if len(set(names)) != len(names):
            raise ValueError("two stages have the same name")
        for place, machine in self.hardware.items():
            known = {**self.vars, **machine.vars}
            for stage in self.stages:
                for hole in _HOLE.findall(f"{stage.command} {stage.endpoint}"):
                    if hole not in known:
                        raise ValueError(
                            f"stage {stage.name} uses {{{hole}}}, which neither vars nor hardware.{place}.vars has"
                        )
        return self


class Planned(Section):
    """A stage as it will run on a machine.

    Attributes:
        tokens: trained, read or written, endpoints included.
        hours: of wall time; ``dollars``: machine and endpoints.
        state: whether it is done, was done by another command, or is to do.
        runs: folder of all that the experiment makes.
    """

    name: str
    what: str
    command: tuple[str, ...]
    endpoint: str
    tokens: float
    hours: float
    dollars: float
    state: State
    runs: str


def shipped_experiments() -> dict[str, Path]:
    """Return the plans that come with the package, by name."""
    return {file.stem: file for file in sorted((data_dir("training") / "experiments").glob("*.yaml"))}


def load_experiment(name: str, overrides: Sequence[str] = ()) -> Experiment:
    """Read a plan: a file, or one that ships by its name; ``overrides`` are NAME=VALUE of its variables.

    Raises:
        UserError: no such plan, one that is not whole, or a variable that it doesn't have.
    """
    shipped = shipped_experiments()
    file = Path(name) if Path(name).is_file() else shipped.get(name)
    if file is None:
        raise UserError(
            f"{name}: there is no such file, and no shipped experiment has that name."
            f"{nearest(name, shipped)} Shipped: {', '.join(shipped)}."
        )
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{file} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise UserError(f"{file} must hold a mapping of keys, found {type(values).__name__}")
    plan = parse(Experiment, values, str(file))
    given = {}
    for override in overrides:
        key, equals, value = override.partition("=")
        known = {*plan.vars, *(key for machine in plan.hardware.values() for key in machine.vars)}
        if not equals or key not in known:
            raise UserError(
                f"{override!r} must be NAME=VALUE of {', '.join(sorted(known))}.{nearest(key, known)}"
            )
        given[key] = value
    machines = {
        place: machine.model_copy(update={"vars": {**machine.vars, **given}})
        for place, machine in plan.hardware.items()
    }
    return plan.model_copy(update={"vars": {**plan.vars, **given}, "hardware": machines})


def plan_for(experiment: Experiment, hardware: str = "") -> list[Planned]:
    """Return the stages as they will run on a machine of the plan, its first one by default.

    Raises:
        UserError: the plan has no such machine.
    """
    place = hardware or next(iter(experiment.hardware))
    if place not in experiment.hardware:
        raise UserError(f"there is no hardware {place!r}: choose one of {', '.join(experiment.hardware)}")
    machine = experiment.hardware[place]
    values = {**experiment.vars, **machine.vars}
    return [_planned(stage, machine, values) for stage in experiment.stages]


def _planned(stage: Stage, machine: Hardware, values: Mapping[str, str]) -> Planned:
    def filled(text: str) -> str:
        return _HOLE.sub(lambda hole: values[hole[1]], text)

    work, cards = stage.work, max(1, machine.cards)
    spread = machine.scaling if cards > 1 else 1.0
    seconds = work.train / (machine.train * cards * spread)
    seconds += work.prefill / (machine.prefill * cards) + work.decode / (machine.decode * cards)
    command = tuple(shlex.split(filled(stage.command)))
    return Planned(
        name=stage.name,
        what=stage.what,
        command=command,
        endpoint=filled(stage.endpoint),
        tokens=work.train + work.prefill + work.decode + work.api_in + work.api_out,
        hours=seconds / 3600 + work.cpu_hours,
        dollars=seconds / 3600 * machine.dollars_per_hour
        + (work.api_in * work.dollars_in + work.api_out * work.dollars_out) / 1e6,
        state=_state(Path(values["runs"]), stage.name, command),
        runs=values["runs"],
    )


def _mark(runs: Path, name: str) -> Path:
    return runs / "stages" / f"{name}.json"


def _state(runs: Path, name: str, command: tuple[str, ...]) -> State:
    try:
        noted: Any = json.loads(_mark(runs, name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return "to do"
    except ValueError:
        return "changed"
    return "done" if isinstance(noted, dict) and noted.get("command") == list(command) else "changed"


def run_stage(stage: Planned) -> float:
    """Run a stage's command to its end and note that it is done; return the seconds it took.

    Raises:
        UserError: the command ended with an error; the same stage goes on from there when it is run again.
    """
    began = time.monotonic()
    code = subprocess.run(_program(stage.command), check=False).returncode
    if code:
        raise UserError(
            f"stage {stage.name} ended with code {code}: {shlex.join(stage.command)}. What it made is kept; "
            "run the experiment again to go on from there"
        )
    seconds = round(time.monotonic() - began, 1)
    with replacing(_mark(Path(stage.runs), stage.name)) as file:
        file.write((json.dumps({"command": list(stage.command), "seconds": seconds}) + "\n").encode())
    return seconds


def _program(command: tuple[str, ...]) -> list[str]:
    """Run our own and the launchers' commands in this very Python, wherever its scripts are."""
    modules = {
        "ise": "ise_gym.cli",
        "torchrun": "torch.distributed.run",
        "accelerate": "accelerate.commands.accelerate_cli",
    }
    first, *rest = command
    return [sys.executable, "-m", modules[first], *rest] if first in modules else list(command)
