from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from trajectory_samples import SCHEMA, delegating, trajectory

from ise_gym.errors import UserError
from ise_gym.trajectory.exchange.export import export_file, to_isetrace, to_openai, to_trl, trl_rows
from ise_gym.trajectory.exchange.importer import from_isetrace, import_isetrace  # type: ignore[attr-defined]
from ise_gym.trajectory.record import Completion, Step
from ise_gym.trajectory.store import TrajectoryStore, read_trajectories

ISETRACE_KEYS = """
    status session_id intent intent_id total_steps enable_thinking messages tools skills final_output metadata
"""


def test_isetrace_round_trip_is_exact(tmp_path: Path) -> None:
    wanted = [trajectory(1), trajectory(2, "failed", split="train", metadata={"a": [1, {"b": None}]})]
    with TrajectoryStore(tmp_path / "s") as store:
        for t in wanted:
            store.append(t)
    assert export_file(tmp_path / "s", "isetrace", tmp_path / "x" / "out.jsonl").episodes == 2
    counts = import_isetrace([tmp_path / "x" / "out.jsonl"], tmp_path / "back")
    assert (counts.imported, +counts.repairs, +counts.skipped) == (2, Counter(), Counter())
    assert list(read_trajectories(tmp_path / "back")) == wanted
    assert sorted(p.name for p in (tmp_path / "x").iterdir()) == ["out.jsonl"]


def test_isetrace_has_the_released_keys_and_no_system_message() -> None:
    record = to_isetrace(trajectory(1))
    assert list(record) == ISETRACE_KEYS.split()
    assert record["messages"][0]["role"] == "user" and len(record["messages"]) == 10
    assert (record["total_steps"], record["enable_thinking"], record["status"]) == (5, True, "completed")
    assert record["final_output"] == "It says a,b."
    assert record["metadata"]["domains"][0]["selected_tasks"] == [
        {"name": "file-io/count-lines", "description": ""}
    ]
    assert (
        record["session_id"]
        == to_isetrace(trajectory(1))["session_id"]
        != to_isetrace(trajectory(2))["session_id"]
    )
    tool = next(m for m in record["messages"] if m["role"] == "tool")
    assert tool["success"] is False and isinstance(
        record["messages"][1]["tool_calls"][0]["function"]["arguments"], str
    )


def exported(tmp_path: Path, format: str) -> list[dict[str, Any]]:
    with TrajectoryStore(tmp_path / "s") as store:
        store.append(delegating(1))
        store.append(trajectory(2))
    counts = export_file(tmp_path / "s", format, tmp_path / "out.jsonl")
    assert (counts.episodes, counts.sessions) == (2, 2)
    return [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().split("\n") if line]


def test_isetrace_gives_sub_sessions_records_that_name_their_parent(tmp_path: Path) -> None:
    main, first, second, other = exported(tmp_path, "isetrace")
    assert list(first) == ISETRACE_KEYS.split()
    assert len({r["session_id"] for r in (main, first, second, other)}) == 4
    assert {r["metadata"].get("parent_session_id") for r in (first, second)} == {main["session_id"]}
    assert (first["intent"], first["final_output"], first["total_steps"]) == (
        "count",
        "There is no b.csv.",
        2,
    )
    assert (first["status"], second["status"], second["total_steps"]) == ("completed", "truncated", 1)
    assert first["messages"] == delegating(1).sessions[0]["messages"][1:]
    (tmp_path / "in").mkdir()
    (tmp_path / "out.jsonl").rename(tmp_path / "in" / "out.jsonl")
    counts = import_isetrace([tmp_path / "in"], tmp_path / "back")  # a folder stands for its files
    assert (counts.imported, counts.sessions, +counts.skipped) == (2, 2, Counter())
    assert list(read_trajectories(tmp_path / "back")) == [delegating(1), trajectory(2)]


