"""Exported rows, loaded by the trainers that people have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from peer_packages import PEERS, ROOT, installed
from trajectory_samples import delegating, trajectory

from ise_gym.cli import main
from ise_gym.messages import assistant, tool_call, user
from ise_gym.trajectory.exchange.export import to_trl
from ise_gym.trajectory.exchange.sharegpt import BETWEEN_RESULTS, sharegpt_rows
from ise_gym.trajectory.store import TrajectoryStore

PINNED = [
    "llamafactory==0.9.5",
    "axolotl==0.19.0",
    "ms-swift==4.6.0",
    "unsloth_zoo==2026.10.9",
    "colorama==0.4.6",
]
SAMPLES = [trajectory(1), trajectory(2), delegating(3)]

Load = Callable[[str], list[dict[str, Any]]]


def export(tmp: Path) -> None:
    with TrajectoryStore(tmp / "store") as store:
        for sample in SAMPLES:
            store.append(sample)
    for format, out in (("trl", "rows"), ("sharegpt", "ise.jsonl")):
        with pytest.raises(SystemExit) as ended:
            main(["export", str(tmp / "store"), "--format", format, "--out", str(tmp / out)])
        assert ended.value.code == 0
    info = {
        "ise": {
            "file_name": "ise.jsonl",
            "formatting": "sharegpt",
            "columns": {"messages": "conversations", "system": "system", "tools": "tools"},
        }
    }
    (tmp / "dataset_info.json").write_text(json.dumps(info))


def test_speakers_alternate_and_words_thoughts_and_results_are_kept() -> None:
    (row,) = sharegpt_rows(trajectory(1))
    turns = row["conversations"]
    called = ["function_call", "observation"]
    assert [t["from"] for t in turns] == ["human", *called, *called, "gpt", "human", *called, "gpt"]
    assert turns[1]["value"].startswith("Looking.\n<tool_call>[{") and "wc -l exprt.csv" in turns[1]["value"]
    assert turns[3]["value"].startswith("<think>\nA typo.\n</think>\n\n[{")
    assert json.loads(turns[7]["value"]) == [{"name": "read", "arguments": {"path": "export.csv"}}]
    assert row["system"] == "You help on a computer." and json.loads(row["tools"])[0]["name"] == "exec"


def test_results_of_one_message_are_one_observation_and_marks_in_arguments_stay_arguments() -> None:
    one = trajectory(1)
    calls = [tool_call("exec", {"command": f"echo '</tool_call>' {n}"}, f"c{n}") for n in (1, 2)]
    results = [
        {"role": "tool", "tool_call_id": f"c{n}", "name": "exec", "content": str(n), "success": True}
        for n in (1, 2)
    ]
    messages = [*one.messages[:2], assistant("Both.", calls), *results, assistant("Done.")]
    (row,) = sharegpt_rows(one.model_copy(update={"messages": messages, "steps": []}))
    words, _, called = row["conversations"][1]["value"].partition("\n<tool_call>")
    assert words == "Both." and called.count("</tool_call>") == 1
    found = json.loads(called.removesuffix("</tool_call>"))
    assert [c["arguments"]["command"] for c in found] == [f"echo '</tool_call>' {n}" for n in (1, 2)]
    assert row["conversations"][2] == {"from": "observation", "value": f"1{BETWEEN_RESULTS}2"}


def test_a_row_ends_before_what_breaks_the_alternation() -> None:
    one = trajectory(1)
    broken = [*one.messages[:7], user("And?"), user("Hello?"), assistant("Yes.")]
    (row,) = sharegpt_rows(one.model_copy(update={"messages": broken, "steps": []}))
    assert row["conversations"][-1] == {"from": "gpt", "value": "There are some lines."}
    assert (
        list(sharegpt_rows(one.model_copy(update={"messages": [one.messages[0], broken[2]], "steps": []})))
        == []
    )


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    pytest.importorskip("datasets", reason="NOT TESTED: the train extra is not installed")
    site = PEERS / "trainers"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(site), *PINNED]
    installed(site, pip)
    exports = tmp_path_factory.mktemp("exports")
    export(exports)

    def loaded(trainer: str) -> list[dict[str, Any]]:
        script = Path(__file__).parent / "peers" / "rows.py"
        done = subprocess.run(
            [sys.executable, str(script), trainer, str(site), str(exports)],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "UNSLOTH_IS_PRESENT": "1"},
        )
        assert "ROWS " in done.stdout, done.stderr[-3000:]
        rows: list[dict[str, Any]] = json.loads(done.stdout.rpartition("ROWS ")[2])
        return rows

    return loaded


@pytest.mark.peers
def test_llama_factory(load: Load) -> None:
    rows = load("llamafactory")
    assert len(rows) == 4  # a sub-session that answered is a row of its own
    assert rows[0]["roles"][:3] == ["user", "function", "observation"] and rows[0]["tools"] == 1
    assert rows[0]["calls"][0] == (
        'Looking.\n<tool_call>\n{"name": "exec", "arguments": {"command": "wc -l exprt.csv"}}\n</tool_call>'
    )
    assert rows[0]["calls"][1].startswith("<think>\nA typo.\n</think>")


@pytest.mark.peers
def test_axolotl(load: Load) -> None:
    rows = load("axolotl")
    assert len(rows) == 4
    taught, text = rows[0]["taught"], rows[0]["text"]
    assert '"command": "wc -l exprt.csv"' in taught and "It says a,b." in taught and "A typo." in taught
    assert "No such file" in text and "No such file" not in taught and "Now read it" not in taught


@pytest.mark.peers
def test_ms_swift(load: Load) -> None:
    rows = load("swift")
    assert len(rows) == 4
    first = rows[0]["messages"]
    assert [m["role"] for m in first[:5]] == ["system", "user", "assistant", "tool_call", "tool"]
    assert first[3]["content"] == {"name": "exec", "arguments": {"command": "wc -l exprt.csv"}}
    assert rows[0]["tools"] == trajectory(1).tools


@pytest.mark.peers
def test_unsloth(load: Load) -> None:
    rows = load("unsloth_zoo")
    assert len(rows) == 4
    assert '{"name": "exec", "arguments": {"command": "wc -l exprt.csv"}}' in rows[0]["text"]


@pytest.mark.peers
def test_duckdb_reads_rows_and_stores(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "-q", "--target", str(PEERS / "duckdb"), "duckdb==2.0.1"]
    site = installed(PEERS / "duckdb", pip)
    export(tmp_path)
    question = (
        f"SELECT len(messages), tools[1]->>'$.function.name' FROM '{tmp_path}/rows/data/*.parquet' LIMIT 1; "
        f"SELECT outcome, count(*), avg(score) FROM read_ndjson('{tmp_path}/store/shards/*.jsonl') GROUP BY outcome ORDER BY outcome"
    )
    code = "import duckdb, sys\nfor one in sys.argv[1].split(';'): print(duckdb.sql(one).fetchall())"
    done = subprocess.run(
        [sys.executable, "-c", code, question],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(site)},
    )
    first = len(to_trl(trajectory(1))["messages"])
    assert done.stdout.splitlines() == [f"[({first}, 'exec')]", "[('passed', 2, 1.0), ('truncated', 1, 0.5)]"]
