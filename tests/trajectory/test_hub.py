from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_hub import serve_hub
from trajectory_samples import trajectory

from ise_gym.cli import corpus
from ise_gym.errors import UserError
from ise_gym.trajectory.exchange import hub
from ise_gym.trajectory.exchange.export import export_file, to_trl
from ise_gym.trajectory.exchange.parquet import write_parquet
from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.store import TrajectoryStore

pytest.importorskip("datasets", reason="NOT TESTED: Parquet and the hub, datasets is not installed")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    made = [trajectory(n, split="train", env={"ise_gym": "0.1.0", "backend": "bubblewrap"}) for n in range(4)]
    made += [trajectory(9, "failed", split="eval", env={"ise_gym": "0.1.0", "backend": "bubblewrap"})]
    return fill(tmp_path / "s", made)


def fill(path: Path, trajectories: list[Trajectory]) -> Path:
    with TrajectoryStore(path) as made:
        for t in trajectories:
            made.append(t)
    return path


def rows_in(file: Path) -> list[dict[str, Any]]:
    import datasets

    table = datasets.load_dataset(
        "parquet", data_files=str(file), split="train", cache_dir=str(file.parent / "cache")
    )
    return list(table)


def test_parquet_gives_back_equal_rows(tmp_path: Path) -> None:
    made = [trajectory(n) for n in range(300)]  # several row groups
    made.append(trajectory(300, tools=[], steps=[]))
    counts = export_file(fill(tmp_path / "s", made), "trl", tmp_path / "rows.parquet")
    assert counts.episodes == 301
    assert rows_in(tmp_path / "rows.parquet") == [to_trl(t) for t in made]
    odd = [
        {"role": "user", "content": "a \ud800 b"}
    ]  # Arrow holds it escaped; datasets' own JSON reader drops it
    assert write_parquet([{"messages": odd, "tools": []}], tmp_path / "odd.parquet") == 1
    import pyarrow.parquet as pq

    (stored,) = pq.read_table(tmp_path / "odd.parquet")["messages"][0].as_py()
    assert json.loads(stored) == odd[0]
    with pytest.raises(UserError, match="only --format trl can be written as Parquet"):
        export_file(tmp_path / "s", "openai", tmp_path / "x.parquet")


def test_the_card_says_what_is_published(store: Path, tmp_path: Path) -> None:
    made = hub.prepare(store, tmp_path / "out", "me/rows", license="mit")
    assert made.rows == {"train": 4, "eval": 1} and not made.findings
    _, header, body = (tmp_path / "out" / "README.md").read_text().split("---\n", 2)
    fields = yaml.safe_load(header)
    assert fields["license"] == "mit" and fields["size_categories"] == ["n<1K"]
    assert fields["configs"][0]["data_files"] == [
        {"split": "train", "path": ["data/train.parquet"]},
        {"split": "eval", "path": ["data/eval.parquet"]},
    ]
    for words in (
        "# rows\n",
        'load_dataset("me/rows", split="train")',
        "5 episodes: 1 failed, 4 passed. Pass rate 80.0 %, 95 % Wilson interval [37.6 %, 96.4 %]",
        "| user turns | 2.00 | 2 | 2 | 2 |",
        "| `exec` | 100.0 % | 10 | 5 |",
        "| agent `expert` | 5 |",
        "| workspace `bubblewrap` | 5 |",
        "`ise_gym` 0.1.0",
        "nothing was found",
    ):
        assert words in body
    assert str(tmp_path) not in body
    assert len(rows_in(tmp_path / "out" / "data" / "train.parquet")) == 4
    passed = hub.prepare(store, tmp_path / "out2", "me/rows", passed_only=True)
    assert passed.rows == {"train": 4}
    with pytest.raises(UserError, match="it has no episodes to publish"):
        hub.prepare(fill(tmp_path / "empty", []), tmp_path / "out3", "me/rows")


def export(store: Path, url: str, *options: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the hub's client reads its settings when it is imported."""
    return subprocess.run(
        [sys.executable, "-m", "ise_gym.cli", "export", str(store), "--format", "trl", *options],
        env={**os.environ, "HF_ENDPOINT": url, "HF_TOKEN": "hf_made_up", "HF_HUB_OFFLINE": "0"},
        capture_output=True,
        text=True,
    )


def test_a_push_uploads_rows_and_card_in_one_commit(store: Path, tmp_path: Path) -> None:
    with serve_hub() as server:
        done = export(store, server.url, "--push-to-hub", "me/rows")
        assert done.returncode == 0, done.stderr
    assert "4 train, 1 eval rows → http" in done.stderr
    assert server.repos[0]["type"] == "dataset" and server.repos[0]["private"] is True
    assert "Bearer hf_made_up" in server.tokens
    assert server.commits == ["Episodes recorded with ise_gym"]
    assert sorted(server.files) == ["README.md", "data/eval.parquet", "data/train.parquet"]
    (tmp_path / "got.parquet").write_bytes(server.files["data/eval.parquet"])
    assert rows_in(tmp_path / "got.parquet") == [to_trl(trajectory(9, "failed"))]


def test_findings_stop_a_push_unless_they_are_allowed(tmp_path: Path) -> None:
    leak = [{"role": "user", "content": "mail ada@heron-labs.io, key AKIA" + "ABCDEFGHIJKLMNOP"}]
    store = fill(tmp_path / "s", [trajectory(1, messages=leak, steps=[])])
    with pytest.raises(UserError, match=r"Nothing was published.*aws access key: 1, e-mail address: 1"):
        hub.push_to_hub(store, "me/rows")
    with serve_hub() as server:
        done = export(store, server.url, "--push-to-hub", "me/rows", "--public", "--allow-findings")
        assert done.returncode == 0, done.stderr
    assert server.repos[0]["private"] is False
    assert b"aws access key: 1, e-mail address: 1" in server.files["README.md"]


def test_what_the_hub_refuses_is_told(store: Path) -> None:
    with serve_hub(refuse=401) as server:
        done = export(store, server.url, "--push-to-hub", "me/rows")
    assert done.returncode == 2 and "Check HF_TOKEN" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("format", "options", "words"),
    [
        ("trl", {"push_to_hub": "rows"}, "write owner/name"),
        ("trl", {}, "either --out FILE or --push-to-hub"),
        ("trl", {"push_to_hub": "me/rows", "out": Path("x")}, "either --out FILE or --push-to-hub"),
        ("openai", {"push_to_hub": "me/rows"}, "give --format trl"),
        ("atifff", {"out": Path("x")}, "unknown export format 'atifff'.*Did you mean 'atif'"),
    ],
)
def test_wrong_options_are_told(store: Path, format: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        corpus.export(store, format, **options)
