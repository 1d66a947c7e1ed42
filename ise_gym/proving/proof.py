"""Proves one task in a live workspace: the expert passes; idleness, a missing key step and wrong answers don't.

Per thorough seed: everything asked with all mistakes, request by request; after each, wrong answers
(`ise_gym.proving.damage`) and, from the state before it, the plan without each of its key steps; then only the
required requests without mistakes. The other seeds ask whether the expert passes, in one run each. Whatever plan
is played is also held to what it can know (`ise_gym.proving.knowledge`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from ise_gym.checks.heard import listens, look_at
from ise_gym.errors import UserError
from ise_gym.proving.damage import Damage, Known
from ise_gym.proving.hearing import words_decide, words_said, wrong_ways
from ise_gym.proving.knowledge.effects import unasked_changes
from ise_gym.proving.knowledge.examine import Knowledge
from ise_gym.proving.playing import play_plan
from ise_gym.proving.review import Finding, review, review_texts
from ise_gym.scenario import DEFAULT_TOOLS, Check, PlanStep, Request, SubGoal
from ise_gym.services import start_services
from ise_gym.simulator.answers import answer_to
from ise_gym.tasks.complete import instantiate, own_input_files
from ise_gym.tasks.draft import draft
from ise_gym.tasks.file import TaskSpec
from ise_gym.tasks.instance import TaskInstance
from ise_gym.tasks.products import Product
from ise_gym.workspace.base import Manifest, SeedFile, Snapshot, Workspace, diff_manifests

THOROUGH_SEEDS = 3
"""On so many seeds of a task idleness, missing key steps and wrong answers are tried, on the rest the expert only."""

_ANOTHER = 7919
_ELSEWHERE = "handed-on"
"""No folder that instances draw has this name."""

Rights = tuple[str, Mapping[str, Mapping[str, bytes]]]
"""An instance's root and what its outputs hold when they are right: request → place → content."""


@dataclass
class Proved:
    """What came of proving one task: ``mutants`` wrong answers were tried, ``survived`` of them passed all checks."""

    findings: list[Finding] = field(default_factory=list)
    mutants: int = 0
    survived: int = 0


def prove_in(
    task: TaskSpec, seeds: Iterable[int], workspace: Workspace, thorough: int = THOROUGH_SEEDS
) -> Proved:
    """Prove a task on some seeds in an open workspace, which is reset again and again.

    Args:
        task: the loaded task.
        seeds: which instances.
        workspace: where they are played.
        thorough: on how many of the seeds, from the first, everything is tried.

    Raises:
        WorkspaceError: the sandbox failed.
    """
    try:
        proved = Proved(review(task))
    except UserError as error:
        return Proved([Finding(task.name, -1, "template", str(error))])
    rights: Rights = ("", {})
    for count, seed in enumerate(seeds):
        if count < thorough:
            rights = prove_seed(task, seed, workspace, proved, rights)
        else:
            prove_expert(task, seed, workspace, proved, with_everything=count % 4 == 0)
    return proved


def prove_seed(
    task: TaskSpec, seed: int, workspace: Workspace, proved: Proved, rights: Rights = ("", {})
) -> Rights:
    """Prove one instance thoroughly; adds to ``proved`` and returns what right outputs hold.

    Args:
        task: the loaded task.
        seed: of the instance.
        workspace: where it is played.
        proved: collects what is found.
        rights: what this returned for another instance: its outputs are wrong answers here.
    """
    try:
        full = instantiate(task, seed, asked="all", mistakes="all", ways=ways_of(task, seed))
        plain = instantiate(task, seed, asked="required", mistakes="none")
    except UserError as error:
        proved.findings.append(Finding(task.name, seed, "template", str(error)))
        return rights
    proved.findings.extend(review_texts(full))
    thorough = _Proof(full, workspace, proved)
    found = thorough.with_everything(rights)
    required = _Proof(plain, workspace, proved)
    required.play_through("after the plan without mistakes")
    required.note_missing_outputs()
    if task.model.inputs:
        handed = with_stand_ins(task, seed)
        _Proof(handed, workspace, proved).play_through("when an earlier task provides its inputs")
    return full.root, found


def ways_of(task: TaskSpec, seed: int) -> tuple[str, ...] | None:
    """Return the tools for which other ways are proved: on every second seed; the plans as written on the rest."""
    return (*DEFAULT_TOOLS, *task.model.tools) if seed % 2 else None


def with_stand_ins(task: TaskSpec, seed: int) -> TaskInstance:
    """Draw an instance that is handed all its inputs: the start files of another instance play the products.

    Its checks and plan must get along with whatever they are given, wherever that lies.
    """
    other = draft(task, seed + _ANOTHER, _ELSEWHERE)
    inputs = {
        name: Product(scope["path"], "", f"{scope['what']} from before")
        for name, scope in ((name, other.parameters[name]) for name in task.model.inputs)
    }
    instance = instantiate(task, seed, asked="all", mistakes="all", inputs=inputs)
    given = [file for name in inputs for file in own_input_files(task, other, name)]
    return replace(instance, files=(*instance.files, *given))


