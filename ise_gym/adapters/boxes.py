"""A box for somebody else's agent: opened as an episode's is, and judged from outside by the same board."""

from __future__ import annotations

from collections.abc import Sequence

from ise_gym.episode.goals import GoalBoard
from ise_gym.errors import WorkspaceUnusable
from ise_gym.messages import Message
from ise_gym.scenario import Scenario
from ise_gym.services import start_services
from ise_gym.workspace import Limits, Workspace, open_workspace


def box_of(scenario: Scenario | None, backend: str = "auto", folders: Sequence[str] = ()) -> Workspace:
    """Open a box with a scenario's files and services in it; an empty one without.

    Args:
        backend, folders: as of `ise_gym.workspace.open_workspace`.

    Raises:
        WorkspaceError: the sandbox failed; nothing is left open.
    """
    box = open_workspace(backend, Limits(), folders=tuple(folders))
    if scenario is not None:
        try:
            box.seed(scenario.files)
            start_services(box, scenario.services)
        except BaseException:
            box.close()
            raise
    return box


def judge(
    board: GoalBoard, box: Workspace, upto: int = -1, messages: Sequence[Message] = ()
) -> dict[str, bool]:
    """Return every sub-goal's verdict after the request at ``upto``; the last one ends the episode.

    A box that the agent made unusable is its own doing, and nothing that is asked for by now holds.

    Args:
        messages: what was said, for checks on the agent's words.

    Raises:
        WorkspaceError: the sandbox failed for another reason.
    """
    requests = board.scenario.requests
    board.reach(requests[upto].name)
    try:
        board.judge(box, box.manifest, requests[upto] is requests[-1], max(0, len(messages) - 1), messages)
    except WorkspaceUnusable as problem:
        board.fail_all(f"the workspace became unusable: {problem}")
    return board.verdicts
