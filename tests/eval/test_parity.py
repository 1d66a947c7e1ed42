"""Parity with the benchmark's own run: same agent, same judge, same scores, task by task and dimension by dimension.

Needs a checkout: set ``CLAW_EVAL_DIR``. By default the tasks that need no judge are compared; with
``CLAW_EVAL_PARITY=all`` all T tasks (the benchmark's side takes several seconds a task).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from eval.claweval.judge import parse_judge
from eval.claweval.runner import run_claweval
from eval.claweval.tasks import load_tasks, select
from eval.run import load_run

CHECKOUT = os.environ.get("CLAW_EVAL_DIR", "")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHECKOUT, reason="CLAW_EVAL_DIR names no checkout of Claw-Eval"),
]


@pytest.mark.parametrize("agent", ["vacuous", "explorer"])
def test_scores_equal_the_benchmarks_own(agent: str, tmp_path: Path) -> None:
    root = Path(CHECKOUT).resolve()
    tasks = [task for task in select(load_tasks(root), "T") if not task.needs_sandbox]
    if os.environ.get("CLAW_EVAL_PARITY") != "all":
        tasks = [task for task in tasks if not task.uses_judge]
    names = [task.id for task in tasks]
    assert len(names) >= 20
    reference = tmp_path / "reference.json"
    script = Path(__file__).with_name("upstream_reference.py")
    command = [sys.executable, str(script), str(root), agent, "0.8", str(reference), "9000", *names]
    with (tmp_path / "reference.log").open("w") as log:
        subprocess.run(command, check=True, stdout=log, stderr=log, cwd=Path(__file__).parents[2])
    run_claweval(
        root, agent, tmp_path / "run", tasks=",".join(names), judge=parse_judge("stub:0.8"), workers=2
    )
    ours = {trial.task: trial for trial in load_run(tmp_path / "run").trials.values()}
    different = {}
    for name, theirs in json.loads(reference.read_text()).items():
        trial = ours[name]
        mine = {
            "completion": trial.completion,
            "robustness": trial.robustness,
            "safety": trial.safety,
            "task_score": trial.score,
            "passed": trial.outcome == "pass",
        }
        if mine != theirs:
            different[name] = (theirs, mine, trial.reason)
    assert not different
