"""Serves the env, plays tasks over the client, two at a time, and asks OpenEnv's validator; prints ours beside theirs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from scripted import NUMBERS, SOURCE, agent_for, ours

from ise_gym.adapters.openenv_env import ISEAction, ISEClient
from ise_gym.adapters.seat import Tasks
from ise_gym.messages import Message
from ise_gym.trajectory.store import read_trajectories

ROOT = Path(__file__).parents[3]


@contextmanager
def serving(port: str, store: Path) -> Iterator[str]:
    """Serve the env while the context is open; the value is where."""
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "uvicorn", "ise_gym.adapters.openenv_env:app", "--port", port]
    env = {**os.environ, "ISE_SOURCE": SOURCE, "ISE_STORE": str(store)}
    server = subprocess.Popen([*command, "--log-level", "warning"], env=env)
    try:
        for _ in range(400):
            try:
                urllib.request.urlopen(f"{url}/health", timeout=2)
                break
            except OSError:
                time.sleep(0.3)
        yield url
    finally:
        server.terminate()
        server.wait()


def beside_the_users_words(observation: Any) -> str:
    shown = observation.model_dump()
    shown["messages"] = [m for m in shown["messages"] if m["role"] != "user"]
    return json.dumps(shown)


def play(tasks: Tasks, url: str, number: int) -> tuple[str, float, bool, list[str]]:
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


def validated(*arguments: str) -> list[Any]:
    done = subprocess.run(["openenv", "validate", *arguments], capture_output=True, text=True)
    return [done.returncode, done.stdout[-900:] + done.stderr[-300:]]


def main(where: Path, port: str) -> None:
    tasks = Tasks(SOURCE)
    with serving(port, where / "store") as url, ThreadPoolExecutor(2) as pool:
        theirs = list(pool.map(partial(play, tasks, url), NUMBERS))
        checked = validated("--url", url)
    folder = validated(str(ROOT / "examples" / "openenv"), "--level", "static", "--skip-build")
    mine = ours(tasks)
    for name, total, terminated, leaks in theirs:
        print(json.dumps([name, total, mine[name].score, terminated, leaks]))
    kept = {record.scenario_id: record.outcome for record in read_trajectories(where / "store")}
    print(json.dumps(["records", kept == {name: own.outcome for name, own in mine.items()}]))
    print(json.dumps(["validate --url", *checked]))
    print(json.dumps(["validate folder", *folder]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