def prove_expert(
    task: TaskSpec, seed: int, workspace: Workspace, proved: Proved, with_everything: bool
) -> None:
    """Prove of one instance that the expert passes, in a single run.

    Args:
        task: the loaded task.
        seed: of the instance.
        workspace: where it is played.
        proved: collects what is found.
        with_everything: all requests with all mistakes; else the drawn requests without mistakes.
    """
    try:
        if with_everything:
            instance = instantiate(task, seed, asked="all", mistakes="all", ways=ways_of(task, seed))
        else:
            instance = instantiate(task, seed, asked="drawn", mistakes="none", ways=ways_of(task, seed))
    except UserError as error:
        proved.findings.append(Finding(task.name, seed, "template", str(error)))
        return
    proved.findings.extend(review_texts(instance))
    when = "after the plan with all mistakes" if with_everything else "after the plan without mistakes"
    _Proof(instance, workspace, proved).play_to_the_end(when)


class _Proof:
    """One run through one instance."""

    def __init__(self, instance: TaskInstance, workspace: Workspace, proved: Proved) -> None:
        self.instance, self.workspace, self.proved = instance, workspace, proved
        self.failed: set[str] = set()
        self.said: dict[str, list[str]] = {}  # request → what the expert has said to the user about it
        self.knowledge = Knowledge(instance)
        self.start: dict[str, SeedFile] = {file.path: file for file in instance.files}
        workspace.reset()
        workspace.seed(instance.files)
        start_services(workspace, instance.services)

    def with_everything(self, rights: Rights) -> dict[str, Mapping[str, bytes]]:
        """All requests with all mistakes: goals are open before, hold after, and need each key step.

        Returns what the right outputs of each request hold.
        """
        for request in self.instance.requests:
            for goal in self._holding(request):
                self._note("idle", f"{request.name}: '{goal}' holds in the untouched workspace")
        known = Known({path: file.content for path, file in self.start.items()})
        found: dict[str, Mapping[str, bytes]] = {}
        for request in self.instance.requests:
            for goal in self._holding(request):
                self._note("early", f"{request.name}: '{goal}' already holds before its request is worked on")
            before = self.workspace.snapshot()
            tree = self.workspace.manifest()
            fine = self._play(request, request.plan, reply=request.reply)
            fine = self._goals_hold(request, "after the plan with all mistakes") and fine
            after = self.workspace.snapshot()
            if fine:
                theirs = (rights[0], rights[1].get(request.name, {}))
                found[request.name] = self._wrong_answers(request, tree, known, before, theirs)
                self._without_key_steps(request, before)
                self._wrong_words(request, before)
                self.said[request.name] = words_said(request.plan, request.reply)
                self.workspace.restore(after)
            now = self.workspace.manifest()
            changes = diff_manifests(tree, now)
            known.update(self.workspace, now, changes)
            for detail in unasked_changes(
                self.start, changes.deleted, changes.changed, self.instance.root, self.knowledge.seen
            ):
                self._note("unasked", f"{request.name}: the plan {detail}")
        self._still_hold()
        return found

    def play_through(self, when: str) -> None:
        """The plans as they are, one after the other."""
        for request in self.instance.requests:
            self._play(request, request.plan, reply=request.reply)
            self._goals_hold(request, when)
        self._still_hold()

    def note_missing_outputs(self) -> None:
        """Note what later tasks may be handed and isn't there: those would ask for work on nothing."""
        there = self.workspace.manifest()
        for name, product in self.instance.outputs.items():
            if not there.below(product.path).entries:
                self._note(
                    "output",
                    f"'{name}' ({product.path}) isn't there; name the request that makes it (`after`)",
                )

    def play_to_the_end(self, when: str) -> None:
        """The plans one after the other; what no later request supersedes is checked once, at the end."""
        replaced = {name for request in self.instance.requests for name in request.supersedes}
        for request in self.instance.requests:
            self._play(request, request.plan, reply=request.reply)
            if request.name in replaced:
                self._note_problems(request, when)
        for request in self.instance.requests:
            if request.name not in replaced:
                self._note_problems(request, when)

    def _note_problems(self, request: Request, when: str) -> list[str]:
        problems = self._problems(request)
        for problem in problems:
            self._note("expert", f"{problem} {when}")
            self.failed.add(request.name)
        return problems

    def _wrong_answers(
        self,
        request: Request,
        before: Manifest,
        known: Known,
        earlier: Snapshot,
        other: tuple[str, Mapping[str, bytes]],
    ) -> Mapping[str, bytes]:
        standing = [check for check in self._standing(request) if not listens([check])]
        damage = Damage(
            self.workspace,
            self.start,
            request,
            self.instance.root,
            before,
            known,
            earlier,
            other,
            standing,
            self.said.get(request.name, ()),
        )
        outcome = damage.assess()
        self.proved.mutants += outcome.made
        self.proved.survived += len(outcome.survivors)
        for text in outcome.survivors:
            self._note("mutant", text)
        return outcome.contents

    def _standing(self, last: Request) -> list[Check]:
        """Return the checks of earlier requests that hold to the end as far as the last one goes."""
        done = self.instance.requests[: self.instance.requests.index(last) + 1]
        replaced = {name for request in done for name in request.supersedes}
        standing = [r for r in done[:-1] if r.name not in replaced and r.name not in self.failed]
        return [check for request in standing for goal in request.subgoals for check in goal.checks]

    def _without_key_steps(self, request: Request, before: Snapshot) -> None:
        steps = [step for step in request.plan if not step.mistake]
        keys = [index for index, step in enumerate(steps) if step.key]
        if not keys and not words_decide(request):
            self._note("key", f"{request.name}: no step of the expert is marked `key: true`")
        for left_out in keys:
            self.workspace.restore(before)
            self._play(request, steps[:left_out] + steps[left_out + 1 :], quiet=True, reply=request.reply)
            # One that doesn't is enough: the rest isn't looked at.
            if all(map(self._holds, request.subgoals)):
                self._note(
                    "key",
                    f"{request.name}: every sub-goal holds without the key step {shown(steps[left_out])}",
                )

    def _wrong_words(self, request: Request, before: Snapshot) -> None:
        """Where words count: each wrong way must fail, and each of the right replies pass."""
        if words_decide(request) and not request.wrong:
            self._note("wrong", f"{request.name}: words decide here, but no wrong way stands under `wrong`")
        for way in wrong_ways(request):
            self.workspace.restore(before)
            if not self._play(request, way.steps, quiet=True, reply=way.reply):
                self._note("wrong", f"{request.name}: a step of one who {way.who} does not go as marked")
            self.proved.mutants += 1
            if all(map(self._holds, request.subgoals)):
                self.proved.survived += 1
                text = f"every sub-goal holds for an agent that {way.who} ({way.reply!r})"
                self._note("wrong", f"{request.name}: {text}")
        if not words_decide(request):
            return
        self.workspace.restore(before)
        self._play(request, request.plan, quiet=True)
        for reply in request.replies:
            self.said[request.name] = words_said(request.plan, reply)
            for problem in self._problems(request):
                self._note("reply", f"{problem} after the reply {reply[:80]!r}")

    def _play(
        self, request: Request, steps: Sequence[PlanStep], quiet: bool = False, reply: str = ""
    ) -> bool:
        """Run steps; unless quiet, note each that fails or succeeds against its mark, and what it knew too much.

        Returns:
            True when each failed or succeeded as it is marked.
        """
        self.said[request.name] = words_said(steps, reply)
        offered = (*DEFAULT_TOOLS, *self.instance.tools)
        played, closing = play_plan(steps, offered, self.workspace, partial(answer_to, request))
        wrong = [
            (step, message) for calls in played for step, message in calls if message["success"] == step.fails
        ]
        if quiet:
            return not wrong
        for step, message in wrong:
            if step.asks:
                self._note("answer", f"{request.name}: the user has no answer to {step.say[:120]!r}")
                continue
            verdict = "succeeds but is marked `fails`" if step.fails else "fails"
            tail = message["content"][-300:].strip()
            self._note("step", f"{request.name}: {shown(step)} {verdict}: {tail}")
        for kind, detail in self.knowledge.examine(request, closing, played):
            self._note(kind, f"{request.name}: {detail}")
        return not wrong

    def _goals_hold(self, request: Request, when: str) -> bool:
        """Note each failing check, and any trace that looking has left in the workspace."""
        digest = self.workspace.digest()
        problems = self._note_problems(request, when)
        if self.workspace.digest() != digest:
            self._note("writes", f"{request.name}: running its checks changes the workspace")
        return not problems

    def _still_hold(self) -> None:
        """At the end, what no later request supersedes must hold still (or again)."""
        replaced = {name for request in self.instance.requests for name in request.supersedes}
        for request in self.instance.requests:
            if request.name not in replaced and request.name not in self.failed:
                for problem in self._problems(request):
                    self._note("undone", f"{problem} after the later requests (supersedes missing?)")

    def _problems(self, request: Request) -> list[str]:
        found = []
        for goal in request.subgoals:
            for check in goal.checks:
                result = look_at(check, self.workspace, self.start, self.said.get(request.name, ()))
                if not result.passed:
                    found.append(f"{request.name}: '{goal.name}': {result.reason}")
        return found

    def _holding(self, request: Request) -> list[str]:
        """Return the names of the sub-goals that hold now."""
        self.said.pop(request.name, None)
        return [goal.name for goal in request.subgoals if self._holds(goal)]

    def _holds(self, goal: SubGoal) -> bool:
        owner = next((r for r in self.instance.requests if any(own is goal for own in r.subgoals)), None)
        said = self.said.get(owner.name, ()) if owner else ()
        return all(look_at(check, self.workspace, self.start, said).passed for check in goal.checks)

    def _note(self, kind: str, detail: str) -> None:
        finding = Finding(self.instance.task, self.instance.seed, kind, detail)
        if finding not in self.proved.findings:  # one plan is played in several ways
            self.proved.findings.append(finding)


def shown(step: PlanStep) -> str:
    """Return a short form of a step for findings."""
    text = str(step.arguments.get("command") or dict(step.arguments))
    return f"`{step.tool} {text[:160]}{'…' if len(text) > 160 else ''}`"
