"""Agents that people have: MCP clients and mini-swe-agent, on episodes with our user."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from peer_packages import with_extra


@pytest.mark.peers
def test_an_mcp_client_plays_as_our_own_agent_does_and_is_recorded(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    lines = with_extra("mcp")("mcp_client.py", tmp_path, str(port)).splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row[0] for row in rows] == ["stdio"] * 8 + ["http"]
    for _, task, outcome, score, own_outcome, own_score, same_words in rows:
        assert (task, outcome, score) == (task, own_outcome, own_score)
        assert same_words, task
    assert len({score for _, _, _, score, *_ in rows}) > 1, "all scores are equal: nothing is compared"


@pytest.mark.peers
def test_mini_swe_agent_plays_by_its_own_class_hooks(tmp_path: Path) -> None:
    lines = with_extra("mini")("mini_run.py", tmp_path, MSWEA_SILENT_STARTUP="1").splitlines()
    rows = [json.loads(line) for line in lines if line.startswith("[")]
    assert len(rows) == 8
    for task, score, own_score, ended, own_outcome, same_words, all_heard in rows:
        assert (score, ended) == (own_score, own_outcome), task
        assert same_words and all_heard, task
    assert len({score for _, score, *_ in rows}) > 1, "all scores are equal: nothing is compared"
