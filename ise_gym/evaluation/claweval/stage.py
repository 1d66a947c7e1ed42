"""What trials are played with, one a worker, and what every trial is given: its services and a sandbox.

Both protocols are on the same stage, so that they differ in who runs the conversation and in nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ise_gym.agents.base import Agent
from ise_gym.errors import WorkspaceError
from ise_gym.evaluation.claweval.benchmark import Upstream
from ise_gym.evaluation.claweval.definition import Definition
from ise_gym.evaluation.claweval.models.judge import JudgeClient
from ise_gym.evaluation.claweval.sandbox import PORT, URL, SandboxApp
from ise_gym.evaluation.claweval.services.asgi import Router
from ise_gym.evaluation.claweval.services.broken import broken_tools
from ise_gym.evaluation.claweval.services.host import InProcessServices
from ise_gym.evaluation.claweval.services.modules import ServiceModules
from ise_gym.evaluation.claweval.services.processes import SubprocessServices
from ise_gym.workspace.base import Workspace


@dataclass(frozen=True)
class Stage:
    """What trials are played with; one a worker.

    Attributes:
        judge, user: clients of the models behind the judge and the simulated user; None where there is none.
        workspace: what the sandbox tools act on; None leaves the tools out.
        how_services: "process" (in this one) or "subprocess". ``clock``: "upstream" or "task".
        modules: code of services that this worker has loaded.
    """

    upstream: Upstream
    router: Router
    agent: Agent
    traces: Path
    judge: JudgeClient | None = None
    user: JudgeClient | None = None
    workspace: Workspace | None = None
    how_services: str = "process"
    clock: str = "upstream"
    modules: ServiceModules = field(default_factory=ServiceModules)

    def begin_trial(self) -> None:
        """Forget the last trial's questions."""
        for model in (self.judge, self.user):
            if model is not None:
                model.begin_trial()

    def services(self, task: Definition) -> AbstractContextManager[object]:
        """The task's services, running while the context is open."""
        services = dated(task)
        if self.how_services == "subprocess":
            return SubprocessServices(services, self.upstream.root, self.router)
        return InProcessServices(services, self.upstream.root, self.router, self.clock, self.modules)

    def broken_tools(self, task: Definition) -> list[dict[str, Any]]:
        """Notes on the task's tools that can only fail, while its services run."""
        return [tool.note() for tool in broken_tools(task, self.router.app)]

    def benchmark_judge(self) -> Any:
        """The benchmark's judge over our client, or None."""
        return self.upstream.judge(self.judge) if self.judge is not None else None

    @contextmanager
    def sandbox(self, workspace: Workspace) -> Iterator[SandboxApp]:
        """Serve a workspace as the benchmark's sandbox.

        Raises (on leaving):
            WorkspaceError: it broke while it was served.
        """
        app = SandboxApp(workspace)
        self.router.add(PORT, app)
        try:
            yield app
            if app.broken:
                raise WorkspaceError(app.broken)
        finally:
            self.router.remove(PORT)

    def inject(self, task: Definition, folder: Path) -> None:
        """Let the benchmark put the task's files into the sandbox that is being served."""
        self.upstream.SandboxRunner.inject_files(SimpleNamespace(sandbox_url=URL), task, task_dir=str(folder))


def mock_today(task: Definition) -> str:
    """The day on which a task plays, "" when it does not say, or the checkout is older than that."""
    return str(getattr(task.environment, "mock_today", None) or "")


@dataclass
class Dated:
    """A service with the task's day in its environment, where the benchmark's own manager puts it."""

    name: str
    command: str
    port: int
    health_check: str
    health_check_method: str
    env: dict[str, str]


def dated(task: Definition) -> list[Dated]:
    """Return a task's services as they are started."""
    today = mock_today(task)
    return [
        Dated(
            service.name,
            service.command,
            service.port,
            service.health_check,
            service.health_check_method,
            {**(service.env or {}), **({"MOCK_TODAY": today} if today else {})},
        )
        for service in task.services
    ]


def has_user(task: Definition) -> bool:
    """Whether a task has a simulated user of its own."""
    return bool(getattr(getattr(task, "user_agent", None), "enabled", False))
