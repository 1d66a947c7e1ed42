"""Whatever stands in a store: commands say what is wrong in one line, or go on; nothing of it reaches a terminal raw."""

from __future__ import annotations

import io
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from made.oddities import NAMES, changed, places, without

from ise_gym.errors import UserError
from ise_gym.foreign import screen
from ise_gym.foreign.screen import Screen
from ise_gym.foreign.text import excerpt, printable, printable_json
from ise_gym.messages import assistant, tool_call, tool_result
from ise_gym.storage.appendlog import raw_lines
from ise_gym.trajectory import tables
from ise_gym.trajectory.conversation import print_conversation
from ise_gym.trajectory.exchange.atif import to_atif
from ise_gym.trajectory.exchange.export import dump, isetrace_records, openai_rows, trl_rows_of
from ise_gym.trajectory.filter import Rules, filter_store
from ise_gym.trajectory.record import Trajectory, to_line
from ise_gym.trajectory.secrets import scan_personal, scan_trajectory
from ise_gym.trajectory.stats import store_stats
from ise_gym.trajectory.store import TrajectoryStore, read_trajectories
from ise_gym.trajectory.usage import usage_table
from ise_gym.view import write_report

MODEL = {"name": "llm:m", "model": "m", "usage": {"calls": 2, "prompt_tokens": 9, "cost": 0.1}}


def sample(**changes: Any) -> Trajectory:
    inside = {
        "key": "s1", "label": "l", "task": "t", "status": "done", "opened_by": ["call_1"], "inherited": 1,
        "messages": [{"role": "user", "content": "go"}, assistant("Done.")], "steps": [{"message": 1, "reward": 0.0}],
    }  # fmt: skip
    fields: dict[str, Any] = {
        "episode_id": "intent_1-ab", "scenario_id": "intent_1", "seed": 1, "intent": "Count.", "brief": "Count",
        "persona": {"name": "Ada", "role": "engineer", "industry": "energy"},
        "domains": ["file-io"], "tasks": ["file-io/count"], "complexity": "simple", "outcome": "passed", "score": 1.0,
        "subgoals": {"right": True}, "counts": {"user_turns": 1, "messages": 3, "tool_calls": 1},
        "messages": [
            {"role": "system", "content": "You help."},
            {"role": "user", "content": "Count."},
            assistant("", [tool_call("exec", {"command": "wc"}, "call_1")], "Hm."),
            tool_result("call_1", "exec", "3", success=True, exit_code=0),
            assistant("Three."),
        ],
        "tools": [{"type": "function", "function": {"name": "exec", "description": "", "parameters": {}}}],
        "steps": [{"message": 2, "reward": 1.0, "score": 1.0}],
        "sessions": [inside], "agent": MODEL,
        "user": {**MODEL, "guard": {"turns": 1, "drifted": 1}, "drift": [{"turn": 1, "detectors": ["x"], "action": "fallback"}]},
        "metadata": {"a": [1]},
    }  # fmt: skip
    return Trajectory.model_validate({**fields, **changes})


DOCUMENT = json.loads(to_line(sample()))
PLACES = list(places(DOCUMENT))


def everything(path: Path) -> str:
    """Do all that commands do with a file of records; return what they printed."""
    shown = Screen(file=io.StringIO(), width=200, force_terminal=False)
    summary = store_stats(path)
    printable_json(summary)
    for table in (tables.shape_table, tables.outcome_table, tables.tool_table):
        shown.print(table(summary))
    for kind in ("complexity", "domains", "tasks"):
        shown.print(tables.group_table(summary, kind))
    if summary["guard"]:
        shown.print(tables.guard_table(summary))
    if summary["usage"]:
        shown.print(usage_table(summary["usage"]))
    if summary["drift"]:
        from ise_gym.trajectory.drift import drift_table

        shown.print(drift_table(summary["drift"]))
    for trajectory in read_trajectories(path):
        print_conversation(trajectory, shown, full=True)
        scan_trajectory(trajectory)
        scan_personal(trajectory)
        to_line(trajectory)
        rows = [*isetrace_records(trajectory), *openai_rows(trajectory), *trl_rows_of(trajectory)]
        rows += [to_atif(trajectory)] if trajectory.messages else []
        for row in rows:
            dump(row)
    text = shown.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


