"""Calls that need not wait for each other share a message; those that do stand alone."""

from __future__ import annotations

from typing import Any

from ise_gym.agents.batching import MOST_CALLS, batches
from ise_gym.agents.expert import ExpertAgent
from ise_gym.messages import assistant, tool_calls_of, tool_result, user
from ise_gym.scenario import PlanStep, Request
from made_scenarios import make_scenario

LOOK = PlanStep("exec", {"command": "ls"})
SCRIPT = PlanStep("write", {"path": "a.py", "content": "print(1)"}, key=True)
RUN = PlanStep("exec", {"command": "python3 a.py > b"}, key=True)
OUTPUT = PlanStep("read", {"path": "b"})


def tools(steps: Any) -> Any:
    return [[step.tool for step in batch] for batch in batches(steps)]


def test_a_script_is_written_run_and_its_output_read_in_one_message() -> None:
    assert tools([LOOK, SCRIPT, RUN, OUTPUT]) == [["exec"], ["write", "exec", "read"]]


def test_nothing_is_lost_or_moved_and_no_message_is_longer_than_allowed() -> None:
    steps = [LOOK, SCRIPT, RUN, OUTPUT, OUTPUT, OUTPUT, SCRIPT, SCRIPT, SCRIPT, RUN]
    found = batches(steps)
    assert [step for batch in found for step in batch] == steps
    assert max(map(len, found)) == MOST_CALLS


def test_short_plans_go_one_call_at_a_time() -> None:
    assert tools([SCRIPT, RUN, OUTPUT]) == [["write"], ["exec"], ["read"]]


def test_what_depends_on_an_answer_stands_alone() -> None:
    search, page = PlanStep("web_search", {"query": "x"}), PlanStep("web_fetch", {"url": "http://x"})
    assert tools([LOOK, search, page, OUTPUT]) == [["exec"], ["web_search"], ["web_fetch"], ["read"]]
    said = PlanStep("exec", {"command": "python3 a.py"}, say="Now it should work.")
    assert tools([LOOK, LOOK, SCRIPT, said]) == [["exec"], ["exec"], ["write"], ["exec"]]


def test_a_mistake_is_seen_before_the_next_call() -> None:
    wrong = PlanStep("edit", {"path": "a"}, fails=True, mistake=True)
    seen = PlanStep("read", {"path": "a"}, mistake=True)
    right = PlanStep("edit", {"path": "a"}, key=True)
    assert tools([SCRIPT, wrong, seen, right]) == [["write"], ["edit"], ["read"], ["edit"]]


def test_a_background_process_is_started_by_itself() -> None:
    serve = PlanStep("exec", {"command": "python3 a.py", "background": True}, key=True)
    assert tools([LOOK, SCRIPT, serve, OUTPUT]) == [["exec"], ["write"], ["exec"], ["read"]]
    waiting = PlanStep("exec", {"command": "python3 a.py", "yieldMs": 10}, key=True)
    assert tools([LOOK, SCRIPT, waiting, OUTPUT]) == [["exec"], ["write"], ["exec"], ["read"]]


def test_the_expert_sends_batches_and_then_its_reply() -> None:
    request = Request("t#1/go", "go", "t", plan=(LOOK, SCRIPT, RUN, OUTPUT), reply="Done.")
    agent = ExpertAgent()
    agent.reset(make_scenario(requests=(request,)), 0)
    messages, sizes = [user("go")], []
    while calls := tool_calls_of(answer := agent.act(messages, [])):
        sizes.append(len(calls))
        results = [tool_result(f"c{n}", c["function"]["name"], "", success=True) for n, c in enumerate(calls)]
        messages += [assistant("", calls), *results]
    assert sizes == [1, 3] and answer["content"] == "Done."
