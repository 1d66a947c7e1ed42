"""A plan of stages: every command of a shipped one is understood, what remains is printed, a killed run goes on."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from ise_gym.cli import app, main
from ise_gym.errors import UserError
from ise_gym.training.config import RunConfig, load
from ise_gym.training.experiment import load_experiment, plan_for, shipped_experiments


def ise(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(["experiment", *arguments])
    return int(end.value.code or 0)


@pytest.mark.parametrize("name", shipped_experiments())
def test_every_command_of_a_shipped_plan_is_one_that_exists(name: str) -> None:
    """Options are read by the commands themselves, recipes with their overrides by the loader."""
    experiment = load_experiment(name)
    for hardware in experiment.hardware:
        for stage in plan_for(experiment, hardware):
            words = list(stage.command)
            assert words[0] in ("ise", "torchrun")
            words = words[1:] if words[0] == "ise" else words[words.index("ise_gym.cli") + 1 :]
            command: Any = typer.main.get_command(app)
            context = None
            while hasattr(command, "commands"):
                word, *words = words
                context = command.make_context(word, [], parent=context, resilient_parsing=True)
                command = command.commands[word]
            read = command.make_context(command.name, list(words), parent=context)
            if command.name == "sft":
                load(RunConfig, read.params["config"], read.params["overrides"])


def test_the_plan_is_sized_for_its_machines() -> None:
    experiment = load_experiment("ise_8b")
    assert list(experiment.hardware) == ["one-80gb", "one-141gb", "eight-80gb"]
    hours = {
        place: {stage.name: stage.hours for stage in plan_for(experiment, place)}
        for place in experiment.hardware
    }
    assert 13 < hours["one-80gb"]["sft"] < 16  # the estimate for two epochs of 142 M tokens
    assert hours["eight-80gb"]["sft"] == pytest.approx(hours["one-80gb"]["sft"] / 8 / 0.9)
    assert "torchrun" in plan_for(experiment, "eight-80gb")[4].command
    judged = next(stage for stage in plan_for(experiment) if stage.name == "claweval-gpt-4o")
    assert judged.dollars == pytest.approx(35 * 2.5 + 1.2 * 10)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Three stages; the second one fails until somebody has put a file there, as an interrupted one would."""
    write = "import pathlib, sys; p = pathlib.Path(sys.argv[1]); p.write_text(p.read_text() + 'x' if p.exists() else 'x')"
    needs = "import pathlib, sys; sys.exit(0 if pathlib.Path(sys.argv[1]).exists() else 9)"
    python = shlex.quote(sys.executable)
    stages = [
        {"name": "one", "what": "a", "command": f"{python} -c {shlex.quote(write)} {{runs}}/one {{more}}"},
        {
            "name": "two",
            "what": "b",
            "command": f"{python} -c {shlex.quote(needs)} {{runs}}/gate",
            "work": {"train": 3.6e6},
        },
        {"name": "three", "what": "c", "command": f"{python} -c {shlex.quote(write)} {{runs}}/three"},
    ]
    machine = {"cards": 1, "dollars_per_hour": 4, "train": 500, "prefill": 1, "decode": 1}
    plan = {
        "what": "a test",
        "vars": {"runs": str(tmp_path), "more": "1"},
        "hardware": {"here": machine},
        "stages": stages,
    }
    file = tmp_path / "plan.yaml"
    file.write_text(yaml.safe_dump(plan))
    return file


def test_an_interrupted_experiment_goes_on_where_it_was(
    small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = small.parent
    assert ise("run", str(small)) == 2
    assert "stage two ended with code 9" in " ".join(capsys.readouterr().err.split())
    assert [stage.state for stage in plan_for(load_experiment(str(small)))] == ["done", "to do", "to do"]
    assert ise("plan", str(small)) == 0
    said = capsys.readouterr().out
    assert "2 stages" in said and "3.6 M" in said and "2.0" in said and "8" in said
    (here / "gate").touch()
    assert ise("run", str(small)) == 0
    assert "one: done before" in capsys.readouterr().out
    assert ((here / "one").read_text(), (here / "three").read_text()) == ("x", "x")
    assert ise("run", str(small)) == 0
    assert (here / "three").read_text() == "x"
    # a stage whose command is another one now is run again, and all that follow from it
    assert plan_for(load_experiment(str(small), ["more=2"]))[0].state == "changed"
    assert ise("run", str(small), "more=2") == 0
    assert ((here / "one").read_text(), (here / "three").read_text()) == ("xx", "xx")


def test_mistakes_in_a_plan_are_named(small: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"Did you mean 'ise_small'"):
        load_experiment("ise_smal")
    with pytest.raises(UserError, match="NAME=VALUE of more, runs"):
        load_experiment(str(small), ["mor=1"])
    with pytest.raises(UserError, match="choose one of here"):
        plan_for(load_experiment(str(small)), "there")
    values = yaml.safe_load(small.read_text())
    for change, words in (
        ({"vars": {"more": "1"}}, "vars must hold runs"),
        ({"stages": [values["stages"][1]] * 2}, "two stages have the same name"),
        ({"vars": {"runs": "x"}}, "uses {more}"),
        ({"stagse": []}, "Did you mean 'stages'"),
    ):
        broken = tmp_path / "broken.yaml"
        broken.write_text(yaml.safe_dump({**values, **change}))
        with pytest.raises(UserError, match=words):
            load_experiment(str(broken))
