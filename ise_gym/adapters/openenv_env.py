"""The env in OpenEnv: server and client. ``uvicorn ise_gym.adapters.openenv_env:app`` serves it.

An action is one assistant message; speaking to the user is one without calls. Sessions are WebSockets: a request to
``/step`` over plain HTTP makes an env of its own. An observation holds what an agent may know and nothing else:
sub-goals, expectations and ``success`` stay here, since OpenEnv hands ``metadata`` to the model with the rest.

Environment variables: ``ISE_SOURCE`` (``catalog``), ``ISE_USER``, ``ISE_BACKEND``, ``ISE_STORE``, ``ISE_SESSIONS`` (8).
"""

from __future__ import annotations

import os
from typing import Any, ClassVar, Literal

from ise_gym.adapters.answers import noted
from ise_gym.adapters.peers import interface_of
from ise_gym.adapters.seat import Seat, Tasks, told_to_agents
from ise_gym.messages import Message, assistant_of

with interface_of("openenv"):
    from openenv.core import EnvClient
    from openenv.core.client_types import StepResult
    from openenv.core.env_server.http_server import create_app
    from openenv.core.env_server.interfaces import Environment
    from openenv.core.env_server.types import Action, Observation, State


class ISEAction(Action):  # type: ignore[misc]
    """One assistant message in OpenAI's form; without calls it is said to the user.

    ``finish_reason`` is the server's word, where there is one: an answer that was cut (``length``) is recorded as such.
    """

    role: Literal["assistant"] = "assistant"
    content: str = ""
    tool_calls: list[dict[str, Any]] = []
    reasoning_content: str | None = None
    finish_reason: str = ""

    def message(self) -> Message:
        """Return it as the env takes it."""
        return assistant_of(self)


class ISEObservation(Observation):  # type: ignore[misc]
    """Messages added since the agent last spoke, the tools of the session on the floor, and how the episode stands."""

    messages: list[dict[str, Any]] = []
    tools: list[dict[str, Any]] = []
    session: str = "main"
    terminated: bool = False
    truncated: bool = False
    valid: bool = True


class ISEState(State):  # type: ignore[misc]
    """Where the session stands; no part of it tells an agent what is checked."""

    scenario_id: str = ""
    user_turns: int = 0
    tool_calls: int = 0


class ISEEnvironment(Environment):  # type: ignore[misc]
    """One session: episodes one after the other, each in a sandbox of its own."""

    SUPPORTS_CONCURRENT_SESSIONS: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.tasks = Tasks(os.environ.get("ISE_SOURCE", "catalog"))
        self.seat: Seat | None = None
        self._next = 0
        self._score = 0.0

    def reset(self, seed: int | None = None, episode_id: str | None = None, **more: object) -> ISEObservation:
        """Begin an episode: that of task ``seed`` of the source, or the session's next one."""
        self.close()
        number = self._next if seed is None else seed
        self._next = number + 1
        scenario = self.tasks.scenario(number)
        options = {
            "user": os.environ.get("ISE_USER", "scripted"),
            "backend": os.environ.get("ISE_BACKEND", "auto"),
        }
        self.seat = Seat(
            scenario,
            self.tasks.seed(scenario),
            {"name": "openenv"},
            store=os.environ.get("ISE_STORE") or None,
            options=options,
        )
        self._score = 0.0
        return self._observed(self.seat.start(), 0.0)

    def step(self, action: ISEAction, timeout_s: float | None = None, **more: object) -> ISEObservation:
        """Play one message; the rewards of an episode add up to its score."""
        if self.seat is None:
            raise RuntimeError("call reset() before step()")
        said = noted(action.message(), self.seat.tools, finish=action.finish_reason)
        added = self.seat.say(said)
        score = float(self.seat.info["score"] or 0.0) if self.seat.live.began else 0.0
        reward, self._score = score - self._score, score
        observed = self._observed(added, reward)
        if self.seat.over:
            self.seat.record()
        return observed

    def _observed(self, added: tuple[Message, ...], reward: float) -> ISEObservation:
        seat = self.seat
        assert seat is not None
        ended = seat.info["outcome"] if seat.live.began else "infrastructure_error"
        return ISEObservation(
            done=seat.over,
            reward=reward,
            messages=told_to_agents(added),
            tools=[dict(tool) for tool in seat.tools] if seat.live.began else [],
            session=seat.env.episode.floor if seat.live.began else "main",
            terminated=seat.over and ended not in ("truncated", "infrastructure_error"),
            truncated=seat.over and ended in ("truncated", "infrastructure_error"),
            valid=not seat.broken,
        )

    @property
    def state(self) -> ISEState:
        """How far the episode is."""
        if self.seat is None or not self.seat.live.began:
            return ISEState()
        counts = self.seat.info["counts"]
        return ISEState(
            episode_id=self.seat.live.id,
            step_count=len(self.seat.env.episode.steps),
            scenario_id=self.seat.live.scenario.id,
            user_turns=counts["user_turns"],
            tool_calls=counts["tool_calls"],
        )

    def close(self) -> None:
        """End the episode; one that is not over is recorded as left."""
        if self.seat is not None:
            self.seat.close()
            self.seat = None


class ISEClient(EnvClient[ISEAction, ISEObservation, ISEState]):  # type: ignore[misc]
    """A session over a WebSocket: ``with ISEClient(base_url=…).sync() as env: env.reset(seed=3)``."""

    def _step_payload(self, action: ISEAction) -> dict[str, Any]:
        payload: dict[str, Any] = action.model_dump(exclude_none=True)
        return payload

    def _parse_result(self, payload: dict[str, Any]) -> Any:
        told = payload.get("observation", {})
        observed = ISEObservation(
            **{**told, "done": payload.get("done", False), "reward": payload.get("reward")}
        )
        return StepResult(observation=observed, reward=observed.reward, done=observed.done)

    def _parse_state(self, payload: dict[str, Any]) -> ISEState:
        return ISEState(**payload)


app = create_app(
    ISEEnvironment,
    ISEAction,
    ISEObservation,
    env_name="ise_os_v0",
    max_concurrent_envs=int(os.environ.get("ISE_SESSIONS", "8")),
    state_cls=ISEState,
)
