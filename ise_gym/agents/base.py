"""Who acts. An agent reads the whole conversation and returns one assistant message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ise_gym.messages import Message, ToolSchema
from ise_gym.scenario import Scenario


class Agent(Protocol):
    """One policy playing one episode at a time.

    ``reset`` hands over the scenario: only the scripted expert looks into its plan; model agents must not.
    """

    name: str

    def reset(self, scenario: Scenario, seed: int) -> None:
        """Get ready for a new episode."""
        ...

    def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Message:
        """Return the next assistant message for a conversation that starts with the system message."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return what goes into the trajectory: model, sampling parameters, template hash. No clocks, no paths.

        Asked after every episode, and once before the first.
        """
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


class BatchAgent(Protocol):
    """A policy that acts for many episodes at once (a local model)."""

    name: str

    def act_batch(
        self, conversations: Sequence[tuple[Sequence[Message], Sequence[ToolSchema]]]
    ) -> list[Message]:
        """Return one assistant message a conversation, in order."""
        ...

    def describe(self) -> dict[str, Any]:
        """As `Agent.describe`."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...
