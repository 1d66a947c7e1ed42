"""What a proof tries where the agent's words decide: silence, a bare claim, and each wrong way that a task names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ise_gym.agents.expert import CLAIMED
from ise_gym.checks.heard import Listener, listens
from ise_gym.scenario import PlanStep, Request


@dataclass(frozen=True)
class Try:
    """One wrong way: who it is that goes it, what is done, and what is then said."""

    who: str
    steps: tuple[PlanStep, ...]
    reply: str


def words_decide(request: Request) -> bool:
    """Return whether some check of a request is about what the agent says."""
    return any(listens(goal.checks) for goal in request.subgoals)


def words_said(steps: Sequence[PlanStep], reply: str) -> list[str]:
    """Return what is said to the user by a plan that is played to the end."""
    asked = [step.say for step in steps if step.asks]
    return [*asked, reply] if reply else asked


def wrong_ways(request: Request) -> Iterator[Try]:
    """Yield what must not pass; with the right words as well, where something else was done."""
    for way in request.wrong:
        for reply in (way.reply, request.reply) if way.steps else (way.reply,):
            yield Try(way.why, way.steps, reply)
    if not words_decide(request):
        return
    plan = tuple(step for step in request.plan if not step.mistake)
    yield Try("does nothing and claims it", (), CLAIMED)
    if _last_word_counts(request):
        yield Try("says nothing", plan, "")
        yield Try("only claims it", plan, CLAIMED)


def _last_word_counts(request: Request) -> bool:
    checks = [check for goal in request.subgoals for check in goal.checks]
    return any(isinstance(check, Listener) and check.last_counts for check in checks)
