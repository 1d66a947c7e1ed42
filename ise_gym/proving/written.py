"""Proves the checks of an intent that a model wrote: an idle agent fails them, an agent that works passes them.

Checks that nobody has passed may be impossible, and checks that an idle agent passes say nothing. What passed is kept
as the reference solution: the calls that were made, so that the proof can be looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ise_gym.agents.base import Agent
from ise_gym.intents.author.written import WrittenLine, scenario_of
from ise_gym.messages import Message, ToolSchema, assistant
from ise_gym.rollout.play import PlayableEnv, play_episode
from ise_gym.scenario import Scenario
from ise_gym.trajectory.record import Trajectory


class Idle:
    """Says that it is done and does nothing."""

    name = "idle"

    def reset(self, scenario: Scenario, seed: int) -> None:
        """Nothing is kept."""

    def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Message:
        """Hand over at once."""
        return assistant("All of it is done.")

    def describe(self) -> dict[str, Any]:
        """Return what the record keeps."""
        return {"agent": "idle"}

    def close(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True)
class Proof:
    """What came of proving one intent.

    Attributes:
        verdict: ``proved``; ``no checks``; ``idle passes`` (some check holds although nothing was done, and no other
            check fails); ``unsolved`` (no attempt passed); ``broken`` (the sandbox or an endpoint failed).
        idle: sub-goal → holds when nothing was done.
        calls: of the attempt that passed, (tool, arguments).
    """

    verdict: str
    idle: Mapping[str, bool] = field(default_factory=dict)
    calls: tuple[tuple[str, str], ...] = ()
    attempts: int = 0


def prove(env: PlayableEnv, line: WrittenLine, solver: Agent, *, attempts: int = 2, seed: int = 0) -> Proof:
    """Prove the checks of one intent in an env.

    Args:
        env: an ``ISE-OS-v0`` env.
        line: the intent.
        solver: who tries to solve it, up to ``attempts`` times with other seeds.
    """
    if not line.checks:
        return Proof("no checks")
    scenario = scenario_of(line, seed, with_checks=True)
    idle = play_episode(env, Idle(), scenario, seed)
    if idle.outcome == "infrastructure_error":
        return Proof("broken")
    if idle.subgoals and all(idle.subgoals.values()):
        return Proof("idle passes", idle.subgoals)
    for number in range(attempts):
        found = play_episode(env, solver, scenario, seed + number)
        if found.outcome == "infrastructure_error":
            return Proof("broken", idle.subgoals, attempts=number + 1)
        if found.subgoals and all(found.subgoals.values()):
            return Proof("proved", idle.subgoals, calls_of(found), number + 1)
    return Proof("unsolved", idle.subgoals, attempts=attempts)


def calls_of(trajectory: Trajectory) -> tuple[tuple[str, str], ...]:
    """Return the calls of an episode that succeeded, in order."""
    failed = {m.get("tool_call_id") for m in trajectory.messages if m.get("success") is False}
    return tuple(
        (call["function"]["name"], call["function"]["arguments"])
        for message in trajectory.messages
        for call in message.get("tool_calls") or ()
        if call["id"] not in failed
    )
