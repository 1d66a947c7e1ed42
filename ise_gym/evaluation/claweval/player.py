"""Plays trials of a checkout: its import path begins with the checkout, its output goes to a log.

One task at a time, in a worker process of its own. What went wrong comes back typed, so that the agent's failure can
be told from the judge's, a service's, or the benchmark's own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ise_gym.errors import UserError, WorkspaceError
from ise_gym.evaluation.claweval.models.judge import JudgeSpec
from ise_gym.rollout.work import BROKEN, Attempt

if TYPE_CHECKING:
    from ise_gym.evaluation.claweval.envplay import EnvPlayer
    from ise_gym.evaluation.claweval.grading import Graded

MENDABLE = frozenset({"agent", "user", "service", "sandbox", "died", "judge"})
"""Kinds of trouble that a second try may mend; the benchmark's own exceptions are not among them."""


@dataclass(frozen=True)
class PlayerSpec:
    """What a player is made from; must pickle.

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


@dataclass(frozen=True, kw_only=True)
class Answer(Attempt[Job]):
    """What became of a job.

    Attributes:
        kind: graded, or who is to blame: agent, user, judge, service, sandbox, benchmark; died or hung: the worker.
        agent: what the agent says of itself.
        graded: the grade and what the trial took, when there is one.
    """

    kind: str
    agent: Mapping[str, Any]
    graded: Graded | None = None


def graded_answer(job: Job, agent: Mapping[str, Any], graded: Graded) -> Answer:
    """Answer with a grade."""
    counts = graded.counts
    return Answer(
        item=job,
        outcome="passed" if graded.passed else "failed",
        reason=graded.reason,
        kind="graded",
        agent=agent,
        graded=graded,
        tokens=counts.get("input_tokens", 0) + counts.get("output_tokens", 0),
        cost=sum(graded.costs.values()),
    )


def spoilt_answer(job: Job, agent: Mapping[str, Any], kind: str, reason: str) -> Answer:
    """Answer with who is to blame. A task whose time ran out has a verdict; all other trouble has none."""
    return Answer(
        item=job,
        outcome="timeout" if kind == "hung" else BROKEN,
        reason=f"{kind}: {reason}",
        mendable=kind in MENDABLE,
        kind=kind,
        agent=agent,
    )


class ClawPlayer:
    """An agent, a judge, a user and what they play in: the checkout, as a `ise_gym.rollout.work.Player`.

    Made in a process that plays nothing else: it takes over its output, import path and working directory.
    """

    def __init__(self, spec: PlayerSpec) -> None:
        _log_output(spec.log)
        from ise_gym.evaluation.claweval.agents import make_claw_agent

        self._spec = spec
        # The agent first: it may hold relative paths, and the checkout becomes the working directory below.
        self._agent = make_claw_agent(spec.agent, spec.agent_options)
        self.about: Mapping[str, Any] = {"name": self._agent.name, **self._agent.describe()}
        sys.path.insert(0, str(spec.root / "src"))
        os.chdir(spec.root)
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
                spec.root,
                sandbox=bool(spec.sandbox),
                user=spec.user is not None,
                env=spec.protocol == "env",
            ),
            router=self._router,
            agent=self._agent,
            traces=spec.traces,
            judge=make_client(spec.judge) if spec.judge else None,
            user=make_user_client(spec.user) if spec.user else None,
            how_services=spec.services,
            clock=spec.clock,
        )
        self._env: EnvPlayer | None = None
        if spec.protocol == "env":
            from ise_gym.evaluation.claweval.envplay import EnvPlayer

            backend = spec.sandbox or "auto"
            self._env = EnvPlayer(self._stage, backend, sandbox_tools=bool(spec.sandbox))
        elif spec.sandbox:
            self._open_workspace()

    def _open_workspace(self) -> None:
        """Open a sandbox, in place of a broken one."""
        from ise_gym.workspace import open_workspace

        if self._stage.workspace is not None:
            with contextlib.suppress(WorkspaceError):  # it is broken: that is why it is replaced
                self._stage.workspace.close()
        self._stage = dataclasses.replace(self._stage, workspace=open_workspace(self._spec.sandbox))

    def play(self, job: Job) -> Answer:
        """Play and grade one trial.

        Raises:
            UserError: what the user asked for can't be played at all.
        """
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
                graded = self._env.play(job.folder, job.seed)
            else:
                graded = play(self._stage, job.folder, job.seed)
            return graded_answer(job, self.about, self._with_agent_cost(graded))
        except UserError:
            raise
        except AgentRefused as error:
            raise UserError(str(error)) from None
        except (AgentBroke, UserFailed, JudgeFailed, ServiceError, WorkspaceError) as error:
            if isinstance(error, WorkspaceError) and self._env is None:  # an env opens a new one by itself
                self._open_workspace()
            return spoilt_answer(job, self.about, kinds[type(error)], str(error))
        except Exception as error:
            traceback.print_exc()
            return spoilt_answer(job, self.about, "benchmark", f"{type(error).__name__}: {error}"[:500])

    def _with_agent_cost(self, graded: Graded) -> Graded:
        read, written = self._spec.prices
        if not (read or written):
            return graded
        counts = graded.counts
        spent = counts.get("input_tokens", 0) * read + counts.get("output_tokens", 0) * written
        return dataclasses.replace(graded, costs={**graded.costs, "agent_usd": round(spent / 1e6, 6)})

    def close(self) -> None:
        """Close agent, sandbox, env and what was patched."""
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
