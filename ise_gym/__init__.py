"""ISE (Intent, Simulate, Execute) as one Gymnasium environment.

Importing this package registers ``ISE-OS-v0`` and loads nothing heavy: no torch, transformers, docker or openai. The
names in ``__all__`` are what a user may rely on (``docs/api.md`` says how far); each is loaded when it is first used.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import gymnasium as _gym

from ise_gym import vector as _vector  # noqa: F401  (registers the message spaces with Gymnasium's vector envs)
from ise_gym.public import public as _public

if TYPE_CHECKING:
    from ise_gym.agents import make_agent
    from ise_gym.agents.aio import AsyncAgent
    from ise_gym.agents.base import Agent, BatchAgent
    from ise_gym.checks.base import BaseCheck
    from ise_gym.env import ISEEnv
    from ise_gym.env.aio import AsyncEnv
    from ise_gym.env.settings import EnvSettings
    from ise_gym.errors import AgentError, UserError, WorkspaceError
    from ise_gym.evaluation.manifest import Manifest, load_suite
    from ise_gym.evaluation.suite import SuiteSource
    from ise_gym.intents.lines import IntentFileSource
    from ise_gym.intents.source import IntentSource
    from ise_gym.messages import Message, ToolCall, ToolSchema, assistant, system, tool_call, user
    from ise_gym.rollout.play import play_episode
    from ise_gym.scenario import (
        Budget,
        Check,
        CheckResult,
        Persona,
        Request,
        Scenario,
        ScenarioSource,
        SubGoal,
    )
    from ise_gym.services.spec import ServiceKind
    from ise_gym.simulator import RoleGuard, make_user
    from ise_gym.simulator.base import Evidence, UserSimulator, UserTurn, UserView
    from ise_gym.tools.base import Tool, ToolContext, ToolOutcome
    from ise_gym.trajectory.exchange.importer import Importer
    from ise_gym.trajectory.record import Trajectory
    from ise_gym.trajectory.store import TrajectoryStore, read_trajectories
    from ise_gym.workspace import Limits, SeedFile, Snapshot, Workspace, open_workspace
    from ise_gym.wrappers import ChatHistory, TextAction

try:
    __version__ = version("ise-gym")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0.0.0+source"

if "ISE-OS-v0" not in _gym.registry:
    _gym.register(
        id="ISE-OS-v0",
        entry_point="ise_gym.env:ISEEnv",
        order_enforce=True,
        disable_env_checker=True,
        kwargs={  # what a config file or an EnvSpec carries; `ise_gym.env.settings.EnvSettings` says what each means
            "source": None,
            "backend": "auto",
            "user": "scripted",
            "user_options": None,
            "guard": True,
            "judge": None,
            "judge_options": None,
            "tools": None,
            "limits": None,
            "template": None,
            "system_prompt": None,
            "toolbox": None,
            "reward": "shaped",
            "penalties": None,
            "on_broken": None,
            "record_diffs": True,
            "spare_box": True,
            "render_mode": None,
        },
    )

__all__ = [
    "Agent",
    "AgentError",
    "AsyncAgent",
    "AsyncEnv",
    "BaseCheck",
    "BatchAgent",
    "Budget",
    "ChatHistory",
    "Check",
    "CheckResult",
    "EnvSettings",
    "Evidence",
    "ISEEnv",
    "Importer",
    "IntentFileSource",
    "IntentSource",
    "Limits",
    "Manifest",
    "Message",
    "Persona",
    "Request",
    "RoleGuard",
    "Scenario",
    "ScenarioSource",
    "SeedFile",
    "ServiceKind",
    "Snapshot",
    "SubGoal",
    "SuiteSource",
    "TextAction",
    "Tool",
    "ToolCall",
    "ToolContext",
    "ToolOutcome",
    "ToolSchema",
    "Trajectory",
    "TrajectoryStore",
    "UserError",
    "UserSimulator",
    "UserTurn",
    "UserView",
    "Workspace",
    "WorkspaceError",
    "__version__",
    "assistant",
    "load_suite",
    "make_agent",
    "make_user",
    "open_workspace",
    "play_episode",
    "read_trajectories",
    "system",
    "tool_call",
    "user",
]


def __getattr__(name: str) -> object:
    """Load a public name when it is first asked for."""
    value = _public(name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
