"""Plays an assistant message where the floor is, in the main session or in a sub-session: its calls run in order."""

from __future__ import annotations

from collections.abc import Sequence

from ise_gym.episode.floor import NOT_RUN, Floor
from ise_gym.episode.spoken import since_last_spoken, spoken, unanswered
from ise_gym.episode.state import EpisodeState
from ise_gym.episode.steps import timed
from ise_gym.messages import Message, ToolCall, tool_calls_of
from ise_gym.simulator.evidence import command_of
from ise_gym.tools.base import ToolOutcome
from ise_gym.tools.dispatch import answered
from ise_gym.tools.output import failure
from ise_gym.workspace.base import Workspace


class Turns:
    """Lets the agent speak and act; transcript, counts and digest of the state follow.

    Args:
        state: of the episode.
        floor: says in which session the agent speaks.
        workspace: where the calls run.
    """

    def __init__(self, state: EpisodeState, floor: Floor, workspace: Workspace) -> None:
        self._state, self._floor, self._workspace = state, floor, workspace

    def speak(self, message: Message) -> bool:
        """Play a message where the floor is; True when it ended the agent's turn, so that the user is next.

        Raises:
            WorkspaceError: the sandbox failed.
        """
        if self._floor.speaking is not None:
            self._speak_inside(message)
            return False
        said = spoken(message, "call_", self._state.counts["tool_calls"])
        self.add(said)
        if not (calls := tool_calls_of(said)):
            return True
        self._run(calls)
        return False

    def add(self, message: Message) -> None:
        """Add a message to the main conversation."""
        state = self._state
        state.messages.append(message)
        state.counts["messages"] = len(state.messages)
        state.counts["user_turns"] += message["role"] == "user"

    def cut_off(self) -> None:
        """End a sub-session that has the floor, since the episode is over; what waited for it is answered, not run."""
        if self._floor.speaking is not None:
            _, *rest = self._answer_waiting(self._floor.cut_off())
            for call in rest:
                self.add(answered(call, failure(NOT_RUN, "cut")))

    def give_up(self, reason: str) -> None:
        """Answer all that waits for the workspace, which answers no more."""
        if (inside := self._floor.speaking) is not None:
            inside.messages += [
                answered(call, failure(reason, "workspace")) for call in unanswered(inside.messages)
            ]
            inside.before = None  # there is nothing to go back to
            self.cut_off()
        for call in unanswered(self._state.messages):
            self.add(answered(call, failure(reason, "workspace")))

    def heard(self) -> list[Message]:
        """Return what was said, where the floor is, since the agent last spoke there."""
        if (inside := self._floor.speaking) is None:
            return since_last_spoken(self._state.messages)
        return since_last_spoken(inside.messages, inside.inherited)

    def _speak_inside(self, message: Message) -> None:
        """Play a sub-session's message; when that ends it, answer what waited for it and go on."""
        with timed(self._state.timings, "tools_s"):
            outcome = self._floor.say(message, self._note)
            self._state.look(self._workspace)
        if outcome is not None:
            _, *rest = self._answer_waiting(outcome)
            self._run(rest)

    def _answer_waiting(self, outcome: ToolOutcome) -> list[ToolCall]:
        waiting = self._floor.take_waiting()
        result = answered(waiting[0], outcome)
        self.add(result)
        self._note(waiting[0], result)
        return waiting

    def _run(self, calls: Sequence[ToolCall]) -> None:
        """Run main calls in order; one that opens a sub-session keeps the rest waiting."""
        with timed(self._state.timings, "tools_s"):
            for number, call in enumerate(calls):
                if (result := self._floor.open(calls[number:])) is None:
                    break
                self.add(result)
                self._note(call, result)
            self._state.look(self._workspace)

    def _note(self, call: ToolCall, result: Message) -> None:
        self._state.counts["tool_calls"] += 1
        self._state.commands.append(command_of(call, result))
