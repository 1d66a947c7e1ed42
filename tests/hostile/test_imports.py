"""Whatever stands in a foreign file: every line is taken and its repairs counted, or refused and counted."""

from __future__ import annotations

import copy
import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from made.oddities import NAMES, changed, places, without
from test_records import sample

from ise_gym.errors import UserError
from ise_gym.trajectory.exchange.atif import from_atif, to_atif
from ise_gym.trajectory.exchange.importer import Imported, import_files
from ise_gym.trajectory.exchange.isetrace import from_isetrace
from ise_gym.trajectory.store import read_trajectories

TOOL = {"type": "function", "function": {"name": "exec", "description": "", "parameters": {"type": "object"}}}
ISETRACE: dict[str, Any] = {
    "session_id": "s-1",
    "status": "completed",
    "source_intent_ids": ["intent_ab"],
    "source_intents": [{"natural_language_intent": "build it"}],
    "messages": [
        {"role": "user", "content": "build it"},
        {
            "role": "assistant",
            "content": "Building.",
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "exec", "arguments": {"command": "make"}},
                }
            ],
        },
        {
            "role": "tool",
            "tool_call_id": "c1",
            "name": "exec",
            "content": "ok",
            "success": True,
            "exit_code": 0,
        },
        {"role": "assistant", "content": "Built.", "reasoning_content": "Hm."},
    ],
    "tools": [TOOL],
    "metadata": {
        "persona": {"name": "Bo"},
        "domains": [{"name": "code", "selected_tasks": [{"name": "t1"}]}],
        "complexity": "simple",
    },
}
ATIF: dict[str, Any] = {
    "schema_version": "ATIF-v1.5",
    "session_id": "s-1",
    "agent": {"name": "some-agent", "version": "1", "model_name": "m", "tool_definitions": [TOOL]},
    "steps": [
        {"step_id": 1, "source": "user", "message": "list them"},
        {
            "step_id": 2,
            "source": "agent",
            "message": "Listing.",
            "reasoning_content": "Hm.",
            "tool_calls": [{"tool_call_id": "c1", "function_name": "bash", "arguments": {"cmd": "ls"}}],
            "observation": {"results": [{"source_call_id": "c1", "content": "a.txt"}]},
        },
        {"step_id": 3, "source": "agent", "message": "One file."},
    ],
    "final_metrics": {"total_prompt_tokens": 100},
    "extra": {"note": "x"},
}
OWN = to_atif(sample())
DOCUMENTS = {"isetrace": ISETRACE, "atif": ATIF, "own": OWN}
CASES = [(name, at) for name in ("isetrace", "atif") for at in places(DOCUMENTS[name])]
OWN_CASES = [at for at in places(OWN) if len(at) <= 4]
FORMATS = {"isetrace": "isetrace", "atif": "atif", "own": "atif"}


def imported(folder: Path, name: str, lines: list[str]) -> tuple[Imported, list[Any]]:
    """Import lines and return what was counted, and what the store holds then."""
    file = folder / "f.jsonl"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="surrogatepass")
    out = folder / f"s{len(list(folder.iterdir()))}"
    counts = import_files([file], out, FORMATS[name])
    return counts, list(read_trajectories(out))


def numbered(name: str, number: int) -> dict[str, Any]:
    document = copy.deepcopy(DOCUMENTS[name])
    document["session_id"] = f"good-{number}"
    document["trajectory_id"] = f"good-{number}"
    return document


def check(folder: Path, name: str, lines: list[str]) -> None:
    """All lines but the first and the last are odd; nothing ends the import, and the counts add up."""
    first, last = (json.dumps(numbered(name, n)) for n in (1, 2))
    counts, kept = imported(folder, name, [first, *lines, last])
    assert counts.imported + sum(counts.skipped.values()) == len(lines) + 2, counts
    assert counts.imported == len(kept) >= 2
    assert set(counts.first) == set(counts.skipped)


@pytest.mark.parametrize(
    ("name", "at"), CASES, ids=lambda v: ".".join(map(str, v)) if isinstance(v, tuple) else v
)
def test_one_odd_field_is_repaired_or_refused_and_counted(
    tmp_path: Path, name: str, at: tuple[str | int, ...]
) -> None:
    lines = [changed(DOCUMENTS[name], at, odd) for odd in NAMES] + [without(DOCUMENTS[name], at)]
    check(tmp_path, name, lines)


@pytest.mark.parametrize("at", OWN_CASES, ids=lambda at: ".".join(map(str, at)))
def test_our_own_export_with_an_odd_field_too(tmp_path: Path, at: tuple[str | int, ...]) -> None:
    check(tmp_path, "own", [changed(OWN, at, odd) for odd in NAMES] + [without(OWN, at)])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("nonsense", "not JSON"),
        ("[" * 50_000, "nested too deeply|not JSON"),
        ("[1, 2]", "no list of messages"),
        ("7", "no list of messages"),
        ("null", "no list of messages"),
        ('"text"', "no list of messages"),
        ("{}", "no list of messages"),
        ('{"messages": {}}', "no list of messages"),
        ('{"messages": []}', "no assistant message"),
        ('{"messages": [{"role": "user", "content": "x"}]}', "no assistant message"),
        ('{"messages": "[]"}', "no assistant message"),
        ('{"messages": [7, null, "x", []]}', "no assistant message"),
    ],
)
def test_a_line_that_is_no_episode_is_counted_by_its_reason(tmp_path: Path, line: str, reason: str) -> None:
    counts, kept = imported(tmp_path, "isetrace", [json.dumps(numbered("isetrace", 1)), line])
    assert counts.imported == len(kept) == 1
    (found,) = counts.skipped
    assert found in reason.split("|") and counts.first[found].endswith("line 2")


