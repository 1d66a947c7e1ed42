"""inspect_ai: `inspect eval` plays episodes of ours and works in our box; our records are logs that it reads."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from peer_packages import expected_of_faults, with_extra
from trajectory_samples import delegating, trajectory

from ise_gym.trajectory.exchange.importer import import_files
from ise_gym.trajectory.store import TrajectoryStore, read_trajectories


@pytest.mark.peers
def test_inspect_eval_gives_the_scores_of_our_own_runs(tmp_path: Path) -> None:
    rows = [json.loads(line) for line in with_extra("inspect")("inspect_eval.py", tmp_path).splitlines()]
    live = [row for row in rows if row[0] == "ise_episodes"]
    assert len(live) == 8
    for _, task, _, *same in live:
        assert same == [True] * 5, (task, "score, passed, sub-goals, words, outcome of our record", same)
    box = [row for row in rows if row[0] == "ise_box"]
    assert len(box) == 8 and all(same for *_, same in box), box
    counts = import_files([tmp_path / "ise_episodes"], tmp_path / "imported", "inspect")
    assert (counts.imported, +counts.skipped) == (8, Counter())
    ours = {r.scenario_id: [m["content"] for m in r.messages] for r in read_trajectories(tmp_path / "store")}
    theirs = read_trajectories(tmp_path / "imported")
    assert {r.scenario_id: [m["content"] for m in r.messages] for r in theirs} == ours
    for kind in (live, box):
        assert len({score for _, _, score, *_ in kind}) > 1, "all scores are equal: nothing is compared"


@pytest.mark.peers
def test_what_goes_wrong_with_a_model_ends_its_own_sample_only(tmp_path: Path) -> None:
    rows = [json.loads(line) for line in with_extra("inspect")("inspect_faults.py", tmp_path).splitlines()]
    found = {kind: row for kind, *row in rows}
    assert set(found) == {"drip", "cut", "words", "broken", "full", "down", "none"}
    expected_of_faults(found)
    for kind, (*_, ok, score) in found.items():
        # a full context is the model's own failure, so inspect scores it
        assert ok == (kind not in ("drip", "down")) == (score is not None), kind


@pytest.mark.peers
def test_a_store_becomes_a_log_that_reads_back_equal(tmp_path: Path) -> None:
    samples = [
        trajectory(1),
        trajectory(2, "failed"),
        delegating(3),
        trajectory(4, "truncated", reason="messages"),
    ]
    with TrajectoryStore(tmp_path / "store") as store:
        for sample in samples:
            store.append(sample)
    lines = with_extra("inspect")("inspect_log.py", tmp_path / "store", tmp_path).splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["id"] for row in rows] == [s.scenario_id for s in samples]
    for row, sample in zip(rows, samples, strict=True):
        assert row["words"] == [m["content"] for m in sample.messages]
        assert row["subgoals"] == {name: int(held) for name, held in sample.subgoals.items()}
        assert row["score"] == sample.score and row["ordered"] and row["again"]
        assert row["turns"] == sum(m["role"] == "user" for m in sample.messages)
        assert row["flips"] == sum(bool(step.reward) for step in sample.steps)
    assert [row["limit"] for row in rows] == [None, None, rows[2]["limit"], "message"]
