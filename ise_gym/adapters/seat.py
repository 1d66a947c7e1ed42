"""One episode for somebody else's loop: scenarios by number with the seeds of our own runs, steps, and the record.

A harness that plays the k-th task here plays what `ise eval run` and `ise rollout` play as their k-th: the same
scenario under the same seed, so an agent that acts alike scores alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ise_gym.env import ISEEnv
from ise_gym.env.settings import open_source
from ise_gym.errors import AgentError, UserError
from ise_gym.messages import Message, ToolSchema
from ise_gym.rollout.play import LiveEpisode
from ise_gym.rollout.spec import episode_seed
from ise_gym.scenario import Scenario
from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.store import TrajectoryStore
from ise_gym.workspace import Workspace

LEFT = "the agent left before the user did"
_TOLD = ("role", "content", "tool_calls", "tool_call_id", "name", "reasoning_content")


def told_to_agents(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """Return what of messages an agent may know: ``success`` and ``exit_code`` are the harness's.

    >>> from ise_gym.messages import tool_result
    >>> told_to_agents([tool_result("c", "exec", "ok", success=True)])
    [{'role': 'tool', 'content': 'ok', 'tool_call_id': 'c', 'name': 'exec'}]
    """
    return [{key: message[key] for key in _TOLD if key in message} for message in map(dict, messages)]


class Tasks:
    """Scenarios by number.

    Args:
        source: ``suite:demo-easy``, ``file:PATH``, ``catalog``, or what else `ise_gym.env.settings.open_source` takes.
        options: keyword arguments of the source.
        seed: of the run, as `ise rollout --seed` and `ise eval run --seed` have it.

    Raises:
        UserError: an unknown source, or options that it does not know.

    >>> tasks = Tasks("suite:demo-easy")
    >>> len(tasks), tasks.scenario(0).id
    (64, 'ise-os-eval-0add8c-0')
    """

    def __init__(
        self, source: str = "suite:demo-easy", options: Mapping[str, object] | None = None, seed: int = 0
    ) -> None:
        found = open_source({"name": source, **(options or {})})
        assert found is not None
        self.source, self.run_seed = found, seed
        listed = getattr(found, "ids", None)
        self.count: int | None = None if listed is None else len(listed())
        """How many scenarios there are; None of a source without an end."""

    def __len__(self) -> int:
        """How many there are; TypeError of a source without an end, such as the catalog."""
        if self.count is None:
            raise TypeError(f"the source '{self.source.name}' has no end: say how many tasks are wanted")
        return self.count

    def scenario(self, number: int) -> Scenario:
        """Return the scenario at a place, counted from 0."""
        if self.count is not None and not 0 <= number < self.count:
            raise UserError(f"there is no task {number}: the source '{self.source.name}' has {self.count}")
        return self.source.scenario(number)

    def seed(self, scenario: Scenario) -> int:
        """Return the episode's seed."""
        return episode_seed(self.run_seed, scenario.id, 0)

    def first(self, count: int | None) -> Iterator[tuple[int, Scenario]]:
        """Yield the first ``count`` tasks with their numbers; all of them when None."""
        for number in range(len(self) if count is None else count):
            yield number, self.scenario(number)


class Seat:
    """One episode of one agent that somebody else runs; for one thread at a time.

    Args:
        scenario: what is played.
        seed: of the episode.
        agent: what the record says of who acts: ``name`` and anything else.
        store: folder of a trajectory store to which the record goes at the end; None keeps none.
        workspace: one that is open already; it stays its owner's.
        options: of the env, see `ise_gym.env.settings.EnvSettings`.
    """

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        agent: Mapping[str, object],
        *,
        store: str | Path | None = None,
        workspace: Workspace | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.agent = {"name": "external", **agent}
        self.store = store
        self.env = ISEEnv(workspace=workspace, **(options or {}))
        self.live = LiveEpisode(self.env, scenario, seed, str(self.agent["name"]))
        self._recorded: Trajectory | None = None

    def start(self) -> tuple[Message, ...]:
        """Begin; return the system message and the user's first one."""
        return self.live.start()

    def say(self, message: Message) -> tuple[Message, ...]:
        """Play one assistant message; return what was added since, the user's last words included."""
        if self.live.over:
            return ()
        known = len(self.env.episode.messages)
        added = self.live.step(message)
        if self.live.over and not added:  # no agent has to hear the last words, but people want to read them
            return tuple(m for m in self.env.episode.messages[known:] if m["role"] == "user")
        return added

    def fail(self, error: AgentError) -> None:
        """End the episode without an answer; the error says whether an endpoint broke or a budget ran out."""
        if not self.live.over:
            self.live.fail("agent", error)

    @property
    def over(self) -> bool:
        """Whether the episode ended; `broken` says whether the sandbox or an endpoint ended it."""
        return self.live.over

    @property
    def broken(self) -> str:
        """Which part broke, and how; "" while none did."""
        return self.live.broken

    @property
    def conversation(self) -> Sequence[Message]:
        """All that the agent on the floor has before it, system message first."""
        return self.live.conversation[0]

    @property
    def tools(self) -> Sequence[ToolSchema]:
        """What the agent on the floor is offered."""
        return self.live.conversation[1]

    @property
    def info(self) -> dict[str, Any]:
        """The env's ``info`` as it stands."""
        return self.env.episode.info()

    def record(self) -> Trajectory:
        """Return the record; an agent that goes before the user is done has run out of its budget."""
        if self._recorded is None:
            if not self.live.over:
                self.live.fail("agent", AgentError(LEFT, infrastructure=False))
            self._recorded = self.live.trajectory(self.agent)
            if self.store is not None:
                with TrajectoryStore(self.store) as store:
                    store.append(self._recorded)
        return self._recorded

    def close(self) -> None:
        """Write the record down, if there is something to write, and end the sandbox; idempotent."""
        try:
            self.record()
        finally:
            self.env.close()
