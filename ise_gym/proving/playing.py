"""Plays a plan as the scripted expert would: in the same messages, with the same calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ise_gym.agents.background import resolved
from ise_gym.agents.batching import batches
from ise_gym.agents.expert import compiled
from ise_gym.episode.floor import Floor
from ise_gym.messages import Message, assistant, tool_call
from ise_gym.scenario import PlanStep
from ise_gym.tools.dispatch import Toolbox
from ise_gym.workspace.base import Workspace

Played = list[list[tuple[PlanStep, Message]]]
"""The messages of a plan, each with its calls and what they returned."""


def play_plan(
    steps: Sequence[PlanStep],
    tools: Sequence[str],
    workspace: Workspace,
    answer: Callable[[str], str] = lambda question: "",
) -> tuple[Played, str]:
    """Make the calls of a plan in a workspace.

    Args:
        steps: the plan.
        tools: that are offered.
        workspace: where they run.
        answer: what the user says to a question; "" when it has no answer.

    Returns:
        What was played, and what the plan says after its last call.
    """
    floor = Floor(Toolbox(tuple(tools), workspace))
    seen: list[Message] = []
    played: Played = []
    since: list[PlanStep] = []
    for step in steps:
        if step.asks:
            _play(since, floor, seen, played)
            said = answer(step.say)
            played.append([(step, {"role": "user", "content": said, "success": bool(said)})])
            since = []
        else:
            since.append(step)
    return played, _play(since, floor, seen, played)


def _play(steps: Sequence[PlanStep], floor: Floor, seen: list[Message], played: Played) -> str:
    plan, closing = compiled(steps)
    for batch in batches(plan):
        played.append([])
        for step in batch:
            call = tool_call(step.tool, resolved(step.arguments, seen), f"call_{len(seen) // 2}")
            message = floor.play(call)
            seen += [assistant(step.say, [call]), message]
            played[-1].append((step, message))
    return closing
