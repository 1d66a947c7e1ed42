"""Keeps a user simulator a user: detect, resample with the reason, fall back to the scripted user.

The guard runs inside ``env.step``. It keeps a scripted shadow of the user in step with the evidence, so that a
turn which stays adrift after resampling can be replaced by one for the same point of the scenario. Everything is
counted, before and after: what the model drifted, and what of it reached the agent.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ise_gym.scenario import Scenario
from ise_gym.simulator.base import UserSimulator, UserTurn, UserView
from ise_gym.simulator.claims import FalseClaim, false_claims
from ise_gym.simulator.detectors import Hit, detect
from ise_gym.simulator.knowledge import UserKnowledge, knowledge_of
from ise_gym.simulator.scripted import ScriptedUser

Judge = Callable[[UserTurn, UserView | None, UserKnowledge], str]
"""Looks at a turn that passed the detectors; returns why it is adrift, or ""."""

COUNTS = ("turns", "drifted", "resamples", "fallbacks", "reached", "simulator_errors", "false_claims")


class RoleGuard:
    """Wraps any `UserSimulator`.

    Args:
        inner: the simulator to guard.
        resamples: how many more attempts it gets at a turn that a detector refused.
        judge: a second opinion on turns that no detector refused, such as `ise_gym.simulator.judge.LLMJudge`.

    Counts (in ``describe()["guard"]``): ``turns`` guarded, ``drifted`` at the first attempt, ``resamples``,
    ``fallbacks``, ``reached`` (turns that went to the agent although a detector fires on them),
    ``simulator_errors`` (attempts to leave or accept against the evidence), ``false_claims`` of the agent, and one
    ``detector:NAME`` and ``claim:KIND`` each. ``describe()["drift"]`` lists the turns that drifted.
    """

    def __init__(self, inner: UserSimulator, resamples: int = 2, judge: Judge | None = None) -> None:
        if resamples < 0:
            raise ValueError(f"resamples must be ≥ 0, got {resamples}")
        self.inner = inner
        self.name = inner.name
        self.resamples = resamples
        self.judge = judge
        self._shadow = ScriptedUser()
        self._scenario: Scenario | None = None
        self._known: UserKnowledge | None = None
        self._counts: Counter[str] = Counter()
        self._drift: list[dict[str, Any]] = []
        self._doubted: frozenset[str] = frozenset()

    def reset(self, scenario: Scenario, seed: int) -> UserTurn:
        """Start an episode; the opening turn is guarded too."""
        self._take(scenario)
        self._counts, self._drift, self._doubted = Counter(), [], frozenset()
        fallback = self._shadow.reset(scenario, seed)
        turn = self.inner.reset(scenario, seed)
        hits = self._look(turn, None)
        self._count(hits)
        if not hits:
            return turn
        self._note(1, hits, "fallback")
        return self._replaced(fallback, None, [_event(hit, "fallback") for hit in hits])

    def respond(self, view: UserView, feedback: str = "") -> UserTurn:
        """Answer with the first attempt that no detector refuses, else with the scripted user's turn."""
        fallback = self._shadow.respond(view)
        events = [_claim_event(claim) for claim in self._claims(view)]
        before = self.inner.state()
        first: list[Hit] = []
        for attempt in range(self.resamples + 1):
            if attempt:
                self._counts["resamples"] += 1
                self.inner.set_state(before)
            turn = self.inner.respond(view, feedback)
            hits = self._look(turn, view)
            if attempt == 0:
                first = hits
                self._count(hits)
            if not hits:
                if first:
                    self._note(view.turn + 1, first, "resample")
                return replace(turn, events=(*turn.events, *events))
            action = "resample" if attempt < self.resamples else "fallback"
            events += [_event(hit, action) for hit in hits]
            feedback = "; ".join(f"{hit.detector}: {hit.words!r}" for hit in hits)
        self._note(view.turn + 1, first, "fallback")
        accepts = any(hit.detector == "premature_end" for hit in hits)
        if accepts and view.evidence.failed and view.request not in self._doubted and not fallback.gave_up:
            # people who are about to believe it look once more before they leave
            self._doubted |= {view.request}
            fallback = self._shadow.double_check(view)
        return self._replaced(fallback, view, events)

    def state(self) -> Any:
        """Return the state of simulator, shadow and counts."""
        own = (copy.copy(self._counts), copy.deepcopy(self._drift), self._doubted)
        return (self._scenario, self.inner.state(), self._shadow.state(), own)

    def set_state(self, state: Any) -> None:
        """Take back what `state` returned."""
        scenario, inner, shadow, (counts, drift, doubted) = state
        self._take(scenario)
        self.inner.set_state(inner)
        self._shadow.set_state(shadow)
        self._counts, self._drift, self._doubted = copy.copy(counts), copy.deepcopy(drift), doubted

    def describe(self) -> dict[str, Any]:
        """Return the inner simulator's description with the guard's counts and drifted turns so far."""
        counts = dict.fromkeys(COUNTS, 0) | dict(sorted(self._counts.items()))
        return {**self.inner.describe(), "guard": counts, "drift": copy.deepcopy(self._drift)}

    def _take(self, scenario: Scenario) -> None:
        self._scenario, self._known = scenario, knowledge_of(scenario)

    def _look(self, turn: UserTurn, view: UserView | None) -> list[Hit]:
        assert self._known is not None, "call reset() first"
        hits = detect(turn, view, self._known)
        if not hits and self.judge is not None and (reason := self.judge(turn, view, self._known)):
            hits = [Hit("judge", reason)]
        return hits

    def _claims(self, view: UserView) -> Sequence[FalseClaim]:
        claims = false_claims(view.history[-1]["content"], view.evidence) if view.history else ()
        self._counts["false_claims"] += len(claims)
        self._counts.update(f"claim:{claim.kind}" for claim in claims)
        return claims

    def _count(self, hits: Sequence[Hit]) -> None:
        self._counts["turns"] += 1
        self._counts["drifted"] += bool(hits)
        self._counts.update(f"detector:{hit.detector}" for hit in hits)
        self._counts["simulator_errors"] += any(hit.detector == "premature_end" for hit in hits)

    def _note(self, turn: int, hits: Sequence[Hit], action: str) -> None:
        self._drift.append({"turn": turn, "detectors": [hit.detector for hit in hits], "action": action})

    def _replaced(
        self, fallback: UserTurn, view: UserView | None, events: Sequence[dict[str, Any]]
    ) -> UserTurn:
        self._counts["fallbacks"] += 1
        assert self._known is not None
        if hits := detect(fallback, view, self._known):
            self._counts["reached"] += 1
            self._drift[-1]["reached"] = [hit.detector for hit in hits]
        return replace(fallback, events=tuple(events))


def _event(hit: Hit, action: str) -> dict[str, Any]:
    return {"detector": hit.detector, "words": hit.words, "action": action}


def _claim_event(claim: FalseClaim) -> dict[str, Any]:
    return {"claim": claim.kind, "words": claim.words, "subject": claim.subject}
