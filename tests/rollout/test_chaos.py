"""A quick round of ``benchmarks/chaos.py``: whatever is killed, every episode ends up recorded exactly once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHAOS = Path(__file__).parents[2] / "benchmarks" / "chaos.py"


@pytest.mark.slow
def test_nothing_is_lost_whatever_breaks() -> None:
    done = subprocess.run(
        [
            sys.executable,
            str(CHAOS),
            "--fast",
            "--episodes",
            "12",
            "--kinds",
            "driver,disk,endpoint,flip,cut,delete",
            "--runs",
            "6",
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 of 6 runs lost nothing" in done.stdout
    assert done.stdout.count("every episode once") == 6
