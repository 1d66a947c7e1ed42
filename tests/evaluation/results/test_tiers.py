"""Tiers as runs measure them: the mean over agents that tell tasks apart."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from made_runs import card, trial
from typer.testing import CliRunner

from ise_gym.cli.evaluation.suites import app
from ise_gym.errors import UserError
from ise_gym.evaluation.drawing import catalog_tasks, singles
from ise_gym.evaluation.ledger import Ledger
from ise_gym.evaluation.manifest import load_suite
from ise_gym.evaluation.results.tiers import measure
from ise_gym.evaluation.run import LEDGER, TaskEntry, load_run, open_run

PART, *OTHERS = load_suite("demo-easy").parts
IDS = [PART.entries[0].id, PART.entries[1].id, OTHERS[0].entries[0].id, OTHERS[1].entries[0].id]
NAMES = [part.options["tasks"][0] for part in (PART, PART, OTHERS[0], OTHERS[1])]


def run(folder: Path, agent: str, firsts: list[bool]) -> Path:
    tasks = [TaskEntry(id=id_, labels={"tier": "easy"}) for id_ in IDS]
    open_run(folder, card(IDS, suite="demo-easy", agent=agent).model_copy(update={"tasks": tasks}))
    with Ledger(folder / LEDGER) as ledger:
        for id_, first in zip(IDS, firsts, strict=True):
            ledger.append(trial(id_, "pass", first_attempt=first))
    return folder


def test_the_mean_over_telling_agents_decides(tmp_path: Path) -> None:
    paths = [
        run(tmp_path / "a", "a", [True, False, True, False]),
        run(tmp_path / "b", "b", [True, False, True, True]),
        run(tmp_path / "all", "all", [True] * 4),
        run(tmp_path / "none", "none", [False] * 4),
    ]
    found = measure([load_run(path) for path in paths])
    assert {task.task: (task.share, task.tier, task.agents) for task in found.tasks} == {
        NAMES[0]: (0.5, "medium", 2),
        NAMES[2]: (1.0, "easy", 2),
        NAMES[3]: (0.5, "medium", 2),
    }
    assert found.uninformative == ["all", "none"]
    whole = {(line.agent, line.tier): line.first.passed for line in found.lines}
    assert whole["a", "all"] == whole["a", "easy"] == 2 and whole["all", "all"] == 4


def test_one_command_prints_and_writes_them(tmp_path: Path) -> None:
    path = run(tmp_path / "a", "a", [True, False, False, True])
    out = tmp_path / "tiers.yaml"
    shown = CliRunner().invoke(app, ["tiers", str(path), "--out", str(out)], env={"COLUMNS": "200"})
    assert shown.exit_code == 0 and "first attempt" in shown.output
    assert yaml.safe_load(out.read_text())[NAMES[2]] == {"tier": "hard", "first_attempt": 0.0, "agents": 1}


def test_runs_without_a_verdict_are_refused(tmp_path: Path) -> None:
    tasks = [TaskEntry(id=IDS[0], labels={})]
    open_run(tmp_path / "r", card(IDS, suite="demo-easy").model_copy(update={"tasks": tasks}))
    with pytest.raises(UserError, match="no verdict"):
        measure([load_run(tmp_path / "r")])


def test_few_scenarios_are_spread_over_all_domains_and_held_out_ones_apart() -> None:
    held, others = catalog_tasks([], held_out=True), catalog_tasks([], held_out=False)
    assert not {t.name for t in held} & {t.name for t in others}
    assert len(held) + len(others) == len(catalog_tasks([]))
    few = singles(others, "hard", 20)
    assert len(few) == 20 and len({part.labels["domain"] for part in few}) >= 8
    assert all(part.labels["family"] for part in singles(held, "hard", 10))


@pytest.mark.parametrize(("name", "held_out"), [("builtin-v2", False), ("builtin-v2-unseen", True)])
def test_the_new_suites_hold_what_they_say(name: str, held_out: bool) -> None:
    tasks = {task.name: task for task in catalog_tasks([])}
    manifest = load_suite(name)
    names = [task for part in manifest.parts for task in part.options["tasks"]]
    assert {tasks[task].model.held_out for task in names} == {held_out}
    assert len({part.labels["domain"] for part in manifest.parts}) >= 6
