"""The expert finds the process that its plan means in what it was told when the process started."""

from __future__ import annotations

from typing import Any

from ise_gym.agents.background import resolved
from ise_gym.agents.expert import ExpertAgent
from ise_gym.messages import assistant, tool_call, tool_calls_of, tool_result, user
from ise_gym.scenario import PlanStep, Request
from made_scenarios import make_scenario


def started(number: int, command: str, call_id: str, **arguments: Any) -> Any:
    call = tool_call("exec", {"command": command, "background": True, **arguments}, call_id)
    told = f"(Still running as proc_{number}; use process with this sessionId to poll, write to or kill it)"
    return [assistant("", [call]), tool_result(call_id, "exec", told, success=True)]


SEEN = [*started(3, "python3 a/serve.py", "c1"), *started(4, "bash a/watch.sh", "c2")]


def session(words: str, messages: Any) -> Any:
    return resolved({"action": "poll", "sessionId": words}, messages)["sessionId"]


def test_a_process_is_named_by_its_command() -> None:
    assert session("@serve.py", SEEN) == "proc_3"
    assert session("@a/watch", SEEN) == "proc_4"
    assert session("@", SEEN) == "proc_4"


def test_the_same_command_again_means_the_newer_process() -> None:
    assert session("@serve.py", [*SEEN, *started(7, "python3 a/serve.py", "c3")]) == "proc_7"


def test_what_was_never_started_is_no_process() -> None:
    assert session("@serve.py", []) == "proc_0"
    broken = [
        assistant("", [tool_call("exec", "{oops", "c1")]),
        tool_result("c1", "exec", "no", success=False),
    ]
    assert session("@", broken) == "proc_0"


def test_only_what_exec_itself_says_counts() -> None:
    reading = [
        assistant("", [tool_call("read", {"path": "notes"}, "c9")]),
        tool_result("c9", "read", "(Still running as proc_9; use process)", success=True),
    ]
    assert session("@", [*SEEN, *reading]) == "proc_4"
    printed = [
        assistant("", [tool_call("exec", {"command": "cat x", "yieldMs": 5}, "c9")]),
        tool_result(
            "c9", "exec", "(Still running as proc_1; x)\n(Still running as proc_9; use process)", success=True
        ),
    ]
    assert session("@", [*SEEN, *printed]) == "proc_9"


def test_other_arguments_stay_as_they_are() -> None:
    assert resolved({"command": "mail @ada"}, SEEN) == {"command": "mail @ada"}
    assert session("proc_1", SEEN) == "proc_1"


def test_the_expert_looks_after_what_it_started() -> None:
    plan = (
        PlanStep("exec", {"command": "python3 serve.py", "background": True}, key=True),
        PlanStep("process", {"action": "kill", "sessionId": "@serve.py"}),
    )
    agent = ExpertAgent()
    agent.reset(make_scenario(requests=(Request("t/a", "Try the server.", plan=plan, reply="It works."),)), 0)
    # another task of the scenario has started two processes before
    messages = [*SEEN, user("Try the server."), *started(5, "python3 serve.py", "c5")]
    call = tool_calls_of(agent.act(messages, []))[0]["function"]
    assert call["name"] == "process"
    assert call["arguments"] == '{"action": "kill", "sessionId": "proc_5"}'
