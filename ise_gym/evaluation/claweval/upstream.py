"""The upstream protocol: the benchmark's own loop, prompt and grader, with our agent as its model.

Everything here runs in a worker process whose import path begins with the checkout; nothing of the benchmark is
changed, only what it is handed: a client for the model, a client for the judge, services without ports.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ise_gym.agents.base import Agent
from ise_gym.evaluation.claweval.definition import Definition
from ise_gym.evaluation.claweval.grading import collect_snapshot, trace_counts
from ise_gym.evaluation.claweval.kept import Played
from ise_gym.evaluation.claweval.models.provider import AgentClient, tokens_of
from ise_gym.evaluation.claweval.sandbox import URL, SandboxApp
from ise_gym.evaluation.claweval.stage import Stage, has_user
from ise_gym.scenario import Persona, Scenario


def play(stage: Stage, folder: Path, seed: int) -> Played:
    """Play one trial.

    Raises:
        ServiceError, WorkspaceError, AgentBroke, UserFailed: the infrastructure's or an endpoint's fault.
        Exception: whatever the benchmark's own loop raised.
    """
    began = time.perf_counter()
    upstream, agent = stage.upstream, stage.agent
    task = upstream.TaskDefinition.from_yaml(folder / "task.yaml")
    agent.reset(stand_in(task.task_id, task.prompt.text, seed), seed)
    client = AgentClient(agent)
    with stage.services(task), _sandbox(stage, task, folder) as sandbox:
        broken = stage.broken_tools(task)
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
            user_agent=upstream.user(stage.user) if stage.user is not None and has_user(task) else None,
        )
        played = time.perf_counter()
        snapshot = collect_snapshot(upstream, task, folder, sandboxed=sandbox is not None)
    return Played(
        trace=Path(trace).name,
        seed=seed,
        snapshot=snapshot,
        counts={**trace_counts(upstream, Path(trace)), **_own_tokens(agent)},
        notes=broken,
        timings={"services_s": round(ready - began, 4), "loop_s": round(played - ready, 4)},
        reason=f"the agent gave up: {client.agent_failure}" if client.agent_failure else "",
    )


def _own_tokens(agent: Agent) -> dict[str, int]:
    """Return the tokens that the agent counted itself; nothing where it does not count."""
    read, written = tokens_of(agent)
    return {"input_tokens": read, "output_tokens": written} if read or written else {}


@contextmanager
def _sandbox(stage: Stage, task: Definition, folder: Path) -> Iterator[SandboxApp | None]:
    """Serve a fresh workspace with the task's files in it."""
    if stage.workspace is None:
        yield None
        return
    stage.workspace.reset()
    with stage.sandbox(stage.workspace) as app:
        stage.inject(task, folder)
        yield app


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
