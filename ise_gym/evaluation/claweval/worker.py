"""A process that plays trials of a checkout: its import path begins with the checkout, its output goes to a log.

One task at a time. What went wrong comes back typed, so that the driver can tell the agent's failure from the
judge's, a service's, or the benchmark's own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ise_gym.errors import UserError, WorkspaceError
from ise_gym.evaluation.claweval.models.judge import JudgeSpec

if TYPE_CHECKING:
    from ise_gym.evaluation.claweval.envplay import EnvPlayer


@dataclass(frozen=True)
class WorkerPlan:
    """What a worker is started with; must pickle.

    Attributes:
        root: the checkout. ``traces``: folder of the conversations. ``log``: file of the benchmark's own output.
        agent, agent_options: who acts.
        judge, user: which judge and which model plays the user; None for none.
        sandbox: workspace backend of the sandbox tools; "" leaves them out.
        protocol: upstream or env.
        services: "process" or "subprocess". ``clock``: "upstream" or "task".
        prices: the agent's, in dollars a million tokens, in and out; 0 when not known.
    """

    root: Path
    traces: Path
    log: Path
    agent: str
    agent_options: dict[str, Any] = field(default_factory=dict)
    judge: JudgeSpec | None = None
    user: JudgeSpec | None = None
    sandbox: str = ""
    protocol: str = "upstream"
    services: str = "process"
    clock: str = "upstream"
    prices: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Job:
    """One trial to play."""

    task: str
    folder: Path
    trial: int
    seed: int


@dataclass(frozen=True)
class Answer:
    """What became of a job: ``kind`` is graded, or who is to blame: agent, user, judge, service, sandbox, benchmark."""

    job: Job
    kind: str
    graded: Any = None
    reason: str = ""


def main(connection: Connection, plan: WorkerPlan, environ: Mapping[str, str]) -> None:
    """Serve jobs until the pipe closes or None comes.

    The environment comes along, since the process that this one was forked from may have another.

    Messages to the driver: ``("ready", description of the agent)``, ``("answer", Answer)`` and
    ``("error", is_user_error, text)``.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.clear()
    os.environ.update(environ)
    _log_output(plan.log)
    try:
        player = _Player(plan)
    except Exception as error:
        is_user = isinstance(error, UserError)
        connection.send(("error", is_user, str(error) if is_user else traceback.format_exc()))
        return
    connection.send(("ready", player.description))
    while True:
        try:
            job = connection.recv()
        except EOFError:
            os._exit(1)  # the driver is gone
        if job is None:
            break
        try:
            connection.send(("answer", player.answer(job)))
        except UserError as error:
            connection.send(("error", True, str(error)))
    player.close()


class _Player:
    def __init__(self, plan: WorkerPlan) -> None:
        from ise_gym.evaluation.claweval.agents import make_claw_agent

        self._plan = plan
        # The agent first: it may hold relative paths, and the checkout becomes the working directory below.
        self._agent = make_claw_agent(plan.agent, plan.agent_options)
        self.description = {"name": self._agent.name, **self._agent.describe()}
        sys.path.insert(0, str(plan.root / "src"))
        os.chdir(plan.root)
        from ise_gym.evaluation.claweval.benchmark import Upstream
        from ise_gym.evaluation.claweval.models.judge import make_client, make_user_client
        from ise_gym.evaluation.claweval.services.asgi import Router, inline_endpoints, routed_clients
        from ise_gym.evaluation.claweval.stage import Stage

        self._router = Router()
        self._held = contextlib.ExitStack()
        self._held.callback(self._router.close)
        self._held.enter_context(routed_clients(self._router))
        self._held.enter_context(inline_endpoints())
        _fast_yaml()
        self._stage = Stage(
            upstream=Upstream(
                plan.root,
                sandbox=bool(plan.sandbox),
                user=plan.user is not None,
                env=plan.protocol == "env",
            ),
            router=self._router,
            agent=self._agent,
            traces=plan.traces,
            judge=make_client(plan.judge) if plan.judge else None,
            user=make_user_client(plan.user) if plan.user else None,
            how_services=plan.services,
            clock=plan.clock,
        )
        self._env: EnvPlayer | None = None
        if plan.protocol == "env":
            from ise_gym.evaluation.claweval.envplay import EnvPlayer

            backend = plan.sandbox or "auto"
            self._env = EnvPlayer(self._stage, backend, sandbox_tools=bool(plan.sandbox))
        elif plan.sandbox:
            self._open_workspace()

    def _open_workspace(self) -> None:
        """Open a sandbox, in place of a broken one."""
        from ise_gym.workspace import open_workspace

        if self._stage.workspace is not None:
            with contextlib.suppress(WorkspaceError):  # it is broken: that is why it is replaced
                self._stage.workspace.close()
        self._stage = dataclasses.replace(self._stage, workspace=open_workspace(self._plan.sandbox))

    def answer(self, job: Job) -> Answer:
        from ise_gym.evaluation.claweval.models.judge import JudgeFailed, UserFailed
        from ise_gym.evaluation.claweval.models.provider import AgentBroke, AgentRefused
        from ise_gym.evaluation.claweval.services.host import ServiceError
        from ise_gym.evaluation.claweval.upstream import play

        kinds = {
            AgentBroke: "agent",
            UserFailed: "user",
            JudgeFailed: "judge",
            ServiceError: "service",
            WorkspaceError: "sandbox",
        }
        try:
            if self._env is not None:
                return Answer(job, "graded", graded=self._env.play(job.folder, job.seed))
            return Answer(job, "graded", graded=play(self._stage, job.folder, job.seed))
        except UserError:
            raise
        except AgentRefused as error:
            raise UserError(str(error)) from None
        except (AgentBroke, UserFailed, JudgeFailed, ServiceError, WorkspaceError) as error:
            if isinstance(error, WorkspaceError) and self._env is None:  # an env opens a new one by itself
                self._open_workspace()
            return Answer(job, kinds[type(error)], reason=str(error))
        except Exception as error:
            traceback.print_exc()
            return Answer(job, "benchmark", reason=f"{type(error).__name__}: {error}"[:500])

    def close(self) -> None:
        self._agent.close()
        if self._stage.workspace is not None:
            self._stage.workspace.close()
        if self._env is not None:
            self._env.close()
        self._held.close()


def _fast_yaml() -> None:
    """Let ``yaml.safe_load`` use the C loader: it reads the same, and the benchmark reads large files with it."""
    import yaml

    if hasattr(yaml, "CSafeLoader"):
        yaml.SafeLoader = yaml.CSafeLoader  # type: ignore[misc,assignment]


def _log_output(log: Path) -> None:
    """Send everything that the benchmark prints to a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
