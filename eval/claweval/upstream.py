"""The upstream protocol: the benchmark's own loop, prompt and grader, with our agent as its model.

Everything here runs in a worker process whose import path begins with the checkout; nothing of the benchmark is
changed, only what it is handed: a client for the model, a client for the judge, services without ports.
"""

from __future__ import annotations

import base64
import inspect
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from eval.claweval.asgi import Router
from eval.claweval.judge import JudgeClient
from eval.claweval.provider import AgentClient
from eval.claweval.sandbox import PORT, URL, SandboxApp
from eval.claweval.services import InProcessServices
from ise_gym.agents.base import Agent
from ise_gym.errors import UserError, WorkspaceError
from ise_gym.scenario import Persona, Scenario
from ise_gym.workspace.base import Workspace

_EXPECTED: dict[str, dict[str, tuple[str, ...]]] = {
    "claw_eval.runner.loop": {
        "run_task": ("task", "provider", "trace_dir", "prompt_cfg", "model_cfg", "media_cfg", "user_agent")
    },
    "claw_eval.graders.registry": {"get_grader": ("task_id", "tasks_dir", "task_dir")},
    "claw_eval.trace.reader": {"load_trace": ("path",)},
    "claw_eval.models.scoring": {"compute_task_score": ("scores",), "is_pass": ("score",)},
    "claw_eval.graders.llm_judge": {"LLMJudge": ("model_id", "api_key", "base_url")},
    "claw_eval.runner.providers.openai_compat": {"OpenAICompatProvider": ("model_id", "api_key", "base_url")},
    "claw_eval.config": {"PromptConfig": (), "ModelConfig": (), "MediaConfig": ()},
    "claw_eval.models.task": {"TaskDefinition": ()},
}
_EXPECTED_OF_SANDBOX: dict[str, dict[str, tuple[str, ...]]] = {
    "claw_eval.runner.sandbox_runner": {"SandboxRunner": ()},
    "claw_eval.cli": {"_collect_env_snapshot": ("sandbox_url", "task")},
}
_EXPECTED_OF_USER: dict[str, dict[str, tuple[str, ...]]] = {
    "claw_eval.runner.user_agent": {"UserAgent": ("model_id", "api_key", "base_url")},
}


@dataclass(frozen=True)
class Graded:
    """What the benchmark's grader said of one trial, and what the trial took."""

    score: float
    passed: bool
    dimensions: dict[str, float]
    counts: dict[str, int]
    notes: list[dict[str, Any]]
    timings: dict[str, float]
    trace: str
    reason: str = ""


class Upstream:
    """The benchmark's own code, looked up once and checked.

    Args:
        root: the checkout, whose ``src`` is on the import path and which is the working directory.
        sandbox, user: whether its sandbox and its simulated user are needed.

    Raises:
        UserError: a function that is used is missing or takes other arguments.
    """

    def __init__(self, root: Path, *, sandbox: bool = False, user: bool = False) -> None:
        self.root = root
        expected = {
            **_EXPECTED,
            **(_EXPECTED_OF_SANDBOX if sandbox else {}),
            **(_EXPECTED_OF_USER if user else {}),
        }
        for module_name, functions in expected.items():
            try:
                module = import_module(module_name)
            except ImportError as error:
                raise UserError(f"{root}: {module_name} can't be imported ({error}).") from error
            for name, arguments in functions.items():
                self._require(module, name, arguments)
                setattr(self, name, getattr(module, name))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)

    def _require(self, module: Any, name: str, arguments: tuple[str, ...]) -> None:
        found = getattr(module, name, None)
        if found is None:
            raise UserError(
                f"{self.root}: this version of Claw-Eval has no {module.__name__}.{name}; it was expected."
            )
        known = inspect.signature(found).parameters if arguments else {}
        missing = [argument for argument in arguments if argument not in known]
        if missing:
            raise UserError(
                f"{self.root}: {module.__name__}.{name} no longer takes {', '.join(missing)}: this version of "
                "Claw-Eval is not supported."
            )

    def judge(self, client: JudgeClient) -> Any:
        """Return the benchmark's own judge over our client; its sleeps between tries are left out."""
        judge = self.LLMJudge(model_id=client.spec.model, api_key="unused", base_url="http://unused.invalid")
        judge.client = client
        import_module("claw_eval.graders.llm_judge").time = _NoSleep()  # type: ignore[attr-defined]
        return judge

    def user(self, client: JudgeClient) -> Any:
        """Return the benchmark's own simulated user over our client."""
        user = self.UserAgent(model_id=client.spec.model, api_key="unused", base_url="http://unused.invalid")
        user.client = client
        return user

    def provider(self, client: AgentClient, name: str) -> Any:
        """Return the benchmark's own provider over our agent."""
        provider = self.OpenAICompatProvider(
            model_id=name, api_key="unused", base_url="http://unused.invalid"
        )
        provider.client = client
        return provider


class _NoSleep:
    """Stands for the ``time`` module in the judge's: retries there are our client's business."""

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    @staticmethod
    def sleep(seconds: float) -> None:
        """Go on at once."""


@dataclass(frozen=True)
class Stage:
    """What trials are played with; one a worker.

    Attributes:
        judge, user: clients of the models behind the judge and the simulated user; None where there is none.
        workspace: what the sandbox tools act on; None leaves the tools out.
    """

    upstream: Upstream
    router: Router
    agent: Agent
    traces: Path
    judge: JudgeClient | None = None
    user: JudgeClient | None = None
    workspace: Workspace | None = None


