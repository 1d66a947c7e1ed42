"""One agent, one env, one scenario → one trajectory: the loop that data, evaluation and training share.

Everything above (worker processes, Ray, `eval`) only decides which episodes to play; it is always
`LiveEpisode` that plays them, so an episode's record doesn't depend on who asked for it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, SupportsFloat

from ise_gym.agents.base import Agent, BatchAgent
from ise_gym.errors import AgentError, WorkspaceError
from ise_gym.messages import Message, ToolSchema
from ise_gym.rollout.record import build
from ise_gym.scenario import Scenario
from ise_gym.trajectory.record import Outcome, Trajectory, episode_id

STEP_THREADS = 8
"""How many envs of a batch step at the same time: their time goes into waiting for the sandbox."""


class PlayableEnv(Protocol):
    """`ISE-OS-v0`, as it is made or as `gymnasium.make` hands it out: inside wrappers that leave its messages alone."""

    @property
    def unwrapped(self) -> Any:
        """The `ISEEnv` itself; Gymnasium says only that it is an env."""
        ...

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        """Begin an episode."""
        ...

    def step(self, action: Message) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Take the agent's next message."""
        ...


class LiveEpisode:
    """One episode in one env, from reset to record.

    A broken sandbox or model endpoint ends it with the outcome ``infrastructure_error``; every other
    exception is a bug and passes through.

    Args:
        env: an ``ISE-OS-v0`` env; used by this episode alone until it is over.
        scenario: what is played.
        seed: seed of the env and the agent.
        agent: name that goes into the episode's id.
    """

    def __init__(self, env: PlayableEnv, scenario: Scenario, seed: int, agent: str) -> None:
        self.env = env
        self.scenario = scenario
        self.seed = seed
        self.id = episode_id(scenario.id, seed, agent)
        self.over = False
        self.agent_s = 0.0
        self.broken = ""
        self.usage: Mapping[str, int] = {}
        self._own_fault = False
        self._env_info: dict[str, Any] = {}
        self.began = False
        self._started = time.time()
        self._clock = time.perf_counter()
        self._seconds = 0.0

    @property
    def conversation(self) -> tuple[Sequence[Message], Sequence[ToolSchema]]:
        """The transcript of the session on the floor, system message first, and its tools: what an agent acts on."""
        episode = self.env.unwrapped.episode
        return episode.conversation, episode.offered

    def start(self) -> tuple[Message, ...]:
        """Reset the env; return the first messages, none where it could not begin."""
        try:
            messages, _ = self.env.reset(seed=self.seed, options={"scenario": self.scenario})
            self._env_info = self.env.unwrapped.describe()
            self.began = True
            # It could not begin, and the env was told to go on (`on_broken`).
            if self.env.unwrapped.episode.outcome:
                self._end()
            return tuple(messages)
        except WorkspaceError as error:
            self.fail("workspace", error)
        except AgentError as error:
            self.fail("user", error)
        return ()

    def step(self, message: Message) -> tuple[Message, ...]:
        """Play one assistant message; return what was added since."""
        try:
            added, _, terminated, truncated, _ = self.env.step(message)
        except WorkspaceError as error:
            self.fail("workspace", error)
            return ()
        except AgentError as error:  # the agent's own errors never pass through here: the user's model did it
            self.fail("user", error)
            return ()
        if terminated or truncated:
            self._end()
        return tuple(added)

    def fail(self, part: str, error: Exception) -> None:
        """End the episode because ``part`` (workspace, agent, user) broke.

        An infrastructure failure, unless the error says that the agent's model itself met a limit (its context
        length): that truncates the episode, as any other budget does.
        """
        self._own_fault = part == "agent" and getattr(error, "infrastructure", True) is False
        self.broken = f"{part}: {error}" if self._own_fault else f"{part}: {type(error).__name__}: {error}"
        self._end()

    def _end(self) -> None:
        self.over = True
        self._seconds = time.perf_counter() - self._clock

    def trajectory(self, agent: Mapping[str, object]) -> Trajectory:
        """Return the record; ``agent`` is its name and what `Agent.describe` gave."""
        episode = self.env.unwrapped.episode if self.began else None
        outcome: Outcome | None = None
        if self.broken:
            outcome = "truncated" if self._own_fault else "infrastructure_error"
        record = build(
            self.scenario,
            self.seed,
            agent,
            episode,
            outcome=outcome,
            reason=self.broken,
            env=self._env_info,
        )
        record.counts.update({k: v for k, v in self.usage.items() if k.endswith("_tokens")})
        record.timings.agent_s = round(self.agent_s, 4)
        record.timings.total_s = round(self._seconds, 4)
        record.timings.started_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._started))
        return record


