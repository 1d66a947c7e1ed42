"""Plays trials of a checkout: its import path begins with the checkout, its output goes to a log.

One task at a time, in a worker process of its own. What went wrong comes back typed, so that the agent's failure can
be told from the judge's, a service's, or the benchmark's own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ise_gym.errors import UserError, WorkspaceError
from ise_gym.evaluation.claweval.models.judge import JudgeSpec
from ise_gym.evaluation.spending import REGRADED
from ise_gym.foreign.values import Json
from ise_gym.rollout.work import BROKEN, Attempt

if TYPE_CHECKING:
    from ise_gym.evaluation.claweval.envplay import EnvPlayer
    from ise_gym.evaluation.claweval.grading import Graded
    from ise_gym.evaluation.claweval.kept import Played

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
        graded: the grade, when there is one.
        took: what the attempt took, graded or not.
    """

    kind: str
    agent: Mapping[str, Any]
    graded: Graded | None = None
    took: Took = field(default_factory=lambda: Took())


@dataclass(frozen=True)
class Took:
    """What an attempt took: counts, dollars by seat, seconds; its trace and what was noted of it."""

    counts: dict[str, int] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)
    timings: dict[str, float] = field(default_factory=dict)
    notes: list[dict[str, Any]] = field(default_factory=list)
    trace: str = ""

    @property
    def tokens(self) -> int:
        """The agent's, in and out."""
        return self.counts.get("input_tokens", 0) + self.counts.get("output_tokens", 0)


def graded_answer(job: Job, agent: Mapping[str, object], graded: Graded, reason: str, took: Took) -> Answer:
    """Answer with a grade."""
    return Answer(
        item=job,
        outcome="passed" if graded.passed else "failed",
        reason=reason,
        kind="graded",
        agent=agent,
        graded=graded,
        took=took,
        tokens=took.tokens,
        cost=sum(took.costs.values()),
    )


def spoilt_answer(
    job: Job, agent: Mapping[str, object], kind: str, reason: str, took: Took | None = None
) -> Answer:
    """Answer with who is to blame. A task whose time ran out has a verdict; all other trouble has none."""
    spent = took or Took()
    return Answer(
        item=job,
        outcome="timeout" if kind == "hung" else BROKEN,
        reason=f"{kind}: {reason}",
        mendable=kind in MENDABLE,
        kind=kind,
        agent=agent,
        took=spent,
        tokens=spent.tokens,
        cost=sum(spent.costs.values()),
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
        from ise_gym.evaluation.claweval.kept import Ungraded
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
        self._ungraded = Ungraded(spec.traces)
        self._played: Played | None = None  # of the present trial
        self._began = 0.0
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
        """Play and grade one trial; one that was played already and only lacks its grade is graded.

        Raises:
            UserError: what the user asked for can't be played at all: an endpoint refused the key, say.
        """
        from ise_gym.evaluation.claweval.models.judge import JudgeFailed, ModelRefused, UserFailed
        from ise_gym.evaluation.claweval.models.provider import AgentBroke, AgentRefused
        from ise_gym.evaluation.claweval.services.host import ServiceError
        from ise_gym.evaluation.claweval.upstream import stand_in

        kinds = {
            AgentBroke: "agent",
            UserFailed: "user",
            JudgeFailed: "judge",
            ServiceError: "service",
            WorkspaceError: "sandbox",
        }
        self._began, self._played = time.perf_counter(), self._ungraded.find(job.task, job.trial, job.seed)
        again = self._played is not None
        self._stage.begin_trial()
        self._agent.reset(
            stand_in(job.task, "", job.seed), job.seed
        )  # its count of tokens begins with the trial
        try:
            graded = self._graded(job)
            assert self._played is not None, "a trial is played before it is graded"
            self._ungraded.forget(job.task, job.trial)
            took = self._took(again, graded.notes)
            return graded_answer(job, self.about, graded, self._played.reason, took)
        except UserError:
            raise
        except (AgentRefused, ModelRefused) as error:
            raise UserError(str(error)) from None
        except (AgentBroke, UserFailed, JudgeFailed, ServiceError, WorkspaceError) as error:
            if isinstance(error, WorkspaceError) and self._env is None:  # an env opens a new one by itself
                self._open_workspace()
            return spoilt_answer(job, self.about, kinds[type(error)], str(error), self._took(again))
        except Exception as error:
            traceback.print_exc()
            reason = f"{type(error).__name__}: {error}"[:500]
            return spoilt_answer(job, self.about, "benchmark", reason, self._took(again))

    def _graded(self, job: Job) -> Graded:
        """Grade what was played of a job, after playing it where that is not yet done."""
        from ise_gym.evaluation.claweval.upstream import play

        if self._played is not None:
            return self._grade(job, self._played)
        if self._env is not None:
            return self._env.play(job.folder, job.seed, lambda played: self._keep_and_grade(job, played))
        return self._keep_and_grade(job, play(self._stage, job.folder, job.seed))

    def _keep_and_grade(self, job: Job, played: Played) -> Graded:
        self._played = played
        self._ungraded.keep(job.task, job.trial, played)
        return self._grade(job, played)

    def _grade(self, job: Job, played: Played) -> Graded:
        from ise_gym.evaluation.claweval.grading import grade

        stage = self._stage
        task = stage.upstream.TaskDefinition.from_yaml(job.folder / "task.yaml")
        trace = stage.traces / played.trace
        return grade(stage.upstream, task, job.folder, trace, stage.benchmark_judge(), played.snapshot)

    def _took(self, again: bool, judged: Sequence[dict[str, Json]] = ()) -> Took:
        """Return what the present attempt took; ``again``: an earlier one played it, and only the grade is new."""
        from ise_gym.evaluation.claweval.grading import model_costs, model_counts
        from ise_gym.evaluation.claweval.models.provider import tokens_of

        played = self._played
        counts: dict[str, int] = {}
        if played is not None:
            counts = {**played.counts, **({REGRADED: 1} if again else {})}
        else:
            counts = dict(zip(("input_tokens", "output_tokens"), tokens_of(self._agent), strict=True))
        read, written = self._spec.prices
        costs = model_costs(self._stage.judge, self._stage.user)
        if read or written:
            spent = counts.get("input_tokens", 0) * read + counts.get("output_tokens", 0) * written
            costs = {"agent_usd": round(spent / 1e6, 6), **costs}
        total = round(time.perf_counter() - self._began, 4)
        return Took(
            counts={**counts, **model_counts(self._stage.judge, self._stage.user)},
            costs=costs,
            timings={"total_s": total, **(played.timings if played else {})},
            notes=[*(played.notes if played else ()), *judged],
            trace=played.trace if played else "",
        )

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
