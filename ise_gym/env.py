"""`ISE-OS-v0`: reset() and step() over one `Episode`, nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, SupportsFloat

import gymnasium as gym
from gymnasium.error import InvalidAction

import ise_gym
from ise_gym.episode.episode import Episode, EpisodeSnapshot
from ise_gym.errors import UserError, WorkspaceError
from ise_gym.messages import Message, ToolSchema, assistant_of
from ise_gym.scenario import DEFAULT_TOOLS, Scenario, ScenarioSource
from ise_gym.simulator import make_user
from ise_gym.simulator.base import UserSimulator
from ise_gym.spaces import AssistantMessageSpace, MessageSequenceSpace
from ise_gym.tools import tool_schemas
from ise_gym.tools.dispatch import Toolbox
from ise_gym.workspace import open_workspace
from ise_gym.workspace.base import Limits, Workspace

Observation = tuple[Message, ...]


class ISEEnv(gym.Env[Observation, Message]):
    """A live OS workspace with a user inside ``step``.

    One action is one assistant message. With tool calls, each runs in the workspace and the observation holds one
    tool message a call. Without, the agent's turn is over: sub-goals are verified, the user simulator answers, and
    its message is the observation (or the episode ends).

    A call of ``sessions_spawn`` or ``sessions_send`` moves the floor: the observation is then what stands in the
    sub-session, ``info["session"]`` names it, and the actions that follow are its agent's, until one without tool
    calls ends it; the observation after that one holds the results of the call that had opened it.

    Args:
        source: where scenarios come from; default: the catalog (`ise_gym.intents.source.IntentSource`).
        backend: workspace backend, see `ise_gym.workspace.open_workspace`.
        user: simulator name (scripted, single-turn, naive) or a function that makes one.
        guard: put the role guard around the simulator.
        tools: tool names offered, unless the scenario names its own.
        limits: resource limits of the workspace.
        template: a folder of this machine that each episode's workspace starts from; a scenario's files come on top.
        system_prompt: replaces the scenario's.
        toolbox: makes the tools of an episode, for scenarios that bring tools of their own; by default the
            scenario's tools are looked up by name.
        render_mode: "ansi" returns the conversation as text, "human" prints it.

    Nothing starts before `reset`. ``info`` is equal for equal seeds and actions; wall times live in `timings`.

    Example:
        >>> import gymnasium as gym, ise_gym
        >>> from ise_gym.messages import assistant, tool_call
        >>> env = gym.make("ISE-OS-v0")
        >>> observation, info = env.reset(seed=7)
        >>> [m["role"] for m in observation]
        ['system', 'user']
        >>> action = assistant("", [tool_call("exec", {"command": "echo hello"})])
        >>> observation, reward, terminated, truncated, info = env.step(action)
        >>> observation[0]["content"], observation[0]["exit_code"]
        ('hello', 0)
        >>> env.close()
    """

    metadata = {"render_modes": ["ansi", "human"], "render_fps": 1}

    def __init__(
        self,
        source: ScenarioSource | None = None,
        *,
        backend: str = "auto",
        user: str | Callable[[], UserSimulator] = "scripted",
        guard: bool = True,
        tools: Sequence[str] = DEFAULT_TOOLS,
        limits: Limits | None = None,
        template: str | None = None,
        system_prompt: str | None = None,
        toolbox: Callable[[Scenario, Workspace], Toolbox] | None = None,
        render_mode: str | None = None,
    ) -> None:
        self._source = source
        self._backend = backend
        self._user_spec = user
        self._guard = guard
        self._tools = tuple(tools)
        self._limits = limits or Limits()
        self._template = template
        self._system_prompt = system_prompt
        self._make_toolbox = toolbox
        self.render_mode = render_mode
        self.tool_schemas: list[ToolSchema] = tool_schemas(self._tools)
        self.action_space = AssistantMessageSpace(self.tool_schemas)
        self.observation_space = MessageSequenceSpace(self.tool_schemas)
        make_user(user, guard)  # an unknown name fails here, not at the first reset
        self._workspace: Workspace | None = None
        self._episode: Episode | None = None

    @property
    def source(self) -> ScenarioSource:
        """Where scenarios come from."""
        if self._source is None:
            from ise_gym.intents.source import IntentSource

            self._source = IntentSource()
        return self._source

    @property
    def episode(self) -> Episode:
        """The present episode; RuntimeError before the first `reset`."""
        if self._episode is None:
            raise RuntimeError("no episode yet: call reset() first")
        return self._episode

    @property
    def timings(self) -> dict[str, Any]:
        """Wall seconds of the present episode by part."""
        return self.episode.timings.model_dump()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode.

        Args:
            seed: also chooses the scenario (``source.scenario(seed)``); without one the env's RNG draws it.
            options: ``{"scenario": Scenario}`` plays that one instead.

        Raises:
            UserError: no workspace backend works here, or the options are not known.
        """
        super().reset(seed=seed)
        unknown = set(options or ()) - {"scenario"}
        if unknown:
            raise UserError(f"unknown reset option(s) {sorted(unknown)}; known: scenario")
        draw = seed if seed is not None else int(self.np_random.integers(2**31))
        scenario: Scenario = (options or {}).get("scenario") or self.source.scenario(draw)
        episode_seed = seed if seed is not None else scenario.seed
        self._bind(scenario)
        self._episode = Episode(
            scenario,
            self._live_workspace(),
            self._toolbox(scenario),
            make_user(self._user_spec, self._guard),
            episode_seed,
        )
        try:
            messages = self._episode.start(self._prompt(scenario))
        except WorkspaceError:
            self._discard_workspace()
            raise
        self._render_human(messages)
        return _fresh(messages), self._episode.info()

    def step(self, action: Message) -> tuple[Observation, SupportsFloat, bool, bool, dict[str, Any]]:
        """Play one assistant message, in any shape that `ise_gym.messages.assistant_of` takes.

        Returns:
            The messages added since, the change in the fraction of verified sub-goals, terminated (the user left),
            truncated (a budget ran out) and info.

        Raises:
            InvalidAction: the action is not an assistant message. (Raw model text: see `ise_gym.wrappers`.)
            WorkspaceError: the sandbox broke; the episode's outcome is then ``infrastructure_error``.
        """
        try:
            action = assistant_of(action)
        except ValueError as problem:
            raise InvalidAction(f"an action is an assistant message: {problem}") from None
        episode = self.episode
        try:
            result = episode.act(action)
        except WorkspaceError as error:
            episode.fail_infrastructure(str(error))
            self._discard_workspace()
            raise
        self._render_human([action, *result.messages])
        return _fresh(result.messages), result.reward, result.terminated, result.truncated, episode.info()

    def render(self) -> str | None:
        """Return the conversation so far as text ("ansi"); "human" prints as it goes."""
        if self.render_mode != "ansi":
            return None
        return "\n".join(_as_text(m) for m in self.episode.messages)

    def close(self) -> None:
        """End the workspace and everything in it; idempotent."""
        self._discard_workspace()

    # -- snapshot, restore, fork -----------------------------------------------------------------

    def snapshot(self) -> EpisodeSnapshot:
        """Save the whole episode: files, user state, RNG, transcript."""
        return self.episode.snapshot()

    def restore(self, saved: EpisodeSnapshot) -> tuple[Observation, dict[str, Any]]:
        """Continue from a saved episode; returns the whole conversation of the session on the floor, and info."""
        self._bind(saved.scenario)
        self._episode = Episode.restored(
            saved,
            self._live_workspace(),
            self._toolbox(saved.scenario),
            make_user(self._user_spec, self._guard),
        )
        return _fresh(self._episode.conversation), self._episode.info()

    def fork(self, n: int) -> list[ISEEnv]:
        """Return n new envs that stand where this one stands; each must be closed."""
        saved = self.snapshot()
        forks = []
        for _ in range(n):
            other = ISEEnv(
                self._source,
                backend=self._backend,
                user=self._user_spec,
                guard=self._guard,
                tools=self._tools,
                limits=self._limits,
                system_prompt=self._system_prompt,
                toolbox=self._make_toolbox,
                render_mode=self.render_mode,
            )
            other._np_random = copy.deepcopy(self._np_random)
            other.restore(saved)
            forks.append(other)
        return forks

    def describe(self) -> dict[str, Any]:
        """Return what goes into a trajectory's ``env`` field."""
        workspace = self._live_workspace()
        template = getattr(workspace, "template", None)
        return {
            "id": "ISE-OS-v0",
            "ise_gym": ise_gym.__version__,
            "backend": workspace.capabilities().backend,
            "limits": {name: getattr(self._limits, name) for name in self._limits.__dataclass_fields__},
            **({} if template is None else {"template": template.identity()}),
        }

    # -- inside ----------------------------------------------------------------------------------

    def _bind(self, scenario: Scenario) -> None:
        """Take over the scenario's tools; spaces stay those of `__init__` so that vector envs agree on them."""
        if self._make_toolbox is None and scenario.tools != self._tools:
            self.tool_schemas = tool_schemas(scenario.tools)

    def _toolbox(self, scenario: Scenario) -> Toolbox:
        if self._make_toolbox is None:
            return Toolbox(scenario.tools, self._live_workspace())
        made = self._make_toolbox(scenario, self._live_workspace())
        self.tool_schemas = made.schemas
        return made

    def _prompt(self, scenario: Scenario) -> str:
        return self._system_prompt if self._system_prompt is not None else scenario.system_prompt

    def _live_workspace(self) -> Workspace:
        if self._workspace is None:
            self._workspace = open_workspace(self._backend, self._limits, self._template)
        return self._workspace

    def _discard_workspace(self) -> None:
        if self._workspace is not None:
            workspace, self._workspace = self._workspace, None
            workspace.close()

    def _render_human(self, messages: Sequence[Message]) -> None:
        if self.render_mode == "human":
            for message in messages:
                print(_as_text(message))


def _fresh(messages: Sequence[Message]) -> Observation:
    """Copy, so that what a user keeps never changes under it."""
    return tuple(copy.deepcopy(list(messages)))


def _as_text(message: Message) -> str:
    calls = "".join(
        f"\n  → {c['function']['name']} {c['function']['arguments']}" for c in message.get("tool_calls") or ()
    )
    return f"[{message['role']}] {message['content']}{calls}"
