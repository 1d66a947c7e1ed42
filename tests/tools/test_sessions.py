"""Delegation: tools of their own, sub-sessions inside the env's contract, and what record, fork and replay make of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ise_gym.agents.expert import ExpertAgent
from ise_gym.env import ISEEnv
from ise_gym.messages import Message, ToolSchema, assistant, tool_call
from ise_gym.replay.episode import DIVERGED, IDENTICAL, replay
from ise_gym.rollout.play import play_episode
from ise_gym.scenario import DEFAULT_TOOLS, Budget, PlanStep, Scenario
from ise_gym.tools.delegation.subsessions import MAIN, TASK_MARK
from ise_gym.tools.dispatch import Toolbox
from ise_gym.trajectory.record import Trajectory, content_hash, to_line
from ise_gym.workspace.base import Workspace
from made_scenarios import make_scenario, write
from tools.tool_fixtures import Caller

SESSION_TOOLS = (
    "sessions_spawn",
    "sessions_send",
    "sessions_yield",
    "sessions_list",
    "sessions_history",
    "subagents",
)
TOOLS = (*DEFAULT_TOOLS, *SESSION_TOOLS)


def said(message: Message) -> Any:
    return json.loads(message["content"])


def spawn(task: str, **more: Any) -> Message:
    return assistant("", [tool_call("sessions_spawn", {"task": task, **more})])


def run(command: str) -> Message:
    return assistant("", [tool_call("exec", {"command": command})])


def scenario(**changes: object) -> Scenario:
    return make_scenario(**{"tools": TOOLS, **changes})


@pytest.fixture(scope="module")
def open_env() -> Iterator[ISEEnv]:
    env = ISEEnv()
    yield env
    env.close()


@pytest.fixture
def env(open_env: ISEEnv) -> ISEEnv:
    open_env.reset(seed=1, options={"scenario": scenario()})
    return open_env


# -- the tools, without an env --------------------------------------------------------------------


@pytest.fixture
def tools(workspace: Workspace) -> Caller:
    return Caller(Toolbox(TOOLS, workspace))


def test_without_an_env_a_worker_runs_what_the_task_quotes(tools: Caller, workspace: Workspace) -> None:
    workspace.write("a.txt", b"1\n2\n")
    message = tools("sessions_spawn", task="Count: `wc -l < a.txt`, then `cat nix.txt`.", label="Count it")
    answer = said(message)
    assert message["success"] and answer["sessionKey"] == "main:count-it"
    assert answer["result"].splitlines()[0] == "2"
    assert "No such file" in answer["result"] and 'failed: "cat nix.txt"' in answer["result"]


def test_the_worker_yields_when_the_task_says_so(tools: Caller, workspace: Workspace) -> None:
    task = "Run `echo five` and hand it back with sessions_yield."
    assert said(tools("sessions_spawn", task=task, label="y"))["result"] == "five"
    rows = said(tools("sessions_history", sessionKey="main:y", includeTools=True))["messages"]
    assert [row.get("name") for row in rows if row["role"] == "tool"] == ["exec", "sessions_yield"]
    without = Caller(Toolbox(["sessions_spawn", "exec"], workspace))
    assert said(without("sessions_spawn", task=task))["result"].startswith("five")


def test_sessions_are_listed_read_and_written_to(tools: Caller) -> None:
    tools("sessions_spawn", task="Say `echo one`.", label="a")
    tools("sessions_spawn", task="Say `echo two`.", cleanup="delete")
    again = said(tools("sessions_send", label="a", message="And `echo three`."))
    assert again["result"] == "three" and again["sessionKey"] == "main:a"
    listed = said(tools("sessions_list", includeLastMessage=True))["sessions"]
    assert [row["key"] for row in listed] == [MAIN, "main:a"]
    assert listed[1]["lastMessage"] == "three"
    assert [row["key"] for row in said(tools("sessions_list", kinds=["subagent"]))["sessions"]] == ["main:a"]
    assert said(tools("sessions_list", search="nix"))["sessions"] == []
    assert said(tools("sessions_list", limit=1))["notShown"] == 1
    rows = said(tools("sessions_history", sessionKey="main:a"))["messages"]
    assert [row["role"] for row in rows] == ["user", "assistant", "user", "assistant"]
    with_tools = said(tools("sessions_history", sessionKey="main:a", includeTools=True, limit=3))
    assert [row["role"] for row in with_tools["messages"]] == ["assistant", "tool", "assistant"]
    assert with_tools["olderNotShown"] == 5
    (task,) = said(tools("subagents", action="list"))["subagents"]
    assert task["result"] == "three" and task["status"] == "done"


def test_a_sandboxed_session_leaves_no_trace_but_its_answer(tools: Caller, workspace: Workspace) -> None:
    workspace.write("a.txt", b"old\n")
    before = workspace.digest()
    tools("sessions_spawn", task="`echo new > a.txt; echo x > b.txt`", sandbox="require")
    assert workspace.digest() == before
    tools("sessions_spawn", task="`echo new > a.txt`", sandbox="inherit")
    assert workspace.read("a.txt") == b"new\n"


@pytest.mark.parametrize(
    ("tool", "arguments", "error", "words"),
    [
        ("sessions_spawn", {"task": "  "}, "bad_arguments", "task is empty"),
        ("sessions_spawn", {}, "bad_arguments", "missing argument 'task'"),
        ("sessions_spawn", {"task": "x", "context": "half"}, "bad_arguments", "isolated, fork"),
        ("sessions_spawn", {"task": "x", "model": "big"}, "bad_arguments", "unknown argument 'model'"),
        ("sessions_send", {"message": "x"}, "bad_arguments", "either sessionKey or label"),
        ("sessions_send", {"message": "x", "sessionKey": "a", "label": "b"}, "bad_arguments", "either"),
        ("sessions_send", {"message": "x", "sessionKey": MAIN}, "bad_arguments", "main session"),
        (
            "sessions_send",
            {"message": "x", "label": "nobody"},
            "not_found",
            "no session 'nobody'. Sub-sessions: none",
        ),
        ("sessions_send", {"message": " ", "label": "x"}, "bad_arguments", "message is empty"),
        ("sessions_history", {"sessionKey": "main:x"}, "not_found", "main:x"),
        ("sessions_yield", {}, "nothing_pending", "nothing is pending"),
        ("subagents", {"action": "kill"}, "bad_arguments", "list"),
    ],
)
def test_wrong_calls_are_answered(
    tools: Caller, tool: str, arguments: dict[str, Any], error: str, words: str
) -> None:
    assert tools.error(tool, **arguments) == error
    assert words in tools(tool, **arguments)["content"]


def test_labels_are_unique_and_sessions_are_counted(tools: Caller) -> None:
    tools("sessions_spawn", task="x", label="a")
    assert tools.error("sessions_spawn", task="y", label="a") == "bad_arguments"
    for _ in range(19):
        assert tools("sessions_spawn", task="x")["success"]
    assert tools.error("sessions_spawn", task="x") == "full"


def test_a_sandbox_is_refused_while_something_runs(tools: Caller) -> None:
    tools("exec", command="sleep 60", background=True)
    assert tools.error("sessions_spawn", task="x", sandbox="require") == "busy"
    assert tools("sessions_spawn", task="x")["success"]


# -- inside the env -------------------------------------------------------------------------------


def test_the_floor_goes_to_the_sub_session_and_back(env: ISEEnv) -> None:
    both = assistant(
        "I delegate.",
        [
            tool_call("exec", {"command": "echo before"}),
            tool_call("sessions_spawn", {"task": "Count the lines of data.txt.", "label": "count"}),
            tool_call("exec", {"command": "cat count.txt"}),
        ],
    )
    observation, _, _, _, info = env.step(both)
    assert info["session"] == "main:count"
    assert [m["role"] for m in observation] == ["system", "user"]
    assert observation[1]["content"] == TASK_MARK + "Count the lines of data.txt."
    observation, _, _, _, info = env.step(run("wc -l < data.txt > count.txt"))
    assert info["session"] == "main:count" and [m["name"] for m in observation] == ["exec"]
    refused = env.step(spawn("Do it for me."))[0]
    assert refused[0]["success"] is False and "sessions_spawn" not in refused[0]["content"].partition("Available")[2]  # fmt: skip
    observation, _, _, _, info = env.step(assistant("There are 3."))
    assert info["session"] == MAIN
    assert [m["name"] for m in observation] == ["exec", "sessions_spawn", "exec"]
    assert said(observation[1])["result"] == "There are 3." and observation[2]["content"] == "3"
    assert [m["tool_call_id"] for m in observation] == ["call_1", "call_2", "call_3"]
    assert info["counts"] == {"user_turns": 1, "messages": 6, "tool_calls": 5, "session_messages": 7}
    episode = env.episode
    assert len(episode.steps) == 1 and episode.steps[0].digest == episode.workspace.digest()
    (record,) = episode.sessions
    assert record["opened_by"] == ["call_2"] and record["status"] == "done"
    assert [step["message"] for step in record["steps"]] == [2, 4, 6]
    assert record["messages"][2]["tool_calls"][0]["id"] == "count_call_1"


def test_a_fork_of_the_context_knows_the_conversation(env: ISEEnv) -> None:
    first = list(env.episode.messages)
    env.step(run("echo seen"))
    observation = env.step(spawn("Go on.", context="fork"))[0]
    assert list(observation[: len(first)]) == first
    assert [m["role"] for m in observation[len(first) :]] == ["assistant", "tool", "user"]
    assert observation[-1]["content"] == TASK_MARK + "Go on."
    observation = env.step(run("echo mine"))[0]
    assert [m["content"] for m in observation] == ["mine"]
    assert env.episode.sessions[0]["inherited"] == 4


def test_yield_hands_back_early(env: ISEEnv) -> None:
    env.step(spawn("Look."))
    observation = env.step(assistant("", [tool_call("sessions_yield", {"message": "No access."})]))[0]
    assert said(observation[0])["result"] == "No access."


def test_main_history_is_what_was_said_there(env: ISEEnv) -> None:
    observation = env.step(
        assistant("Let me see.", [tool_call("sessions_history", {"sessionKey": MAIN, "includeTools": True})])
    )[0]
    rows = said(observation[0])["messages"]
    assert [row["role"] for row in rows] == ["user", "assistant"]
    assert rows[1]["toolCalls"][0].startswith("sessions_history")


def test_an_episode_forks_in_the_middle_of_a_sub_session(env: ISEEnv) -> None:
    env.step(spawn("Change it.", label="x", sandbox="require"))
    env.step(run("echo no > data.txt"))
    (other,) = env.fork(1)
    try:
        ends = []
        for one in (env, other):
            assert one.episode.floor == "main:x"
            assert one.step(run("cat data.txt"))[0][0]["content"] == "no"
            observation, _, _, _, info = one.step(assistant("Changed."))
            ends.append((observation, info))
            assert one.step(run("cat data.txt"))[0][0]["content"] == "a\nb\nc"
        assert ends[0] == ends[1]
        assert content_hash(_recorded(env)) == content_hash(_recorded(other))
    finally:
        other.close()


def _recorded(env: ISEEnv) -> Trajectory:
    from ise_gym.rollout.play import record

    return record(env, ExpertAgent(), 1)


def test_a_budget_that_runs_out_inside_leaves_every_call_answered(open_env: ISEEnv) -> None:
    open_env.reset(seed=1, options={"scenario": scenario(budget=Budget(messages=6))})
    two = assistant(
        "", [tool_call("sessions_spawn", {"task": "Loop."}), tool_call("exec", {"command": "touch late"})]
    )
    open_env.step(two)
    truncated = False
    while not truncated:
        observation, _, _, truncated, info = open_env.step(run("true"))
    assert info["outcome"] == "truncated" and info["session"] == MAIN
    assert [(m["name"], m["success"]) for m in observation] == [("sessions_spawn", False), ("exec", False)]
    assert open_env.episode.workspace.stat("late") is None
    assert open_env.episode.sessions[0]["status"] == "cut"
    verdict = replay(_recorded(open_env), open_env.episode.workspace, rebuild=lambda t: scenario())
    assert verdict.status == IDENTICAL, verdict.difference


# -- whole episodes -------------------------------------------------------------------------------


def delegating_scenario() -> Scenario:
    base = scenario()
    greet, count = base.requests
    plan = (
        PlanStep(
            tool="sessions_spawn",
            arguments={"task": "Run `wc -l < data.txt > count.txt` and `cat count.txt`.", "label": "c"},
            key=True,
        ),
        PlanStep(tool="sessions_history", arguments={"sessionKey": "main:c"}),
    )
    return scenario(requests=(greet, type(count)(**{**count.__dict__, "plan": plan})))


def test_the_expert_delegates_and_its_record_replays(open_env: ISEEnv) -> None:
    made = delegating_scenario()
    first = play_episode(open_env, ExpertAgent(), made, 1)
    assert first.outcome == "passed"
    (session,) = first.sessions
    assert [m["role"] for m in session["messages"]] == [
        "system",
        "user",
        *("assistant", "tool") * 2,
        "assistant",
    ]
    assert all(m["role"] != "system" for m in first.messages[1:])
    assert sum(s.reward for s in first.steps) == pytest.approx(first.score)
    assert content_hash(play_episode(open_env, ExpertAgent(), made, 1)) == content_hash(first)
    assert Trajectory.model_validate_json(to_line(first)) == first
    workspace = open_env.episode.workspace
    assert replay(first, workspace, rebuild=lambda t: made).status == IDENTICAL
    tampered = first.model_copy(deep=True)
    tampered.sessions[0]["messages"][5]["content"] = "4"
    verdict = replay(tampered, workspace, rebuild=lambda t: made)
    assert verdict.status == DIVERGED
    assert verdict.difference is not None and verdict.difference.what == "content in main:c"


class Scripted:
    """Says its lines whatever it hears, and notes in which conversation."""

    name = "scripted"

    def __init__(self, lines: Sequence[Message]) -> None:
        self.lines, self.heard = list(lines), []  # type: ignore[var-annotated]

    def reset(self, scenario: Scenario, seed: int) -> None:
        self.heard.clear()

    def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Message:
        self.heard.append((len(messages), {t["function"]["name"] for t in tools}))
        return self.lines[len(self.heard) - 1] if len(self.heard) <= len(self.lines) else assistant("Done.")

    def describe(self) -> dict[str, Any]:
        return {}

    def close(self) -> None: ...


def test_the_same_agent_plays_both_sides(open_env: ISEEnv) -> None:
    agent = Scripted(
        [
            spawn("Write greet.txt."),
            write("greet.txt", "héllo\n"),
            assistant("Written."),
            assistant("greet.txt now holds héllo."),
            run("wc -l < data.txt > count.txt"),
            assistant("I counted."),
        ]
    )
    trajectory = play_episode(open_env, agent, scenario(), 2)
    assert trajectory.outcome == "passed"
    lengths = [length for length, _ in agent.heard]
    assert lengths[:4] == [2, 2, 4, 4]
    assert "sessions_spawn" in agent.heard[0][1] and "sessions_spawn" not in agent.heard[1][1]
    assert "sessions_yield" in agent.heard[1][1]
    assert trajectory.counts["session_messages"] == 5
    assert "sessions" not in play_episode(open_env, ExpertAgent(), make_scenario(), 1).model_dump()


def test_secrets_are_looked_for_in_sub_sessions_too(open_env: ISEEnv) -> None:
    from ise_gym.trajectory.secrets import scan_trajectory

    leak = "AKIA" + "Q3EXAMPLEKEY7XZ2"
    agent = Scripted([spawn("Look."), run(f"echo {leak}"), assistant("Nothing."), assistant("Done.")])
    trajectory = play_episode(open_env, agent, scenario(budget=Budget(user_turns=1)), 2)
    assert all(leak not in str(message) for message in trajectory.messages)
    assert scan_trajectory(trajectory)


def test_a_store_keeps_sub_sessions(open_env: ISEEnv, tmp_path: Path) -> None:
    from ise_gym.trajectory.store import TrajectoryStore, read_trajectories

    trajectory = play_episode(open_env, ExpertAgent(), delegating_scenario(), 3)
    with TrajectoryStore(tmp_path / "store", run={}) as store:
        store.append(trajectory)
    (found,) = read_trajectories(tmp_path / "store")
    assert found.sessions == trajectory.sessions
