"""Plays a suite of held-out scenarios through ``ISE-OS-v0`` and writes the ledger.

The same engine that records training data plays the suite, so what is measured is what was trained: the same tool
schemas, system prompt, user simulator and checks. A trial passes when every sub-goal holds at the end.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from ise_gym.errors import UserError
from ise_gym.evaluation.contamination import check_stores
from ise_gym.evaluation.inline import InlinePool
from ise_gym.evaluation.ledger import Ledger, Outcome, Trial
from ise_gym.evaluation.manifest import Manifest, SuiteSource, check_unique, load_suite
from ise_gym.evaluation.results.summary import RunSummary, summarise
from ise_gym.evaluation.run import LEDGER, TRAJECTORIES, RunCard, load_run, open_run
from ise_gym.rollout.engine import Status
from ise_gym.rollout.engine import run as run_engine
from ise_gym.rollout.pool import Event, Pool, ProcessPool
from ise_gym.rollout.spec import AnyAgent, Item, Plan, Result, env_factory
from ise_gym.trajectory.record import Trajectory

PROTOCOL = "builtin"

_OUTCOMES: dict[str, Outcome] = {
    "passed": "pass",
    "failed": "fail",
    "truncated": "fail",
    "infrastructure_error": "infrastructure_error",
}


def run_suite(
    suite: str | Manifest,
    agent: str | AnyAgent,
    out: str | Path,
    *,
    agent_options: dict[str, Any] | None = None,
    trials: int = 1,
    limit: int | None = None,
    seed: int = 0,
    user: str = "scripted",
    backend: str = "auto",
    workers: int = 1,
    slots: int | None = None,
    retries: int = 2,
    trained_on: Sequence[str | Path] = (),
    allow_contaminated: bool = False,
    on_progress: Callable[[Status], None] | None = None,
) -> RunSummary:
    """Play a suite, or the rest of it, and return the run's figures.

    Args:
        suite: name, YAML file or manifest.
        agent: spec (played in worker processes) or an agent (played in this process, and left open).
        out: run folder; the same arguments resume it.
        agent_options: keyword arguments of the agent, for a spec.
        trials: per task, each with a seed of its own.
        limit: only so many tasks, spread over the suite.
        seed: of the run: user simulator and sampling, not the tasks.
        user: user simulator. ``backend``: workspace backend.
        workers: processes, for a spec. ``slots``: episodes that each plays at once (16 for a local model, else 1).
        retries: how often a trial that the infrastructure broke is played again at once.
        trained_on: stores that the model was trained on, to be checked for the suite's task instances.
        allow_contaminated: run in spite of what that check finds; the run card says so.
        on_progress: as of `ise_gym.rollout.engine.run`.

    Raises:
        UserError: unknown suite or agent, a contaminated suite, a folder that holds another run, …
    """
    manifest = suite if isinstance(suite, Manifest) else load_suite(suite)
    source = SuiteSource(manifest, limit)
    check_unique(source.ids())
    overlap = check_stores(manifest.fingerprints(), trained_on)
    if not allow_contaminated:
        overlap.require_clean(manifest.name)
    options: dict[str, Any] = {"user": user, "backend": backend}
    if agent_options:
        options["agent_options"] = {key: str(value) for key, value in agent_options.items()}
    if trained_on:
        options["contamination"] = {
            "trajectories": overlap.trajectories,
            "without_fingerprints": overlap.without,
            "shared_instances": len(overlap.shared),
        }
    plan = Plan(
        source=source,
        make_agent=_agent_factory(agent, agent_options or {}),
        make_env=env_factory(backend=backend, user=user),
        seed=seed,
        samples=trials,
        slots=slots or (16 if _is_batched(agent) else 1),
    )
    card = RunCard(
        suite=manifest.name,
        suite_sha256=manifest.sha256(),
        protocol=PROTOCOL,
        agent=agent if isinstance(agent, str) else agent.name,
        trials=trials,
        seed=seed,
        tasks=source.tasks(),
        options=options,
        versions=versions(),
    )
    folder = open_run(out, card)
    with Ledger(folder / LEDGER) as ledger:
        book = _Book(ledger, card)
        status = run_engine(
            plan,
            folder / TRAJECTORIES,
            describe=card.model_dump(exclude={"versions", "tasks"}),
            workers=workers,
            retries=retries,
            on_progress=on_progress,
            make_pool=functools.partial(_recording_pool, agent, book),
        )
    if status.interrupted:
        raise KeyboardInterrupt
    return summarise(load_run(folder))


def versions() -> dict[str, str]:
    """Versions of what shapes a result."""
    import platform

    import gymnasium

    import ise_gym

    return {
        "ise_gym": ise_gym.__version__,
        "gymnasium": gymnasium.__version__,
        "python": platform.python_version(),
    }


def trial_of(trajectory: Trajectory, card: RunCard, number: int, attempt: int) -> Trial:
    """Condense an episode to its line in the ledger."""
    outcome = _OUTCOMES[trajectory.outcome]
    if trajectory.outcome == "truncated" and "seconds" in trajectory.reason:
        outcome = "timeout"
    usage = trajectory.agent.get("usage") or {}
    counts = {
        **trajectory.counts,
        "turns": len(trajectory.steps),
        "failed_calls": sum(m.get("success") is False for m in trajectory.messages),
        **{key: int(value) for key, value in usage.items() if isinstance(value, int)},
    }
    labels = next((task.labels for task in card.tasks if task.id == trajectory.scenario_id), {})
    times = trajectory.timings
    return Trial(
        suite=card.suite,
        protocol=card.protocol,
        task=trajectory.scenario_id,
        trial=number,
        attempt=attempt,
        seed=trajectory.seed,
        outcome=outcome,
        reason=trajectory.reason,
        score=None if outcome == "infrastructure_error" else min(1.0, max(0.0, trajectory.score or 0.0)),
        labels=labels,
        counts=counts,
        agent=trajectory.agent,
        episode=trajectory.episode_id,
        timings={
            name: getattr(times, name) for name in ("total_s", "agent_s", "tools_s", "user_s", "checks_s")
        },
    )


class _Book:
    """Writes what a pool reports into the ledger, retries included."""

    def __init__(self, ledger: Ledger, card: RunCard) -> None:
        self.ledger = ledger
        self.card = card

    def write(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, Result):
                trajectory = Trajectory.model_validate(json.loads(event.line))
                attempt = self.ledger.next_attempt(event.item.scenario_id, event.item.sample)
                self.ledger.append(trial_of(trajectory, self.card, event.item.sample, attempt))
            else:
                for item in event.items:
                    self._lost(item, event.how)

    def _lost(self, item: Item, how: str) -> None:
        self.ledger.append(
            Trial(
                suite=self.card.suite,
                protocol=self.card.protocol,
                task=item.scenario_id,
                trial=item.sample,
                attempt=self.ledger.next_attempt(item.scenario_id, item.sample),
                seed=item.seed,
                outcome="infrastructure_error",
                reason=f"worker: the process died ({how})",
            )
        )


class _RecordingPool:
    """A pool whose every result is in the ledger before the engine sees it."""

    def __init__(self, inner: Pool, book: _Book) -> None:
        self._inner, self._book = inner, book

    @property
    def agent_name(self) -> str:
        return self._inner.agent_name

    @agent_name.setter
    def agent_name(self, name: str) -> None:
        self._inner.agent_name = name

    def room(self) -> int:
        return self._inner.room()

    def submit(self, item: Item) -> None:
        self._inner.submit(item)

    def events(self, timeout: float) -> Sequence[Event]:
        found = self._inner.events(timeout)
        self._book.write(found)
        return found

    def close(self, *, now: bool) -> None:
        self._inner.close(now=now)


def _recording_pool(agent: str | AnyAgent, book: _Book, plan: Plan, workers: int) -> Pool:
    inner: Pool = ProcessPool(plan, workers) if isinstance(agent, str) else InlinePool(plan, agent)
    return _RecordingPool(inner, book)


def _agent_factory(agent: str | AnyAgent, options: dict[str, Any]) -> Callable[[], AnyAgent]:
    if not isinstance(agent, str):
        if options:
            raise UserError("agent options go with an agent given by its spec, not with a live agent.")
        return _no_agent
    from ise_gym.agents import make_agent

    if agent.partition(":")[0] != "transformers":
        make_agent(agent, **options).close()  # a typo fails here, before there is a run folder
    return functools.partial(make_agent, agent, **options)


def _no_agent() -> AnyAgent:
    raise RuntimeError("a live agent is played in its own process, never in a worker")


def _is_batched(agent: str | AnyAgent) -> bool:
    return agent.startswith("transformers:") if isinstance(agent, str) else hasattr(agent, "act_batch")
