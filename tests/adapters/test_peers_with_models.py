"""A real small model plays through other projects' harnesses: only the plumbing is judged, never the model's wit."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from peer_packages import ROOT, with_extra

pytestmark = [
    pytest.mark.models,
    pytest.mark.peers,
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get("ISE_REAL_MODELS"),
        reason="NOT TESTED with a real model: ISE_REAL_MODELS is not set",
    ),
]
MODEL = os.environ.get("ISE_REAL_MODEL", "smollm2-135m")


@pytest.fixture(scope="module")
def served() -> Iterator[Any]:
    sys.path.insert(0, str(ROOT / "scripts"))
    from real_models import serving  # type: ignore[attr-defined]

    with serving(MODEL, context=8192) as server:
        yield server


@pytest.mark.parametrize("peer", ["verifiers", "inspect"])
def test_a_real_models_answers_reach_the_user_and_the_record_alike(
    served: Any, tmp_path: Path, peer: str
) -> None:
    lines = with_extra(peer)(f"{peer}_real.py", tmp_path, served.base_url, served.model, timeout=1800)
    rows = json.loads(lines)
    assert len(rows) == 2
    for row in rows:
        assert row["same"], "the peer's conversation is not the record's"
        assert row["outcome"] in ("passed", "failed", "truncated") and row["spoken"] > 0
        assert all(ended in ("stop", "cut") for ended in row["ended"]), row["ended"]
        assert len(row["tokens"]) == row["spoken"] and all(0 < n <= 64 for n in row["tokens"])
        assert len(row["untaught"]) >= row["ended"].count("cut"), "what was cut would be taught"
