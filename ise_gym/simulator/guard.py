"""Keeps a user simulator a user: detect, resample with the reason, fall back to the scripted user.

The guard runs inside ``env.step``. It keeps a scripted shadow of the user in step with the evidence, so that a
turn which stays adrift after resampling can be replaced by one for the same point of the scenario.
"""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import replace
from typing import Any

from ise_gym.scenario import Scenario
from ise_gym.simulator.base import UserSimulator, UserTurn, UserView
from ise_gym.simulator.detectors import Hit, detect
from ise_gym.simulator.scripted import ScriptedUser


class RoleGuard:
    """Wraps any `UserSimulator`.

    Args:
        inner: the simulator to guard.
        resamples: how many more attempts it gets at a turn that a detector refused.
    """

    def __init__(self, inner: UserSimulator, resamples: int = 2) -> None:
        self.inner = inner
        self.name = inner.name
        self.resamples = resamples
        self._shadow = ScriptedUser()
        self._scenario: Scenario | None = None
        self._counts: Counter[str] = Counter()

    def reset(self, scenario: Scenario, seed: int) -> UserTurn:
        """Start an episode; the opening turn is guarded too."""
        self._scenario = scenario
        self._counts = Counter()
        fallback = self._shadow.reset(scenario, seed)
        turn = self.inner.reset(scenario, seed)
        hits = detect(turn, None, scenario)
        self._count(hits)
        if not hits:
            return turn
        self._counts["fallbacks"] += 1
        return replace(fallback, events=tuple(_event(h, "fallback") for h in hits))

    def respond(self, view: UserView, feedback: str = "") -> UserTurn:
        """Answer with the first attempt that no detector refuses, else with the scripted user's turn."""
        assert self._scenario is not None, "call reset() first"
        fallback = self._shadow.respond(view)
        events: list[dict[str, Any]] = []
        before = self.inner.state()
        for attempt in range(self.resamples + 1):
            if attempt:
                self._counts["resamples"] += 1
                self.inner.set_state(before)
            turn = self.inner.respond(view, feedback)
            hits = detect(turn, view, self._scenario)
            if attempt == 0:
                self._count(hits)
            if not hits:
                return replace(turn, events=(*turn.events, *events))
            action = "resample" if attempt < self.resamples else "fallback"
            events += [_event(hit, action) for hit in hits]
            feedback = "; ".join(f"{hit.detector}: {hit.words!r}" for hit in hits)
        self._counts["fallbacks"] += 1
        return replace(fallback, events=tuple(events))

    def state(self) -> Any:
        """Return the state of simulator, shadow and counts."""
        return (self._scenario, self.inner.state(), self._shadow.state(), copy.copy(self._counts))

    def set_state(self, state: Any) -> None:
        """Take back what `state` returned."""
        self._scenario, inner, shadow, counts = state
        self.inner.set_state(inner)
        self._shadow.set_state(shadow)
        self._counts = copy.copy(counts)

    def describe(self) -> dict[str, Any]:
        """Return the inner simulator's description with the guard's counts so far."""
        counts = {"turns": 0, "drifted": 0, "resamples": 0, "fallbacks": 0} | dict(
            sorted(self._counts.items())
        )
        return {**self.inner.describe(), "guard": counts}

    def _count(self, hits: list[Hit]) -> None:
        self._counts["turns"] += 1
        self._counts["drifted"] += bool(hits)
        self._counts.update(f"detector:{hit.detector}" for hit in hits)


def _event(hit: Hit, action: str) -> dict[str, Any]:
    return {"detector": hit.detector, "words": hit.words, "action": action}
