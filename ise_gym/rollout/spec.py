"""What a rollout plays, in a form that can be sent to a worker process, and what comes back from it.

An episode is named by its place in the source, so whatever worker plays it, and in whatever order, its seed
and its record are the same.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ise_gym.agents.base import Agent, BatchAgent
from ise_gym.messages import sha256_of
from ise_gym.rollout.work import Attempt
from ise_gym.scenario import ScenarioSource

AnyAgent = Agent | BatchAgent


@dataclass(frozen=True)
class Item:
    """One episode to play.

    Attributes:
        index: which scenario of the source.
        sample: 0, 1, … when a scenario is played more than once.
        scenario_id: its id, known without building the scenario.
        seed: of env and agent; a function of the run's seed, the scenario's id and the sample.
    """

    index: int
    sample: int
    scenario_id: str
    seed: int


@dataclass(frozen=True)
class RolloutSpec:
    """Everything a worker needs; must pickle.

    Attributes:
        source: the scenarios, indexable.
        make_agent: builds an agent; called in the worker, once a thread.
        make_env: builds an env; called in the worker, once a slot and again after the sandbox broke.
        seed: of the run.
        samples: episodes per scenario.
        slots: episodes that a worker plays at once (threads; batch slots of a `BatchAgent`).
        stuck_after_s: a worker that has played for so long and ended no episode is killed and replaced, and its
            episodes are played again; 0 waits forever. Waiting (in queues, for a worker to start) is not playing.
    """

    source: ScenarioSource
    make_agent: Callable[[], AnyAgent]
    make_env: Callable[[], Any]
    seed: int = 0
    samples: int = 1
    slots: int = 1
    stuck_after_s: float = 3600.0

    def items(self, scenario_ids: Sequence[str]) -> Iterator[Item]:
        """Yield the episodes of scenarios 0 … n-1, in order."""
        for index, scenario_id in enumerate(scenario_ids):
            for sample in range(self.samples):
                seed = episode_seed(self.seed, scenario_id, sample)
                yield Item(index, sample, scenario_id, seed)


@dataclass(frozen=True, kw_only=True)
class Result(Attempt[Item]):
    """What a worker reports of one episode; ``line`` is the record as the store takes it."""

    line: bytes
    score: float = 0.0


def episode_seed(run_seed: int, scenario_id: str, sample: int) -> int:
    """Return the episode's seed, 31 bits; needs no scenario to be built, so resuming is fast.

    >>> episode_seed(0, "intent_17", 0) == episode_seed(0, "intent_17", 1)
    False
    """
    return int(sha256_of([run_seed, scenario_id, sample])[:8], 16) >> 1


def agent_factory(agent: str | Callable[[], AnyAgent], **options: object) -> Callable[[], AnyAgent]:
    """Return a picklable function that makes the agent of a spec such as ``expert`` with options of its class."""
    return functools.partial(_agent_of, agent, options) if isinstance(agent, str) else agent


def probed(make_agent: Callable[[], AnyAgent], make_env: Callable[[], object] | None = None) -> None:
    """Ask the endpoints of agent and user once, where they have one: what is wrong shows before anything is played.

    Only seats that are named are made for it, and none that loads a model.

    Raises:
        UserError: an endpoint gives no answer; says whose, why, and what to do.
    """
    if isinstance(make_agent, functools.partial) and make_agent.func is _agent_of:
        probe_seat("agent", *make_agent.args)
    if not isinstance(make_env, functools.partial) or make_env.func is not _env_of:
        return
    given = make_env.args[0]
    if isinstance(user := given.get("user"), str) and user:
        probe_seat("user", user, given.get("user_options") or {})


def probe_seat(kind: str, spec: str, options: Mapping[str, Any]) -> None:
    """Ask the endpoint of one named agent or user, where it has one; raises as `probed`."""
    from ise_gym.registry import load, split
    from ise_gym.simulator import make_user

    seat = load(kind, split(kind, spec)[0])
    if getattr(seat, "heavy", False) or not hasattr(seat, "probe"):
        return
    made: Any = _agent_of(spec, dict(options)) if kind == "agent" else make_user(spec, False, **options)
    try:
        made.probe()
    finally:
        if hasattr(made, "close"):
            made.close()


def env_factory(**kwargs: object) -> Callable[[], Any]:
    """Return a picklable function that makes an ``ISE-OS-v0`` with these arguments."""
    return functools.partial(_env_of, kwargs)


def settings_of(make_env: Callable[[], object]) -> dict[str, Any]:
    """Return ``{"env": …}``, what envs of `env_factory` are made with, for a manifest; {} of envs made elsewhere.

    Without credentials, and without the source: a run names its own.
    """
    if not isinstance(make_env, functools.partial) or make_env.func is not _env_of:
        return {}
    from ise_gym.env.settings import EnvSettings

    told = EnvSettings.of(None, make_env.args[0]).to_json()
    return {"env": {name: value for name, value in told.items() if name != "source"}}


def _agent_of(spec: str, options: Mapping[str, object]) -> AnyAgent:
    from ise_gym.agents import make_agent

    return make_agent(spec, **options)


def _env_of(kwargs: dict[str, Any]) -> Any:
    import gymnasium

    import ise_gym  # noqa: F401  (registers the env)

    return gymnasium.make("ISE-OS-v0", **kwargs)
