"""`ISE-OS-v0`: reset() and step() over one `Episode`, nothing else."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, SupportsFloat, Unpack

import gymnasium as gym
from gymnasium.error import InvalidAction

import ise_gym
from ise_gym.env.settings import EnvOptions, EnvSettings, Source
from ise_gym.episode.episode import Episode, Transition
from ise_gym.episode.state import EpisodeSnapshot
from ise_gym.errors import AgentError, UserError, WorkspaceError
from ise_gym.foreign.text import printable
from ise_gym.messages import Message, ToolSchema, assistant_of
from ise_gym.scenario import Scenario, ScenarioSource
from ise_gym.spaces import AssistantMessageSpace, MessageSequenceSpace
from ise_gym.vector import end_with_parent, made_by_a_vector
from ise_gym.workspace.backends.dummy import DummyWorkspace
from ise_gym.workspace.base import Workspace

Observation = tuple[Message, ...]

RESET_TRIES = 3
"""How often a reset gets a new workspace where ``on_broken="truncate"``, before it gives the episode up."""

GIVEN_UP_IN_A_ROW = 20
"""So many episodes in a row that could not even begin are no broken box, but a broken machine: the error is raised."""


class ISEEnv(gym.Env[Observation, Message]):
    """A live OS workspace with a user inside ``step``.

    One action is one assistant message. With tool calls, each runs in the workspace and the observation holds one
    tool message a call. Without, the agent's turn is over: sub-goals are verified, the user simulator answers, and
    its message is the observation (or the episode ends).

    A call of ``sessions_spawn`` or ``sessions_send`` moves the floor: the observation is then what is in the
    sub-session, ``info["session"]`` names it, and the actions that follow are its agent's, until one without tool
    calls ends it; the observation after that one holds the results of the call that had opened it.

    Args:
        source: where scenarios come from: a source, ``"catalog"`` (the default), ``"file:PATH"``, ``"module:Name"``,
            or a mapping such as ``{"name": "catalog", "split": "train"}``.
        workspace: one that is open already, for this env alone; it is reset like any other, and closed by its owner.
        options: see `ise_gym.env.settings.EnvSettings`, which says what each means:

            - ``backend``: workspace backend by name, or a function ``backend(limits, template=template)``;
            - ``user``, ``user_options``, ``guard``: the simulator (name or function), its options, the role guard;
            - ``judge``, ``judge_options``: the guard's second opinion, by name or itself;
            - ``tools``: names of the tools that are offered, whatever the scenario; None offers the scenario's;
            - ``toolbox``: a function of (scenario, workspace) that makes the tools;
            - ``limits``: `Limits`, or a mapping of some; ``template``: a folder that workspaces start from;
            - ``system_prompt``: replaces the scenario's;
            - ``reward``: ``"shaped"`` or ``"sparse"``; ``penalties``: see `ise_gym.episode.reward.PENALTIES`;
            - ``on_broken``: ``"raise"`` when a sandbox or an endpoint breaks, or ``"truncate"`` the episode; by default
              an env of a vector truncates and any other raises;
            - ``record_diffs``: records show what a step changed inside of text files, not only which files;
            - ``spare_box``: the next episode's box is made while one runs;
            - ``render_mode``: "ansi" returns the conversation as text, "human" prints it.

    ``info["valid"]`` is False when the sandbox or an endpoint broke: a trainer masks such an episode out.
    Nothing starts before `reset`. ``info`` is equal for equal seeds and actions; wall times live in `timings`.

    Examples:
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
        source: Source = None,
        *,
        workspace: Workspace | None = None,
        **options: Unpack[EnvOptions],
    ) -> None:
        end_with_parent()
        in_vector = made_by_a_vector()
        if in_vector and workspace is not None:
            raise UserError(
                "a workspace serves one env: give a vector env backend= (a name or a function) instead"
            )
        self._set(EnvSettings.of(source, options, "truncate" if in_vector else "raise"), workspace)

    @classmethod
    def of(cls, settings: EnvSettings, workspace: Workspace | None = None) -> ISEEnv:
        """Make one from settings; a workspace that is given belongs to its giver, as in the constructor."""
        made = cls.__new__(cls)
        made._set(settings, workspace)
        return made

    def _set(self, settings: EnvSettings, workspace: Workspace | None) -> None:
        self.settings = settings
        self.render_mode = settings.render_mode
        self._declared = settings.declared_tools()
        self.action_space = AssistantMessageSpace(self._declared)
        self.observation_space = MessageSequenceSpace(self._declared)
        self._source = settings.source
        self._workspace = workspace
        self._borrowed = workspace is not None
        self._episode: Episode | None = None
        self._given_up = 0

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
    def tool_schemas(self) -> list[ToolSchema]:
        """The tools that the agent is offered in the main session; before the first `reset`, those of the spaces."""
        return list(self._declared) if self._episode is None else self._episode.tool_schemas

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
            WorkspaceError, AgentError: the sandbox or the user's endpoint broke, and ``on_broken`` is "raise". (Else
                new workspaces are tried; when none works the observation is empty, ``info["valid"]`` is False, and the
                first step truncates.)
        """
        super().reset(seed=seed)
        unknown = set(options or ()) - {"scenario"}
        if unknown:
            raise UserError(f"unknown reset option(s) {sorted(unknown)}; known: scenario")
        draw = seed if seed is not None else int(self.np_random.integers(2**31))
        scenario: Scenario = (options or {}).get("scenario") or self.source.scenario(draw)
        episode_seed = seed if seed is not None else scenario.seed
        for last in [False] * (RESET_TRIES - 1) + [True]:
            try:
                messages = self._begin(scenario, episode_seed)
                self._given_up = 0
                break
            except (WorkspaceError, AgentError) as error:
                if isinstance(error, WorkspaceError):
                    self._discard_workspace()
                if self.settings.on_broken == "raise":
                    raise
                if last:
                    messages = self._give_up(scenario, episode_seed, error)
        self._render_human(messages)
        return _fresh(messages), self.episode.info()

    def step(self, action: Message) -> tuple[Observation, SupportsFloat, bool, bool, dict[str, Any]]:
        """Play one assistant message, in any shape that `ise_gym.messages.assistant_of` takes.

        Returns:
            The messages added since, the reward (by default the change in the fraction of verified sub-goals),
            terminated (the user left), truncated (a budget ran out) and info.

        Raises:
            InvalidAction: the action is not an assistant message. (Raw model text: see `ise_gym.wrappers`.)
            WorkspaceError, AgentError: the sandbox or the user's endpoint broke, and ``on_broken`` is "raise"; the
                episode's outcome is then ``infrastructure_error``. (Else the episode is truncated.)
        """
        try:
            action = assistant_of(action)
        except ValueError as problem:
            raise InvalidAction(f"an action is an assistant message: {problem}") from None
        episode = self.episode
        if self._given_up and episode.over:  # it never began
            return (), 0.0, False, True, episode.info()
        try:
            result = episode.act(action)
        except (WorkspaceError, AgentError) as error:
            episode.fail_infrastructure(_why(error))
            if isinstance(error, WorkspaceError):
                self._discard_workspace()
            if self.settings.on_broken == "raise":
                raise
            result = Transition(episode.heard(), 0.0, truncated=True)
        if episode.workspace_lost:
            self._discard_workspace()
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
        workspace = self._live_workspace()
        self._episode = Episode.restored(
            saved,
            workspace,
            self.settings.make_toolbox(saved.scenario, workspace),
            self.settings.make_user(),
            rewarding=self.settings.rewarding,
            diffs=self.settings.record_diffs,
        )
        self._given_up = 0
        return _fresh(self._episode.conversation), self._episode.info()

    def fork(self, n: int) -> list[ISEEnv]:
        """Return n new envs that stand where this one stands; each must be closed."""
        saved = self.snapshot()
        forks: list[ISEEnv] = []
        try:
            for _ in range(n):
                other = ISEEnv.of(self.settings)
                forks.append(other)
                if self._borrowed:  # whoever lent it opened it in a way of its own
                    other._workspace = self._live_workspace().fork()
                other._source = self._source
                other._np_random = copy.deepcopy(self._np_random)
                other.restore(saved)
        except BaseException:
            for other in forks:
                other.close()
            raise
        return forks

    def describe(self) -> dict[str, Any]:
        """Return what goes into a trajectory's ``env`` field; `EnvSettings.to_json` tells of all settings."""
        workspace = self._live_workspace()
        template = getattr(workspace, "template", None)
        return {
            "id": "ISE-OS-v0",
            "ise_gym": ise_gym.__version__,
            "backend": workspace.capabilities().backend,
            "limits": asdict(workspace.limits),
            **({} if template is None else {"template": template.identity()}),
            **self.settings.told_by_records(),
        }

    # -- inside ----------------------------------------------------------------------------------

    def _begin(self, scenario: Scenario, seed: int) -> list[Message]:
        self._episode = self._new_episode(scenario, seed, self._live_workspace())
        return self._episode.start(self._prompt(scenario))

    def _give_up(self, scenario: Scenario, seed: int, error: Exception) -> list[Message]:
        """Let an episode that can't begin be over; it plays nowhere."""
        self._given_up += 1
        if self._given_up >= GIVEN_UP_IN_A_ROW:
            raise error
        self._episode = self._new_episode(scenario, seed, DummyWorkspace(self.settings.limits))
        self._episode.fail_infrastructure(_why(error))
        return []

    def _new_episode(self, scenario: Scenario, seed: int, workspace: Workspace) -> Episode:
        settings = self.settings
        toolbox = settings.make_toolbox(scenario, workspace)
        return Episode(
            scenario,
            workspace,
            toolbox,
            settings.make_user(),
            seed,
            rewarding=settings.rewarding,
            diffs=settings.record_diffs,
        )

    def _prompt(self, scenario: Scenario) -> str:
        own = self.settings.system_prompt
        return own if own is not None else scenario.system_prompt

    def _live_workspace(self) -> Workspace:
        if self._workspace is None:
            if self._borrowed:
                raise WorkspaceError("the workspace that this env was given broke, or the env was closed")
            self._workspace = self.settings.open_workspace()
        return self._workspace

    def _discard_workspace(self) -> None:
        if self._workspace is not None:
            workspace, self._workspace = self._workspace, None
            if not self._borrowed:
                workspace.close()

    def _render_human(self, messages: Sequence[Message]) -> None:
        if self.render_mode == "human":
            for message in messages:
                print(printable(_as_text(message)))


def _fresh(messages: Sequence[Message]) -> Observation:
    """Copy, so that what a user keeps never changes under it."""
    return tuple(copy.deepcopy(list(messages)))


def _why(error: Exception) -> str:
    """Word the reason of an infrastructure error: the sandbox's own words, or that the user's endpoint failed."""
    return str(error) if isinstance(error, WorkspaceError) else f"user: {error}"


def _as_text(message: Message) -> str:
    calls = "".join(
        f"\n  → {c['function']['name']} {c['function']['arguments']}" for c in message.get("tool_calls") or ()
    )
    return f"[{message['role']}] {message['content']}{calls}"