def test_openai_and_trl_give_sub_sessions_rows_of_their_own(tmp_path: Path) -> None:
    plain = exported(tmp_path, "openai")
    made = delegating(1)
    assert [row.get("parent") for row in plain] == [None, made.episode_id, made.episode_id, None]
    assert plain[1]["id"] == f"{made.episode_id}/main:count"
    assert [tool["function"]["name"] for tool in plain[1]["tools"]] == ["exec"]
    assert {k for m in plain[1]["messages"] for k in m} == {"role", "content", "tool_calls", "tool_call_id"}
    rows = list(trl_rows([made]))
    assert [row["messages"][0]["content"] for row in rows] == ["You help.", "You are a sub-agent."]
    assert rows[1]["messages"][3]["name"] == "exec" and "success" not in rows[1]["messages"][3]


def test_openai_and_trl_keep_what_their_readers_know() -> None:
    t = trajectory(1)
    plain, rows = to_openai(t), next(trl_rows([t]))
    assert rows == to_trl(t)
    assert {k for m in plain["messages"] for k in m} == {"role", "content", "tool_calls", "tool_call_id"}
    assert rows["messages"][4]["reasoning_content"] == "A typo."
    for converted in (plain, rows):
        assert converted["tools"] == [SCHEMA]
        assert [m["content"] for m in converted["messages"]] == [m["content"] for m in t.messages]
        assert [m.get("tool_calls") for m in converted["messages"]] == [
            m.get("tool_calls") for m in t.messages
        ]


def test_exports_can_leave_out_what_did_not_pass(tmp_path: Path) -> None:
    with TrajectoryStore(tmp_path / "s") as store:
        store.append(trajectory(1))
        store.append(trajectory(2, "failed"))
        store.append(trajectory(3, "infrastructure_error"))
    assert export_file(tmp_path / "s", "openai", tmp_path / "a.jsonl").episodes == 2
    assert export_file(tmp_path / "s", "openai", tmp_path / "b.jsonl", passed_only=True).episodes == 1
    with pytest.raises(UserError, match="not a trajectory store"):
        export_file(tmp_path, "openai", tmp_path / "c.jsonl")
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(UserError, match=r"empty\.jsonl: it has no episodes, so there is nothing to export"):
        export_file(tmp_path / "empty.jsonl", "atif", tmp_path / "c.jsonl")
    assert not list(tmp_path.glob("*c.jsonl*"))


def test_trl_rows_go_through_datasets_unchanged() -> None:
    datasets = pytest.importorskip("datasets")
    rows = list(trl_rows([trajectory(1), trajectory(2)]))
    table = datasets.Dataset.from_list(rows, on_mixed_types="use_json")
    back = [
        {
            "messages": [{k: v for k, v in m.items() if v is not None} for m in row["messages"]],
            "tools": row["tools"],
        }
        for row in table
    ]
    assert back == rows


