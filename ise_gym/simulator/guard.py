"""Keeps a user simulator a user: detect, resample with the reason, fall back to the scripted user.

The guard runs inside ``env.step``. It keeps a scripted shadow of the user in step with the evidence, so that a
turn which stays adrift after resampling can be replaced by one for the same point of the scenario. What it refuses is
counted and kept with its words, so that its precision can be audited. What it lets through it cannot count: that is
estimated from its recall on turns that were read (`ise_gym.simulator.measuring.recall`), or counted by whoever
reads a sample (``ise guard audit``).
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NotRequired, TypedDict

from ise_gym.foreign.values import Json
from ise_gym.scenario import Scenario
from ise_gym.simulator import scripted
from ise_gym.simulator.base import Evidence, UserSimulator, UserTurn, UserView
from ise_gym.simulator.claims import FalseClaim, false_claims
from ise_gym.simulator.detectors import DETECTORS, Hit, detect
from ise_gym.simulator.detectors.base import hint_of
from ise_gym.simulator.knowledge import UserKnowledge, knowledge_of
from ise_gym.simulator.scripted import ScriptedUser

Judge = Callable[[UserTurn, UserView | None, UserKnowledge], str]
"""Looks at a turn that passed the detectors; returns why it is adrift, or ""."""

REFUSED_CHARS = 2_000
"""Characters of a refused draft that are kept."""

COUNTS = ("turns", "drifted", "resamples", "fallbacks", "reached", "simulator_errors", "false_claims")


class Refused(TypedDict):
    """A draft that was not sent: its words, and what each detector that refused it found."""

    text: str
    detectors: dict[str, str]
    done: NotRequired[bool]
    gave_up: NotRequired[bool]


Saved = tuple[
    Scenario | None, object, scripted.Saved, tuple[Counter[str], list[dict[str, object]], frozenset[str]]
]
"""Scenario, the states of simulator and shadow, and the counts, drift and doubts so far."""


class RoleGuard:
    """Wraps any `UserSimulator`.

    Args:
        inner: the simulator to guard.
        resamples: how many more attempts it gets at a turn that a detector refused.
        judge: a second opinion on turns that no detector refused, such as `ise_gym.simulator.judge.LLMJudge`.

    Counts (in ``describe()["guard"]``): ``turns`` guarded, ``drifted`` at the first attempt, ``resamples``,
    ``fallbacks``, ``reached`` (turns of the script that a detector fires on and that went out for want of a better
    one; never an estimate of drift), ``simulator_errors`` (attempts to leave or accept against the evidence),
    ``false_claims`` of the agent, and one ``detector:NAME`` and ``claim:KIND`` each. ``describe()["drift"]`` lists the
    turns that drifted, each with the words that were refused; ``describe()["voices"]`` says who was listened to.
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
        self._drift: list[dict[str, object]] = []
        self._doubted: frozenset[str] = frozenset()

    def reset(self, scenario: Scenario, seed: int) -> UserTurn:
        """Start an episode; the opening turn is guarded too."""
        self._take(scenario)
        self._counts, self._drift, self._doubted = Counter(), [], frozenset()
        fallback = self._shadow.reset(scenario, seed)
        turn = self.inner.reset(scenario, seed)
        return self._settled(turn, None, fallback, [], "")

    def respond(self, view: UserView, feedback: str = "") -> UserTurn:
        """Answer with the first attempt that no detector refuses, else with the scripted user's turn."""
        fallback = self._shadow.respond(view)
        events = [_claim_event(claim) for claim in self._claims(view)]
        before = self.inner.state()
        return self._settled(self.inner.respond(view, feedback), view, fallback, events, before)

    def _settled(
        self,
        turn: UserTurn,
        view: UserView | None,
        fallback: UserTurn,
        events: list[dict[str, Json]],
        before: object,
    ) -> UserTurn:
        """Return the turn, a later draft of it, or the script's; ``before`` is the inner state before the first."""
        refused: list[Refused] = []
        hits = self._look(turn, view)
        self._count(hits)
        attempts = self.resamples if view is not None or getattr(self.inner, "reopens", False) else 0
        while hits:
            refused.append(_refusal(turn, hits))
            action = "resample" if len(refused) <= attempts else "fallback"
            events += [_event(hit, action) for hit in hits]
            if action == "fallback":
                self._note(view, refused, "fallback")
                return self._replaced(self._doubting(view, hits, fallback), view, events)
            self._counts["resamples"] += 1
            turn = self._again(view, before, "; ".join(dict.fromkeys(_hint(hit) for hit in hits)))
            hits = self._look(turn, view)
        if refused:
            self._note(view, refused, "resample")
        return replace(turn, events=(*turn.events, *events))

    def _again(self, view: UserView | None, before: object, why: str) -> UserTurn:
        if view is not None:
            self.inner.set_state(before)
            return self.inner.respond(view, why)
        assert self._known is not None
        return self.inner.respond(UserView((), Evidence(), 0, "", len(self._known.wishes)), why)

    def _doubting(self, view: UserView | None, hits: Sequence[Hit], fallback: UserTurn) -> UserTurn:
        """Return the script's turn; one who is about to believe a false report looks once more before it leaves."""
        accepts = any(hit.detector == "premature_end" for hit in hits)
        if view is None or not accepts or not view.evidence.failed or fallback.gave_up:
            return fallback
        if view.request in self._doubted:
            return fallback
        self._doubted |= {view.request}
        return self._shadow.double_check(view)

    def state(self) -> Saved:
        """Return the state of simulator, shadow and counts."""
        own = (copy.copy(self._counts), copy.deepcopy(self._drift), self._doubted)
        return (self._scenario, self.inner.state(), self._shadow.state(), own)

    def set_state(self, state: Saved) -> None:
        """Take back what `state` returned."""
        scenario, inner, shadow, (counts, drift, doubted) = state
        assert scenario is not None, "call reset() first"
        self._take(scenario)
        self.inner.set_state(inner)
        self._shadow.set_state(shadow)
        self._counts, self._drift, self._doubted = copy.copy(counts), copy.deepcopy(drift), doubted

    def describe(self) -> dict[str, Any]:
        """Return the inner simulator's description with the guard's counts and drifted turns so far."""
        counts = dict.fromkeys(COUNTS, 0) | dict(sorted(self._counts.items()))
        voices = {
            "detectors": list(DETECTORS),
            "judge": getattr(self.judge, "name", None) if self.judge else None,
        }
        return {
            **self.inner.describe(), "guard": counts, "drift": copy.deepcopy(self._drift), "voices": voices,
        }  # fmt: skip

    def _take(self, scenario: Scenario) -> None:
        self._scenario, self._known = scenario, knowledge_of(scenario, getattr(self.inner, "mode", "checked"))

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

    def _note(self, view: UserView | None, refused: Sequence[Refused], action: str) -> None:
        number = 1 if view is None else view.turn + 1
        self._drift.append(
            {
                "turn": number,
                "detectors": list(refused[0]["detectors"]),
                "action": action,
                "refused": list(refused),
            }
        )

    def _replaced(
        self, fallback: UserTurn, view: UserView | None, events: Sequence[Mapping[str, object]]
    ) -> UserTurn:
        self._counts["fallbacks"] += 1
        assert self._known is not None
        if hits := detect(fallback, view, self._known):
            self._counts["reached"] += 1
            self._drift[-1]["reached"] = [hit.detector for hit in hits]
        return replace(fallback, events=tuple(events))


def _hint(hit: Hit) -> str:
    if hit.detector in DETECTORS:
        return hint_of(DETECTORS[hit.detector])
    return hit.words  # a judge gives its reason in words


def _refusal(turn: UserTurn, hits: Sequence[Hit]) -> Refused:
    """Return what is kept of a draft that was not sent."""
    kept: Refused = {
        "text": turn.text[:REFUSED_CHARS],
        "detectors": {hit.detector: hit.words for hit in hits},
    }
    if turn.done:
        kept["done"] = True
    if turn.gave_up:
        kept["gave_up"] = True
    return kept


def _event(hit: Hit, action: str) -> dict[str, Any]:
    return {"detector": hit.detector, "words": hit.words, "action": action}


def _claim_event(claim: FalseClaim) -> dict[str, Any]:
    return {"claim": claim.kind, "words": claim.words, "subject": claim.subject}
