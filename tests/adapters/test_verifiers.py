"""verifiers: `vf-eval` plays episodes of ours, and its rewards are our scores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from peer_packages import with_extra


@pytest.mark.peers
def test_vf_eval_gives_the_scores_of_our_own_runs(tmp_path: Path) -> None:
    rows = [json.loads(line) for line in with_extra("verifiers")("verifiers_eval.py", tmp_path).splitlines()]
    assert len(rows) == 8
    for task, ok, reward, outcome, own_score, own_outcome, recorded, same_words in rows:
        assert (ok, reward, outcome, recorded) == (True, own_score, own_outcome, own_outcome), task
        assert same_words, task
    assert len({reward for _, _, reward, *_ in rows}) > 1, "all rewards are equal: nothing is compared"
