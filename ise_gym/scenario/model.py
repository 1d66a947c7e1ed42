"""What one episode needs: a user, tools, a workspace seed, checks and limits.

Everything upstream (the 4D catalog, an ISETrace intent file, a Claw-Eval task) ends as a `Scenario`;
everything downstream (env, rollout, eval) starts from one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Protocol

from ise_gym.services.spec import ServiceSpec
from ise_gym.workspace.base import SeedFile, Workspace

Register = Literal["casual", "collaborative", "analytical", "formal"]
Complexity = Literal["simple", "medium", "complex"]
DEFAULT_TOOLS: tuple[str, ...] = ("exec", "read", "write", "edit", "process")


@dataclass(frozen=True)
class CheckResult:
    """Verdict of one check; ``reason`` says what was found instead (harness only, never shown to a model)."""

    passed: bool
    reason: str = ""


class Check(Protocol):
    """Looks at the final workspace. Expected values stay on the harness side."""

    def run(self, workspace: Workspace, start: Mapping[str, SeedFile]) -> CheckResult:
        """Check the workspace; ``start`` maps paths to the files that the episode began with."""
        ...


@dataclass(frozen=True)
class SubGoal:
    """One verifiable piece of what a request asks for: passes when all of its checks pass.

    A ``final`` one can only be judged once the episode is over (a benchmark's grader, say): its checks run then and
    not before, and the user never sees it as evidence.
    """

    name: str
    checks: tuple[Check, ...]
    final: bool = False


@dataclass(frozen=True)
class PlanStep:
    """One assistant message of the scripted expert (harness only).

    Attributes:
        tool: the tool called, or "" for a step that only speaks.
        arguments: its arguments.
        say: the text beside the call.
        key: without this step the checks must fail (proved by ``ise tasks check``).
        fails: the call is a realistic mistake and really fails.
        mistake: the step belongs to a mistake block; a plan without the block also solves the task.
        asks: ``say`` is a question to the user: the turn ends with it, and the plan goes on after the answer.
    """

    tool: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    say: str = ""
    key: bool = False
    fails: bool = False
    mistake: bool = False
    asks: bool = False


@dataclass(frozen=True)
class WrongWay:
    """What an agent could do instead and must not pass with (harness only): ``why`` names it."""

    why: str
    steps: tuple[PlanStep, ...] = ()
    reply: str = ""


@dataclass(frozen=True)
class Request:
    """One thing the user asks for, in one user turn.

    The one type of a request at all its stages: drafting a task gives names and wordings, completing it sub-goals, plan
    and reply, and making the intent executable the text with its facts and folder. A field that a task's request
    (`ise_gym.tasks.model.RequestModel`) has by the same name is carried over from it.

    Attributes:
        name: unique within the scenario, ``<task instance>/<request>``.
        text: the utterance, already in the persona's voice.
        task: name of the catalog task it came from ("" for none).
        wordings: register → what can be said, before a persona's voice; empty where no task gave any.
        optional: a follow-up that another seed may leave out.
        answers: what the user says when asked: ``about`` (groups of words, as in the check ``reply``) and ``say``.
        replies: all the ways in which the expert may close; ``wrong``: what a proof tries that must not pass.
        subgoals: what must hold afterwards.
        plan: how the scripted expert does it.
        reply: the expert's closing words to the user.
        supersedes: earlier requests whose sub-goals this one changes; they keep the verdict they had.
        facts: words the user may use when asking again (paths, names, figures of this request).
        folder: its checks depend on nothing outside this folder (relative to the workspace), so an unchanged
            folder keeps its verdict; "" when that is not known.
    """

    name: str
    text: str = ""
    task: str = ""
    subgoals: tuple[SubGoal, ...] = ()
    plan: tuple[PlanStep, ...] = ()
    reply: str = ""
    supersedes: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    folder: str = ""
    wordings: Mapping[Register, tuple[str, ...]] = field(default_factory=dict)
    optional: bool = False
    answers: tuple[Mapping[str, Any], ...] = ()
    replies: tuple[str, ...] = ()
    wrong: tuple[WrongWay, ...] = ()


@dataclass(frozen=True)
class Persona:
    """Who the user is (ISE's P). ``voice`` holds the style's traits as data (greeting, hedging, …)."""

    name: str
    role: str
    industry: str
    expertise: tuple[str, ...] = ()
    experience_level: str = ""
    communication_style: str = ""
    work_context: str = ""
    register: Register = "collaborative"
    voice: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self, *, voice: bool = True) -> dict[str, Any]:
        """Return the fields as plain JSON data, in order; ``voice=False`` leaves out how this person writes."""
        names = [each.name for each in fields(self) if voice or each.name != "voice"]
        data: dict[str, Any] = json.loads(
            json.dumps({name: getattr(self, name) for name in names}, default=dict)
        )
        return data


@dataclass(frozen=True)
class Budget:
    """When an episode is truncated; ``agent_turns`` counts the agent's messages, 0 is no limit.

    ``seconds`` counts wall time and is the one nondeterministic limit. ``reply_chars`` truncates nothing: it is how
    much of one reply the user reads, start and end, when an agent writes more.
    """

    user_turns: int = 24
    messages: int = 600
    tool_calls: int = 300
    seconds: float = 1800.0
    agent_turns: int = 0
    reply_chars: int = 16_000


@dataclass(frozen=True)
class Scenario:
    """Everything one episode needs.

    Attributes:
        id: stable and unique within its source; equal for equal (source, seed).
        seed: drives the user simulator and the expert's mistakes.
        intent: the full natural-language intent (harness and exporter; the agent sees requests one by one).
        brief: the same in a few sentences, without details ("" where the source has none).
        requests: in the order in which the user makes them.
        domains, tasks: catalog names, for statistics.
        split: "train", "eval" or "" — fixed by the source, checked by the eval's contamination check.
        metadata: JSON, copied into the trajectory.
        services: the in-box services that run during the episode.
    """

    id: str
    seed: int
    intent: str
    persona: Persona
    requests: tuple[Request, ...]
    files: tuple[SeedFile, ...] = ()
    domains: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    complexity: Complexity = "medium"
    tools: tuple[str, ...] = DEFAULT_TOOLS
    budget: Budget = field(default_factory=Budget)
    system_prompt: str = ""
    split: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    services: tuple[ServiceSpec, ...] = ()
    brief: str = ""


class ScenarioSource(Protocol):
    """Scenarios, indexable by seed: ``source.scenario(seed)`` is always the same for the same seed."""

    @property
    def name(self) -> str:
        """Short name of the source and its options."""
        ...

    def scenario(self, seed: int) -> Scenario:
        """Return the scenario of a seed (any integer ≥ 0)."""
        ...

    def __iter__(self) -> Iterator[Scenario]:
        """Iterate from seed 0; endless for generated sources, finite for files."""
        ...
