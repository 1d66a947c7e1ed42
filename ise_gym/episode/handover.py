"""What the user is shown when the agent's turn ends: the conversation from its own side, and what really happened."""

from __future__ import annotations

from collections.abc import Sequence

from ise_gym.episode.goals import GoalBoard
from ise_gym.episode.state import EpisodeState
from ise_gym.foreign.text import excerpt
from ise_gym.messages import Message, assistant, user
from ise_gym.simulator.base import BackgroundProcess, Evidence, UserView
from ise_gym.simulator.evidence import gather
from ise_gym.workspace.base import Workspace


def user_view(state: EpisodeState, board: GoalBoard, workspace: Workspace) -> UserView:
    """Return what the user sees, and begin its next turn: commands and changes are counted anew from here.

    Raises:
        WorkspaceError: the sandbox failed.
    """
    return UserView(
        users_side(state.messages, board.scenario.budget.reply_chars),
        _evidence(state, board, workspace),
        state.counts["user_turns"],
        state.request,
        len(board.scenario.requests) - board.goals.reached,
    )


def users_side(messages: Sequence[Message], limit: int) -> tuple[Message, ...]:
    """Flip the roles and leave out system prompt, tool calls, tool output and the midst of replies over a limit."""
    flipped: list[Message] = []
    for message in messages:
        if message["role"] == "user":
            flipped.append(assistant(message["content"]))
        elif message["role"] == "assistant" and not message.get("tool_calls"):
            flipped.append(user(excerpt(message["content"], limit)))
    return tuple(flipped)


def parting(view: UserView) -> str:
    """Name a satisfied end; one that the evidence contradicts is the simulator's error, not the agent's success."""
    if view.evidence.failed:
        return f"simulator error: the user left satisfied while this fails: {view.evidence.failed[0]}"
    return "the user is done"


def _evidence(state: EpisodeState, board: GoalBoard, workspace: Workspace) -> Evidence:
    passed, failed = board.open_goals(state.request)
    commands, state.commands = tuple(state.commands), []
    before, state.seen = state.seen, state.tree
    # as the agent last saw them: looking again here would race with processes that are just ending
    records = getattr(state.tools.get("processes"), "records", {})
    processes = tuple(BackgroundProcess(r.command, r.running, r.exit_code) for r in records.values())
    return gather(workspace, before, state.tree, commands, processes, passed, failed)
