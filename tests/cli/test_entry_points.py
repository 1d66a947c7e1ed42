"""``python -m eval …`` and ``python -m training.…`` in a checkout are the ``ise`` command under older names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from eval.__main__ import translated

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("run --suite demo-easy --agent a --out o", "eval run --suite demo-easy --agent a --out o"),
        ("run --agent a --suite claweval --claw-eval d", "claweval run --agent a --checkout d"),
        ("run --suite=claweval --claw-eval=d -q", "claweval run --checkout=d -q"),
        ("compare a b --json", "eval compare a b --json"),
        ("report a", "eval report a"),
        ("suite freeze x --easy 3", "eval suite freeze x --easy 3"),
        ("reproduce-ise a --markdown", "eval reproduce a --markdown"),
        ("compare --suite claweval", "eval compare --suite claweval"),
        ("", "eval"),
    ],
)
def test_an_old_command_line_means_the_same(old: str, new: str) -> None:
    assert translated(old.split()) == new.split()


@pytest.mark.parametrize(
    ("module", "usage"),
    [
        ("eval", "Usage: ise eval"),
        ("training.sft", "Usage: ise train sft"),
        ("training.grpo", "Usage: ise train grpo"),
        ("training.merge", "Usage: ise train merge"),
        ("training.success", "Usage: ise train success"),
        ("training.plot_rewards", "Usage: ise train plot-rewards"),
    ],
)
def test_every_entry_point_starts(module: str, usage: str) -> None:
    done = subprocess.run([sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and usage in done.stdout, done.stderr


def test_the_benchmark_is_reached_by_its_old_name(tmp_path: Path) -> None:
    suite = ROOT / "tests" / "evaluation" / "fixture_suite"
    command = [sys.executable, "-m", "eval", "run", "--suite", "claweval", "--claw-eval", str(suite)]
    options = [
        "--tasks",
        "T901_file_a_note",
        "--agent",
        "explorer",
        "--sandbox",
        "none",
        "--out",
        str(tmp_path / "o"),
    ]
    done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "claweval (upstream), 1 tasks" in done.stdout, done.stderr
