"""Where each public name of the package lives: `ise_gym` and the process that judges checks look names up here.

A plug-in writes ``from ise_gym import CheckResult`` wherever it runs, also where the package's own start is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

PUBLIC: Mapping[str, tuple[str, ...]] = {
    "ise_gym.agents": ("make_agent",),
    "ise_gym.checks.base": ("BaseCheck",),
    "ise_gym.services.spec": ("ServiceKind",),
    "ise_gym.trajectory.exchange.importer": ("Importer",),
    "ise_gym.agents.aio": ("AsyncAgent",),
    "ise_gym.agents.base": ("Agent", "BatchAgent"),
    "ise_gym.env.aio": ("AsyncEnv",),
    "ise_gym.env": ("ISEEnv",),
    "ise_gym.errors": ("AgentError", "UserError", "WorkspaceError"),
    "ise_gym.evaluation.manifest": ("Manifest", "load_suite"),
    "ise_gym.evaluation.suite": ("SuiteSource",),
    "ise_gym.intents.lines": ("IntentFileSource",),
    "ise_gym.intents.source": ("IntentSource",),
    "ise_gym.messages": ("Message", "ToolCall", "ToolSchema", "assistant", "system", "tool_call", "user"),
    "ise_gym.rollout.play": ("play_episode",),
    "ise_gym.scenario": (
        "Budget",
        "Check",
        "CheckResult",
        "Persona",
        "Request",
        "Scenario",
        "ScenarioSource",
        "SubGoal",
    ),
    "ise_gym.env.settings": ("EnvSettings",),
    "ise_gym.simulator": ("RoleGuard", "make_user"),
    "ise_gym.simulator.base": ("Evidence", "UserSimulator", "UserTurn", "UserView"),
    "ise_gym.tools.base": ("Tool", "ToolContext", "ToolOutcome"),
    "ise_gym.trajectory.record": ("Trajectory",),
    "ise_gym.trajectory.store": ("TrajectoryStore", "read_trajectories"),
    "ise_gym.workspace": ("Limits", "SeedFile", "Snapshot", "Workspace", "open_workspace"),
    "ise_gym.wrappers": ("ChatHistory", "TextAction"),
}
"""Module → the public names that live in it."""

_HOME = {name: module for module, names in PUBLIC.items() for name in names}


def public(name: str) -> object:
    """Return the thing of a public name, loading its module when it is first asked for.

    >>> public("CheckResult").__module__
    'ise_gym.scenario.model'

    Raises:
        AttributeError: it is not a public name.
    """
    if name not in _HOME:
        raise AttributeError(f"module 'ise_gym' has no attribute {name!r}")
    thing: object = getattr(import_module(_HOME[name]), name)
    return thing
