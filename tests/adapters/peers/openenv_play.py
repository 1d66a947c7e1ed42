"""Serves the env, plays tasks over the client, two at a time, and asks OpenEnv's validator; prints ours beside theirs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from scripted import NUMBERS, SOURCE, agent_for, ours

from ise_gym.adapters.openenv_env import ISEAction, ISEClient
from ise_gym.adapters.seat import Tasks
from ise_gym.messages import Message
from ise_gym.trajectory.store import read_trajectories

where, port = Path(sys.argv[1]), sys.argv[2]
url = f"http://127.0.0.1:{port}"
tasks = Tasks(SOURCE)


def beside_the_users_words(observation: Any) -> str:
    shown = observation.model_dump()
    shown["messages"] = [m for m in shown["messages"] if m["role"] != "user"]
    return json.dumps(shown)


def play(number: int) -> tuple[str, float, bool, list[str]]:
    scenario = tasks.scenario(number)
    agent = agent_for(scenario, tasks.seed(scenario), number)
    with ISEClient(base_url=url).sync() as env:
        result = env.reset(seed=number)
        messages: list[Message] = list(result.observation.messages)
        total, told = 0.0, [beside_the_users_words(result.observation)]
        while not result.done:
            said = agent.act(messages, result.observation.tools)
            result = env.step(ISEAction(**said))
            messages += [said, *result.observation.messages]
            total += result.reward
            told.append(beside_the_users_words(result.observation))
        state: Any = env.state()
        assert state.scenario_id == scenario.id and state.user_turns > 0
    goals = [goal.name for request in scenario.requests for goal in request.subgoals]
    leaks = [name for name in [*goals, '"success"', "score"] if any(name in one for one in told)]
    return scenario.id, round(total, 6), result.observation.terminated, leaks


env = {**os.environ, "ISE_SOURCE": SOURCE, "ISE_STORE": str(where / "store")}
command = [
    sys.executable,
    "-m",
    "uvicorn",
    "ise_gym.adapters.openenv_env:app",
    "--port",
    port,
    "--log-level",
    "warning",
]
server = subprocess.Popen(command, env=env)
try:
    for _ in range(200):
        try:
            urllib.request.urlopen(f"{url}/health", timeout=2)
            break
        except OSError:
            time.sleep(0.3)
    with ThreadPoolExecutor(2) as pool:
        theirs = list(pool.map(play, NUMBERS))
    checked = subprocess.run(["openenv", "validate", "--url", url], capture_output=True, text=True)
    folder = subprocess.run(
        [
            "openenv",
            "validate",
            str(Path(__file__).parents[3] / "examples" / "openenv"),
            "--level",
            "static",
            "--skip-build",
        ],
        capture_output=True,
        text=True,
    )
finally:
    server.terminate()
    server.wait()
mine = ours(tasks)
for name, total, terminated, leaks in theirs:
    print(json.dumps([name, total, mine[name].score, terminated, leaks]))
kept = {record.scenario_id: record.outcome for record in read_trajectories(where / "store")}
print(json.dumps(["records", kept == {name: own.outcome for name, own in mine.items()}]))
print(json.dumps(["validate --url", checked.returncode, checked.stdout[-400:] + checked.stderr[-300:]]))
print(json.dumps(["validate folder", folder.returncode, folder.stdout[-900:] + folder.stderr[-300:]]))
