"""The user of a task inside the env: asks what the task asks, then leaves, or plays the task's persona.

Most tasks have one request and nobody to talk to. The multi-turn ones describe a person who answers questions; the
benchmark's own model prompt speaks for that person, and the role guard stands around it as around every other user.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ise_gym.messages import Message, assistant, sha256_of, user
from ise_gym.scenario import Scenario
from ise_gym.simulator.base import UserSimulator, UserTurn, UserView
from ise_gym.simulator.guard import RoleGuard

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

    def state(self) -> Any:
        """Return the request's name; everything else is in the conversation."""
        return self._request

    def set_state(self, state: Any) -> None:
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

    def state(self) -> Any:
        """Return the count of turns, and the speaker's state."""
        return (self._request, self._said, self._speaker.state() if self._speaker else None)

    def set_state(self, state: Any) -> None:
        """Take back what `state` returned."""
        self._request, self._said, inner = state
        if self._speaker is not None:
            self._speaker.set_state(inner)

    def describe(self) -> dict[str, Any]:
        """Return the speaker's description, its guard's counts included."""
        return {"name": self.name, **(self._speaker.describe() if self._speaker else {})}


def guarded(speak: Speak, persona: str, rounds: int) -> TaskUser:
    """Build the user of a multi-turn task: its persona behind the role guard."""
    return TaskUser(RoleGuard(PersonaUser(speak, persona)), rounds)