def new_form() -> dict[str, Any]:
    """What the newest converter writes, with the defects seen in hub files."""
    call = {"id": "c1", "type": "function", "function": {"name": "exec", "arguments": {"command": "make"}}}
    return {
        "status": "completed",
        "session_id": "s-1",
        "source_intent_count": 1,
        "source_intent_ids": ["intent_ab"],
        "source_intents": [{"natural_language_intent": "build it"}],
        "messages": [
            {"role": "system", "content": "You are an agent."},
            {"role": "user", "content": "build it"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {
                "role": "tool",
                "tool_call_id": "c1",
                "content": "boom\n(Command exited with code 2)",
                "success": True,
            },
            {"role": "tool", "tool_call_id": "ghost", "name": "exec", "content": "?", "success": True},
            {
                "role": "assistant",
                "content": [{"type": "text", "text": "It "}, {"type": "text", "text": "failed."}],
            },
            {"role": "critic", "content": "hm"},
        ],
        "tools": [SCHEMA],
        "metadata": {
            "persona": {"name": "Bo"},
            "domains": [{"name": "code", "selected_tasks": [{"name": "t1"}]}],
        },
    }


def test_the_converters_form_is_repaired_and_counted() -> None:
    repairs: Counter[str] = Counter()
    t = from_isetrace(new_form(), repairs)
    assert t.intent == "build it" and t.scenario_id == "intent_ab" and t.outcome == "unverified"
    assert [m["role"] for m in t.messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert t.messages[2]["tool_calls"][0]["function"]["arguments"] == '{"command": "make"}'
    assert t.messages[3] == {
        "role": "tool",
        "content": "boom\n(Command exited with code 2)",
        "tool_call_id": "c1",
        "name": "exec",
        "success": False,
        "exit_code": 2,
    }
    assert t.messages[4]["content"] == "It failed."
    assert (t.persona, t.domains, t.tasks) == ({"name": "Bo"}, ["code"], ["t1"])
    assert repairs == {
        "null content": 1,
        "arguments that are not a JSON string": 1,
        "success that contradicts the exit code": 1,
        "tool message that answers no call dropped": 1,
        "content that is not text": 1,
        "message of an unknown role dropped": 1,
    }


def test_import_reads_many_kinds_of_file_once(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([new_form(), {"messages": []}, {"messages": "no"}, 7]))
    second = {**new_form(), "session_id": "s-2"}
    with gzip.open(tmp_path / "b.jsonl.gz", "wt") as file:
        file.write(json.dumps(second) + "\n\n" + json.dumps(second) + "\n")
    files = [tmp_path / "a.json", tmp_path / "b.jsonl.gz"]
    counts = import_isetrace(files, tmp_path / "s")
    assert counts.imported == 2
    assert counts.skipped == {
        "no assistant message": 1,
        "no list of messages": 2,
        "duplicate, or imported before": 1,
    }
    assert import_isetrace(files, tmp_path / "s").imported == 0
    with pytest.raises(UserError, match="holds another run"):
        import_isetrace(files[:1], tmp_path / "s")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.json", b"{", r"not JSON: 1, first at .*x.json"),
        ("x.jsonl", b"{}\n{\n", r"not JSON: 1, first at .*x.jsonl, line 2"),
        ("x.gz", b"no", "x.gz"),
        ("x.jsonl", b"", r"x\.jsonl: no episode of format isetrace\. Give --from .*isetrace, atif"),
        ("x.json", b'{"schema_version": "ATIF-v1.8"}', r"no episode .*\(no list of messages: 1, first at"),
    ],
)
def test_files_without_an_episode_are_named_and_leave_no_store(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=words):
        import_isetrace([tmp_path / name], tmp_path / "s")
    assert not (tmp_path / "s").exists()
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match=r"none: the folder has no \*\.jsonl files"):
        import_isetrace([tmp_path / "none"], tmp_path / "s")
    with pytest.raises(UserError, match=r"nothing\.jsonl: can't be read"):
        import_isetrace([tmp_path / "nothing.jsonl"], tmp_path / "s2")


def test_an_answer_that_was_cut_is_taught_by_no_export() -> None:
    whole = trajectory(1)
    answers = [n for n, m in enumerate(whole.messages) if m["role"] == "assistant"]
    last = answers[-1]
    steps = [Step(message=last, reward=0.0, completion=Completion(finish="length", ended="cut"))]
    cut = whole.model_copy(update={"steps": steps})
    weights = [m.get("weight") for m in to_openai(cut)["messages"]]
    assert [n for n, weight in enumerate(weights) if weight == 0] == [last]
    rows = list(trl_rows([cut]))
    assert all(m != whole.messages[last] for row in rows for m in row["messages"])
    assert all(row["messages"][-1]["role"] == "assistant" for row in rows)
    first = whole.model_copy(update={"steps": [steps[0].model_copy(update={"message": answers[0]})]})
    assert list(trl_rows([first])) == []
