"""What an env is made with, as one value: `ISEEnv` builds it, ``fork`` passes it on, records and manifests print it.

Everything can be given as JSON (a name, a number, a mapping), so that a config file or an ``EnvSpec`` carries it; what
has no name (a function, a source that was built in Python) is taken as it is. A new option is written here alone, and
in the table of `ise_gym` that shows the defaults to Gymnasium's registry.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, TypedDict, cast, get_args

from ise_gym.credentials import without_secrets
from ise_gym.episode.reward import Rewarding, rewarding
from ise_gym.errors import UserError, nearest
from ise_gym.messages import ToolSchema
from ise_gym.registry import make
from ise_gym.scenario import DEFAULT_TOOLS, Scenario, ScenarioSource
from ise_gym.simulator import make_judge, make_user
from ise_gym.simulator.base import UserSimulator
from ise_gym.simulator.guard import Judge
from ise_gym.tools import tool_schemas
from ise_gym.tools.dispatch import Toolbox
from ise_gym.workspace import open_workspace
from ise_gym.workspace.backends.choice import Backend
from ise_gym.workspace.base import Limits, Workspace
from ise_gym.workspace.client.remote import BoxWorkspace
from ise_gym.workspace.snapshots.template import read_template

OnBroken = Literal["raise", "truncate"]
Source = ScenarioSource | str | Mapping[str, object] | None
"""A source, or its spec: see `open_source`."""
MakeToolbox = Callable[[Scenario, Workspace], Toolbox]


class EnvOptions(TypedDict, total=False):
    """The options of `ise_gym.env.ISEEnv`, as they may be given; `EnvSettings` says what each means."""

    backend: str | Backend
    user: str | Callable[..., UserSimulator]
    user_options: Mapping[str, Any] | None
    guard: bool
    judge: str | Judge | None
    judge_options: Mapping[str, Any] | None
    tools: Sequence[str] | None
    limits: Limits | Mapping[str, float] | None
    template: str | os.PathLike[str] | None
    system_prompt: str | None
    toolbox: MakeToolbox | None
    reward: str
    penalties: Mapping[str, float] | None
    on_broken: str | None
    record_diffs: bool
    spare_box: bool
    render_mode: str | None


@dataclass(frozen=True)
class EnvSettings:
    """What an env is made with.

    Attributes:
        source: where scenarios come from; None is the catalog, opened when first asked for.
        backend: a workspace backend by name (see `ise_gym.workspace.open_workspace`), or a function that opens one: it
            is called as registered backends are, ``backend(limits, template=template)``.
        user: a simulator's name (see `ise_gym.simulator.make_user`) or a function that makes one.
        user_options: keyword arguments of the simulator.
        guard: put the role guard around it.
        judge: the guard's second opinion on turns that no detector refused, by name (see
            `ise_gym.simulator.make_judge`) or itself; None asks nobody.
        judge_options: keyword arguments of a judge that is named.
        tools: names of the tools that are offered; None offers the scenario's.
        limits: resource limits of the workspace.
        template: a folder of this machine that each episode's workspace starts from; a scenario's files come on top.
        system_prompt: replaces the scenario's.
        toolbox: makes the tools of an episode, for scenarios that bring tools of their own.
        rewarding: what a step earns.
        on_broken: what a broken sandbox or endpoint does: ``raise``, or end the episode as truncated.
        record_diffs: records show what a step changed inside of text files, too, not only which files.
        spare_box: the workspace makes the next episode's box while one runs, where it is made of boxes.
        render_mode: "ansi" returns the conversation as text, "human" prints it.
    """

    source: ScenarioSource | None = None
    backend: str | Backend = "auto"
    user: str | Callable[..., UserSimulator] = "scripted"
    user_options: Mapping[str, Any] = field(default_factory=dict)
    guard: bool = True
    judge: str | Judge | None = None
    judge_options: Mapping[str, Any] = field(default_factory=dict)
    tools: tuple[str, ...] | None = None
    limits: Limits = field(default_factory=Limits)
    template: str | None = None
    system_prompt: str | None = None
    toolbox: MakeToolbox | None = None
    rewarding: Rewarding = field(default_factory=Rewarding)
    on_broken: OnBroken = "raise"
    record_diffs: bool = True
    spare_box: bool = True
    render_mode: str | None = None

    @classmethod
    def of(cls, source: Source, options: EnvOptions, on_broken: OnBroken = "raise") -> EnvSettings:
        """Build it from options as they were given.

        Args:
            source: see `open_source`.
            options: see `EnvOptions`.
            on_broken: holds where the options leave it open.

        Raises:
            UserError: an option, a name or a value is not known.
        """
        known = ("source", "workspace", *EnvOptions.__annotations__)
        if unknown := set(options) - set(known):
            name = min(unknown)
            raise UserError(
                f"ISE-OS-v0 has no option {name!r}.{nearest(name, known)} Options: {', '.join(known)}."
            )
        tools, template = options.get("tools"), options.get("template")
        if isinstance(tools, str):
            raise UserError(f"tools must be a list of names, got the text {tools!r}")
        if tools is not None and options.get("toolbox") is not None:
            raise UserError("give tools (names) or toolbox (a function that makes them), not both")
        made = cls(
            source=open_source(source),
            backend=options.get("backend", "auto"),
            user=options.get("user", "scripted"),
            user_options=dict(options.get("user_options") or {}),
            guard=options.get("guard", True),
            judge=options.get("judge"),
            judge_options=dict(options.get("judge_options") or {}),
            tools=None if tools is None else tuple(tools),
            limits=limits_of(options.get("limits")),
            template=None if template is None else os.fspath(template),
            system_prompt=options.get("system_prompt"),
            toolbox=options.get("toolbox"),
            rewarding=rewarding(options.get("reward", "shaped"), options.get("penalties")),
            on_broken=_on_broken(options.get("on_broken"), on_broken),
            record_diffs=options.get("record_diffs", True),
            spare_box=options.get("spare_box", True),
            render_mode=options.get("render_mode"),
        )
        if made.judge is not None and not made.guard:
            raise UserError("a judge is asked by the guard: leave guard=False or judge out")
        made.make_user()  # an unknown name fails here, not at the first reset
        made.declared_tools()
        return made

    def make_user(self) -> UserSimulator:
        """Make the user of an episode."""
        judge = None if self.judge is None else make_judge(self.judge, **self.judge_options)
        return make_user(self.user, self.guard, judge, **self.user_options)

    def declared_tools(self) -> list[ToolSchema]:
        """Return the tools by which the spaces sample; those of an episode may be its scenario's."""
        return tool_schemas(self.tools if self.tools is not None else DEFAULT_TOOLS)

    def make_toolbox(self, scenario: Scenario, workspace: Workspace) -> Toolbox:
        """Make the tools of an episode."""
        if self.toolbox is not None:
            return self.toolbox(scenario, workspace)
        return Toolbox(self.tools if self.tools is not None else scenario.tools, workspace)

    def open_workspace(self) -> Workspace:
        """Open a workspace.

        Raises:
            UserError: no backend of this name, or none that works here.
            WorkspaceError: it failed to start.
        """
        if isinstance(self.backend, str):
            workspace = open_workspace(self.backend, self.limits, self.template)
        else:
            template = None if self.template is None else read_template(self.template)
            workspace = self.backend(self.limits, template=template)
        if isinstance(workspace, BoxWorkspace):
            workspace.spare_box = self.spare_box
        return workspace

    def to_json(self) -> dict[str, Any]:
        """Return the options as JSON, for a run's manifest: what has no name is told by its type or function.

        Without credentials, see `ise_gym.credentials`, and without ``spare_box``, which is a matter of the machine.
        """
        names = (f.name for f in fields(self) if f.name not in ("rewarding", "source", "spare_box"))
        shown = {name: getattr(self, name) for name in names}
        described = getattr(self.source, "described", None)
        source = self.source.name if self.source is not None else "catalog"
        shown["source"] = {"name": source, **(described() if described else {})}
        shown["limits"] = asdict(self.limits)
        shown["reward"], shown["penalties"] = self.rewarding.kind, self.rewarding.penalties
        told = without_secrets({name: _named(value) for name, value in sorted(shown.items())})
        return cast("dict[str, Any]", told)

    def told_by_records(self) -> dict[str, Any]:
        """Return what a record has to tell of the settings beyond what it holds: why its rewards are what they are."""
        told: dict[str, Any] = {}
        if self.rewarding.kind != "shaped":
            told["reward"] = self.rewarding.kind
        if costs := {name: cost for name, cost in self.rewarding.penalties.items() if cost}:
            told["penalties"] = costs
        return told


