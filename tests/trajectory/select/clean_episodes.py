"""Episodes that the scripted expert really played, for tests that plant faults into copies of them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import gymnasium as gym

import ise_gym  # noqa: F401
from ise_gym.agents import make_agent
from ise_gym.intents.source import IntentSource
from ise_gym.rollout.play import play_episode
from ise_gym.trajectory.record import Trajectory

WANTED = 50
"""How many clean episodes the tests have."""
_MOST = 140


@lru_cache(maxsize=1)
def played() -> tuple[Trajectory, ...]:
    """Fifty episodes that passed, in which a reader finds every figure of a reply before it; played once a process."""
    return tuple(_played())


def _played() -> Iterator[Trajectory]:
    env = gym.make("ISE-OS-v0")
    source = IntentSource(split="train", tier=("easy",), tasks_per_intent=(1, 2))
    found = 0
    try:
        for seed in range(_MOST):
            agent = make_agent("expert" if seed % 2 else "expert:0.8")
            trajectory = play_episode(env, agent, source.scenario(seed), seed)
            if is_clean(trajectory):
                found += 1
                yield trajectory
            if found == WANTED:
                return
    finally:
        env.close()
    raise AssertionError(f"only {found} of {_MOST} episodes are clean")


def is_clean(trajectory: Trajectory) -> bool:
    """Judge an episode without the code under test: verified, nothing counted by the guard, no digit from nowhere."""
    guard = trajectory.user["guard"]
    if trajectory.outcome != "passed" or guard["false_claims"] or guard["drifted"] or guard["fallbacks"]:
        return False
    before = ""
    for message in trajectory.messages:
        reply = message["role"] == "assistant" and not message.get("tool_calls")
        words = [
            word.strip(".:")
            for word in "".join(c if c in ".:0123456789" else " " for c in message["content"]).split()
        ]
        if reply and not all(digits in before for digits in words):
            return False
        before += message["content"] + "".join(
            c["function"]["arguments"] for c in message.get("tool_calls", ())
        )
    return True
