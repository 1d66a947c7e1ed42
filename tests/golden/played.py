"""Plays the golden episodes and hashes all that an agent, a user, a trainer and a record see of them.

python -m golden.played           (in tests/) prints the hashes
python -m golden.played --write   writes them to episodes.json: only in a commit that says what moved, and why
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym

import ise_gym  # noqa: F401
from ise_gym.agents import make_agent
from ise_gym.evaluation.manifest import load_suite
from ise_gym.intents.blueprint import Sampler
from ise_gym.intents.catalog import personas, tasks_of
from ise_gym.intents.source import IntentSource
from ise_gym.messages import sha256_of

FILE = Path(__file__).parent / "episodes.json"
SEEDS = (0, 5000)
EACH = 10
RACING = {("chained", 5008), ("composed", 8)}
"""Two ends of a pipe complain at once there, in either order; a claim is judged while a worker still works."""
SOURCES: dict[str, dict[str, Any]] = {
    "composed": {"split": "train"},
    "chained": {"split": "train", "chained": True},
    "single": {"split": "train", "tasks_per_intent": 1},
}


def sources() -> dict[str, IntentSource]:
    """Open the sources over the tasks that the episodes were drawn from: a task that is added moves none of them."""
    then = (Path(__file__).parent / "tasks.txt").read_text(encoding="utf-8").split()
    opened = {name: IntentSource(**options) for name, options in SOURCES.items()}
    for source in opened.values():
        now = tasks_of(None)
        source.sampler = Sampler({name: now[name] for name in then}, personas(), source.options)
    return opened


def names() -> Iterator[tuple[str, str, int]]:
    """Yield (name, source, seed) of all golden episodes: 3 sources x 2 seeds x 10."""
    for source in SOURCES:
        for start in SEEDS:
            seeds = [seed for seed in range(start, start + EACH + 1) if (source, seed) not in RACING]
            for seed in seeds[:EACH]:
                yield f"{source}-{seed}", source, seed


def played(env: gym.Env, source: IntentSource, seed: int) -> dict[str, str]:
    """Play one episode with a scripted expert that errs now and then, and hash each part of it."""
    scenario = source.scenario(seed)
    agent = make_agent("expert" if seed % 2 else "expert:0.8")
    agent.reset(scenario, seed)
    episode = env.unwrapped
    observation, info = env.reset(seed=seed, options={"scenario": scenario})
    observations, rewards, infos = [list(observation)], [], [info]
    over = False
    while not over:
        message = agent.act(episode.episode.conversation, episode.episode.offered)  # type: ignore[attr-defined]
        observation, reward, terminated, truncated, info = env.step(message)
        observations.append(list(observation))
        rewards.append(reward)
        infos.append(info)
        over = terminated or truncated
    live = episode.episode  # type: ignore[attr-defined]
    return {
        "messages": sha256_of([observations, live.messages, live.sessions])[:16],
        "rewards": sha256_of(rewards)[:16],
        "digests": sha256_of([step.digest for step in live.steps])[:16],
        "goals": sha256_of([live.subgoals, live.check_reasons, live.outcome, live.reason])[:16],
        "info": sha256_of(infos)[:16],
    }


def machine() -> dict[str, str]:
    """Return the versions of what runs in the box: other versions may say other words, and then hashes differ."""
    commands = {
        "git": ["git", "--version"],
        "python3": ["/usr/bin/python3", "--version"],
        "bash": ["bash", "--version"],
    }
    return {
        name: subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()[0]
        for name, argv in commands.items()
    }


def main() -> None:
    """Play all, print or write."""
    env = gym.make("ISE-OS-v0")
    opened = sources()
    found = {name: played(env, opened[source], seed) for name, source, seed in names()}
    env.close()
    suites = {name: load_suite(name).sha256()[:16] for name in ("builtin-v1", "demo-easy")}
    text = json.dumps({"machine": machine(), "suites": suites, "episodes": found}, indent=1) + "\n"
    if "--write" in sys.argv:
        FILE.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
