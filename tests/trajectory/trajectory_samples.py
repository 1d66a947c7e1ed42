"""Hand-made trajectories for tests of the store, the statistics and the exports."""

from __future__ import annotations

from typing import Any

from ise_gym.messages import assistant, system, tool_call, tool_result, user
from ise_gym.trajectory.record import Outcome, Step, Timings, Trajectory, episode_id

SCHEMA = {
    "type": "function",
    "function": {
        "name": "exec",
        "description": "Run a command.",
        "parameters": {
            "type": "object",
            "properties": {"command": {"type": "string"}},
            "required": ["command"],
        },
    },
}


def trajectory(number: int = 0, outcome: Outcome = "passed", **changes: Any) -> Trajectory:
    """Two user turns; in the first a call fails and its repetition succeeds and earns the reward."""
    messages: list[Any] = [
        system("You help on a computer."),
        user(f"Please count the lines – für {number} \u2028 今日"),
        assistant("Looking.", [tool_call("exec", {"command": "wc -l exprt.csv"}, "call_1")]),
        tool_result("call_1", "exec", "wc: exprt.csv: No such file", success=False, exit_code=1),
        assistant("", [tool_call("exec", {"command": "wc -l export.csv"}, "call_2")], "A typo."),
        tool_result("call_2", "exec", f"{number} export.csv\n  indented\n", success=True, exit_code=0),
        assistant("There are some lines."),
        user("Thanks. Now read it."),
        assistant("", [tool_call("read", {"path": "export.csv"}, "call_3")]),
        tool_result("call_3", "read", "<b>a</b>,b", success=True),
        assistant("It says a,b."),
    ]
    value: dict[str, Any] = {
        "episode_id": episode_id(f"intent_{number}", 1, "expert"),
        "scenario_id": f"intent_{number}",
        "seed": 1,
        "intent": f"Count and read {number}.",
        "persona": {
            "name": "Ada",
            "role": "engineer",
            "industry": "energy",
            "expertise": ["csv"],
            "experience_level": "senior",
            "communication_style": "terse",
            "work_context": "grid data",
        },
        "domains": ["file-io"],
        "tasks": ["file-io/count-lines"],
        "complexity": "simple",
        "outcome": outcome,
        "reason": "workspace: dead" if outcome == "infrastructure_error" else "",
        "score": 1.0 if outcome == "passed" else 0.5,
        "subgoals": {"count/right": True, "read/right": outcome == "passed"},
        "counts": {"user_turns": 2, "messages": 11, "tool_calls": 3},
        "messages": messages,
        "tools": [SCHEMA],
        "steps": [
            Step(message=2, reward=0.0, error="exec"),
            Step(message=4, reward=0.0),
            Step(message=6, reward=0.5, score=0.5, digest="d" * 64),
            Step(message=8, reward=0.0, score=0.5),
            Step(message=10, reward=0.5 if outcome == "passed" else 0.0, score=1.0),
        ],
        "agent": {"name": "expert"},
        "user": {"name": "scripted", "guard": {"turns": 2, "drifted": 1, "detector:voice": 1}},
        "timings": Timings(total_s=1.5),
    }
    return Trajectory.model_validate({**value, **changes})


def delegating(number: int = 0, **changes: Any) -> Trajectory:
    """An episode that delegated twice: once with an empty context, once with a copy of its own that was cut off."""
    spawn = {**SCHEMA, "function": {**SCHEMA["function"], "name": "sessions_spawn"}}  # type: ignore[dict-item]
    opened = assistant("", [tool_call("sessions_spawn", {"task": "count"}, "call_1")])
    begun = [system("You help."), user("Count, please."), opened]
    inside: list[Any] = [
        system("You are a sub-agent."),
        user("[Task from session main]\ncount"),
        assistant("", [tool_call("exec", {"command": "wc -l b.csv"}, "count_call_1")]),
        tool_result("count_call_1", "exec", "wc: b.csv: no such file", success=False, exit_code=1),
        assistant("There is no b.csv."),
    ]
    session = {
        "key": "main:count",
        "label": "count",
        "task": "count",
        "context": "isolated",
        "sandbox": "inherit",
        "cleanup": "keep",
        "status": "done",
        "opened_by": ["call_1"],
        "inherited": 0,
        "messages": inside,
        "steps": [
            Step(message=2, reward=0.0, error="exec").model_dump(),
            Step(message=4, reward=0.5, score=0.5, digest="e" * 64).model_dump(),
        ],
    }
    copied: list[Any] = [*begun[:2], user("[Task from session main]\ncount again"), assistant("Let me see.")]
    cut = {
        **session,
        "key": "main:again",
        "context": "fork",
        "status": "cut",
        "opened_by": ["call_2"],
        "inherited": 2,
        "messages": copied,
        "steps": [Step(message=3, reward=0.0).model_dump()],
    }
    messages: list[Any] = [
        *begun,
        tool_result("call_1", "sessions_spawn", "There is no b.csv.", success=True),
        assistant("", [tool_call("sessions_spawn", {"task": "count again", "context": "fork"}, "call_2")]),
        tool_result("call_2", "sessions_spawn", "cut off", success=False),
    ]
    steps = [Step(message=2, reward=0.0, score=0.5), Step(message=4, reward=0.0, score=0.5)]
    fields = {"messages": messages, "steps": steps, "tools": [SCHEMA, spawn], "sessions": [session, cut]}
    return trajectory(number, "truncated", **{**fields, **changes})
