"""`harbor run` over our tasks with our classes; prints ours beside theirs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from scripted import NUMBERS, SOURCE, ours, spec_for

from ise_gym.adapters.harbor_tasks import write_tasks
from ise_gym.adapters.seat import Tasks
from ise_gym.trajectory.store import read_trajectories

CLASSES = "ise_gym.adapters.harbor"
where = Path(sys.argv[1])
tasks = Tasks(SOURCE)
scenarios = {number: tasks.scenario(number) for number in NUMBERS}


def run(job: str, folder: Path, agent: list[str]) -> dict[str, Any]:
    """Run every task of a folder; return task name → rewards."""
    command = ["harbor", "run", "-p", str(folder), "-e", f"{CLASSES}:ISEEnvironment"]
    command += ["--verifier", f"{CLASSES}:ISEVerifier", *agent, "-o", str(where / job), "-n", "2", "-y"]
    env = {**os.environ, "HARBOR_TELEMETRY": "0", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    done = subprocess.run(command, cwd=where, env=env, capture_output=True, text=True)
    found = {}
    for path in (where / job).rglob("result.json"):
        result = json.loads(path.read_text())
        if "task_name" in result:
            assert not result.get("exception_info"), result["exception_info"]
            found[result["task_name"].rpartition("/")[2]] = result["verifier_result"]["rewards"]
    assert found, done.stdout[-2000:] + done.stderr[-2000:]
    return found


mine = ours(tasks)
by_agent: dict[str, list[int]] = {}
for number in NUMBERS:
    by_agent.setdefault(spec_for(number), []).append(number)
for spec, numbers in by_agent.items():
    label = spec.replace(":", "-")
    write_tasks([scenarios[n] for n in numbers], where / f"live-{label}")
    agent = ["-a", f"{CLASSES}:ISEAgent", "--ak", f"agent={spec}", "--ak", f"store={where / 'store'}"]
    for name, rewards in run(f"job-{label}", where / f"live-{label}", agent).items():
        own = mine[name]
        goals = {goal: bool(held) for goal, held in rewards.items() if goal != "reward"}
        print(json.dumps(["live", name, rewards["reward"], own.score, goals == own.subgoals]))
kept = {record.scenario_id: record for record in read_trajectories(where / "store")}
print(json.dumps(["records", all(kept[name].outcome == own.outcome for name, own in mine.items())]))
solvable = [
    p
    for p in write_tasks(scenarios.values(), where / "all", "steps")
    if all((step / "solution").exists() for step in (p / "steps").iterdir())
]
(where / "steps").mkdir()
for folder in solvable:
    folder.rename(where / "steps" / folder.name)
for known in ("oracle", "nop"):
    for name, rewards in run(f"job-{known}", where / "steps", ["-a", known]).items():
        print(json.dumps([known, name, rewards["reward"]]))
