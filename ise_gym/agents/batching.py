"""Which calls of a plan go out together in one assistant message.

An agent that writes a script and runs it, or reads two files, sends both calls at once: it need not see the first
result to know the second call. Recorded data has to hold such messages, or a model trained on it never makes one.
Where the result decides what comes next (a search, a mistake, a step that is explained) the call stands alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ise_gym.scenario import PlanStep

SHORT = 3
"""Plans of so many calls or fewer are done one call at a time: nobody saves round trips there."""

MOST_CALLS = 3
"""Most calls of one message."""

_FOLLOWERS: Mapping[str, frozenset[str]] = {
    "write": frozenset({"write", "exec"}),
    "edit": frozenset({"edit", "read", "exec"}),
    "read": frozenset({"read", "memory_get"}),
    "memory_get": frozenset({"read", "memory_get"}),
    "web_fetch": frozenset({"web_fetch"}),
    "update_plan": frozenset({"exec", "read", "web_search", "web_fetch", "memory_search"}),
}
"""Tool → tools whose call doesn't depend on what it answered."""


def batches(steps: Sequence[PlanStep]) -> list[list[PlanStep]]:
    """Group the calls of one request's plan into messages, in order.

    Args:
        steps: with a tool each (`ise_gym.agents.expert.compiled`).

    >>> look, script, run = PlanStep("read"), PlanStep("write"), PlanStep("exec", {"command": "python3 a.py"})
    >>> [[step.tool for step in batch] for batch in batches([look, script, run, look])]
    [['read'], ['write', 'exec'], ['read']]
    """
    groups: list[list[PlanStep]] = []
    for step in steps:
        if len(steps) > SHORT and groups and len(groups[-1]) < MOST_CALLS and _joins(groups[-1][-1], step):
            groups[-1].append(step)
        else:
            groups.append([step])
    return groups


def _joins(before: PlanStep, step: PlanStep) -> bool:
    if step.say or step.fails or before.fails or step.mistake != before.mistake:
        return False
    if _in_background(before) or _in_background(step):  # a process is looked at before the next call
        return False
    if before.tool == "exec":  # work, then a look at what it made
        return before.key and _looks(step)
    return step.tool in _FOLLOWERS.get(before.tool, frozenset())


def _looks(step: PlanStep) -> bool:
    return step.tool == "read" or (step.tool == "exec" and not step.key)


def _in_background(step: PlanStep) -> bool:
    return bool(step.arguments.get("background")) or "yieldMs" in step.arguments
