"""verifiers: `vf-eval` plays episodes of ours, and its rewards are our scores."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from peer_packages import expected_of_faults, with_extra

from ise_gym.trajectory.exchange.importer import import_files
from ise_gym.trajectory.store import read_trajectories


@pytest.mark.peers
def test_vf_eval_gives_the_scores_of_our_own_runs(tmp_path: Path) -> None:
    rows = [json.loads(line) for line in with_extra("verifiers")("verifiers_eval.py", tmp_path).splitlines()]
    assert len(rows) == 8
    for task, ok, reward, outcome, own_score, own_outcome, recorded, same_words in rows:
        assert (ok, reward, outcome, recorded) == (True, own_score, own_outcome, own_outcome), task
        assert same_words, task
    assert len({reward for _, _, reward, *_ in rows}) > 1, "all rewards are equal: nothing is compared"
    (traces,) = tmp_path.rglob("traces.jsonl")
    counts = import_files([traces], tmp_path / "imported", "verifiers")
    assert (counts.imported, +counts.skipped) == (8, Counter())
    ours = {r.scenario_id: [m["content"] for m in r.messages] for r in read_trajectories(tmp_path / "store")}
    for record in read_trajectories(tmp_path / "imported"):
        own = ours[record.scenario_id]
        # the user's last words are no message to the model, so a trace does not hold them
        assert [m["content"] for m in record.messages] == own[: len(record.messages)]
        assert len(own) - len(record.messages) <= 1


@pytest.mark.peers
def test_what_goes_wrong_with_a_model_ends_its_own_episode_only(tmp_path: Path) -> None:
    """Among them an endpoint that drips a byte now and then, which a timeout between bytes never ends."""
    rows = [
        json.loads(line) for line in with_extra("verifiers")("verifiers_faults.py", tmp_path).splitlines()
    ]
    found = {kind: row for kind, *row in rows}
    assert set(found) == {"drip", "cut", "words", "broken", "full", "down", "none"}
    expected_of_faults(found)
    for kind, (_, _, _, ok, reward, error) in found.items():
        assert ok == (kind not in ("drip", "full", "down")), (kind, error)
        assert ok or reward == 0, kind
    assert "no answer within 1 s" in found["drip"][1] and "no answer within 1 s" in found["drip"][-1]
