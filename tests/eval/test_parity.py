"""Parity with the benchmark's own run: same agent, same judge, same scores, task by task and dimension by dimension.

Needs a checkout: set ``CLAW_EVAL_DIR``. By default the tasks that need no judge are compared; with
``CLAW_EVAL_PARITY=all`` all T tasks that need no container (the benchmark's side takes several seconds a task). The
env protocol is held against the upstream one, over the judge-free offline tasks, those in a sandbox included.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from eval.claweval.judge import parse_judge
from eval.claweval.runner import run_claweval
from eval.claweval.tasks import ClawTask, load_tasks, select
from eval.ledger import Trial
from eval.run import load_run

CHECKOUT = os.environ.get("CLAW_EVAL_DIR", "")
AGENTS = ["vacuous", "explorer", "diligent"]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHECKOUT, reason="CLAW_EVAL_DIR names no checkout of Claw-Eval"),
]


@pytest.fixture
def tasks() -> list[ClawTask]:
    return select(load_tasks(Path(CHECKOUT).resolve()), "T")


def selection(tasks: list[ClawTask], folder: Path) -> str:
    file = folder / "tasks.txt"
    file.write_text("\n".join(task.id for task in tasks))
    return str(file)


def dimensions(trial: Trial) -> dict[str, Any]:
    return {
        "completion": trial.completion,
        "robustness": trial.robustness,
        "safety": trial.safety,
        "task_score": trial.score,
        "passed": trial.outcome == "pass",
    }


def played(folder: Path) -> dict[str, Trial]:
    return {trial.task: trial for trial in load_run(folder).trials.values()}


@pytest.mark.parametrize("agent", AGENTS)
def test_scores_equal_the_benchmarks_own(agent: str, tasks: list[ClawTask], tmp_path: Path) -> None:
    root = Path(CHECKOUT).resolve()
    every = os.environ.get("CLAW_EVAL_PARITY") == "all"
    chosen = [task for task in tasks if not task.needs_sandbox and (every or not task.uses_judge)]
    assert len(chosen) >= 20
    reference = tmp_path / "reference.json"
    script = Path(__file__).with_name("upstream_reference.py")
    names = [task.id for task in chosen]
    command = [sys.executable, str(script), str(root), agent, "0.8", str(reference), "9000", *names]
    with (tmp_path / "reference.log").open("w") as log:
        subprocess.run(command, check=True, stdout=log, stderr=log, cwd=Path(__file__).parents[2])
    run_claweval(
        root,
        agent,
        tmp_path / "run",
        tasks=selection(chosen, tmp_path),
        judge=parse_judge("stub:0.8"),
        workers=2,
    )
    ours = played(tmp_path / "run")
    theirs = json.loads(reference.read_text())
    different = {
        name: (found, dimensions(ours[name]), ours[name].reason)
        for name, found in theirs.items()
        if found != dimensions(ours[name])
    }
    assert set(theirs) == set(ours) and not different


@pytest.mark.parametrize("agent", AGENTS)
def test_the_env_protocol_scores_equal_actions_equally(
    agent: str, tasks: list[ClawTask], tmp_path: Path
) -> None:
    chosen = [task for task in tasks if not task.uses_judge and not task.live_web]
    assert sum(task.needs_sandbox for task in chosen) >= 5 and len(chosen) >= 25
    for protocol in ("upstream", "env"):
        run_claweval(
            CHECKOUT,
            agent,
            tmp_path / protocol,
            tasks=selection(chosen, tmp_path),
            judge=parse_judge("none"),
            sandbox="auto",
            protocol=protocol,
            workers=2,
        )
    theirs, ours = played(tmp_path / "upstream"), played(tmp_path / "env")
    different = {
        name: (dimensions(found), dimensions(ours[name]), ours[name].reason)
        for name, found in theirs.items()
        if dimensions(found) != dimensions(ours[name])
    }
    assert len(ours) == len(chosen) and not different