def play(stage: Stage, folder: Path, seed: int) -> Graded:
    """Play and grade one trial.

    Raises:
        ServiceError, WorkspaceError, AgentBroke, UserFailed, JudgeFailed: the infrastructure's, an endpoint's or
            the judge's fault.
        Exception: whatever the benchmark's own loop or grader raised.
    """
    began = time.perf_counter()
    upstream, agent = stage.upstream, stage.agent
    task = upstream.TaskDefinition.from_yaml(folder / "task.yaml")
    agent.reset(stand_in(task.task_id, task.prompt.text, seed), seed)
    client = AgentClient(agent)
    for model in (stage.judge, stage.user):
        if model is not None:
            model.begin_trial()
    with (
        InProcessServices(task.services, upstream.root, stage.router),
        _sandbox(stage, task, folder) as sandbox,
    ):
        ready = time.perf_counter()
        trace = upstream.run_task(
            task,
            upstream.provider(client, agent.name),
            trace_dir=stage.traces,
            sandbox_tools=sandbox is not None,
            sandbox_url=URL if sandbox is not None else None,
            prompt_cfg=upstream.PromptConfig(),
            model_cfg=upstream.ModelConfig(),
            media_cfg=upstream.MediaConfig(),
            user_agent=upstream.user(stage.user) if stage.user is not None and _has_user(task) else None,
        )
        played = time.perf_counter()
        snapshot = {**_snapshot(stage, task, folder, sandbox), **local_files(folder, task.local_grader_files)}
        judge = upstream.judge(stage.judge) if stage.judge is not None else None
        graded = grade(upstream, task, folder, Path(trace), judge, snapshot)
    counts = {**graded.counts, **_model_counts("judge", stage.judge), **_model_counts("user", stage.user)}
    timings = {
        "total_s": round(time.perf_counter() - began, 4),
        "services_s": round(ready - began, 4),
        "loop_s": round(played - ready, 4),
    }
    reason = f"the agent gave up: {client.agent_failure}" if client.agent_failure else ""
    return replace(graded, counts=counts, timings=timings, trace=Path(trace).name, reason=reason)


def _has_user(task: Any) -> bool:
    return bool(getattr(getattr(task, "user_agent", None), "enabled", False))


@contextmanager
def _sandbox(stage: Stage, task: Any, folder: Path) -> Iterator[SandboxApp | None]:
    """Serve a fresh workspace with the task's files in it."""
    if stage.workspace is None:
        yield None
        return
    stage.workspace.reset()
    app = SandboxApp(stage.workspace)
    stage.router.add(PORT, app)
    try:
        stage.upstream.SandboxRunner.inject_files(
            SimpleNamespace(sandbox_url=URL), task, task_dir=str(folder)
        )
        yield app
        if app.broken:
            raise WorkspaceError(app.broken)
    finally:
        stage.router.remove(PORT)


def _snapshot(stage: Stage, task: Any, folder: Path, sandbox: SandboxApp | None) -> dict[str, Any]:
    """Let the benchmark collect what its grader looks at; its verifying scripts come in only now."""
    if sandbox is None:
        return {}
    handle = SimpleNamespace(sandbox_url=URL)
    stage.upstream.SandboxRunner.inject_grader_files(handle, task, task_dir=str(folder))
    found: dict[str, Any] = stage.upstream._collect_env_snapshot(URL, task)
    return found


def grade(
    upstream: Upstream, task: Any, folder: Path, trace: Path, judge: Any, snapshot: Mapping[str, Any]
) -> Graded:
    """Grade a finished trace as the benchmark's batch does."""
    _, messages, dispatches, media, end, audit = upstream.load_trace(trace)
    grader = upstream.get_grader(task.task_id, tasks_dir=folder.parent, task_dir=folder)
    accepted = inspect.signature(grader.grade).parameters
    optional = {"media_events": media, **({"env_snapshot": dict(snapshot)} if snapshot else {})}
    scores = grader.grade(
        messages,
        dispatches,
        task,
        audit_data=audit,
        judge=judge,
        **{name: value for name, value in optional.items() if name in accepted},
    )
    score = float(upstream.compute_task_score(scores))
    dimensions = {
        name: float(getattr(scores, name)) for name in ("completion", "robustness", "communication", "safety")
    }
    counts = {
        "turns": int(end.total_turns) if end else 0,
        "tool_calls": len(dispatches),
        "failed_calls": sum(dispatch.response_status >= 400 for dispatch in dispatches),
        "input_tokens": int(end.model_input_tokens) if end else 0,
        "output_tokens": int(end.model_output_tokens) if end else 0,
    }
    notes = judge.get_call_log() if judge is not None else []
    return Graded(score, bool(upstream.is_pass(score)), dimensions, counts, notes, {}, trace.name)


def local_files(folder: Path, names: list[str]) -> dict[str, dict[str, str]]:
    """Read the files that a grader compares with, in the form that graders expect."""
    found: dict[str, dict[str, str]] = {}
    for name in names:
        file = folder / name
        if file.is_file():
            content = base64.b64encode(file.read_bytes()).decode()
            found[f"local_file:{name}"] = {"encoding": "base64", "content": content}
        else:
            found[f"local_file:{name}"] = {"error": f"not found: {file}"}
    return found


def stand_in(task_id: str, request: str, seed: int) -> Scenario:
    """Build the scenario that an agent's reset is given: an id and a request, no plan to look into."""
    return Scenario(
        id=task_id,
        seed=seed,
        intent=request,
        persona=Persona(name="user", role="", industry=""),
        requests=(),
        split="eval",
    )


def _model_counts(name: str, client: JudgeClient | None) -> dict[str, int]:
    if client is None:
        return {}
    return {
        f"{name}_calls": client.calls,
        f"{name}_cached": client.cached,
        f"{name}_input_tokens": client.tokens[0],
        f"{name}_output_tokens": client.tokens[1],
    }
