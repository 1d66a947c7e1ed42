"""A live workspace for the tools' tests; state of one test never reaches the next."""

import json
from collections.abc import Iterator

import pytest

from ise_gym.episode.floor import Floor
from ise_gym.messages import Message, tool_call
from ise_gym.scenario import DEFAULT_TOOLS
from ise_gym.tools.dispatch import Toolbox
from ise_gym.workspace import open_workspace
from ise_gym.workspace.base import Limits, Workspace


@pytest.fixture(scope="session")
def live_workspace() -> Iterator[Workspace]:
    workspace = open_workspace("auto", limits=Limits(command_timeout_s=3.0))
    yield workspace
    workspace.close()


@pytest.fixture
def workspace(live_workspace: Workspace) -> Workspace:
    live_workspace.reset()
    return live_workspace


class Caller:
    """Calls tools as an agent would: ``call("read", path="a.txt")`` gives the tool message."""

    def __init__(self, toolbox: Toolbox) -> None:
        self.toolbox, self.floor = toolbox, Floor(toolbox)

    def __call__(self, tool: str, **arguments: object) -> Message:
        return self.floor.play(tool_call(tool, json.dumps(arguments), "call_1"))

    def error(self, tool: str, **arguments: object) -> str:
        return self.toolbox.outcome(tool, json.dumps(arguments)).error


@pytest.fixture
def call(workspace: Workspace) -> Caller:
    return Caller(Toolbox(DEFAULT_TOOLS, workspace))


@pytest.fixture
def idle_call(live_workspace: Workspace) -> Caller:
    """For calls that never reach the workspace: saves its reset."""
    return Caller(Toolbox(DEFAULT_TOOLS, live_workspace))
