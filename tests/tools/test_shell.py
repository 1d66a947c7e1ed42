from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ise_gym.tools.output import OUTPUT_BYTES, output_text
from ise_gym.workspace.base import Workspace
from tools.tool_fixtures import Caller


def test_success_is_exit_status_zero(call: Caller) -> None:
    message = call("exec", command="echo out; echo err >&2")
    assert (message["content"], message["success"], message["exit_code"]) == ("out\nerr", True, 0)


def test_failure_keeps_output_and_exit_code(call: Caller) -> None:
    message = call("exec", command="echo partly; exit 3")
    assert message["content"] == "partly\n(Command exited with code 3)"
    assert (message["success"], message["exit_code"]) == (False, 3)
    assert call.error("exec", command="false") == "exit"


def test_unknown_command_is_127(call: Caller) -> None:
    message = call("exec", command="no-such-command")
    assert message["exit_code"] == 127 and message["success"] is False
    assert message["content"].endswith("(Command exited with code 127)")


def test_death_by_signal(call: Caller) -> None:
    message = call("exec", command="kill -TERM $$")
    assert message["exit_code"] == 128 + 15 and message["success"] is False


def test_no_output_is_said(call: Caller) -> None:
    assert call("exec", command="true")["content"] == "(no output)"
    assert call("exec", command="exit 1")["content"] == "(Command exited with code 1)"


def test_nothing_lives_on_between_calls(call: Caller) -> None:
    call("exec", command="mkdir -p deep && cd deep && export MARK=1")
    assert call("exec", command='pwd; echo "[$MARK]"')["content"].splitlines()[1] == "[]"
    assert call("exec", command="ls")["content"] == "deep"


def test_workdir_and_env(call: Caller) -> None:
    call("exec", command="mkdir -p 'a b'")
    assert call("exec", command='basename "$PWD"', workdir="a b")["content"] == "a b"
    assert (
        call("exec", command='echo "$GREETING"', env={"GREETING": "hällo wörld"})["content"] == "hällo wörld"
    )


@pytest.mark.parametrize("mode", [{}, {"background": True}, {"pty": True}, {"yieldMs": 500}])
def test_missing_workdir_fails(call: Caller, mode: str) -> None:
    message = call("exec", command="echo ran", workdir="nowhere", **mode)  # type: ignore[arg-type]
    assert message["success"] is False
    assert message["content"] == "exec: nowhere: No such file or directory"
    call("write", path="file", content="x")
    message = call("exec", command="echo ran", workdir="file", **mode)  # type: ignore[arg-type]
    assert message["success"] is False
    assert message["content"] == "exec: file: Not a directory"


def test_workdir_behind_a_link(call: Caller) -> None:
    call("exec", command="mkdir real; ln -s real link; ln -s nowhere broken; touch real/here")
    assert call("exec", command="ls", workdir="link")["content"] == "here"
    assert call("exec", command="ls", workdir="broken")["success"] is False


def test_timeout_is_said_and_kills(call: Caller, workspace: Workspace) -> None:
    message = call("exec", command="echo begun; sleep 20; touch late", timeout=0.3)
    assert message["content"] == "begun\n(Command timed out after 0.3 s)"
    assert (message["success"], message["exit_code"]) == (False, None)
    assert call.error("exec", command="sleep 20", timeout=0.2) == "timeout"
    assert workspace.stat("late") is None


def test_the_workspace_limit_caps_the_timeout(
    call: Caller, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workspace, "limits", replace(workspace.limits, command_timeout_s=0.5))
    for mode in ({}, {"timeout": 3600}, {"timeout": 10**400}):
        assert call("exec", command="sleep 30", **mode)["content"] == "(Command timed out after 0.5 s)"


@pytest.mark.parametrize(
    "arguments",
    [
        {"command": ""},
        {"command": " \n"},
        {"command": "echo \0"},
        {"command": "true", "workdir": "a\0"},
        {"command": "true", "env": {"A=B": "c"}},
        {"command": "true", "env": {"": "c"}},
        {"command": "true", "env": {"A": "\0"}},
    ],
)
def test_arguments_that_no_process_can_take(idle_call: Caller, arguments: Any) -> None:
    message = idle_call("exec", **arguments)
    assert message["success"] is False and message["content"].startswith("exec: ")
    assert idle_call.error("exec", **arguments) == "bad_arguments"


def test_long_output_keeps_head_and_tail(call: Caller) -> None:
    message = call("exec", command="seq 1 20000")
    text = message["content"]
    assert text.startswith("1\n2\n") and text.endswith("\n19999\n20000")
    size = sum(len(f"{n}\n") for n in range(1, 20001))
    assert f"[{size - OUTPUT_BYTES} bytes cut from the middle]" in text
    assert len(text) < OUTPUT_BYTES + 100


def test_output_beyond_what_the_workspace_keeps_is_counted_too(call: Caller) -> None:
    message = call("exec", command="head -c 1000000 /dev/zero | tr '\\0' x")
    assert f"[{1_000_000 - OUTPUT_BYTES} bytes cut from the middle]" in message["content"]


def test_cutting_never_splits_a_character() -> None:
    text = output_text(("ä" * 50 + "€" * 50 + "😀" * 50).encode(), limit=101)
    assert "\ufffd" not in text
    assert text.startswith("ä") and text.endswith("😀")


def test_bytes_that_are_no_text(call: Caller) -> None:
    assert call("exec", command="printf 'a\\xffb'")["content"] == "a\ufffdb"


def test_commands_may_read_a_closed_stdin(call: Caller) -> None:
    assert call("exec", command="cat; echo end")["content"] == "end"


def test_terminal(call: Caller) -> None:
    message = call("exec", command="test -t 0 && test -t 1 && echo terminal; echo two", pty=True)
    assert (message["content"], message["success"], message["exit_code"]) == ("terminal\ntwo", True, 0)
    assert call("exec", command="test -t 1")["success"] is False


def test_terminal_failure_and_timeout(call: Caller) -> None:
    assert call("exec", command="echo x; exit 4", pty=True)["exit_code"] == 4
    message = call("exec", command="echo x; sleep 20", pty=True, timeout=0.4)
    assert message["content"] == "x\n(Command timed out after 0.4 s)"
    assert message["success"] is False


def test_yield_returns_the_result_of_a_short_command(call: Caller) -> None:
    message = call("exec", command="echo quick; exit 2", yieldMs=3000)
    assert message["content"] == "quick\n(Command exited with code 2)"
    assert message["exit_code"] == 2


def test_yield_leaves_a_long_command_running(call: Caller) -> None:
    message = call("exec", command="echo begun; sleep 30", yieldMs=300)
    assert message["success"] is True and message["exit_code"] is None
    assert message["content"].startswith("begun\n(Still running as proc_1;")
    assert call("process", action="kill", sessionId="proc_1")["success"] is True


def test_background_deadline(call: Caller) -> None:
    message = call("exec", command="echo begun; sleep 30", background=True, timeout=0.5)
    assert message["content"].startswith("(Still running as proc_1")
    ended = call("process", action="poll", sessionId="proc_1", timeout=4000)
    assert ended["success"] is False
    assert ended["content"] == "begun\n(Command exited with code 137)"