def tried(path: Path) -> str:
    """Return what was printed, or the one error that a user is told."""
    try:
        return everything(path)
    except UserError as error:
        return printable(str(error))


@pytest.mark.parametrize("at", PLACES, ids=lambda at: ".".join(map(str, at)))
def test_one_odd_field_ends_no_command_in_a_traceback(tmp_path: Path, at: tuple[str | int, ...]) -> None:
    file = tmp_path / "t.jsonl"
    for odd in NAMES:
        file.write_text(changed(DOCUMENT, at, odd) + "\n")
        said = tried(file)
        assert "\x1b" not in said and "\x9b" not in said and "\u202e" not in said, odd
    file.write_text(without(DOCUMENT, at) + "\n")
    assert tried(file)


@pytest.mark.parametrize(
    "name",
    [
        "[/bold]x",
        "[red]",
        "[link=x]",
        "a[b]c",
        "\\[",
        "\\",
        "[",
        "]",
        "\x1b[31m",
        "\x9b",
        "\u202e",
        "\ud800",
        "\x07",
        "\r",
        "a\nb",
        "",
    ],
)
def test_names_are_words_on_every_screen(tmp_path: Path, name: str) -> None:
    calls = [tool_call(name or "x", {"command": name}, "call_1")]
    record = sample(
        persona={"name": name, "role": name, "industry": name},
        domains=[name], tasks=[name], complexity=name, outcome="infrastructure_error", reason=name,
        subgoals={name: False}, agent={"name": name}, user={"name": name, "guard": {name: 3}},
        messages=[*sample().messages[:2], assistant(name, calls, name), tool_result("call_1", name, name, success=False)],
        sessions=[], steps=[],
    )  # fmt: skip
    with TrajectoryStore(tmp_path / "s") as store:
        store.append(record)
        store.append(record.model_copy(update={"outcome": "failed", "episode_id": "b"}))
    said = everything(tmp_path / "s")
    assert not {"\x1b", "\x9b", "\u202e", "\x07", "\r"} & set(said)
    said.encode("utf-8")
    if name.startswith("[") and len(name) > 2:
        assert name in said
    write_report(tmp_path / "r.html", [tmp_path / "s"])


