"""Proves one task in a live workspace: the expert's plan passes, doing nothing and leaving out a key step don't.

Per seed: everything asked with all mistakes, request by request; then, from the state before each request,
the plan without each of its key steps; then only the required requests without mistakes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ise_gym.agents.background import resolved
from ise_gym.errors import UserError
from ise_gym.intents.instance import RequestInstance, TaskInstance, instantiate
from ise_gym.intents.review import Finding, review, review_texts
from ise_gym.intents.taskfile import TaskSpec
from ise_gym.messages import Message, assistant, tool_call
from ise_gym.scenario import DEFAULT_TOOLS, PlanStep
from ise_gym.services import start_services
from ise_gym.tools.dispatch import Toolbox
from ise_gym.workspace.base import SeedFile, Snapshot, Workspace


def prove_in(task: TaskSpec, seeds: Iterable[int], workspace: Workspace) -> list[Finding]:
    """Prove a task on some seeds in an open workspace, which is reset again and again.

    Raises:
        WorkspaceError: the sandbox failed.
    """
    try:
        found = review(task)
    except UserError as error:
        return [Finding(task.name, -1, "template", str(error))]
    for seed in seeds:
        found.extend(prove_seed(task, seed, workspace))
    return found


def prove_seed(task: TaskSpec, seed: int, workspace: Workspace) -> list[Finding]:
    """Prove one instance."""
    try:
        full = instantiate(task, seed, asked="all", mistakes="all")
        plain = instantiate(task, seed, asked="required", mistakes="none")
    except UserError as error:
        return [Finding(task.name, seed, "template", str(error))]
    thorough = _Proof(full, workspace)
    thorough.with_everything()
    sparing = _Proof(plain, workspace)
    sparing.without_mistakes()
    return [*review_texts(full), *thorough.found, *sparing.found]


class _Proof:
    """One run through one instance."""

    def __init__(self, instance: TaskInstance, workspace: Workspace) -> None:
        self.instance, self.workspace = instance, workspace
        self.found: list[Finding] = []
        self.start: dict[str, SeedFile] = {file.path: file for file in instance.files}
        workspace.reset()
        workspace.seed(instance.files)
        start_services(workspace, instance.services)

    def with_everything(self) -> None:
        """All requests with all mistakes: goals are open before, hold after, and need each key step."""
        for request in self.instance.requests:
            for goal in self._holding(request):
                self._note("idle", f"{request.name}: '{goal}' holds in the untouched workspace")
        for request in self.instance.requests:
            for goal in self._holding(request):
                self._note("early", f"{request.name}: '{goal}' already holds before its request is worked on")
            before = self.workspace.snapshot()
            fine = self._play(request, request.plan)
            fine = self._goals_hold(request, "after the plan with all mistakes") and fine
            after = self.workspace.snapshot()
            if fine:
                self._without_key_steps(request, before)
                self.workspace.restore(after)
        self._still_hold()

    def without_mistakes(self) -> None:
        """The plans as they are, one after the other."""
        for request in self.instance.requests:
            self._play(request, request.plan)
            self._goals_hold(request, "after the plan without mistakes")
        self._still_hold()

    def _without_key_steps(self, request: RequestInstance, before: Snapshot) -> None:
        steps = [step for step in request.plan if not step.mistake]
        keys = [index for index, step in enumerate(steps) if step.key]
        if not keys:
            self._note("key", f"{request.name}: no step of the expert is marked `key: true`")
        for left_out in keys:
            self.workspace.restore(before)
            self._play(request, steps[:left_out] + steps[left_out + 1 :], quiet=True)
            if len(self._holding(request)) == len(request.subgoals):
                self._note(
                    "key",
                    f"{request.name}: every sub-goal holds without the key step {shown(steps[left_out])}",
                )

    def _play(self, request: RequestInstance, steps: Sequence[PlanStep], quiet: bool = False) -> bool:
        """Run steps; unless quiet, note each that fails or succeeds against its mark. True when none did."""
        toolbox = Toolbox((*DEFAULT_TOOLS, *self.instance.tools), self.workspace)
        fine = True
        seen: list[Message] = []
        for number, step in enumerate(step for step in steps if step.tool):
            call = tool_call(step.tool, resolved(step.arguments, seen), f"call_{number}")
            message = toolbox.call(call)
            seen += [assistant(step.say, [call]), message]
            if message["success"] == step.fails and not quiet:
                fine = False
                verdict = "succeeds but is marked `fails`" if step.fails else "fails"
                tail = message["content"][-300:].strip()
                self._note("step", f"{request.name}: {shown(step)} {verdict}: {tail}")
        return fine

    def _goals_hold(self, request: RequestInstance, when: str) -> bool:
        """Note each failing check, and any trace that looking has left in the workspace."""
        digest = self.workspace.digest()
        problems = self._problems(request)
        for problem in problems:
            self._note("expert", f"{problem} {when}")
        if self.workspace.digest() != digest:
            self._note("writes", f"{request.name}: running its checks changes the workspace")
        return not problems

    def _still_hold(self) -> None:
        """At the end, what no later request supersedes must hold still (or again)."""
        replaced = {name for request in self.instance.requests for name in request.supersedes}
        failed_before = {finding.detail.split(":")[0] for finding in self.found if finding.kind == "expert"}
        for request in self.instance.requests:
            if request.name not in replaced and request.name not in failed_before:
                for problem in self._problems(request):
                    self._note("undone", f"{problem} after the later requests (supersedes missing?)")

    def _problems(self, request: RequestInstance) -> list[str]:
        found = []
        for goal in request.subgoals:
            for check in goal.checks:
                result = check.run(self.workspace, self.start)
                if not result.passed:
                    found.append(f"{request.name}: '{goal.name}': {result.reason}")
        return found

    def _holding(self, request: RequestInstance) -> list[str]:
        """Return the names of the sub-goals that hold now."""
        return [
            goal.name
            for goal in request.subgoals
            if all(check.run(self.workspace, self.start).passed for check in goal.checks)
        ]

    def _note(self, kind: str, detail: str) -> None:
        self.found.append(Finding(self.instance.task, self.instance.seed, kind, detail))


def shown(step: PlanStep) -> str:
    """Return a short form of a step for findings."""
    text = str(step.arguments.get("command") or dict(step.arguments))
    return f"`{step.tool} {text[:160]}{'…' if len(text) > 160 else ''}`"
