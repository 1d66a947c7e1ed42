"""Who plays episodes: an env and an agent that take one item after the other, or one model and many envs."""

from __future__ import annotations

import contextlib
import functools
import traceback
from collections.abc import Mapping
from typing import Any, cast

from ise_gym.agents.base import Agent, BatchAgent
from ise_gym.errors import UserError, WorkspaceError
from ise_gym.models.metering import counts_of, spent_by
from ise_gym.rollout.play import BatchPlayer, about, play_episode
from ise_gym.rollout.record import build
from ise_gym.rollout.spec import AnyAgent, Item, Result, RolloutSpec
from ise_gym.rollout.work import Crew
from ise_gym.scenario import Persona, Scenario
from ise_gym.trajectory.record import Trajectory, to_line

BUG = "bug: "
"""How the reason of an episode begins that an error in this code (or in a plug-in) ended; it isn't played again."""

NO_SCENARIO = "scenario: "
"""How the reason of an episode begins whose scenario its source could not give; it isn't tried again in that run."""

EpisodeCrew = Crew[Item, Result]


def crew_of(spec: RolloutSpec) -> EpisodeCrew:
    """Return how workers are made that play a rollout."""
    return Crew(
        make_player=functools.partial(player_of, spec),
        slots=spec.slots,
        patience=functools.partial(_patience, spec.stuck_after_s),
    )


def _patience(seconds: float, item: Item) -> float:
    return seconds


def player_of(spec: RolloutSpec, agent: AnyAgent | None = None) -> EpisodePlayer | EpisodeLockstep:
    """Make a player.

    Args:
        spec: what is played.
        agent: an agent that stays the caller's to close; without one the spec makes it.
    """
    acting = agent or spec.make_agent()
    if hasattr(acting, "act_batch"):
        return EpisodeLockstep(spec, cast("BatchAgent", acting), keeps_agent=agent is not None)
    return EpisodePlayer(spec, acting, keeps_agent=agent is not None)


class EpisodePlayer:
    """One env and one agent that play item after item.

    Args:
        spec: what is played.
        agent: an agent of this player's own.
        keeps_agent: leave it open on close.
    """

    def __init__(self, spec: RolloutSpec, agent: Agent, *, keeps_agent: bool = False) -> None:
        self.spec = spec
        self.agent = agent
        self.about: Mapping[str, Any] = about(agent)
        self._keeps_agent = keeps_agent
        self._env: Any = None

    def play(self, item: Item) -> Result:
        """Play one episode once; after a broken one the next gets a new env. Trying again is the driver's.

        A scenario that its source can't give costs this episode alone.

        Raises:
            UserError: what the user asked for can't be played at all.
        """
        try:
            scenario = self.spec.source.scenario(item.index)
        except Exception as error:
            return without_scenario(item, self.about, error)
        try:
            if self._env is None:
                self._env = self.spec.make_env()
            trajectory = play_episode(self._env, self.agent, scenario, item.seed)
        except UserError:
            raise
        except Exception as error:  # a bug costs one episode, not the night; it is recorded and counted
            trajectory = build(
                scenario,
                item.seed,
                self.about,
                outcome="infrastructure_error",
                reason=f"{BUG}{_short(error)}",
                detail=traceback.format_exc(limit=-12),
            )
        if trajectory.outcome == "infrastructure_error":
            self._close_env()
        return result_of(item, trajectory)

    def _close_env(self) -> None:
        """Close the env; the next episode makes a new one."""
        if self._env is not None:
            env, self._env = self._env, None
            with contextlib.suppress(WorkspaceError):  # it is broken already: that is why it is closed
                env.close()

    def close(self) -> None:
        """Close env and agent."""
        self._close_env()
        if not self._keeps_agent:
            self.agent.close()


class EpisodeLockstep:
    """One agent that acts in batches, and as many envs as the spec has slots.

    Args:
        spec: what is played.
        agent: acts for all of them at once.
        keeps_agent: leave it open on close.
    """

    def __init__(self, spec: RolloutSpec, agent: BatchAgent, *, keeps_agent: bool = False) -> None:
        self.about: Mapping[str, Any] = about(agent)
        self._spec = spec
        self._unplayable: list[Result] = []
        with contextlib.ExitStack() as stack:  # what is open already is closed when an env can't be made
            if not keeps_agent:
                stack.callback(agent.close)
            envs = []
            for _ in range(spec.slots):
                envs.append(spec.make_env())
                stack.callback(envs[-1].close)
            self._batch = BatchPlayer(envs, agent)
            stack.callback(self._batch.close)
            self._held = stack.pop_all()

    @property
    def free(self) -> int:
        """How many more episodes fit."""
        return self._batch.free

    @property
    def live(self) -> int:
        """How many episodes are being played."""
        return self._batch.live + len(self._unplayable)

    def add(self, item: Item) -> None:
        """Begin an episode; one whose scenario its source can't give ends with the next `tick`."""
        try:
            scenario = self._spec.source.scenario(item.index)
        except Exception as error:
            self._unplayable.append(without_scenario(item, self.about, error))
            return
        self._batch.add(scenario, item.seed, item)

    def tick(self) -> list[Result]:
        """Let every live episode act and step once; return those that ended."""
        unplayable, self._unplayable = self._unplayable, []
        return unplayable + [result_of(item, trajectory) for trajectory, item in self._batch.tick()]

    def close(self) -> None:
        """Close threads, envs and agent."""
        self._held.close()


def without_scenario(item: Item, about: Mapping[str, Any], error: Exception) -> Result:
    """Return what stands for an episode whose scenario could not be had: who was to play what, and why it is not."""
    trajectory = build(
        unknown_scenario(item),
        item.seed,
        about,
        outcome="infrastructure_error",
        reason=f"{NO_SCENARIO}{_short(error)}",
        detail="".join(traceback.format_exception(error)),
    )
    trajectory.scenario = {}  # a stand-in is nothing to replay
    return result_of(item, trajectory)


def unknown_scenario(item: Item) -> Scenario:
    """Return what stands in a record for a scenario of which only the id is known."""
    return Scenario(id=item.scenario_id, seed=item.seed, intent="", persona=Persona("", "", ""), requests=())


def result_of(item: Item, trajectory: Trajectory) -> Result:
    """Condense a trajectory to what the driver needs: the line to store and figures to show."""
    guard = trajectory.user.get("guard") or {}
    spent = [spent_by(trajectory.agent), spent_by(trajectory.user)]
    return Result(
        item=item,
        line=to_line(trajectory),
        outcome=trajectory.outcome,
        reason=trajectory.reason,
        mendable=not trajectory.reason.startswith((BUG, NO_SCENARIO)),
        score=trajectory.score or 0.0,
        user_turns=trajectory.counts.get("user_turns", 0),
        tool_calls=trajectory.counts.get("tool_calls", 0),
        guard_hits=int(guard.get("drifted", 0)),
        guarded_turns=int(guard.get("turns", 0)),
        fallbacks=int(guard.get("fallbacks", 0)),
        false_claims=int(guard.get("false_claims", 0)),
        tokens=sum(tokens for tokens, _ in spent),
        cost=sum(cost for _, cost in spent),
        answers=counts_of(trajectory.agent),
        seconds=trajectory.timings.total_s,
    )


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]
