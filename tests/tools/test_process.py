from __future__ import annotations

from typing import Any

import pytest

from ise_gym.tools.processes.process import KEYS, key_bytes
from ise_gym.workspace.base import Workspace
from tools.tool_fixtures import Caller


def start(call: Caller, command: str, **kw: Any) -> Any:
    message = call("exec", command=command, background=True, **kw)
    assert message["success"] is True
    return message["content"].split("as ")[1].split(";")[0]


def test_poll_gives_new_output_once_and_the_exit_status(call: Caller) -> None:
    pid = start(call, "read line; echo got $line; exit 5")
    quiet = call("process", action="poll", sessionId=pid)
    assert quiet["content"] == f"(no new output)\n({pid} is still running)" and quiet["success"] is True
    assert call("process", action="submit", sessionId=pid, text="wörd")["success"] is True
    ended = call("process", action="poll", sessionId=pid, timeout=4000)
    assert ended["content"] == "got wörd\n(Command exited with code 5)"
    assert (ended["success"], ended["exit_code"]) == (False, 5)
    again = call("process", action="poll", sessionId=pid)
    assert again["content"] == "(Command exited with code 5)"


def test_list_names_every_process_without_swallowing_output(call: Caller) -> None:
    first, second = start(call, "echo one"), start(call, "sleep 30")
    call("process", action="poll", sessionId=first, timeout=3000)
    third = start(call, "echo kept")
    listed = call("process", action="list")["content"].splitlines()
    assert listed[0] == f"{first}  exited with code 0  echo one"
    assert listed[1] == f"{second}  running  sleep 30"
    assert listed[2].startswith(third)
    assert "kept" in call("process", action="poll", sessionId=third, timeout=3000)["content"]


def test_log_pages(call: Caller) -> None:
    pid = start(call, "seq 1 500")
    call("process", action="poll", sessionId=pid, timeout=3000)
    tail = call("process", action="log", sessionId=pid)["content"].splitlines()
    assert tail[0] == "301" and tail[199] == "500"
    assert tail[200:] == ["[Lines 301-500 of 500]", f"({pid} exited with code 0)"]
    page = call("process", action="log", sessionId=pid, offset=10, limit=2)["content"].splitlines()
    assert page[:3] == ["10", "11", "[Lines 10-11 of 500]"]
    beyond = call("process", action="log", sessionId=pid, offset=501)
    assert beyond["success"] is False and "beyond the end of the log (500 lines)" in beyond["content"]


def test_log_of_a_silent_process(call: Caller) -> None:
    pid = start(call, "sleep 30")
    assert call("process", action="log", sessionId=pid)["content"] == f"(no output)\n({pid} is running)"


def test_log_is_bounded_and_says_so(call: Caller) -> None:
    pid = start(call, "seq 1 100000")
    call("process", action="poll", sessionId=pid, timeout=4000)
    content = call("process", action="log", sessionId=pid, limit=1)["content"]
    assert content.startswith("100000\n") and "bytes of the log were dropped]" in content


def test_write_and_eof(call: Caller) -> None:
    pid = start(call, "cat; echo closed")
    sent = call("process", action="write", sessionId=pid, data="some data\n", eof=True)
    assert sent["content"] == f"Sent 10 bytes to {pid} and closed its input"
    assert call("process", action="poll", sessionId=pid, timeout=3000)["content"].startswith(
        "some data\nclosed"
    )


def test_paste_sends_text_as_it_is(call: Caller) -> None:
    pid = start(call, "cat")
    call("process", action="paste", sessionId=pid, text="a\nb\n")
    call("process", action="write", sessionId=pid, eof=True)
    assert call("process", action="poll", sessionId=pid, timeout=3000)["content"].startswith("a\nb\n(Command")


def test_keys_reach_a_terminal(call: Caller) -> None:
    pid = start(
        call, "trap 'echo interrupted; exit 7' INT; echo ready; while :; do sleep 0.05; done", pty=True
    )
    for _ in range(50):
        if "ready" in call("process", action="log", sessionId=pid)["content"]:
            break
        call("process", action="poll", sessionId=pid, timeout=100)
    assert call("process", action="send-keys", sessionId=pid, keys=["C-c"])["success"] is True
    ended = call("process", action="poll", sessionId=pid, timeout=4000)
    assert ended["exit_code"] == 7
    assert "interrupted" in call("process", action="log", sessionId=pid)["content"]


def test_submit_is_enter_on_a_terminal(call: Caller) -> None:
    pid = start(call, 'stty -echo; read answer; echo "<$answer>"', pty=True)
    call("process", action="submit", sessionId=pid, text="yes")
    assert "<yes>\n" in call("process", action="poll", sessionId=pid, timeout=4000)["content"]


def test_kill_ends_the_whole_group(call: Caller, workspace: Workspace) -> None:
    pid = start(call, "(sleep 5; touch late) & sleep 30")
    assert call("process", action="kill", sessionId=pid)["content"] == f"Killed {pid}"
    assert "exited with code 137" in call("process", action="list")["content"]
    again = call("process", action="kill", sessionId=pid)
    assert again["success"] is False and "has already exited with code 137" in again["content"]
    call("exec", command="sleep 5.5")
    assert workspace.stat("late") is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"action": "poll"}, "poll needs sessionId"),
        ({"action": "poll", "sessionId": "proc_9"}, "no background process 'proc_9'. Known: proc_1"),
        ({"action": "kill", "sessionId": "x"}, "no background process 'x'"),
        ({"action": "write", "sessionId": "proc_1"}, "write needs data"),
        ({"action": "paste", "sessionId": "proc_1"}, "paste needs text"),
        ({"action": "send-keys", "sessionId": "proc_1"}, "send-keys needs keys"),
        ({"action": "send-keys", "sessionId": "proc_1", "keys": ["C-c"]}, "proc_1 has no terminal"),
    ],
)
def test_wrong_use_is_a_failure(call: Caller, arguments: Any, says: str) -> None:
    start(call, "sleep 30")
    message = call("process", **arguments)
    assert message["success"] is False and says in message["content"]


def test_unknown_key_names_the_nearest(call: Caller) -> None:
    pid = start(call, "sleep 30", pty=True)
    message = call("process", action="send-keys", sessionId=pid, keys=["Entr"])
    assert message["success"] is False
    assert "unknown key 'Entr'. Did you mean 'Enter'?" in message["content"]


def test_no_process_at_all(call: Caller) -> None:
    assert call("process", action="list")["content"] == "(no background processes)"
    assert "There are none" in call("process", action="poll", sessionId="proc_1")["content"]


@pytest.mark.parametrize("action", ["write", "submit", "paste"])
def test_nothing_is_sent_to_a_process_that_ended(call: Caller, action: str) -> None:
    pid = start(call, "true")
    call("process", action="poll", sessionId=pid, timeout=3000)
    message = call("process", action=action, sessionId=pid, data="x", text="x")
    assert message["success"] is False and "nothing was sent" in message["content"]


def test_key_names() -> None:
    assert key_bytes("enter") == KEYS["Enter"]
    assert key_bytes("C-d") == b"\x04" and key_bytes("c-[") == b"\x1b"
    assert key_bytes("C-") is None and key_bytes("") is None and key_bytes("C-é") is None
