"""The env in verifiers (and through it prime-rl): a harness whose session owns one env and plays the episode.

One request of the session to the endpoint is one action; user turns, tool results and sub-sessions are messages of the
next request, so the renderer sees what our own agents see, token for token. Rewards are verified sub-goals. A broken
sandbox raises, and verifiers marks the trace: filter on ``ok``, since its reward is then 0 all the same.

Source: ``verifiers.v1`` of the verifiers package; the module ``ise_os_v0`` is how it finds these classes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import count
from typing import Any, ClassVar

from ise_gym.adapters.answers import of_chat, refusal
from ise_gym.adapters.peers import interface_of
from ise_gym.adapters.seat import Seat, Tasks, told_to_agents
from ise_gym.errors import AgentError
from ise_gym.messages import Message

with interface_of("verifiers"):
    import httpx
    import verifiers.v1 as vf

    vf.Harness, vf.HarnessSession, vf.HarnessConfig, vf.Taskset, vf.TasksetConfig, vf.ProgramResult  # noqa: B018


class ISEData(vf.TaskData):  # type: ignore[misc]
    """One task; what draws its scenario again, since a harness sees this and not the taskset's settings."""

    source: str
    source_options: dict[str, Any]
    number: int
    run_seed: int


class ISETask(vf.Task[ISEData]):  # type: ignore[misc]
    """Rewards and metrics of one episode, from what the session left in the trace."""

    @vf.reward(weight=1.0)  # type: ignore[untyped-decorator]
    async def verified(self, trace: vf.Trace) -> float:
        """The share of verified sub-goals."""
        return float(trace.info["ise"]["score"] or 0.0)

    @vf.metric  # type: ignore[untyped-decorator]
    async def passed(self, trace: vf.Trace) -> float:
        """Whether all of them hold and the user left by himself."""
        return float(trace.info["ise"]["outcome"] == "passed")

    @vf.metric  # type: ignore[untyped-decorator]
    async def user_turns(self, trace: vf.Trace) -> float:
        """How often the user spoke."""
        return float(trace.info["ise"]["counts"]["user_turns"])


class ISETasksetConfig(vf.TasksetConfig):  # type: ignore[misc]
    """Where tasks come from; see `ise_gym.adapters.seat.Tasks`."""

    source: str = "catalog"
    source_options: dict[str, Any] = {"split": "train"}
    first: int = 0
    step: int = 1
    run_seed: int = 0


class ISETaskset(vf.Taskset[ISETask, ISETasksetConfig]):  # type: ignore[misc]
    """Scenarios as tasks, in order, without an end where the source has none."""

    INFINITE: ClassVar[bool] = True

    def load(self) -> Iterator[ISETask]:
        """Yield one task a scenario."""
        config = self.config
        options = {} if config.source.partition(":")[0] in ("suite", "file") else config.source_options
        tasks = Tasks(config.source, options, config.run_seed)
        endless = count(config.first, config.step)
        numbers = endless if tasks.count is None else range(config.first, tasks.count, config.step)
        for number in numbers:
            scenario = tasks.scenario(number)
            data = ISEData(
                name=scenario.id,
                prompt=scenario.requests[0].text,
                source=config.source,
                source_options=options,
                number=number,
                run_seed=config.run_seed,
            )
            yield ISETask(data, config.task)


class ISEHarnessConfig(vf.HarnessConfig):  # type: ignore[misc]
    """How episodes are played: options of `ise_gym.env.settings.EnvSettings`, and a store for our own records.

    ``request_timeout_s``: seconds for one answer of the model, from the first byte sent to the last byte read.
    """

    env_options: dict[str, Any] = {}
    store: str = ""
    request_timeout_s: float = 600.0


class ISESession(vf.HarnessSession):  # type: ignore[misc]
    """One rollout: one env, for one episode."""

    seat: Seat | None = None

    async def _run(self, messages: object) -> Any:
        config, data = self.harness.config, self.data
        tasks = Tasks(data.source, data.source_options, data.run_seed)
        scenario = await asyncio.to_thread(tasks.scenario, data.number)
        self.seat = seat = Seat(
            scenario,
            tasks.seed(scenario),
            {"name": self.ctx.model, "model": self.ctx.model},
            store=config.store or None,
            options=config.env_options,
        )
        await asyncio.to_thread(seat.start)
        try:
            async with httpx.AsyncClient(timeout=None) as http:
                while not seat.over:
                    await asyncio.to_thread(seat.say, await self._ask(http, seat))
        except AgentError as error:  # verifiers knows it by the request; our record is told
            seat.fail(error)
            raise
        finally:
            if seat.live.began:
                self.trace.info["ise"] = seat.info
        if seat.broken:
            raise vf.SandboxError(seat.broken)
        return vf.ProgramResult(exit_code=0, stdout="", stderr="")

    async def _ask(self, http: Any, seat: Seat) -> Message:
        body = {
            "model": self.ctx.model,
            "messages": told_to_agents(seat.conversation),
            "tools": list(seat.tools),
        }
        headers = {"Authorization": f"Bearer {self.secret}"}
        longest = self.harness.config.request_timeout_s
        try:
            async with asyncio.timeout(longest):
                reply = await http.post(f"{self.endpoint}/chat/completions", json=body, headers=headers)
        except TimeoutError as error:
            raise AgentError(f"no answer within {longest:g} s", kind="timeout") from error
        except httpx.HTTPError as error:
            raise AgentError(f"{type(error).__name__}: {error}", kind="connection") from error
        if not reply.is_success:
            raise refusal(reply.status_code, _decoded(reply), reply.text)
        return of_chat(_decoded(reply), seat.tools)

    async def close(self) -> None:
        """End the sandbox, on every path."""
        if self.seat is not None:
            await asyncio.to_thread(self.seat.close)
        await super().close()


def _decoded(reply: Any) -> Any:
    try:
        return reply.json()
    except ValueError:
        return None


class ISEHarness(vf.Harness[ISEHarnessConfig]):  # type: ignore[misc]
    """Plays by `ISESession`; launches nothing."""

    APPENDS_SYSTEM_PROMPT: ClassVar[bool] = True
    EXECUTES_CODE: ClassVar[bool] = False
    NEEDS_CONTAINER: ClassVar[bool] = False

    async def session(self, *args: object, **kwargs: object) -> ISESession:
        """Return the session of one rollout."""
        return ISESession(self, *args, **kwargs)

    async def launch(self, *args: object, **kwargs: object) -> Any:
        """Not used: the session plays the episode in this process."""
        raise NotImplementedError("ISESession plays the episode")


class ISEEnvConfig(vf.EnvConfig):  # type: ignore[misc]
    """Runs beside the trainer: the sandbox is our own, so no remote one is asked for."""

    agent: vf.AgentConfig = vf.AgentConfig(runtime=vf.SubprocessConfig())


class ISEVerifiersEnv(vf.Env[ISEEnvConfig]):  # type: ignore[misc]
    """One agent, one task."""

    async def run(self, task: object, agents: Any) -> None:
        """Let the agent play it."""
        await agents.agent.run(task)


__all__ = ["ISEHarness", "ISETaskset", "ISEVerifiersEnv"]
