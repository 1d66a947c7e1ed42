"""The user of a task inside the env: asks what the task asks, then leaves, or plays the task's persona.

Most tasks have one request and nobody to talk to. The multi-turn ones describe a person who answers questions; the
benchmark's own model prompt speaks for that person; the role guard's detectors watch it, and never end what it says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ise_gym.messages import Message, assistant, sha256_of, user
from ise_gym.scenario import Scenario
from ise_gym.simulator.base import UserSimulator, UserTurn, UserView
from ise_gym.simulator.detectors import detect
from ise_gym.simulator.knowledge import UserKnowledge, knowledge_of

Speak = Callable[[str, Sequence[Message]], str | None]
"""Takes a persona and the conversation as it was (user and assistant); returns the next words, None when satisfied."""


class PersonaUser:
    """Plays a described person with a model.

    Args:
        speak: asks the model.
        persona: the description.
    """

    name = "claweval-persona"

    def __init__(self, speak: Speak, persona: str) -> None:
        self._speak, self._persona = speak, persona
        self._request = ""

    def reset(self, scenario: Scenario, seed: int) -> UserTurn:
        """Open with the task's request."""
        self._request = scenario.requests[0].name
        return UserTurn(scenario.requests[0].text, self._request)

    def respond(self, view: UserView, feedback: str = "") -> UserTurn:
        """Answer, or leave."""
        persona = f"{self._persona}\n\n(Not like this: {feedback})" if feedback else self._persona
        spoken = [
            user(m["content"]) if m["role"] == "assistant" else assistant(m["content"]) for m in view.history
        ]
        words = self._speak(persona, spoken)
        return UserTurn(words or "", self._request, done=words is None)

    def state(self) -> str:
        """Return the request's name; everything else is in the conversation."""
        return self._request

    def set_state(self, state: str) -> None:
        """Take back what `state` returned."""
        self._request = state

    def describe(self) -> dict[str, Any]:
        """Return the name and the persona's hash."""
        return {"name": self.name, "persona_sha256": sha256_of(self._persona)}


class TaskUser:
    """Asks in the task's own words; then at most ``rounds`` turns of a speaker, then leaves.

    Args:
        speaker: plays the person after the opening; None leaves at the agent's first answer.
        rounds: how often it may speak.
    """

    name = "claweval"

    def __init__(self, speaker: UserSimulator | None = None, rounds: int = 0) -> None:
        self._speaker, self._rounds = speaker, rounds
        self._said = 0
        self._request = ""

    def reset(self, scenario: Scenario, seed: int) -> UserTurn:
        """Open with the task's request, word for word."""
        self._said, self._request = 0, scenario.requests[0].name
        if self._speaker is not None:
            self._speaker.reset(scenario, seed)
        return UserTurn(scenario.requests[0].text, self._request)

    def respond(self, view: UserView, feedback: str = "") -> UserTurn:
        """Let the person speak, or leave without a word."""
        if self._speaker is None or self._said >= self._rounds:
            return UserTurn("", self._request, done=True)
        turn = self._speaker.respond(view, feedback)
        if turn.done or turn.gave_up:
            return replace(turn, text="", done=True, gave_up=False)
        self._said += 1
        return turn

    def state(self) -> tuple[str, int, Any]:
        """Return the count of turns, and the speaker's state."""
        return (self._request, self._said, self._speaker.state() if self._speaker else None)

    def set_state(self, state: tuple[str, int, Any]) -> None:
        """Take back what `state` returned."""
        self._request, self._said, inner = state
        if self._speaker is not None:
            self._speaker.set_state(inner)

    def describe(self) -> dict[str, Any]:
        """Return the speaker's description, its guard's counts included."""
        return {"name": self.name, **(self._speaker.describe() if self._speaker else {})}


class Watched:
    """Counts what the role guard's detectors find in a person's turns, asks again, and then lets the turn pass.

    The guard of our own scenarios puts a scripted user's turn in the place of one that stays adrift. Here that user
    knows one request and no persona, so it would thank and leave: a conversation of the benchmark would end because a
    detector fired, which no other harness does.

    Args:
        inner: the person.
        attempts: how often it is asked again, with the reason.
    """

    def __init__(self, inner: UserSimulator, attempts: int = 2) -> None:
        self._inner, self._attempts, self.name = inner, attempts, inner.name
        self._known: UserKnowledge | None = None
        self._counts: Counter[str] = Counter()

    def reset(self, scenario: Scenario, seed: int) -> UserTurn:
        """Open with the person's own words."""
        self._known, self._counts = knowledge_of(scenario), Counter()
        return self._inner.reset(scenario, seed)

    def respond(self, view: UserView, feedback: str = "") -> UserTurn:
        """Answer; with the first draft that no detector refuses, else with the last."""
        assert self._known is not None, "call reset() first"
        self._counts["turns"] += 1
        before = self._inner.state()
        for attempt in range(self._attempts + 1):
            if attempt:
                self._counts["resamples"] += 1
                self._inner.set_state(before)
            turn = self._inner.respond(view, feedback)
            hits = [] if turn.done else detect(turn, view, self._known)
            if not hits:
                return turn
            self._counts["drifted"] += not attempt
            self._counts.update(f"detector:{hit.detector}" for hit in hits if not attempt)
            feedback = "; ".join(f"{hit.detector}: {hit.words!r}" for hit in hits)
        self._counts["reached"] += 1
        return turn

    def state(self) -> tuple[Any, UserKnowledge | None, Counter[str]]:
        """Return the person's state and the counts."""
        return self._inner.state(), self._known, Counter(self._counts)

    def set_state(self, state: tuple[Any, UserKnowledge | None, Counter[str]]) -> None:
        """Take back what `state` returned."""
        inner, self._known, counts = state
        self._inner.set_state(inner)
        self._counts = Counter(counts)

    def describe(self) -> dict[str, Any]:
        """Return the person's description and the counts: turns, drifted at first, resamples, reached the agent."""
        names = ("turns", "drifted", "resamples", "reached")
        return {
            **self._inner.describe(),
            "guard": dict.fromkeys(names, 0) | dict(sorted(self._counts.items())),
        }


def watched(speak: Speak, persona: str, rounds: int) -> TaskUser:
    """Build the user of a multi-turn task: its persona, whose drift is counted."""
    return TaskUser(Watched(PersonaUser(speak, persona)), rounds)
