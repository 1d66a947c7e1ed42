from __future__ import annotations

from typing import Any

import pytest

from ise_gym.tools.dispatch import Toolbox
from ise_gym.workspace.base import Workspace
from tools.tool_fixtures import Caller


@pytest.fixture
def call(workspace: Workspace) -> Any:
    return Caller(Toolbox(["update_plan", "session_status", "exec", "process"], workspace))


STEPS = [
    {"step": "look", "status": "completed"},
    {"step": "mend", "status": "in_progress"},
    {"step": "test", "status": "pending"},
]


def test_a_plan_is_shown_and_replaced(call: Caller) -> None:
    message = call("update_plan", plan=STEPS, explanation="begin")
    assert message["content"] == "Plan: 1 of 3 completed\n[x] look\n[>] mend\n[ ] test"
    assert call("update_plan", plan=STEPS[:1])["content"] == "Plan: 1 of 1 completed\n[x] look"


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        ([], "'plan' must not be empty"),
        ([{"step": "a"}], "missing argument 'status' in plan[0]"),
        (
            [{"step": "a", "status": "doing"}],
            "'plan[0].status' must be one of pending, in_progress, completed",
        ),
        ([{"step": " ", "status": "pending"}], "a step has no text"),
        ([STEPS[1], STEPS[1]], "2 steps are in_progress"),
        ("a list", "'plan' must be an array, not a string"),
    ],
)
def test_a_wrong_plan_keeps_the_old_one(call: Caller, plan: Any, says: str) -> None:
    call("update_plan", plan=STEPS)
    message = call("update_plan", plan=plan)
    assert message["success"] is False and says in message["content"]
    assert call.toolbox.state["plan"] == STEPS


def test_status_of_a_new_session(call: Caller) -> None:
    assert call("session_status")["content"] == (
        "Session: main\nTool calls: 0, 0 failed\nBackground processes: none"
    )


def test_status_counts_what_happened(call: Caller) -> None:
    call("exec", command="true")
    call("exec", command="false")
    call("exce", command="true")
    call("exec", command="sleep 30", background=True)
    call("update_plan", plan=STEPS)
    assert call("session_status", sessionKey="main")["content"] == (
        "Session: main\n"
        "Tool calls: 5, 2 failed (exec 3, unknown 1, update_plan 1)\n"
        "Background processes: proc_1\n"
        "Plan: 1 of 3 completed"
    )
    call("process", action="kill", sessionId="proc_1")
    assert "Background processes: none" in call("session_status")["content"]


def test_unknown_session(call: Caller) -> None:
    message = call("session_status", sessionKey="other")
    assert message["success"] is False and "no session 'other'. Known: main" in message["content"]
