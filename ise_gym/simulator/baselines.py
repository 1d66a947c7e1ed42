"""Users for ablations: what a simulator without increments, or without evidence, does to the same scenario."""

from __future__ import annotations

import random
import re
from typing import Any

from ise_gym.scenario import Scenario
from ise_gym.simulator.base import UserTurn, UserView
from ise_gym.simulator.phrases import phrase

_SOUNDS_UNDONE = re.compile(
    r"\?\s*$|\b(?:can't|cannot|can not|couldn't|could not|unable|failed|fails|error|sorry|not found|don't know)\b",
    re.I,
)
"""Everything else is taken for success: a simulator that is told to accept claims does the same."""


class SingleTurnUser:
    """Says the whole intent at once and leaves after the agent's first answer (the paper's ablation)."""

    name = "single-turn"

    syntax = "single-turn (an ablation: everything in the first message)"
    guarded = False

    def __init__(self) -> None:
        self._scenario: Scenario | None = None

    def reset(self, scenario: Scenario, seed: int) -> UserTurn:
        """Dump everything; the last request is the current one, so every sub-goal counts."""
        self._scenario = scenario
        return UserTurn(text=scenario.intent, request=scenario.requests[-1].name)

    def respond(self, view: UserView, feedback: str = "") -> UserTurn:
        """Leave; satisfied only when nothing fails."""
        assert self._scenario is not None, "call reset() first"
        last = self._scenario.requests[-1].name
        return UserTurn(
            text="", request=last, done=not view.evidence.failed, gave_up=bool(view.evidence.failed)
        )

    def state(self) -> Scenario | None:
        """Return the scenario: there is nothing else."""
        return self._scenario

    def set_state(self, state: Scenario | None) -> None:
        """Take back what `state` returned."""
        self._scenario = state

    def describe(self) -> dict[str, Any]:
        """Return what goes into the trajectory."""
        return {"name": self.name}


class NaiveUser:
    """Sees only the agent's words: believes whatever sounds done, and never looks at the workspace."""

    name = "naive"

    syntax = "naive (an ablation: believes every word)"
    guarded = False

    def __init__(self, *, patience: int = 2) -> None:
        self.patience = patience
        self._scenario: Scenario | None = None
        self._index = 0
        self._misses = 0
        self._rng = random.Random(0)

    def reset(self, scenario: Scenario, seed: int) -> UserTurn:
        """Open with the first request."""
        self._scenario, self._index, self._misses = scenario, 0, 0
        self._rng = random.Random(f"naive-user:{seed}")
        first = scenario.requests[0]
        return UserTurn(text=first.text, request=first.name)

    def respond(self, view: UserView, feedback: str = "") -> UserTurn:
        """Go on unless the agent's words are a question or speak of failure; then ask again."""
        assert self._scenario is not None, "call reset() first"
        requests, persona = self._scenario.requests, self._scenario.persona
        words = view.history[-1]["content"] if view.history else ""
        if words and not _SOUNDS_UNDONE.search(words):
            self._index, self._misses = self._index + 1, 0
            if self._index >= len(requests):
                return UserTurn(text=phrase("done", persona, self._rng), request=requests[-1].name, done=True)
            upcoming = requests[self._index]
            return UserTurn(
                text=f"{phrase('accept', persona, self._rng)} {upcoming.text}", request=upcoming.name
            )
        self._misses += 1
        current = requests[self._index]
        if self._misses > self.patience:
            return UserTurn(text=phrase("give_up", persona, self._rng), request=current.name, gave_up=True)
        return UserTurn(text=phrase("answer", persona, self._rng, request=current.text), request=current.name)

    def state(self) -> tuple[Scenario | None, int, int, tuple[object, ...]]:
        """Return scenario, position and RNG state."""
        return (self._scenario, self._index, self._misses, self._rng.getstate())

    def set_state(self, state: tuple[Scenario | None, int, int, tuple[object, ...]]) -> None:
        """Take back what `state` returned."""
        self._scenario, self._index, self._misses, rng = state
        self._rng.setstate(rng)

    def describe(self) -> dict[str, Any]:
        """Return what goes into the trajectory."""
        return {"name": self.name, "patience": self.patience}
