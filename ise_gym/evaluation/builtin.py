"""Plays a suite of held-out scenarios through ``ISE-OS-v0`` and writes the ledger.

The same engine that records training data plays the suite, so what is measured is what was trained: the same tool
schemas, system prompt, user simulator and checks. A trial passes when every sub-goal holds at the end.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ise_gym.errors import UserError
from ise_gym.evaluation.code import code_version
from ise_gym.evaluation.contamination import check_training_data
from ise_gym.evaluation.content import differing, shared_content
from ise_gym.evaluation.firsttry import first_attempt
from ise_gym.evaluation.ledger import Ledger, Outcome, Trial
from ise_gym.evaluation.manifest import Manifest, load_suite
from ise_gym.evaluation.results.summary import RunSummary, summarise
from ise_gym.evaluation.run import LEDGER, TRAJECTORIES, RunCard, load_run, open_run
from ise_gym.evaluation.spending import PriceList, seat_figures
from ise_gym.evaluation.suite import SuiteSource, check_unique
from ise_gym.models.options import a_workers_share, binding
from ise_gym.rollout.engine import Status
from ise_gym.rollout.inline import InlinePool
from ise_gym.rollout.limits import NO_LIMITS, Limits
from ise_gym.rollout.players import EpisodeCrew, player_of
from ise_gym.rollout.pool import ProcessPool
from ise_gym.rollout.run import run as roll_out
from ise_gym.rollout.spec import AnyAgent, Item, Result, RolloutSpec, agent_factory, env_factory
from ise_gym.rollout.work import GIVE_UP_AFTER, Pool
from ise_gym.simulator import make_user
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
    trials: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    user: str | None = None,
    user_options: dict[str, Any] | None = None,
    prices: PriceList | None = None,
    backend: str = "auto",
    workers: int = 1,
    slots: int | None = None,
    retries: int = 2,
    give_up_after: int = GIVE_UP_AFTER,
    limits: Limits = NO_LIMITS,
    trained_on: Sequence[str | Path] = (),
    allow_contaminated: bool = False,
    on_progress: Callable[[Status], None] | None = None,
    on_checked: Callable[[str], object] = lambda told: None,
) -> RunSummary:
    """Play a suite, or the rest of it, and return the run's figures.

    Args:
        suite: name, YAML file or manifest.
        agent: spec (played in worker processes) or an agent (played in this process, and left open).
        out: run folder; the same arguments resume it.
        agent_options: keyword arguments of the agent, for a spec. Rates in them are those of the whole run.
        trials: per task, each with a seed of its own; what the suite's terms say when None.
        limit: only so many tasks, spread over the suite.
        seed: of the run: user simulator and sampling, not the tasks.
        user: user simulator, with ``user_options`` as its keyword arguments; that of the suite's terms when None.
        prices: of agent and user, for models that don't tell what they cost. ``backend``: workspace backend.
        workers: processes, for a spec. ``slots``: episodes that each plays at once (16 for a local model, else 1).
        retries: how often a trial that the infrastructure broke is played again at once.
        give_up_after: trials in a row that the infrastructure broke, after which the run ends.
        limits: what the run may spend before it ends, resumable, by itself.
        trained_on: what the model was trained on, stores or exports, to be checked for the suite's tasks.
        allow_contaminated: run in spite of what that check finds; the run card says so.
        on_progress: as of `ise_gym.rollout.engine.drive`.
        on_checked: told what the check of the training data found.

    Raises:
        UserError: unknown suite or agent, a contaminated suite, a folder that holds another run, …
    """
    manifest = suite if isinstance(suite, Manifest) else load_suite(suite)
    terms = manifest.terms
    trials, user, user_options = (
        terms.trials if trials is None else trials,
        terms.user if user is None else user,
        terms.user_options if user is None and not user_options else user_options or {},
    )
    if user_options:
        make_user(user, guard=False, **user_options)  # a typo fails here, before there is a run folder
    source = SuiteSource(manifest, limit)
    check_unique(source.ids())
    options: dict[str, Any] = {"user": user, "backend": backend}
    options |= binding("agent_options", agent_options or {}) | binding("user_options", user_options)
    if trained_on:
        overlap = check_training_data(manifest, trained_on)
        on_checked(overlap.text() + ".")
        if not allow_contaminated:
            overlap.require_clean(manifest.name)
        options["contamination"] = overlap.figures()
    tasks, shared = source.tasks(), shared_content(user, user_options)
    changed = source.changed(tasks) + differing(manifest.content, shared)
    changed += ["trials"] if manifest.protocol > 1 and trials != terms.trials else []
    changed += ["tasks left out"] if manifest.protocol > 1 and len(tasks) < len(manifest.numbered()) else []
    spec = RolloutSpec(
        source=source,
        make_agent=_agent_factory(agent, a_workers_share(agent_options or {}, workers)),
        make_env=env_factory(
            backend=backend, user=user, user_options=a_workers_share(user_options or {}, workers)
        ),
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
        tasks=tasks,
        options=options,
        versions=versions(),
        content=shared,
        changed=changed,
    )
    folder = open_run(out, card)
    with Ledger(folder / LEDGER) as ledger:

        def note(result: Result) -> None:
            """Every attempt is in the ledger before the engine stores it, retries included."""
            item, trajectory = result.item, Trajectory.model_validate(json.loads(result.line))
            attempt = ledger.next_attempt(item.scenario_id, item.sample)
            ledger.append(trial_of(trajectory, card, item.sample, attempt, prices))

        status = roll_out(
            spec,
            folder / TRAJECTORIES,
            describe=card.model_dump(exclude={"versions", "tasks", "content", "changed"}),
            workers=workers,
            retries=retries,
            give_up_after=give_up_after,
            limits=limits,
            on_progress=on_progress,
            on_attempt=note,
            make_pool=functools.partial(_pool, agent, spec),
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
        **code_version(),
    }


def trial_of(
    trajectory: Trajectory, card: RunCard, number: int, attempt: int, prices: PriceList | None = None
) -> Trial:
    """Condense an episode to its line in the ledger; what failed of it is told in the notes."""
    outcome = _OUTCOMES[trajectory.outcome]
    if trajectory.outcome == "truncated" and "seconds" in trajectory.reason:
        outcome = "timeout"
    figures, costs = seat_figures(trajectory, prices or PriceList())
    counts = {
        **trajectory.counts,
        "turns": len(trajectory.steps),
        "failed_calls": sum(m.get("success") is False for m in trajectory.messages),
        **figures,
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
        first_attempt=first_attempt(trajectory) if outcome != "infrastructure_error" else None,
        labels=labels,
        counts=counts,
        costs=costs,
        notes=[finding.model_dump() for finding in trajectory.findings],
        agent=trajectory.agent,
        episode=trajectory.episode_id,
        timings={
            name: getattr(times, name) for name in ("total_s", "agent_s", "tools_s", "user_s", "checks_s")
        },
    )


def _pool(agent: str | AnyAgent, spec: RolloutSpec, crew: EpisodeCrew, workers: int) -> Pool[Item, Result]:
    """Worker processes for a spec; a live agent plays in this process."""
    return ProcessPool(crew, workers) if isinstance(agent, str) else InlinePool(player_of(spec, agent))


def _agent_factory(agent: str | AnyAgent, options: Mapping[str, object]) -> Callable[[], AnyAgent]:
    if not isinstance(agent, str):
        if options:
            raise UserError("agent_options only apply to an agent given by its spec, not to a live agent.")
        return _no_agent
    from ise_gym.agents import check_agent

    check_agent(agent, **options)  # a typo fails here, before there is a run folder
    return agent_factory(agent, **options)


def _no_agent() -> AnyAgent:
    raise RuntimeError("a live agent is played in its own process, never in a worker")


def _is_batched(agent: str | AnyAgent) -> bool:
    return agent.startswith("transformers:") if isinstance(agent, str) else hasattr(agent, "act_batch")
