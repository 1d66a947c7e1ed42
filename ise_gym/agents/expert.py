"""Scripted agents: one that works to the scenario's plan, well or less well, and one that only talks.

They make data without a model, prove that tasks can be solved, and give tests and ablations agents of known
quality. Everything they do is a function of (scenario, seed, conversation): nothing is remembered between
calls, so every fork of an episode continues as the original would.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ise_gym.agents.background import resolved
from ise_gym.agents.batching import batches
from ise_gym.checks.heard import listens
from ise_gym.errors import UserError
from ise_gym.messages import Message, ToolSchema, assistant, tool_call
from ise_gym.scenario import PlanStep, Request, Scenario
from ise_gym.tools.delegation.instructed import follow, is_delegated

CLOSING = "You're welcome. That is everything from my side."
"""What an agent says when nothing is left to do."""

NOTHING_YET = "What do you need?"
"""What it says when it has heard no wish yet."""

CLAIMED = "All done."
"""What an agent claims that has nothing better to say."""

AGAIN = "I went through it again."
"""Said before the reply when the user had to ask twice."""


@dataclass(frozen=True)
class Assignment:
    """What the last user message asks for.

    Attributes:
        requests: the requests it is about; empty when there is nothing to do.
        attempt: 0 the first time, then 1, 2, … as the user asks again.
        spoken: assistant messages since that message.
        phase: how many of the plan's questions the user has answered in this attempt.
    """

    requests: tuple[Request, ...]
    attempt: int
    spoken: int
    phase: int = 0


def current_assignment(scenario: Scenario, messages: Sequence[Message]) -> Assignment:
    """Work out from the conversation alone what the agent is at.

    A user message is about the requests whose text it contains. One that contains none is about the request
    most of whose facts it names, if the user rephrases freely; else the user asks again for the last one.
    """
    asked: dict[int, int] = {}  # request index → times asked
    now: tuple[int, ...] = ()
    spoken = phase = 0
    before = ""
    for message in messages:
        if message["role"] == "user":
            if _answers(scenario.requests, now, before, message["content"]):
                phase += 1
            else:
                now = _about(scenario.requests, message["content"], now, asked)
                phase = 0
                for index in now:
                    asked[index] = asked.get(index, 0) + 1
            spoken = 0
        elif message["role"] == "assistant":
            spoken += 1
            before = "" if message.get("tool_calls") else message["content"]
    attempt = max((asked[index] for index in now), default=1) - 1
    return Assignment(tuple(scenario.requests[index] for index in now), attempt, spoken, phase)


def _answers(requests: Sequence[Request], now: tuple[int, ...], before: str, text: str) -> bool:
    """Return whether a user message answers the question that the plan has just asked."""
    questions = (step.say for index in now for step in requests[index].plan if step.asks)
    asked = any(question and question in before for question in questions)
    return asked and not any(request.text and request.text[1:] in text for request in requests)


def _about(
    requests: Sequence[Request], text: str, now: tuple[int, ...], asked: dict[int, int]
) -> tuple[int, ...]:
    # the first letter may change its case behind a connective ("next up: could you …")
    found = [i for i, request in enumerate(requests) if request.text and request.text[1:] in text]
    # a request whose text is part of a longer one that was found is not meant
    longest = [
        i
        for i in found
        if not any(
            requests[i].text in requests[j].text and requests[i].text != requests[j].text for j in found
        )
    ]
    chosen: dict[str, int] = {}  # of requests with the same text: the first not yet asked, else the last
    for i in longest:
        same = requests[i].text
        if same not in chosen or chosen[same] in asked:
            chosen[same] = i
    if chosen:
        return tuple(sorted(chosen.values()))
    if not requests:
        return ()
    named = {i: sum(fact in text for fact in r.facts if fact) for i, r in enumerate(requests)}
    best = max(named.values())
    if best == 0 or any(named[i] == best for i in now):
        return now  # a wish that was not said is not worked on
    candidates = [i for i, count in named.items() if count == best]
    not_yet = [i for i in candidates if i not in asked]
    return (not_yet[0] if not_yet else candidates[-1],)


def _was_asked(scenario: Scenario, messages: Sequence[Message]) -> bool:
    asked: dict[int, int] = {}
    now: tuple[int, ...] = ()
    for message in messages:
        if message["role"] == "user":
            now = _about(scenario.requests, message["content"], now, asked)
            asked.update(dict.fromkeys(now, 1))
    return bool(asked) or not scenario.requests


def compiled(plan: Sequence[PlanStep]) -> tuple[list[PlanStep], str]:
    """Fold steps that only speak into the next call, since a message without a call would end the turn.

    Returns:
        The steps that call a tool, and what is left to say before the reply.
    """
    steps: list[PlanStep] = []
    waiting = ""
    for step in plan:
        if not step.tool:
            waiting = _joined(waiting, step.say)
            continue
        steps.append(
            PlanStep(
                tool=step.tool,
                arguments=step.arguments,
                say=_joined(waiting, step.say),
                key=step.key,
                fails=step.fails,
                mistake=step.mistake,
            )
        )
        waiting = ""
    return steps, waiting


def _joined(first: str, second: str) -> str:
    return f"{first} {second}".strip()


def phases(plan: Sequence[PlanStep], reply: str) -> list[tuple[list[PlanStep], str]]:
    """Cut a plan where it asks the user something.

    Returns:
        For each part the steps that call a tool, and what is then said: the question, or the closing words.
    """
    parts: list[tuple[list[PlanStep], str]] = []
    since: list[PlanStep] = []
    for step in plan:
        if not step.asks:
            since.append(step)
            continue
        steps, waiting = compiled(since)
        parts.append((steps, _joined(waiting, step.say)))
        since = []
    steps, waiting = compiled(since)
    return [*parts, (steps, _joined(waiting, reply))]


def claim(request: Request) -> str:
    """Return what somebody says who claims a request done without having done it: where words count, nothing true."""
    listening = any(listens(goal.checks) for goal in request.subgoals)
    return CLAIMED if listening or not request.reply else request.reply


class ExpertAgent:
    """Plays each request's plan, mistakes and recovery included, and then its reply.

    Asked again, it redoes the key steps (all steps but mistakes where none is marked).

    Args:
        quality: 1.0 does every step. Below, each attempt at a request is botched with probability
            ``1 - quality``: at least one key step is left out and success is claimed all the same.

    Raises:
        UserError: ``quality`` is outside [0, 1].
    """

    syntax = "expert or expert:QUALITY (scripted; quality from 0 to 1)"

    def __init__(self, quality: float = 1.0) -> None:
        if not 0.0 <= quality <= 1.0:
            raise UserError(f"the expert's quality must be between 0 and 1, got {quality:g}")
        self.quality = quality
        self.name = "expert" if quality == 1.0 else f"expert:{quality:g}"
        self._scenario: Scenario | None = None
        self._seed = 0

    @classmethod
    def from_argument(cls, argument: str) -> ExpertAgent:
        """Read the quality of ``expert:QUALITY``."""
        try:
            return cls(float(argument))
        except ValueError:
            raise UserError(f"'expert:{argument}': the quality must be a number from 0 to 1") from None

    def reset(self, scenario: Scenario, seed: int) -> None:
        """Take the scenario whose plan is played."""
        self._scenario, self._seed = scenario, seed

    def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Message:
        """Return the next message of the present request's plan, or its reply."""
        if self._scenario is None:
            raise RuntimeError("call reset() before act()")
        if is_delegated(messages):
            return follow(messages)
        work = current_assignment(self._scenario, messages)
        calls: list[list[PlanStep]] = []
        words: list[str] = [AGAIN] if work.attempt and work.requests else []
        for request in work.requests:
            parts = phases(*self._plan(request, work.attempt))
            # Of several requests, one may be done while another waits for an answer.
            if work.phase < len(parts):
                steps, said = parts[work.phase]
                calls += batches(steps)
                words += [said] if said else []
        if work.spoken < len(calls):
            batch = calls[work.spoken]
            return assistant(
                batch[0].say, [tool_call(step.tool, resolved(step.arguments, messages)) for step in batch]
            )
        return assistant(
            " ".join(words) or (CLOSING if _was_asked(self._scenario, messages) else NOTHING_YET)
        )

    def _plan(self, request: Request, attempt: int) -> tuple[list[PlanStep], str]:
        plan = list(request.plan)
        if attempt:
            keys = [step for step in plan if step.key]
            plan = keys or [step for step in plan if not step.mistake]
        if self.quality == 1.0:
            return plan, request.reply
        assert self._scenario is not None
        rng = random.Random(f"expert:{self._seed}:{self._scenario.id}:{request.name}:{attempt}")
        key_positions = [i for i, step in enumerate(plan) if step.key]
        if rng.random() < self.quality:
            return plan, request.reply
        if not key_positions:
            return plan, claim(request)
        left_out = set(rng.sample(key_positions, rng.randint(1, len(key_positions))))
        return [step for i, step in enumerate(plan) if i not in left_out], request.reply

    def describe(self) -> dict[str, Any]:
        """Return name and quality."""
        return {"agent": "expert", "quality": self.quality}

    def close(self) -> None:
        """Nothing is held."""


class LazyAgent:
    """Claims that everything is done without doing anything: a user must never believe it."""

    name = "lazy"
    syntax = "lazy (claims without acting)"

    def __init__(self) -> None:
        self._scenario: Scenario | None = None

    def reset(self, scenario: Scenario, seed: int) -> None:
        """Take the scenario whose replies are claimed."""
        self._scenario = scenario

    def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Message:
        """Return the reply of the present request at once."""
        if self._scenario is None:
            raise RuntimeError("call reset() before act()")
        if is_delegated(messages):
            return assistant(CLAIMED)
        work = current_assignment(self._scenario, messages)
        return assistant(" ".join(dict.fromkeys(map(claim, work.requests))) or CLAIMED)

    def describe(self) -> dict[str, Any]:
        """Return the name."""
        return {"agent": "lazy"}

    def close(self) -> None:
        """Nothing is held."""
