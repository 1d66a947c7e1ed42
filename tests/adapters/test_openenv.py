"""OpenEnv: its client plays over its server, and its validator is content."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from peer_packages import with_extra

TASK = "36"
"""One that is done by one short call."""


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


@pytest.mark.peers
def test_openenv_gives_the_scores_of_our_own_runs(tmp_path: Path) -> None:
    rows = [
        json.loads(line)
        for line in with_extra("openenv")("openenv_play.py", tmp_path, free_port()).splitlines()
    ]
    played, (records, server, folder) = rows[:8], rows[8:]
    for task, total, own_score, terminated, leaks in played:
        assert (total, terminated) == (own_score, True), task
        assert leaks == [], "what an agent must not see is in an observation"
    assert len({total for _, total, *_ in played}) > 1, "all scores are equal: nothing is compared"
    assert records == ["records", True]
    assert server[1] == 0 and server[2].count("PASS") >= 6 and "FAIL" not in server[2], server
    assert folder[1] == 0 and "Verdict: PASS" in folder[2], folder


@pytest.mark.peers
def test_a_grpo_step_of_trl_over_the_client_learns_from_verified_rewards(tmp_path: Path) -> None:
    run = with_extra("openenv,train")
    row = json.loads(run("trl_step.py", tmp_path, free_port(), TASK, timeout=1200, HF_HUB_OFFLINE="1"))
    assert len(row["scores"]) == 8 and row["finite"]
    assert row["reward"] == pytest.approx(sum(row["scores"]) / 8, abs=1e-3)
    assert row["spread"] > 0, "all episodes score alike: there is nothing to learn from"
    assert row["changed"] > 0 and "stop" in row["ended"]