def read(**changes: Any) -> tuple[Any, Counter[str]]:
    repairs: Counter[str] = Counter()
    return from_isetrace({**copy.deepcopy(ISETRACE), **changes}, repairs), repairs


def test_tools_as_json_text_are_kept() -> None:
    plain, before = read()
    made, repairs = read(tools=json.dumps([TOOL]))
    assert made.tools == plain.tools == [TOOL]
    assert repairs - before == {"tools given as JSON text": 1}


def test_messages_as_json_text_are_kept() -> None:
    plain, before = read()
    made, repairs = read(messages=json.dumps(ISETRACE["messages"]))
    assert made.messages == plain.messages and repairs - before == {"messages given as JSON text": 1}


@pytest.mark.parametrize(
    ("tools", "kept", "repair"),
    [
        (7, [], "tools that are no list left out"),
        ({"a": 1}, [], "tools that are no list left out"),
        ("nonsense", [], "tools that are no list left out"),
        ([7], [], "tool definition of an unknown form left out"),
        ([TOOL["function"]], [TOOL], "bare function schema wrapped"),
        ([json.dumps(TOOL)], [TOOL], "tool definition given as JSON text"),
    ],
)
def test_tools_of_every_form_are_read_or_counted(tools: Any, kept: list[Any], repair: str) -> None:
    made, repairs = read(tools=tools)
    assert made.tools == kept and repairs[repair] == 1


def test_the_older_dialect_is_read() -> None:
    old = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "list"},
        {"role": "assistant", "content": None, "function_call": {"name": "ls", "arguments": '{"a": 1}'}},
        {"role": "function", "name": "ls", "content": "a.txt"},
        {"role": "assistant", "content": "One file."},
    ]
    made, repairs = read(messages=old, tools=None, functions=[{"name": "ls", "parameters": {}}])
    assert [m["role"] for m in made.messages] == ["system", "user", "assistant", "tool", "assistant"]
    (call,) = made.messages[2]["tool_calls"]
    assert call["function"] == {"name": "ls", "arguments": '{"a": 1}'}
    assert made.messages[3]["tool_call_id"] == call["id"] and made.messages[3]["name"] == "ls"
    assert made.tools == [{"type": "function", "function": {"name": "ls", "parameters": {}}}]
    assert repairs == {
        "role developer read as system": 1,
        "function_call read as a tool call": 1,
        "tool call without an id": 1,
        "role function read as tool": 1,
        "null content": 1,
        "bare function schema wrapped": 1,
    }


@pytest.mark.parametrize("results", [["out"], [["out"]], [7], "out", [None]])
def test_results_of_every_form_are_read_or_counted(results: Any) -> None:
    record = copy.deepcopy(ATIF)
    record["steps"][1]["observation"]["results"] = results
    repairs: Counter[str] = Counter()
    made = from_atif(record, repairs)
    assert sum(repairs.values()) >= 1
    if results == ["out"]:
        assert made.messages[2] == {"role": "tool", "content": "out", "tool_call_id": "c1", "name": "bash"}


def test_numbers_that_json_has_not_are_counted(tmp_path: Path) -> None:
    odd = json.dumps({**numbered("isetrace", 2), "status": float("nan"), "extra": [float("inf")]})
    counts, kept = imported(tmp_path, "isetrace", [json.dumps(numbered("isetrace", 1)), odd])
    assert counts.imported == 2 and kept[1].metadata["status"] is None
    assert counts.repairs["number that JSON has not (NaN, Infinity) read as null"] == 2


def test_repairs_of_a_refused_record_are_not_counted(tmp_path: Path) -> None:
    refused = {"messages": [{"role": "developer", "content": None}]}
    counts, _ = imported(tmp_path, "isetrace", [json.dumps(numbered("isetrace", 1)), json.dumps(refused)])
    assert (
        "role developer read as system" not in counts.repairs and counts.skipped["no assistant message"] == 1
    )


def test_a_file_of_nothing_but_odd_lines_leaves_no_store(tmp_path: Path) -> None:
    file = tmp_path / "f.jsonl"
    file.write_text("{\n7\n")
    with pytest.raises(UserError, match=r"not JSON: 1, first at .*f.jsonl, line 1"):
        import_files([file], tmp_path / "s", "isetrace")
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    "data", [b"", b"\x1f\x8b", b"\x1f\x8b" + b"\0" * 40, gzip.compress(b"x", mtime=0)[:-6]]
)
def test_a_broken_archive_is_one_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "f.jsonl.gz").write_bytes(data)
    with pytest.raises(UserError):
        import_files([tmp_path / "f.jsonl.gz"], tmp_path / "s", "isetrace")


def test_a_pipe_is_one_error(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "f.jsonl")
    with pytest.raises(UserError, match="not a regular file"):
        import_files([tmp_path / "f.jsonl"], tmp_path / "s", "isetrace")


def test_the_command_says_where(tmp_path: Path, capsys: Any) -> None:
    from ise_gym.cli import main

    file = tmp_path / "f.jsonl"
    file.write_text(json.dumps(ISETRACE) + '\n{"messages": "[red]\x1b"}\n')
    with pytest.raises(SystemExit) as end:
        main(["import", str(file), "--out", str(tmp_path / "s")])
    said = "".join(capsys.readouterr())
    assert not end.value.code and "\x1b" not in said
    assert "1 episodes" in said and "line 2" in "".join(said.split("\n"))


def test_there_are_many_inputs() -> None:
    assert len(CASES) + len(OWN_CASES) >= 120
