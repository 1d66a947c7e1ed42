"""One episode: the state machine behind `ISE-OS-v0`.

The env is a thin Gymnasium face over this class, so that everything which has to be saved, forked and recorded
is in one place. What happens inside a step is the business of the modules beside it.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ise_gym.episode.budget import no_user_turn_left, truncation, used_up
from ise_gym.episode.changes import Contents, described, flipped, held_at_start
from ise_gym.episode.floor import Floor
from ise_gym.episode.goals import GoalBoard, Goals
from ise_gym.episode.handover import parting, user_view
from ise_gym.episode.reward import Rewarding
from ise_gym.episode.spoken import failures
from ise_gym.episode.state import EpisodeSnapshot, EpisodeState
from ise_gym.episode.steps import FileChanges, Step, Timings, received, timed
from ise_gym.episode.turns import Turns
from ise_gym.errors import WorkspaceUnusable
from ise_gym.messages import Message, ToolSchema, system, user
from ise_gym.scenario import Scenario
from ise_gym.services import start_services
from ise_gym.simulator.base import UserSimulator, UserTurn
from ise_gym.simulator.claims import false_claims
from ise_gym.tools.delegation.subsessions import SubSession
from ise_gym.tools.dispatch import Toolbox
from ise_gym.workspace.base import Workspace

__all__ = ["Episode", "EpisodeSnapshot", "EpisodeState", "Transition"]


@dataclass
class Transition:
    """What one action led to; ``messages`` are those added since the agent last spoke."""

    messages: list[Message]
    reward: float
    terminated: bool = False
    truncated: bool = False


class Episode:
    """A running (or finished) episode.

    Args:
        scenario: what is played.
        workspace: where; it is reset by `start`.
        toolbox: the tools.
        simulator: the user.
        seed: of the user.
        rewarding: what a step earns; shaped and without penalties when not given.
        diffs: record what a step changed inside of files, not only their names.
        state: a saved episode's state to go on from; a new one otherwise. See `restored`.
    """

    def __init__(
        self,
        scenario: Scenario,
        workspace: Workspace,
        toolbox: Toolbox,
        simulator: UserSimulator,
        seed: int,
        *,
        rewarding: Rewarding | None = None,
        diffs: bool = False,
        state: EpisodeState | None = None,
    ) -> None:
        self.scenario, self.workspace, self.toolbox = scenario, workspace, toolbox
        self.simulator, self.seed = simulator, seed
        self.state = state or EpisodeState(Goals.of(scenario))
        self._rewarding = rewarding or Rewarding()
        self._board = GoalBoard(scenario, self.state.goals)
        self._floor = Floor(toolbox)
        self._turns = Turns(self.state, self._floor, workspace)
        self._contents = Contents(self.state.held) if diffs else None
        self._false_claims = 0  # in the present step
        self.workspace_lost = False
        """Whether what runs in the box keeps it from answering; it must be thrown away."""
        self._clock = time.monotonic() - self.state.elapsed_s

    # -- playing ---------------------------------------------------------------------------------

    def start(self, system_prompt: str) -> list[Message]:
        """Bring workspace and user to the start and return system message and opening request.

        Raises:
            WorkspaceError: the sandbox failed.
            AgentError: the user's endpoint failed.
        """
        state = self.state
        begun = time.monotonic()
        self.workspace.reset()
        self.workspace.seed(self.scenario.files)
        start_services(self.workspace, self.scenario.services)
        self.toolbox.reset(self.workspace, state.tools, state.messages)
        state.look(self.workspace)
        state.seen = state.tree
        if self._contents is not None:
            state.held.update(held_at_start(self.scenario.files))
        state.timings.reset_s = time.monotonic() - begun
        with timed(state.timings, "user_s"):
            turn = self.simulator.reset(self.scenario, self.seed)
        self._turns.add(system(system_prompt))
        self._user_says(turn)
        return list(state.messages)

    def act(self, message: Message) -> Transition:
        """Play one assistant message: run its tool calls, or end the agent's turn and let the user answer.

        While a sub-session has the floor the message belongs to that one (see `ise_gym.episode.floor`).

        Raises:
            RuntimeError: the episode is over.
            WorkspaceError: the sandbox failed. (One that what the agent runs keeps from answering ends the episode as
                failed instead.)
            AgentError: the user's endpoint failed.
        """
        if self.over:
            raise RuntimeError(f"the episode is over ({self.outcome}); call reset() first")
        begun = time.monotonic()
        before, broken, self._false_claims = self.score, self.toolbox.broken_calls, 0
        inside, position = self._floor.speaking, len(self.conversation)
        tree, verdicts, files = self.state.tree, self.subgoals, FileChanges()
        try:
            if self._turns.speak(message):
                self._hand_over()
            self._spend()
            self._settle()
            files = described(self._contents, self.workspace, tree, self.state.tree)
        except WorkspaceUnusable as problem:
            self._lose_workspace(str(problem))
        counted = {
            "false_claim": self._false_claims,
            "broken_call": self.toolbox.broken_calls - broken,
        }
        reward = self._rewarding.of(self.score - before, self.outcome, counted)
        effect = {"files": files, "flipped": flipped(verdicts, self._board.verdicts)}
        self._note_step(message, inside, position, reward, effect)
        self.timings.step_s.append(time.monotonic() - begun)
        self.timings.total_s = time.monotonic() - self._clock
        return Transition(
            messages=self.heard(),
            reward=reward,
            terminated=self.outcome in ("passed", "failed", "unverified"),
            truncated=self.outcome == "truncated",
        )

    def fail_infrastructure(self, reason: str) -> None:
        """Record that the sandbox or an endpoint broke; the agent is not to blame and gets no reward of 0 for it."""
        self.state.outcome, self.state.reason = "infrastructure_error", reason

    # -- looking ---------------------------------------------------------------------------------

    @property
    def messages(self) -> list[Message]:
        """The main conversation, system message first."""
        return self.state.messages

    @property
    def steps(self) -> list[Step]:
        """One record an agent message of the main session."""
        return self.state.steps

    @property
    def outcome(self) -> str:
        """ "" while running; then passed, failed, truncated, unverified or infrastructure_error."""
        return self.state.outcome

    @property
    def reason(self) -> str:
        """Why it ended."""
        return self.state.reason

    @property
    def counts(self) -> dict[str, int]:
        """Count user_turns, messages, tool_calls so far (and session_messages, once there are any)."""
        return self.state.counts

    @property
    def timings(self) -> Timings:
        """Wall seconds by part."""
        return self.state.timings

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
    def judged_at(self) -> dict[str, int]:
        """Sub-goal → index of the assistant message after which it was last verified."""
        return dict(self.state.goals.judged)

    @property
    def first_attempt(self) -> bool | None:
        """Whether it passed and no agent's turn ended with something asked for undone; None while nothing can be said.

        So the user never had a reason to ask again: every request's sub-goals held at the first end of a turn after it
        was made, and at every later one. A user who only asks to look again (nothing was undone) takes nothing away.
        """
        if self.outcome not in ("passed", "failed", "truncated") or not self._board.verdicts:
            return None
        return self.outcome == "passed" and not self.state.goals.missed

    @property
    def failing_checks(self) -> dict[str, int]:
        """Sub-goal that does not hold → which of its checks says so; absent where none was asked."""
        return dict(self.state.goals.failing)

    @property
    def tool_schemas(self) -> list[ToolSchema]:
        """The tools the agent is offered in the main session."""
        return list(self.toolbox.schemas)

    @property
    def floor(self) -> str:
        """Key of the session that the agent speaks in next: main, or a sub-session."""
        return self._floor.key

    @property
    def conversation(self) -> list[Message]:
        """The whole conversation of the session that has the floor: what an agent acts on."""
        inside = self._floor.speaking
        return self.messages if inside is None else inside.messages

    @property
    def offered(self) -> list[ToolSchema]:
        """The tools the agent is offered in the session that has the floor."""
        return self._floor.offered

    @property
    def sessions(self) -> list[dict[str, Any]]:
        """What a trajectory keeps of the sub-sessions, oldest first."""
        return [session.record() for session in self._floor.sessions]

    @property
    def user_report(self) -> dict[str, Any]:
        """Simulator name, parameters and role-guard counts."""
        return self.simulator.describe()

    def heard(self) -> list[Message]:
        """Return the messages added, where the floor is, since the agent last spoke there."""
        return self._turns.heard()

    def info(self) -> dict[str, Any]:
        """Return Gymnasium's info: equal for equal seeds and actions, new objects at every call."""
        state = self.state
        return copy.deepcopy(
            {
                "scenario_id": self.scenario.id,
                "session": self.floor,
                "outcome": state.outcome,
                "reason": state.reason,
                "valid": state.outcome != "infrastructure_error",
                "score": self.score,
                "subgoals": self.subgoals,
                "request": state.request,
                "counts": state.counts,
                "digest": state.digest,
                "user": {"events": [dict(e) for e in state.user_events], **self.user_report},
            }
        )

    # -- saving ----------------------------------------------------------------------------------

    def snapshot(self) -> EpisodeSnapshot:
        """Save everything that the rest of the episode depends on."""
        return EpisodeSnapshot(
            self.scenario,
            self.seed,
            self.workspace.snapshot(),
            copy.deepcopy(self.simulator.state()),
            self.state.saved(time.monotonic() - self._clock),
        )

    @classmethod
    def restored(
        cls,
        saved: EpisodeSnapshot,
        workspace: Workspace,
        toolbox: Toolbox,
        simulator: UserSimulator,
        *,
        rewarding: Rewarding | None = None,
        diffs: bool = False,
    ) -> Episode:
        """Build the episode that `snapshot` saved, on a workspace of its own."""
        state = copy.deepcopy(saved.state)
        workspace.restore(saved.workspace)
        toolbox.reset(workspace, state.tools, state.messages)
        simulator.set_state(copy.deepcopy(saved.user))
        return cls(
            saved.scenario,
            workspace,
            toolbox,
            simulator,
            saved.seed,
            rewarding=rewarding,
            diffs=diffs,
            state=state,
        )

    # -- inside ----------------------------------------------------------------------------------

    def _hand_over(self) -> None:
        """End the agent's turn: verify, show the user what really happened, and let it answer."""
        self._verify()
        self._board.note_turn(str(self.messages[-1]["content"]))
        with timed(self.timings, "user_s"):
            view = user_view(self.state, self._board, self.workspace)
            turn = self.simulator.respond(view)
        if self._rewarding.charges("false_claim"):
            self._false_claims = len(false_claims(view.history[-1]["content"], view.evidence))
        if turn.done or turn.gave_up:
            if turn.text:
                self._turns.add(user(turn.text))
            self.state.user_events = turn.events
            self.state.outcome = "failed"  # settled after the last verification
            self.state.reason = "the user gave up" if turn.gave_up else parting(view)
        elif no_user_turn_left(self.scenario.budget, self.counts):
            self._truncate("user turns")
        else:
            self._user_says(turn)

    def _user_says(self, turn: UserTurn) -> None:
        self._turns.add(user(turn.text))
        self._board.reach(turn.request, len(self.messages) - 1)
        self.state.request, self.state.user_events = turn.request, turn.events

    def _verify(self) -> None:
        with timed(self.timings, "checks_s"):
            spoken = [n for n, message in enumerate(self.messages) if message["role"] == "assistant"]
            at = spoken[-1] if spoken else 0
            look = partial(self.state.look, self.workspace)
            self._board.judge(self.workspace, look, self.over, at, self.messages)

    def _lose_workspace(self, reason: str) -> None:
        """End the episode as failed: what the agent started or left in the box keeps it from answering."""
        self.workspace_lost = True
        self.state.outcome, self.state.reason = "failed", f"the workspace became unusable: {reason}"
        self._turns.give_up(self.state.reason)
        self._board.fail_all(self.state.reason)

    def _spend(self) -> None:
        if self.over:
            return
        inside = [message for session in self._floor.sessions for message in session.own]
        if inside:
            self.counts["session_messages"] = len(inside)
        seconds = time.monotonic() - self._clock
        if name := used_up(self.scenario.budget, self.counts, self.messages, inside, seconds):
            self._truncate(name)

    def _truncate(self, budget: str) -> None:
        self.state.outcome, self.state.reason = "truncated", truncation(budget)

    def _settle(self) -> None:
        """When the episode has ended, look once more at the sub-goals and name the outcome."""
        if not self.over:
            return
        self._turns.cut_off()
        self._verify()
        if self.outcome == "truncated":
            return
        if not self._board.verdicts:  # nothing could be checked, so nothing was passed
            self.state.outcome = "unverified"
        else:
            self.state.outcome = "passed" if self.score == 1.0 else "failed"

    def _note_step(
        self,
        said: Message,
        inside: SubSession | None,
        position: int,
        reward: float,
        effect: Mapping[str, Any],
    ) -> None:
        """Record the step beside its message, at ``position`` of the session in which it was said."""
        digest, score = self.state.digest, self.score
        completion, arrival = received(said, position, inside.key if inside else "")
        if arrival is not None:
            self.timings.received.append(arrival)
        error = failures((inside or self.state).messages[position:])
        step = Step(
            message=position, reward=reward, digest=digest, error=error, completion=completion, **effect
        )
        if inside is None:
            self.steps.append(step.model_copy(update={"score": score}))
            return
        inside.steps.append(step)
        if self._floor.speaking is None:  # the main step that waited can now tell how it ended
            last = self.steps[-1]
            error = failures(self.messages[last.message :])
            self.steps[-1] = last.model_copy(update={"digest": digest, "score": score, "error": error})