def test_a_bad_name_ends_no_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    from ise_gym.cli import main

    message = assistant("", [tool_call("[/bold]x\x1b[31m", {}, "call_1")])
    with TrajectoryStore(tmp_path / "s") as store:
        store.append(sample(messages=[message], sessions=[], steps=[]))
    for command in (["stats"], ["stats", "--json"], ["show"]):
        with pytest.raises(SystemExit) as end:
            main([command[0], str(tmp_path / "s"), *command[1:]])
        assert not end.value.code
        said = capsys.readouterr()
        assert "[/bold]x" in said.out and "\x1b" not in said.out + said.err
    with pytest.raises(SystemExit) as end:
        main(["show", str(tmp_path / "s"), "\x1b[31mnothing"])
    assert end.value.code == 2
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"[" * 200_000, "nested too deeply|not JSON"),
        (b'{"a":' * 100_000, "nested too deeply|not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"\0" * 1000, "not JSON"),
        (b"7", "not a trajectory"),
        (b"null", "not a trajectory"),
        (b'"x"', "not a trajectory"),
        (b'{"schema_version": 99}', "not a trajectory"),
        (b'{"schema_version": 0, "messages": [7]}', "not a trajectory"),
        (b'{"schema_version": 0, "messages": 7}', "not a trajectory"),
        (b'{"schema_version": [0]}', "not a trajectory"),
        (b'{"schema_version": {"a": 0}}', "not a trajectory"),
        (to_line(sample()).replace(b'"score":1.0', b'"score":NaN', 1), "not JSON"),
        (to_line(sample()).replace(b'"score":1.0', b'"score":1e999', 1), "not JSON"),
        (
            to_line(sample()).replace(b'"role":"user"', b'"role":"developer"', 1),
            "message 1: 'role' must be one of",
        ),
        (to_line(sample()).replace(b'"id":"call_1"', b'"id":7', 1), r"message 2: 'tool_calls\[0\].id'"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: bytes, says: str) -> None:
    file = tmp_path / "t.jsonl"
    file.write_bytes(to_line(sample()) + line + b"\n")
    with pytest.raises(UserError, match=f"line 2: .*({says})"):
        list(read_trajectories(file))


def test_a_pipe_is_no_shard(tmp_path: Path) -> None:
    with TrajectoryStore(tmp_path / "s") as store:
        store.append(sample())
    os.mkfifo(tmp_path / "s" / "shards" / "part-00001.jsonl")
    os.mkfifo(tmp_path / "alone.jsonl")
    (tmp_path / "s" / "shards" / "part-00002.jsonl").mkdir()
    (tmp_path / "s" / "shards" / "part-00003.jsonl").symlink_to("/dev/zero")
    found: list[Any] = []

    def read() -> None:
        found.extend(t.episode_id for t in read_trajectories(tmp_path / "s"))
        with TrajectoryStore(tmp_path / "s") as store:
            store.append(sample(episode_id="second"))
            found.append(sorted(store.ids()))
        with pytest.raises(UserError, match="not a regular file"):
            list(read_trajectories(tmp_path / "alone.jsonl"))
        found.append("told")

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    reader.join(30)
    assert found == ["intent_1-ab", ["intent_1-ab", "second"], "told"]


def test_a_line_without_end_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ise_gym.storage.appendlog.LONGEST_LINE", 10_000)
    file = tmp_path / "t.jsonl"
    file.write_bytes(to_line(sample()) + b"x" * 20_000)
    with pytest.raises(UserError, match="line 2: longer than"):
        list(raw_lines(file))
    with pytest.raises(UserError, match="line 2: longer than"):
        list(read_trajectories(file))


def test_a_frame_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zstandard = pytest.importorskip("zstandard")
    monkeypatch.setattr("ise_gym.trajectory.lines.reading.LONGEST_LINE", 100_000)
    file = tmp_path / "t.jsonl.zst"
    file.write_bytes(zstandard.ZstdCompressor().compress(b"x" * 5_000_000))
    with pytest.raises(UserError, match="unpacks to more than"):
        list(read_trajectories(file))


def test_filters_read_what_is_there(tmp_path: Path) -> None:
    with TrajectoryStore(tmp_path / "s") as store:
        store.append(sample(messages=[assistant("\ud800 \x1b")], sessions=[], steps=[]))
    counts = filter_store(tmp_path / "s", tmp_path / "f", Rules(outcomes=("passed",), unique=True))
    assert counts.kept == 1


@pytest.mark.parametrize(
    "text", ["\x1b[2J", "\x9b31m", "\x00", "\x7f", "\u202e", "\u200b", "\ufeff", "\ud800", "\u2028"]
)
def test_what_is_printed_is_printable(text: str) -> None:
    assert printable(text).isprintable() and printable(f"a{text}b").startswith("a\\")
    json.loads(printable_json({text: [text]}))
    printable_json({text: text}).encode("utf-8")
    shown = screen.Screen(file=io.StringIO(), width=80)
    shown.print(screen.Text(f"a{text}b", style="bold"), f"c{text}d")  # type: ignore[attr-defined]
    shown.file.getvalue().encode("utf-8")  # type: ignore[attr-defined]
    assert text[0] not in shown.file.getvalue()  # type: ignore[attr-defined]


def test_an_excerpt_keeps_start_and_end() -> None:
    text = "a" * 500 + "b" * 500
    cut = excerpt(text, 100)
    assert cut.startswith("a" * 75 + "\n") and cut.endswith("\n" + "b" * 25) and "900 characters" in cut


def test_there_are_many_inputs() -> None:
    assert len(PLACES) >= 60 and len(PLACES) * len(NAMES) >= 1_000
