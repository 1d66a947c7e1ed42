"""The env protocol: a benchmark task as a scenario of ``ISE-OS-v0``, graded by the benchmark's own grader.

Tools, services, files, persona and grader are the task's; loop, system prompt, turn protocol and workspace are those
that a model is trained on here. So its figures say how that model does in its own surroundings, and are never put into
one table with those of the benchmark's loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import gymnasium as gym

import ise_gym  # noqa: F401  (registers the env)
from ise_gym.agents.base import Agent
from ise_gym.errors import AgentError, WorkspaceError
from ise_gym.evaluation.claweval.definition import Definition
from ise_gym.evaluation.claweval.grading import Graded, collect_snapshot, trace_counts
from ise_gym.evaluation.claweval.kept import Played
from ise_gym.evaluation.claweval.models.persona import TaskUser, watched
from ise_gym.evaluation.claweval.models.provider import AgentBroke, tokens_of
from ise_gym.evaluation.claweval.sandbox import PORT, SandboxApp
from ise_gym.evaluation.claweval.stage import Stage, has_user, mock_today
from ise_gym.evaluation.claweval.toolbox import ClawToolbox
from ise_gym.evaluation.claweval.traces import write_trace
from ise_gym.foreign.values import Json
from ise_gym.intents.catalog import system_prompt
from ise_gym.messages import Message, ToolSchema, assistant
from ise_gym.rollout.play import play_episode
from ise_gym.scenario import Budget, CheckResult, Persona, Request, Scenario, SubGoal
from ise_gym.simulator.base import UserSimulator
from ise_gym.workspace.base import SeedFile, Workspace

_ROOT = "/workspace/"
_NO_LIMIT = 1_000_000


class EnvPlayer:
    """Plays trials in one env, one after the other.

    Args:
        stage: what they are played with; its workspace is not used, the env has its own.
        backend: workspace backend of the env.
        sandbox_tools: offer the benchmark's sandbox tools over the env's workspace.
    """

    def __init__(self, stage: Stage, backend: str, *, sandbox_tools: bool) -> None:
        self._stage, self._sandbox_tools = stage, sandbox_tools
        self._user: UserSimulator = TaskUser()
        self._toolbox: Callable[[Workspace], ClawToolbox] | None = None
        self._open: ClawToolbox | None = None
        self._env = gym.make(
            "ISE-OS-v0",
            backend=backend,
            user=lambda: self._user,
            guard=False,  # the task's user brings its own
            toolbox=self._make_toolbox,
            disable_env_checker=True,
        )

    def play(self, folder: Path, seed: int, finish: Callable[[Played], Graded]) -> Graded:
        """Play one trial, and have it graded within its last step.

        Args:
            folder: the task's.
            seed: of the episode.
            finish: keeps what was played and grades it.

        Raises:
            ServiceError, WorkspaceError, AgentBroke, UserFailed: the infrastructure's or an endpoint's fault.
            BaseException: whatever ``finish`` raised.
        """
        began = time.perf_counter()
        stage = self._stage
        upstream = stage.upstream
        task = upstream.TaskDefinition.from_yaml(folder / "task.yaml")
        trace_id = str(uuid4())
        serve = stage.sandbox if self._sandbox_tools else None
        self._toolbox = lambda workspace: ClawToolbox(upstream, task, trace_id, workspace, serve)
        self._user = self._user_of(task)
        agent = _Steady(stage.agent)
        grader = _Grader(
            lambda: finish(self._played(task, folder, trace_id, seed, agent, broken, (began, ready)))
        )
        try:
            with stage.services(task):
                broken = stage.broken_tools(task)
                ready = time.perf_counter()
                scenario = scenario_of(task, seed, self._files(task, folder), grader)
                record = play_episode(self._env, agent, scenario, seed)
        finally:
            opened, self._open = self._open, None
            if opened is not None:
                opened.close()
        if record.outcome == "infrastructure_error":
            raise WorkspaceError(record.reason)
        if grader.graded is None:
            raise RuntimeError(f"the episode ended without a verdict: {record.outcome}: {record.reason}")
        return grader.graded

    def close(self) -> None:
        """Close the env."""
        self._env.close()

    def _make_toolbox(self, scenario: Scenario, workspace: Workspace) -> ClawToolbox:
        assert self._toolbox is not None, "play() sets it before it resets the env"
        self._open = self._toolbox(workspace)
        return self._open

    def _user_of(self, task: Definition) -> UserSimulator:
        client = self._stage.user
        if client is None or not has_user(task):
            return TaskUser()
        upstream = self._stage.upstream
        simulator = upstream.user(client)

        def speak(persona: str, messages: Sequence[Message]) -> str | None:
            said = [upstream.Message(role=m["role"], content=m["content"]) for m in messages]
            answer: str | None = simulator.generate_response(persona=persona, conversation_messages=said)
            return answer

        return watched(speak, task.user_agent.persona, task.user_agent.max_rounds)

    def _files(self, task: Definition, folder: Path) -> tuple[SeedFile, ...]:
        """Let the benchmark hand out the task's files, and keep them for the scenario."""
        if not self._sandbox_tools:
            return ()
        taken = _Taken()
        self._stage.router.add(PORT, SandboxApp(taken))  # type: ignore[arg-type]
        try:
            self._stage.inject(task, folder)
        finally:
            self._stage.router.remove(PORT)
        return tuple(SeedFile(path.removeprefix(_ROOT), content) for path, content in taken.files.items())

    def _played(
        self,
        task: Definition,
        folder: Path,
        trace_id: str,
        seed: int,
        agent: _Steady,
        broken: list[dict[str, Json]],
        since: tuple[float, float],
    ) -> Played:
        """Write the episode that has just ended as a trace, with what a grader looks at beside it."""
        stage, toolbox = self._stage, self._open
        began, ready = since
        assert toolbox is not None, "an episode that is over has begun"
        path = stage.traces / f"{task.task_id}_{trace_id[:8]}.jsonl"
        episode = self._env.unwrapped.episode  # type: ignore[attr-defined]
        write_trace(stage.upstream, task, path, trace_id, episode.messages, toolbox, stage.agent.name)
        snapshot = collect_snapshot(stage.upstream, task, folder, sandboxed=self._sandbox_tools)
        toolbox.require_sandbox()
        guard = episode.user_report.get("guard", {})
        counts = {
            **trace_counts(stage.upstream, path),
            **{name: episode.counts[name] for name in ("user_turns", "messages")},
            **dict(zip(("input_tokens", "output_tokens"), tokens_of(stage.agent), strict=True)),
            **{f"user_{key}": guard[key] for key in ("drifted", "reached") if guard},
        }
        now = time.perf_counter()
        return Played(
            trace=path.name,
            seed=seed,
            snapshot=snapshot,
            counts=counts,
            notes=broken,
            timings={"services_s": round(ready - began, 4), "loop_s": round(now - ready, 4)},
            reason=f"the agent gave up: {agent.failure}" if agent.failure else "",
        )


