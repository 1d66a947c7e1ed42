"""The embedded default user: deterministic, speaks a scenario's requests one by one and believes evidence only.

It accepts a request when its sub-goals really hold, whatever the agent says; otherwise it reacts as a person
would (points at what is missing, contradicts a false report, answers a question, insists after a refusal) and leaves
when its patience ends.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, replace
from typing import Any

from ise_gym.scenario import Request, Scenario
from ise_gym.simulator.answers import answer_to
from ise_gym.simulator.base import Evidence, UserTurn, UserView
from ise_gym.simulator.claims import FalseClaim, false_claims
from ise_gym.simulator.phrases import lead_in, phrase

CONNECTIVE_RATE = 0.4
"""How often a new request gets a connective ("next up: …") before it."""

MOST_ANSWERS = 3
"""How many questions about one request are answered before they try the user's patience."""

_QUESTION = re.compile(r"\?\s*(?:[\"')\]]+\s*)?$")
_REFUSAL = re.compile(
    r"\b(i (?:cannot|can't|can not|am unable to|'m unable to|am not able to|'m not able to|won't|will not|must decline)"
    r"|unable to (?:do|help|complete)|not (?:possible|allowed) (?:for me )?to|against my)\b",
    re.I,
)
_CLAIM = re.compile(
    r"\b(done|finished|completed?|created|wrote|written|saved|added|fixed|updated|renamed|moved|merged|removed|"
    r"sorted|ready|all set|in place)\b",
    re.I,
)


@dataclass(frozen=True)
class _State:
    """Where the user is in the scenario; immutable, so a copy of it forks the user.

    Attributes:
        index: the current request. ``misses``: how often it was not fulfilled.
        answered: how many questions about it were answered.
        said: reactive lines used so far.
        checked: requests for which a second look was asked.
    """

    index: int = 0
    misses: int = 0
    answered: int = 0
    said: tuple[str, ...] = ()
    checked: frozenset[int] = frozenset()


Saved = tuple[Scenario | None, _State, tuple[object, ...]]
"""Scenario, position and RNG state."""


class ScriptedUser:
    """A user without a model.

    Args:
        patience: how often it asks again for one request before it leaves unsatisfied.
    """

    name = "scripted"

    syntax = "scripted (deterministic)"

    def __init__(self, *, patience: int = 2) -> None:
        if patience < 0:
            raise ValueError(f"patience must be ≥ 0, got {patience}")
        self.patience = patience
        self._scenario: Scenario | None = None
        self._state = _State()
        self._rng = random.Random(0)

    def reset(self, scenario: Scenario, seed: int) -> UserTurn:
        """Open with the first request."""
        self._scenario = scenario
        self._rng = random.Random(f"scripted-user:{seed}")
        self._state = _State()
        first = scenario.requests[0]
        return UserTurn(text=first.text, request=first.name)

    def respond(self, view: UserView, feedback: str = "") -> UserTurn:
        """Accept and go on, or say what is missing; judged by the evidence, not by the agent's words."""
        if not view.request and view.turn and view.remaining == len(self._requests()):
            first = self._requests()[0]  # whoever spoke before has not asked for anything yet
            return UserTurn(text=first.text, request=first.name)
        self._align(view.request)
        request, evidence = self._request(), view.evidence
        words = view.history[-1]["content"] if view.history else ""
        lies = false_claims(words, evidence)
        if not evidence.failed:
            if (lies or _unproven(request, words, evidence)) and self._state.index not in self._state.checked:
                return self.double_check(view)
            return self._accept(request)
        if (answer := answer_to(request, words)) and self._state.answered < MOST_ANSWERS:
            self._state = replace(self._state, answered=self._state.answered + 1)
            return UserTurn(text=answer, request=request.name)
        self._state = replace(self._state, misses=self._state.misses + 1)
        if self._state.misses > self.patience:
            return UserTurn(text=self._say("give_up"), request=request.name, gave_up=True)
        return UserTurn(text=self._react(words, lies, evidence, request), request=request.name)

    def double_check(self, view: UserView) -> UserTurn:
        """Ask the agent to look again at the current request, as people do before they rely on something."""
        self._align(view.request)
        self._state = replace(self._state, checked=self._state.checked | {self._state.index})
        return UserTurn(text=self._say("double_check"), request=self._request().name)

    def state(self) -> Saved:
        """Return scenario, position and RNG state; all immutable, so sharing them is safe."""
        return (self._scenario, self._state, self._rng.getstate())

    def set_state(self, state: Saved) -> None:
        """Continue from a saved position."""
        self._scenario, self._state, rng = state
        self._rng.setstate(rng)

    def describe(self) -> dict[str, Any]:
        """Return what goes into the trajectory."""
        return {"name": self.name, "patience": self.patience}

    def _align(self, request: str) -> None:
        """Follow the conversation where another simulator, whose shadow this is, has taken it."""
        assert self._scenario is not None, "call reset() first"
        names = [r.name for r in self._scenario.requests]
        if request in names and names.index(request) != self._state.index:
            self._state = replace(self._state, index=names.index(request), misses=0, answered=0)

    def _requests(self) -> tuple[Request, ...]:
        assert self._scenario is not None, "call reset() first"
        return self._scenario.requests

    def _request(self) -> Request:
        assert self._scenario is not None, "call reset() first"
        return self._scenario.requests[self._state.index]

    def _say(self, kind: str, **slots: str) -> str:
        """Return a line that this user has not said yet, as far as there are enough."""
        assert self._scenario is not None
        line = phrase(kind, self._scenario.persona, self._rng, avoid=self._state.said, **slots)
        self._state = replace(self._state, said=(*self._state.said, line))
        return line

    def _accept(self, request: Request) -> UserTurn:
        assert self._scenario is not None
        following = self._state.index + 1
        if following >= len(self._scenario.requests):
            return UserTurn(text=self._say("done"), request=request.name, done=True)
        self._state = replace(self._state, index=following, misses=0, answered=0)
        upcoming = self._scenario.requests[following]
        asked = upcoming.text
        if self._rng.random() < CONNECTIVE_RATE:
            asked = lead_in(asked, self._scenario.persona, self._rng, avoid=self._state.said)
        return UserTurn(text=f"{self._say('accept')} {asked}", request=upcoming.name)

    def _react(self, words: str, lies: tuple[FalseClaim, ...], evidence: Evidence, request: Request) -> str:
        """React to what is not fulfilled: to a question, a refusal, a false report, a failure, half a result."""
        # asked again, a person does not point at the same gap forever
        missing = evidence.failed[(self._state.misses - 1) % len(evidence.failed)]
        if _QUESTION.search(words):
            return self._say("answer", request=request.text)
        if _REFUSAL.search(words):
            return self._say("refused", request=request.text)
        if lies or _CLAIM.search(words):
            # a wrong report about a file is answered by naming the file, if the user ever spoke of it
            named = next((lie.subject for lie in lies if lie.subject in request.facts), "")
            return self._say("false_claim", missing=named or missing)
        if self._state.misses > 1:
            return self._say("nudge_again", missing=missing)
        if evidence.failed_commands:
            return f"{self._say('failure_seen')} {self._say('nudge', missing=missing)}"
        return self._say("nudge", missing=missing)


def _unproven(request: Request, words: str, evidence: Evidence) -> bool:
    """Whether success is claimed for something that nothing can prove, by an agent that did nothing."""
    return (
        not request.subgoals
        and not evidence.commands
        and not evidence.diff
        and evidence.present is not None
        and bool(_CLAIM.search(words))
    )
