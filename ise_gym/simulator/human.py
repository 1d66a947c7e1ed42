"""A person at the terminal as the user: the yardstick for every simulated one.

What the person sees is what a simulator sees: the agent's words and the digest of what happened.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ise_gym.foreign.text import printable
from ise_gym.scenario import Scenario
from ise_gym.simulator.base import UserTurn, UserView
from ise_gym.simulator.evidence import render
from ise_gym.simulator.knowledge import UserKnowledge, knowledge_of

COMMANDS = "/next makes the next wish, /done leaves satisfied, /quit gives up, /wish shows the wish again"


class HumanUser:
    """Asks a person for every turn.

    Args:
        read: returns a line the person typed, given a prompt; ``EOFError`` means that they gave up.
        show: prints text.

    A line that starts with "/" is a command (``COMMANDS``); anything else is what the user says.
    """

    name = "human"

    syntax = "human (you, at the keyboard)"
    guarded = False

    def __init__(self, *, read: Callable[[str], str] = input, show: Callable[[str], None] = print) -> None:
        self._read, self._show = read, show
        self._scenario: Scenario | None = None
        self._known: UserKnowledge | None = None

    def reset(self, scenario: Scenario, seed: int) -> UserTurn:
        """Introduce the role and ask for the opening message; an empty line sends the wish as it stands."""
        self._take(scenario)
        persona = scenario.persona
        self._show(
            f"You are {persona.name}, {persona.role} ({persona.industry}); you write {persona.register}."
        )
        if persona.work_context:
            self._show(persona.work_context)
        self._show(COMMANDS)
        return self._ask(0, opening=True)

    def respond(self, view: UserView, feedback: str = "") -> UserTurn:
        """Show the agent's words and what happened, and ask for the answer."""
        assert self._known is not None, "call reset() first"
        if feedback:
            self._show(f"The guard refused that: {feedback}")
        else:
            self._show("\nagent> " + printable(view.history[-1]["content"] if view.history else ""))
            self._show(printable(render(view.evidence)))
        return self._ask(max(self._known.index(view.request), 0))

    def state(self) -> Scenario | None:
        """Return the scenario: the rest is in the person's head."""
        return self._scenario

    def set_state(self, state: Scenario | None) -> None:
        """Take back what `state` returned."""
        self._take(state)

    def describe(self) -> dict[str, Any]:
        """Return what goes into the trajectory."""
        return {"name": self.name}

    def _take(self, scenario: Scenario | None) -> None:
        self._scenario = scenario
        self._known = knowledge_of(scenario) if scenario is not None else None

    def _ask(self, position: int, opening: bool = False) -> UserTurn:
        assert self._known is not None
        wishes = self._known.wishes
        if opening:
            self._show(f"\nwish 1 of {len(wishes)}: {wishes[0].text}")
        while True:
            try:
                line = self._read("you> ").strip()
            except EOFError:
                return UserTurn("", wishes[position].name, gave_up=True)
            if line == "/quit":
                return UserTurn("", wishes[position].name, gave_up=True)
            if line == "/done":
                return UserTurn("", wishes[position].name, done=True)
            if line == "/wish":
                self._show(wishes[position].text)
            elif line == "/next" and position + 1 < len(wishes):
                position += 1
                self._show(f"wish {position + 1} of {len(wishes)}: {wishes[position].text}")
                opening = True
            elif line.startswith("/"):
                self._show(COMMANDS if line != "/next" else "that was the last wish: /done or /quit")
            elif line:
                return UserTurn(line, wishes[position].name)
            elif opening:  # an empty line sends the wish as it stands
                return UserTurn(wishes[position].text, wishes[position].name)
