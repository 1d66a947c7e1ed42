"""`vf-eval` over the first tasks of a suite, with the scripted agents as the model; prints ours beside theirs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import verifiers.v1 as vf
from endpoint import serve
from scripted import NUMBERS, SOURCE, STEP, Many, ours

from ise_gym.adapters.seat import Tasks
from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.store import read_trajectories


def evaluated(where: Path, url: str, model: str, count: int, *more: str) -> list[Any]:
    """Run `vf-eval`; return the traces, one an episode."""
    command = ["vf-eval", "ise-os-v0", "-n", str(count), "-c", "2", "-m", model]
    command += ["--env.taskset.source", SOURCE, "--env.taskset.step", str(STEP)]
    command += ["--env.agent.harness.id", "ise-os-v0", "--env.agent.harness.store", str(where / "store")]
    command += ["--client.base-url", url, "--client.api-key-var", "NOKEY"]
    command += ["--no-push", "--no-rich", "--run.name", "t1", *more]
    searched = [str(Path(__file__).parents[3] / "examples" / "verifiers"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "NOKEY": "none", "PYTHONPATH": os.pathsep.join(filter(None, searched))}
    done = subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    lines = next(where.rglob("traces.jsonl")).read_text("utf-8").split("\n")
    episodes = [vf.WireEpisode.model_validate_json(line) for line in lines if line]
    return [trace for episode in episodes for trace in episode.traces]


def words(record: Trajectory) -> list[str]:
    return [m["content"] for m in record.messages]


if __name__ == "__main__":
    where = Path(sys.argv[1])
    tasks = Tasks(SOURCE)
    url, server = serve(Many(tasks))
    traces = evaluated(where, url, "scripted", len(NUMBERS))
    mine = ours(tasks)
    kept = {record.scenario_id: record for record in read_trajectories(where / "store")}
    for trace in traces:
        name = trace.task.data.name
        record = kept[name]
        theirs = [trace.ok, trace.reward, trace.info["ise"]["outcome"]]
        own = [mine[name].score, mine[name].outcome, record.outcome, words(record) == words(mine[name])]
        print(json.dumps([name, *theirs, *own]))