def play_episode(env: PlayableEnv, agent: Agent, scenario: Scenario, seed: int) -> Trajectory:
    """Play one scenario to its end and return the record.

    Args:
        env: an ``ISE-OS-v0`` env (``gymnasium.make`` or the bare class).
        agent: reset with the scenario first; then acts until the episode ends. The token counts of an agent that
            has ``usage`` go into the record's ``counts``.
        scenario: what is played.
        seed: any integer ≥ 0; equal scenario, seed and agent give an equal record apart from ``timings``.

    Returns:
        The trajectory; ``outcome`` is ``infrastructure_error`` when the sandbox or an endpoint broke.
    """
    live = LiveEpisode(env, scenario, seed, agent.name)
    live.start()
    try:
        if not live.over:
            agent.reset(scenario, seed)
        while not live.over:
            before = time.perf_counter()
            message = agent.act(*live.conversation)
            live.agent_s += time.perf_counter() - before
            live.step(message)
    except AgentError as error:
        live.fail("agent", error)
    live.usage = getattr(agent, "usage", {})
    return live.trajectory(about(agent))


class BatchPlayer:
    """Plays several episodes in lockstep: all that are live act in one batch, then all step.

    Which episodes share a batch depends only on the order of `add`, so a run is repeatable.

    Args:
        envs: one a slot; each plays one episode at a time.
        agent: acts for all of them at once.
    """

    def __init__(self, envs: Sequence[PlayableEnv], agent: BatchAgent) -> None:
        self.agent = agent
        self._free = list(reversed(envs))
        self._live: list[tuple[LiveEpisode, Any]] = []
        self._pool = ThreadPoolExecutor(min(len(envs), STEP_THREADS) or 1, thread_name_prefix="step")

    @property
    def free(self) -> int:
        """How many more episodes fit."""
        return len(self._free)

    @property
    def live(self) -> int:
        """How many episodes are being played."""
        return len(self._live)

    def add(self, scenario: Scenario, seed: int, tag: object = None) -> None:
        """Start an episode in a free slot; ``tag`` comes back with its trajectory."""
        live = LiveEpisode(self._free.pop(), scenario, seed, self.agent.name)
        self._pool.submit(live.start).result()
        self._live.append((live, tag))

    def tick(self) -> list[tuple[Trajectory, Any]]:
        """Let every live episode act and step once; return those that ended, with their tags."""
        acting = [live for live, _ in self._live if not live.over]
        if acting:
            self._act(acting)
        ended = [(live, tag) for live, tag in self._live if live.over]
        self._live = [(live, tag) for live, tag in self._live if not live.over]
        info = about(self.agent)
        result = [(live.trajectory(info), tag) for live, tag in ended]
        self._free.extend(live.env for live, _ in reversed(ended))
        return result

    def _act(self, acting: Sequence[LiveEpisode]) -> None:
        before = time.perf_counter()
        try:
            replies = self.agent.act_batch([live.conversation for live in acting])
        except AgentError as error:
            for live in acting:
                live.fail("agent", error)
            return
        share = (time.perf_counter() - before) / len(acting)
        for live in acting:
            live.agent_s += share
        if len(replies) != len(acting):
            raise RuntimeError(f"{self.agent.name} gave {len(replies)} messages for {len(acting)} episodes")
        for step in [
            self._pool.submit(live.step, reply) for live, reply in zip(acting, replies, strict=True)
        ]:
            step.result()

    def close(self) -> None:
        """End the threads; envs and agent stay the caller's."""
        self._pool.shutdown()


def play_batch(
    envs: Sequence[PlayableEnv], agent: BatchAgent, scenarios: Sequence[Scenario], seeds: Sequence[int]
) -> list[Trajectory]:
    """Play many scenarios with an agent that acts in batches; slots refill as episodes end.

    Args:
        envs: how many episodes are live at once.
        agent: a `BatchAgent`.
        scenarios: any number.
        seeds: one a scenario.

    Returns:
        One trajectory a scenario, in the order given.
    """
    waiting = list(enumerate(zip(scenarios, seeds, strict=True)))[::-1]
    done: dict[int, Trajectory] = {}
    player = BatchPlayer(envs, agent)
    try:
        while waiting or player.live:
            while waiting and player.free:
                index, (scenario, seed) = waiting.pop()
                player.add(scenario, seed, index)
            for trajectory, index in player.tick():
                done[index] = trajectory
    finally:
        player.close()
    return [done[index] for index in range(len(done))]


def about(agent: Agent | BatchAgent) -> dict[str, Any]:
    """Return what the record keeps of an agent: its name, then what it says of itself."""
    return {"name": agent.name, **agent.describe()}


def record(env: PlayableEnv, agent: Agent | BatchAgent, seed: int) -> Trajectory:
    """Build the record of the episode that an env has played, for callers who drive ``step`` themselves.

    Args:
        env: after its episode ended (``env.unwrapped.episode.outcome`` is set).
        agent: who acted; only its name and description are used.
        seed: the seed given to ``reset``.
    """
    episode = env.unwrapped.episode
    return build(episode.scenario, seed, about(agent), episode, env=env.unwrapped.describe())
