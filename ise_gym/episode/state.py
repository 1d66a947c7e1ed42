"""All that the rest of an episode depends on, as one value: what a snapshot holds and a fork starts from.

A field that a later step reads is added here and nowhere else; then it is saved, restored and forked with the others.
The files, and the user's own memory, are saved by their owners and are beside it in an `EpisodeSnapshot`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ise_gym.episode.goals import Goals
from ise_gym.episode.steps import Step, Timings
from ise_gym.messages import Message
from ise_gym.scenario import Scenario
from ise_gym.simulator.base import Command
from ise_gym.workspace.base import Manifest, Snapshot, Workspace


def _no_counts() -> dict[str, int]:
    return {"user_turns": 0, "messages": 0, "tool_calls": 0}


def _no_files() -> Manifest:
    return Manifest({})


@dataclass
class EpisodeState:
    """A running (or finished) episode without its workspace and user.

    Attributes:
        goals: the verdicts on the sub-goals.
        messages: the main conversation, system message first.
        steps: one record an agent message of the main session.
        outcome: "" while running; then passed, failed, truncated, unverified or infrastructure_error.
        reason: why it ended.
        counts: user_turns, messages, tool_calls so far; session_messages once there are any.
        commands: the tool calls since the user last spoke.
        request: name of the request that is current.
        user_events: the role guard's events of the user's last turn.
        seen: the files when the user last spoke; ``tree``: when they were last looked at.
        digest: of the workspace after the last step.
        held: path → content of small files, for diffs; empty where none are recorded.
        tools: the tools' own state by tool, sub-sessions included.
        timings: wall seconds by part; the only nondeterministic field beside ``elapsed_s``.
        elapsed_s: wall seconds that the episode had been running when it was saved.
    """

    goals: Goals
    messages: list[Message] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    outcome: str = ""
    reason: str = ""
    counts: dict[str, int] = field(default_factory=_no_counts)
    commands: list[Command] = field(default_factory=list)
    request: str = ""
    user_events: tuple[Mapping[str, Any], ...] = ()
    seen: Manifest = field(default_factory=_no_files)
    tree: Manifest = field(default_factory=_no_files)
    digest: str = ""
    held: dict[str, bytes] = field(default_factory=dict)
    tools: dict[str, Any] = field(default_factory=dict)
    timings: Timings = field(default_factory=Timings)
    elapsed_s: float = 0.0

    def look(self, workspace: Workspace) -> Manifest:
        """Note how the files stand, and return it.

        Raises:
            WorkspaceError: the sandbox failed.
        """
        self.tree = workspace.manifest()
        self.digest = self.tree.digest()
        return self.tree

    def saved(self, elapsed_s: float) -> EpisodeState:
        """Return a copy that shares nothing with this one, for a snapshot."""
        # processes end with their box: a saved record of one would be polled under a dead id
        tools = {name: value for name, value in self.tools.items() if name != "processes"}
        return copy.deepcopy(replace(self, tools=tools, elapsed_s=elapsed_s))


@dataclass(frozen=True)
class EpisodeSnapshot:
    """A saved episode (background processes are not part of it); opaque to its holder, and picklable.

    Attributes:
        scenario, seed: what is played.
        workspace: the files.
        user: what the simulator's ``state()`` gave.
        state: everything else.
    """

    scenario: Scenario
    seed: int
    workspace: Snapshot
    user: Any
    state: EpisodeState
