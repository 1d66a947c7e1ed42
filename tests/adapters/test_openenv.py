"""OpenEnv: its client plays over its server, and its validator is content."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from peer_packages import with_extra


@pytest.mark.peers
def test_openenv_gives_the_scores_of_our_own_runs(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    rows = [
        json.loads(line)
        for line in with_extra("openenv")("openenv_play.py", tmp_path, str(port)).splitlines()
    ]
    played, (records, server, folder) = rows[:8], rows[8:]
    for task, total, own_score, terminated, leaks in played:
        assert (total, terminated) == (own_score, True), task
        assert leaks == [], "what an agent must not see is in an observation"
    assert len({total for _, total, *_ in played}) > 1, "all scores are equal: nothing is compared"
    assert records == ["records", True]
    assert server[1] == 0 and server[2].count("PASS") >= 6 and "FAIL" not in server[2], server
    assert folder[1] == 0 and "Verdict: PASS" in folder[2], folder