def scenario_of(task: Definition, seed: int, files: tuple[SeedFile, ...], grader: _Grader) -> Scenario:
    """Turn a task into a scenario: one request, the task's files and limits, its grader as the final check."""
    persona = task.user_agent if has_user(task) else None
    prompt = system_prompt()
    if today := mock_today(task):
        prompt = f"{prompt}\n\nCurrent date: {today}"
    if persona is not None and persona.system_prompt_suffix:
        prompt = f"{prompt}\n\n{persona.system_prompt_suffix}"
    limits = task.environment
    return Scenario(
        id=task.task_id,
        seed=seed,
        intent=task.prompt.text,
        persona=Persona(name="user", role="", industry="", work_context=persona.persona if persona else ""),
        requests=(
            Request(task.task_id, task.prompt.text, subgoals=(SubGoal("graded", (grader,), final=True),)),
        ),
        files=files,
        budget=Budget(
            user_turns=_NO_LIMIT,
            messages=_NO_LIMIT,
            tool_calls=_NO_LIMIT,
            seconds=float(limits.timeout_seconds),
            agent_turns=limits.max_turns,
        ),
        system_prompt=prompt,
        split="eval",
    )


class _Grader:
    """The benchmark's grader as a check; it runs once, when the episode is over."""

    def __init__(self, finish: Callable[[], Graded]) -> None:
        self._finish = finish
        self.graded: Graded | None = None

    def run(self, workspace: Workspace, start: Mapping[str, SeedFile]) -> CheckResult:
        self.graded = self._finish()
        return CheckResult(self.graded.passed, f"the grader's score is {self.graded.score}")


class _Taken:
    """Takes what is written to a sandbox that is not there yet."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def write(self, path: str, content: bytes) -> None:
        self.files[path] = content


class _Steady:
    """An agent whose broken endpoint stops the trial, and whose own limit is its last word."""

    def __init__(self, agent: Agent) -> None:
        self._agent, self.name = agent, agent.name
        self.failure = ""

    def reset(self, scenario: Scenario, seed: int) -> None:
        """Hand on the scenario without anything to look into."""
        self._agent.reset(replace(scenario, requests=(), files=()), seed)

    def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Message:
        """Answer; see `ise_gym.evaluation.claweval.models.provider.AgentClient`, for the benchmark."""
        try:
            return self._agent.act(messages, tools)
        except AgentError as error:
            if getattr(error, "infrastructure", True):
                raise AgentBroke(str(error)) from error
            self.failure = str(error)
            return assistant("")

    def describe(self) -> dict[str, Any]:
        """As the agent."""
        return self._agent.describe()

    def close(self) -> None:
        """The stage closes the agent."""
