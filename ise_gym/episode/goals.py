"""Verified sub-goals of one episode: which count, which hold, and the score that rewards are differences of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ise_gym.checks.heard import listens, look_at
from ise_gym.checks.links import leading_into_proc
from ise_gym.errors import WorkspaceError
from ise_gym.messages import Message
from ise_gym.scenario import Check, CheckResult, Request, Scenario, SubGoal
from ise_gym.simulator.answers import answer_to
from ise_gym.workspace.base import Manifest, SeedFile, Workspace

_LOOKS = 3
"""How often a box is judged when something that had been stopped ran meanwhile; what ran is killed each time."""


@dataclass
class Goals:
    """The verdicts so far.

    Attributes:
        verdicts: ``request: sub-goal`` → holds now (False until its request is made).
        reasons: why a sub-goal does not hold, for logs and reports only.
        reached: how many requests the user has made.
        frozen: names of requests whose verdicts stay as they are.
        verified_at: request → digest of its folder when it was last verified.
        judged: ``request: sub-goal`` → index of the assistant message after which it was last verified.
        missed: request → at how many ends of the agent's turn one of its sub-goals did not hold.
        failing: ``request: sub-goal`` → place of the check that failed, among the sub-goal's.
        asked_at: request → index of the user message that made it; what was said before is no reply to it.
    """

    verdicts: dict[str, bool]
    reasons: dict[str, str] = field(default_factory=dict)
    reached: int = 0
    frozen: frozenset[str] = frozenset()
    verified_at: dict[str, str] = field(default_factory=dict)
    judged: dict[str, int] = field(default_factory=dict)
    missed: dict[str, int] = field(default_factory=dict)
    failing: dict[str, int] = field(default_factory=dict)
    asked_at: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, scenario: Scenario) -> Goals:
        """Return those that an episode starts with: nothing holds yet."""
        return cls({goal_key(r, goal): False for r in scenario.requests for goal in r.subgoals})


class GoalBoard:
    """Keeps the verdict of every sub-goal.

    A sub-goal counts from the start (so the score is a fraction of the whole scenario) but is looked at only once
    its request was made. A request that ``supersedes`` an earlier one freezes that one's verdicts at the moment it
    is made; if both come in the same user turn, the earlier one was never asked for on its own and is dropped.

    Args:
        scenario: whose sub-goals.
        goals: the verdicts to go on from; those of the start without.
    """

    def __init__(self, scenario: Scenario, goals: Goals | None = None) -> None:
        self.scenario = scenario
        self.goals = goals if goals is not None else Goals.of(scenario)
        self._start: Mapping[str, SeedFile] = {file.path: file for file in scenario.files}
        self._still = True
        self._tree = Manifest({})
        self._links: str | None = None

    @property
    def verdicts(self) -> dict[str, bool]:
        """``request: sub-goal`` → holds now."""
        return self.goals.verdicts

    @property
    def reasons(self) -> dict[str, str]:
        """``request: sub-goal`` → why it does not hold."""
        return self.goals.reasons

    def reach(self, request_name: str, at: int = 0) -> None:
        """Note that the user has now made this request (and all before it), in message ``at``; "" is none yet."""
        if not request_name:
            return
        names = [request.name for request in self.scenario.requests]
        upto = names.index(request_name) + 1
        if upto <= self.goals.reached:
            return
        before = set(names[: self.goals.reached])
        for request in self.scenario.requests[self.goals.reached : upto]:
            self.goals.asked_at[request.name] = at
            for old in request.supersedes:
                if old in before:
                    self.goals.frozen |= {old}
                else:
                    self._drop(old)
        self.goals.reached = upto

    def judge(
        self,
        workspace: Workspace,
        look: Callable[[], Manifest],
        over: bool = False,
        at: int = 0,
        messages: Sequence[Message] = (),
    ) -> None:
        """Stop all that the agent left running, `verify`, and let it run on; nothing holds that can't be made to stand.

        Args:
            workspace, over, at, messages: as of `verify`.
            look: returns the present manifest; called while everything stands still.

        Raises:
            WorkspaceError: the sandbox failed.
        """
        for _ in range(_LOOKS):
            workspace.freeze()
            still = self.verify(workspace, look(), over, at, messages)
            if workspace.thaw() and still:
                return
            self.goals.verified_at.clear()  # something had itself woken, and was killed: what was seen is worth nothing
        self.fail_all("processes in the workspace ran while it was judged")

    def verify(
        self,
        workspace: Workspace,
        tree: Manifest,
        over: bool = False,
        at: int = 0,
        messages: Sequence[Message] = (),
    ) -> bool:
        """Run the checks of every request made so far, but for frozen ones and those whose folder is unchanged.

        Returns whether all that had been stopped stood still up to each check that lets processes run.

        Args:
            workspace: where the checks look; its processes are stopped (`Workspace.freeze`), and run on only for a
                check that talks to them (``live``) and for final sub-goals, which belong to somebody else's grader.
            tree: its present manifest.
            over: the episode has ended, so final sub-goals are judged too.
            at: index of the assistant message after which this is.
            messages: the conversation; what the agent said to the user in it is what some checks are about.
        """
        self._still = True
        self._tree = tree
        self._links = None
        for request in self.scenario.requests[: self.goals.reached]:
            if request.name in self.goals.frozen:
                continue
            at_last = over and any(goal.final for goal in request.subgoals)
            listening = any(listens(goal.checks) for goal in request.subgoals)
            said = self.replies(request, messages) if listening else ()
            if request.folder and not at_last and not listening:
                digest = tree.below(request.folder).digest()
                if self.goals.verified_at.get(request.name) == digest:
                    continue
                self.goals.verified_at[request.name] = digest
            for goal in request.subgoals:
                key = goal_key(request, goal)
                if key in self.verdicts and (over or not goal.final):
                    self.goals.failing.pop(key, None)
                    self.verdicts[key], self.reasons[key] = self._run(key, goal, workspace, said)
                    self.goals.judged[key] = at
        return self._still

    def replies(self, request: Request, messages: Sequence[Message]) -> list[str]:
        """Return what the agent said to the user from this request on, until the user asked for something else."""
        first = self.goals.asked_at.get(request.name, 0)
        end = min((at for at in self.goals.asked_at.values() if at > first), default=len(messages))
        return [
            str(message["content"])
            for message in messages[first:end]
            if message["role"] == "assistant" and not message.get("tool_calls")
        ]

    def note_turn(self, words: str = "") -> None:
        """Count, when the agent's turn has ended and was verified, the requests that it leaves unfulfilled.

        One that it ended in order to ask what only the user knows is not among them.
        """
        for request in self.scenario.requests[: self.goals.reached]:
            if request.answers and answer_to(request, words):
                continue
            keys = [goal_key(request, goal) for goal in request.subgoals if not goal.final]
            if request.name not in self.goals.frozen and not all(
                self.verdicts.get(key, True) for key in keys
            ):
                self.goals.missed[request.name] = self.goals.missed.get(request.name, 0) + 1

    def fail_all(self, reason: str) -> None:
        """Let no sub-goal hold that would be looked at now: the workspace can't be looked at any more."""
        for request in self.scenario.requests[: self.goals.reached]:
            for goal in request.subgoals:
                key = goal_key(request, goal)
                if request.name not in self.goals.frozen and key in self.verdicts:
                    self.verdicts[key], self.reasons[key] = False, reason
                    self.goals.failing.pop(key, None)

    def open_goals(self, request_name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the names of (holding, failing) sub-goals among requests up to and including this one."""
        passed: list[str] = []
        failed: list[str] = []
        for request in self.scenario.requests[: self.goals.reached]:
            if request.name in self.goals.frozen:
                continue
            for goal in request.subgoals:
                key = goal_key(request, goal)
                if goal.final:
                    continue
                if key in self.verdicts and (request.name == request_name or not self.verdicts[key]):
                    (passed if self.verdicts[key] else failed).append(goal.name)
        return tuple(passed), tuple(failed)

    @property
    def score(self) -> float:
        """Fraction of sub-goals that hold, in [0, 1]; 1.0 for a scenario without any."""
        return sum(self.verdicts.values()) / len(self.verdicts) if self.verdicts else 1.0

    def _drop(self, request_name: str) -> None:
        for request in self.scenario.requests:
            if request.name == request_name:
                for goal in request.subgoals:
                    self.verdicts.pop(goal_key(request, goal), None)

    def _run(self, key: str, goal: SubGoal, workspace: Workspace, said: Sequence[str]) -> tuple[bool, str]:
        for place, check in enumerate(goal.checks):
            if goal.final or getattr(check, "live", False):
                self._still &= workspace.thaw()
                result = look_at(check, workspace, self._start, said)
                workspace.freeze()
            else:
                result = self._look(check, workspace, said)
            if not result.passed:
                self.goals.failing[key] = place
                return False, result.reason
        return True, ""

    def _look(self, check: Check, workspace: Workspace, said: Sequence[str]) -> CheckResult:
        """Run a check; what an agent can leave in a workspace fails it, whatever the check makes of that."""
        try:
            if getattr(check, "dear", False):
                if self._links is None:
                    self._links = leading_into_proc(workspace, self._tree)
                if self._links:
                    return CheckResult(False, self._links)
            return look_at(check, workspace, self._start, said)
        except WorkspaceError:
            raise
        except Exception as problem:
            return CheckResult(
                False, f"what was found can't be checked ({type(problem).__name__}: {problem})"[:400]
            )


def goal_key(request: Request, goal: SubGoal) -> str:
    """Name a sub-goal uniquely within its scenario."""
    return f"{request.name}: {goal.name}"