def open_source(spec: Source) -> ScenarioSource | None:
    """Open a source by its spec: ``catalog``, ``file:PATH``, ``module:Name``, or a mapping with ``name`` and options.

    >>> open_source({"name": "catalog", "split": "eval"}).name
    'ise-os-eval'

    Raises:
        UserError: an unknown name or option, or a file that can't be used.
    """
    if spec is None:
        return None
    if isinstance(spec, str):
        return cast("ScenarioSource", make("source", spec, {}, ("scenario",)))
    if isinstance(spec, Mapping):
        options = dict(spec)
        name = options.pop("name", "catalog")
        if not isinstance(name, str):
            raise UserError(f"source: 'name' must be text such as 'catalog', got {name!r}")
        return cast("ScenarioSource", make("source", name, options, ("scenario",)))
    if not hasattr(spec, "scenario"):
        raise UserError(
            f"source: {type(spec).__name__} is not a source of scenarios: it lacks scenario(seed)"
        )
    return spec


def limits_of(spec: Limits | Mapping[str, float] | None) -> Limits:
    """Return limits from a mapping of some of their names.

    >>> limits_of({"memory_mb": 512}).memory_mb
    512

    Raises:
        UserError: an unknown name, or no positive number.
    """
    if spec is None or isinstance(spec, Limits):
        return spec or Limits()
    known = {f.name: type(f.default) for f in fields(Limits)}
    values: dict[str, Any] = {}
    for name, value in spec.items():
        if name not in known:
            raise UserError(
                f"limits: {name!r} is not known: choose from {', '.join(known)}.{nearest(name, known)}"
            )
        whole = known[name] is int and not isinstance(value, int)
        if isinstance(value, bool) or not isinstance(value, int | float) or whole or not value > 0:
            kind = "whole number" if known[name] is int else "number"
            raise UserError(f"limits: {name} must be a {kind} above 0, got {value!r}")
        values[name] = value
    return Limits(**values)


def _on_broken(given: str | None, default: OnBroken) -> OnBroken:
    choices: tuple[OnBroken, ...] = get_args(OnBroken)
    known = {name: name for name in choices}
    if given is None:
        return default
    if given not in known:
        raise UserError(
            f"on_broken {given!r} is not known: choose raise or truncate.{nearest(str(given), choices)}"
        )
    return known[given]


def _named(value: object) -> Any:
    """Return a JSON value as it is; of anything else the name of its function or class."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _named(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_named(item) for item in value]
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}:{named.__qualname__}"
