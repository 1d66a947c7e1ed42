"""One episode: the state machine behind `ISE-OS-v0`.

The env is a thin Gymnasium face over this class, so that everything which has to be saved, forked and recorded
stands in one place: transcript, user, sub-goals, budget counts, evidence and timings.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ise_gym.episode.goals import GoalBoard
from ise_gym.messages import Message, ToolCall, ToolSchema, assistant, system, tool_calls_of, user
from ise_gym.scenario import Scenario
from ise_gym.services import start_services
from ise_gym.simulator.base import Command, Evidence, Service, UserSimulator, UserTurn, UserView
from ise_gym.simulator.evidence import command_of, gather
from ise_gym.tools.base import ToolOutcome
from ise_gym.tools.delegation.subsessions import MAIN, NOT_RUN, since_last_spoken
from ise_gym.tools.dispatch import Toolbox, answered
from ise_gym.tools.output import failure
from ise_gym.trajectory.record import Step, Timings, received
from ise_gym.workspace.base import Manifest, Snapshot, Workspace


@dataclass
class EpisodeSnapshot:
    """A saved episode: files, user, verdicts, transcript and counts (background processes are not part of it)."""

    scenario: Scenario
    seed: int
    workspace: Snapshot
    user: Any
    state: dict[str, Any]


@dataclass
class Transition:
    """What one action led to; ``messages`` are those added since the agent last spoke."""

    messages: list[Message]
    reward: float
    terminated: bool = False
    truncated: bool = False


@dataclass
class Episode:
    """A running (or finished) episode.

    Attributes:
        messages: the whole conversation, system message first.
        steps: one record an agent message.
        outcome: "" while running; then passed, failed, truncated or infrastructure_error. ``reason`` says why.
        counts: user_turns, messages, tool_calls so far.
        timings: wall seconds by part; the only nondeterministic part.
    """

    scenario: Scenario
    workspace: Workspace
    toolbox: Toolbox
    simulator: UserSimulator
    seed: int
    messages: list[Message] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    outcome: str = ""
    reason: str = ""
    timings: Timings = field(default_factory=Timings)
    counts: dict[str, int] = field(default_factory=lambda: {"user_turns": 0, "messages": 0, "tool_calls": 0})

    def __post_init__(self) -> None:
        self._board = GoalBoard(self.scenario)
        self._commands: list[Command] = []  # since the user's last turn
        self._request = ""
        self._user_events: tuple[Mapping[str, Any], ...] = ()
        self._seen = self._tree = Manifest({})  # at the user's last turn; as last looked at
        self._digest = ""
        self._clock = time.monotonic()

    # -- playing ---------------------------------------------------------------------------------

    def start(self, system_prompt: str) -> list[Message]:
        """Bring workspace and user to the start and return system message and opening request."""
        begun = time.monotonic()
        self.workspace.reset()
        self.workspace.seed(self.scenario.files)
        start_services(self.workspace, self.scenario.services)
        self.toolbox.reset(self.workspace, transcript=self.messages)
        self._seen = self._tree = self.workspace.manifest()
        self._digest = self._seen.digest()
        self.timings.reset_s = time.monotonic() - begun
        with _Timer(self.timings, "user_s"):
            turn = self.simulator.reset(self.scenario, self.seed)
        self._add(system(system_prompt))
        self._user_says(turn)
        return list(self.messages)

    def act(self, message: Message) -> Transition:
        """Play one assistant message: run its tool calls, or end the agent's turn and let the user answer.

        While a sub-session has the floor the message belongs to that one (see `ise_gym.tools.delegation.subsessions`).
        """
        if self.over:
            raise RuntimeError(f"the episode is over ({self.outcome}); call reset() first")
        begun = time.monotonic()
        before = self._board.score
        if inside := self.toolbox.sessions.speaking:
            position = len(inside.messages)
            self._speak_inside(message)
        else:
            position = len(self.messages)
            said = self._normalised(message)
            self._add(said)
            if calls := tool_calls_of(said):
                self._run_calls(calls)
            else:
                self._hand_over()
        self._spend_budget()
        self._settle()
        reward = self._board.score - before
        completion, arrival = received(message, position, inside.key if inside else "")
        error = _failures((inside.messages if inside else self.messages)[position:])
        step = Step(message=position, reward=reward, digest=self._digest, error=error, completion=completion)
        if arrival is not None:
            self.timings.received.append(arrival)
        if inside:
            inside.steps.append(step)
            self._complete_step()
        else:
            self.steps.append(step.model_copy(update={"score": self._board.score}))
        self.timings.step_s.append(time.monotonic() - begun)
        self.timings.total_s = time.monotonic() - self._clock
        return Transition(
            messages=self._news(),
            reward=reward,
            terminated=self.outcome in ("passed", "failed", "unverified"),
            truncated=self.outcome == "truncated",
        )

    def fail_infrastructure(self, reason: str) -> None:
        """Record that the sandbox or an endpoint broke; the agent is not to blame and gets no reward of 0 for it."""
        self.outcome, self.reason = "infrastructure_error", reason

    # -- looking ---------------------------------------------------------------------------------

    @property
    def over(self) -> bool:
        """True once the episode has an outcome."""
        return bool(self.outcome)

    @property
    def score(self) -> float:
        """Fraction of sub-goals that hold as last verified, in [0, 1]."""
        return self._board.score

    @property
    def subgoals(self) -> dict[str, bool]:
        """Sub-goal → holds, as last verified."""
        return dict(self._board.verdicts)

    @property
    def check_reasons(self) -> dict[str, str]:
        """Sub-goal → why it does not hold. For people: it shows what the checks look for."""
        return {key: reason for key, reason in self._board.reasons.items() if reason}

    @property
    def tool_schemas(self) -> list[ToolSchema]:
        """The tools the agent is offered in the main session."""
        return list(self.toolbox.schemas)

    @property
    def floor(self) -> str:
        """Key of the session that the agent speaks in next: main, or a sub-session."""
        return self.toolbox.sessions.floor or MAIN

    @property
    def conversation(self) -> list[Message]:
        """The whole conversation of the session that has the floor: what an agent acts on."""
        inside = self.toolbox.sessions.speaking
        return self.messages if inside is None else inside.messages

    @property
    def offered(self) -> list[ToolSchema]:
        """The tools the agent is offered in the session that has the floor."""
        return list(self.toolbox.offered)

    @property
    def sessions(self) -> list[dict[str, Any]]:
        """What a trajectory keeps of the sub-sessions, oldest first."""
        return [session.record() for session in self.toolbox.sessions.sessions.values()]

    @property
    def user_report(self) -> dict[str, Any]:
        """Simulator name, parameters and role-guard counts."""
        return self.simulator.describe()

    def info(self) -> dict[str, Any]:
        """Return Gymnasium's info: equal for equal seeds and actions, new objects at every call."""
        return copy.deepcopy(
            {
                "scenario_id": self.scenario.id,
                "session": self.floor,
                "outcome": self.outcome,
                "reason": self.reason,
                "score": self.score,
                "subgoals": self.subgoals,
                "request": self._request,
                "counts": self.counts,
                "digest": self._digest,
                "user": {"events": [dict(e) for e in self._user_events], **self.user_report},
            }
        )

    # -- saving ----------------------------------------------------------------------------------

    def snapshot(self) -> EpisodeSnapshot:
        """Save everything that the rest of the episode depends on."""
        state = {
            "messages": self.messages,
            "steps": self.steps,
            "outcome": self.outcome,
            "reason": self.reason,
            "counts": self.counts,
            "verdicts": self._board.verdicts,
            "reasons": self._board.reasons,
            "reached": self._board.reached,
            "frozen": self._board.frozen,
            "commands": self._commands,
            "request": self._request,
            "user_events": self._user_events,
            "seen": self._seen,
            "tree": self._tree,
            # processes end with their box: a saved record of one would be polled under a dead id
            "tools": {name: value for name, value in self.toolbox.state.items() if name != "processes"},
            "digest": self._digest,
            "timings": self.timings,
        }
        return EpisodeSnapshot(
            self.scenario,
            self.seed,
            self.workspace.snapshot(),
            copy.deepcopy(self.simulator.state()),
            copy.deepcopy(state),
        )

    @classmethod
    def restored(
        cls, saved: EpisodeSnapshot, workspace: Workspace, toolbox: Toolbox, simulator: UserSimulator
    ) -> Episode:
        """Build the episode that `snapshot` saved, on a workspace of its own."""
        state = copy.deepcopy(saved.state)
        workspace.restore(saved.workspace)
        toolbox.reset(workspace, state["tools"], state["messages"])
        simulator.set_state(copy.deepcopy(saved.user))
        episode = cls(saved.scenario, workspace, toolbox, simulator, saved.seed)
        for name in ("messages", "steps", "outcome", "reason", "counts", "timings"):
            setattr(episode, name, state[name])
        episode._board = GoalBoard(
            saved.scenario, state["verdicts"], state["reasons"], state["reached"], state["frozen"]
        )
        episode._commands = state["commands"]
        episode._request = state["request"]
        episode._user_events = state["user_events"]
        episode._seen, episode._tree, episode._digest = state["seen"], state["tree"], state["digest"]
        return episode

    # -- inside ----------------------------------------------------------------------------------

    def _normalised(self, message: Message) -> Message:
        calls: list[ToolCall] = []
        for number, call in enumerate(tool_calls_of(message), start=self.counts["tool_calls"] + 1):
            function = call["function"]
            calls.append(
                {
                    "id": call.get("id") or f"call_{number}",
                    "type": "function",
                    "function": {"name": function["name"], "arguments": function["arguments"]},
                }
            )
        return assistant(message["content"], calls, message.get("reasoning_content"))

    def _run_calls(self, calls: list[ToolCall]) -> None:
        """Run the calls of a main message in order; one that opens a sub-session keeps the rest waiting."""
        with _Timer(self.timings, "tools_s"):
            for number, call in enumerate(calls):
                result = self.toolbox.begin(call)
                if result is None:
                    self.toolbox.sessions.waiting = calls[number:]
                    break
                self._add(result)
                self._note_call(call, result)
            self._digest = self.workspace.digest()

    def _speak_inside(self, message: Message) -> None:
        """Play a message of the sub-session that has the floor; when it ends, answer what waited for it and go on."""
        with _Timer(self.timings, "tools_s"):
            outcome = self.toolbox.speak(message, self._note_call)
            self._digest = self.workspace.digest()
        if outcome is not None:
            self._answer_waiting(outcome)

    def _answer_waiting(self, outcome: ToolOutcome) -> None:
        book = self.toolbox.sessions
        opener, *rest = book.waiting
        book.waiting = []
        result = answered(opener, outcome)
        self._add(result)
        self._note_call(opener, result)
        if self.over:  # cut off: what still waited is not run any more
            for call in rest:
                self._add(answered(call, failure(NOT_RUN, "cut")))
        else:
            self._run_calls(rest)

    def _note_call(self, call: ToolCall, result: Message) -> None:
        self.counts["tool_calls"] += 1
        self._commands.append(command_of(call, result))

    def _complete_step(self) -> None:
        """Let the main step that waited for a sub-session tell how it ended, once it has."""
        if not self.toolbox.sessions.floor:
            last = self.steps[-1]
            error = _failures(self.messages[last.message :])
            self.steps[-1] = last.model_copy(
                update={"digest": self._digest, "score": self._board.score, "error": error}
            )

    def _news(self) -> list[Message]:
        inside = self.toolbox.sessions.speaking
        if inside is None:
            return since_last_spoken(self.messages)
        return since_last_spoken(inside.messages, inside.inherited)

    def _hand_over(self) -> None:
        """End the agent's turn: verify, show the user what really happened, and let it answer."""
        self._verify()
        with _Timer(self.timings, "user_s"):
            view = UserView(
                self._users_side(),
                self._evidence(),
                self.counts["user_turns"],
                self._request,
                len(self.scenario.requests) - self._board.reached,
            )
            turn = self.simulator.respond(view)
        if turn.done or turn.gave_up:
            if turn.text:
                self._add(user(turn.text))
            self._user_events = turn.events
            self.outcome = "failed"  # settled after the last verification
            self.reason = "the user gave up" if turn.gave_up else _parting(view)
        elif self.counts["user_turns"] >= self.scenario.budget.user_turns:
            self._truncate("user turns")
        else:
            self._user_says(turn)

    def _user_says(self, turn: UserTurn) -> None:
        self._add(user(turn.text))
        self._board.reach(turn.request)
        self._request, self._user_events = turn.request, turn.events

    def _add(self, message: Message) -> None:
        self.messages.append(message)
        self.counts["messages"] = len(self.messages)
        self.counts["user_turns"] += message["role"] == "user"

    def _verify(self) -> None:
        with _Timer(self.timings, "checks_s"):
            self._tree = self.workspace.manifest()
            self._digest = self._tree.digest()
            self._board.verify(self.workspace, self._tree, self.over)

    def _settle(self) -> None:
        """When the episode has ended, look once more at the sub-goals and name the outcome."""
        if not self.over:
            return
        if self.toolbox.sessions.floor:
            self._answer_waiting(self.toolbox.cut_off())
        self._verify()
        if self.outcome == "truncated":
            return
        if not self._board.verdicts:  # nothing could be checked, so nothing was passed
            self.outcome = "unverified"
        else:
            self.outcome = "passed" if self._board.score == 1.0 else "failed"

    def _spend_budget(self) -> None:
        budget = self.scenario.budget
        if self.over:
            return
        inside = [m for s in self.toolbox.sessions.sessions.values() for m in s.messages[s.inherited :]]
        if inside:
            self.counts["session_messages"] = len(inside)
        if self.counts["messages"] + len(inside) >= budget.messages:
            self._truncate("messages")
        elif self.counts["tool_calls"] >= budget.tool_calls:
            self._truncate("tool calls")
        elif 0 < budget.agent_turns <= sum(m["role"] == "assistant" for m in [*self.messages, *inside]):
            self._truncate("agent turns")
        elif time.monotonic() - self._clock >= budget.seconds:
            self._truncate("seconds")

    def _truncate(self, budget: str) -> None:
        self.outcome, self.reason = "truncated", f"budget of {budget} used up"

    def _users_side(self) -> tuple[Message, ...]:
        """Flip the roles and leave out system prompt, tool calls and tool output."""
        flipped: list[Message] = []
        for message in self.messages:
            if message["role"] == "user":
                flipped.append(assistant(message["content"]))
            elif message["role"] == "assistant" and not message.get("tool_calls"):
                flipped.append(user(message["content"]))
        return tuple(flipped)

    def _evidence(self) -> Evidence:
        passed, failed = self._board.open_goals(self._request)
        commands, self._commands = tuple(self._commands), []
        before, self._seen = self._seen, self._tree
        # as the agent last saw them: looking again here would race with processes that are just ending
        records = getattr(self.toolbox.state.get("processes"), "records", {})
        services = tuple(Service(r.command, r.running, r.exit_code) for r in records.values())
        return gather(self.workspace, before, self._tree, commands, services, passed, failed)


def _failures(messages: list[Message]) -> str:
    """Name the tools whose calls failed."""
    return "; ".join(m["name"] for m in messages if m.get("success") is False)


def _parting(view: UserView) -> str:
    """Name a satisfied end; one that the evidence contradicts is the simulator's error, not the agent's success."""
    if view.evidence.failed:
        return f"simulator error: the user left satisfied while this fails: {view.evidence.failed[0]}"
    return "the user is done"


class _Timer:
    """Adds the wall time of a block to one field of the timings."""

    def __init__(self, timings: Timings, name: str) -> None:
        self._timings, self._name = timings, name

    def __enter__(self) -> None:
        self._begun = time.monotonic()

    def __exit__(self, *exc: object) -> None:
        spent = getattr(self._timings, self._name) + time.monotonic() - self._begun
        setattr(self._timings, self._name, spent)
