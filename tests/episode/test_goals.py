"""Which sub-goals count when."""

from __future__ import annotations

from typing import Any

import pytest

from ise_gym.episode.goals import GoalBoard
from ise_gym.scenario import Request, SubGoal
from ise_gym.workspace import open_workspace
from ise_gym.workspace.base import Workspace
from made_scenarios import FileHolds, make_scenario


@pytest.fixture
def workspace() -> Any:
    opened = open_workspace("dummy")
    yield opened
    opened.close()


def _requests() -> Any:
    return (
        Request("a", "a", subgoals=(SubGoal("x holds 1", (FileHolds("x", "1"),)),)),
        Request("b", "b", subgoals=(SubGoal("x holds 2", (FileHolds("x", "2"),)),), supersedes=("a",)),
    )


def test_superseded_goals_keep_their_verdict(workspace: Workspace) -> None:
    board = GoalBoard(make_scenario(requests=_requests()))
    board.reach("a")
    workspace.write("x", b"1")
    board.verify(workspace, workspace.manifest())
    assert board.score == 0.5
    board.reach("b")
    workspace.write("x", b"2")
    board.verify(workspace, workspace.manifest())
    assert board.score == 1.0 and board.open_goals("b") == (("x holds 2",), ())


def test_goals_superseded_within_one_turn_are_dropped(workspace: Workspace) -> None:
    board = GoalBoard(make_scenario(requests=_requests()))
    board.reach("b")
    workspace.write("x", b"2")
    board.verify(workspace, workspace.manifest())
    assert board.verdicts == {"b: x holds 2": True} and board.score == 1.0


def test_final_goals_are_judged_when_the_episode_is_over_and_are_no_evidence_before(
    workspace: Workspace,
) -> None:
    final = SubGoal("graded", (FileHolds("x", "1"),), final=True)
    board = GoalBoard(make_scenario(requests=(Request("a", "a", subgoals=(final,), folder="."),)))
    board.reach("a")
    workspace.write("x", b"1")
    board.verify(workspace, workspace.manifest())
    assert board.score == 0.0 and board.open_goals("a") == ((), ())
    board.verify(workspace, workspace.manifest(), over=True)
    assert board.score == 1.0 and board.open_goals("a") == ((), ())


def test_goals_not_asked_for_yet_do_not_pass(workspace: Workspace) -> None:
    board = GoalBoard(make_scenario(requests=_requests()))
    board.reach("a")
    workspace.write("x", b"2")
    board.verify(workspace, workspace.manifest())
    assert board.score == 0.0
    assert board.reasons["a: x holds 1"].startswith("x holds")


def test_an_unchanged_folder_keeps_its_verdict_and_a_changed_one_loses_it(workspace: Workspace) -> Any:
    looked = []

    class Counting(FileHolds):
        def run(self, box: Workspace, start: Any) -> Any:
            looked.append(self.path)
            return super().run(box, start)

    requests = tuple(
        Request(
            name, name, subgoals=(SubGoal(f"{name} holds 1", (Counting(f"{name}/x", "1"),)),), folder=name
        )
        for name in ("a", "b")
    )
    board = GoalBoard(make_scenario(requests=requests))
    board.reach("b")
    workspace.write("a/x", b"1")
    board.verify(workspace, workspace.manifest())
    workspace.write("b/x", b"1")
    board.verify(workspace, workspace.manifest())
    assert looked == ["a/x", "b/x", "b/x"] and board.score == 1.0
    workspace.write("a/x", b"2")
    board.verify(workspace, workspace.manifest())
    assert board.score == 0.5
