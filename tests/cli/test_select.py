from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from trajectory_samples import trajectory
from typer.testing import CliRunner

from ise_gym.cli import app
from ise_gym.trajectory.store import TrajectoryStore, read_trajectories


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with TrajectoryStore(tmp_path / "in") as made:
        for number in range(6):
            made.append(trajectory(number, "failed" if number == 3 else "passed", user={"name": "scripted"}))
    return tmp_path / "in"


def test_a_selection_has_a_store_a_card_a_datasheet_and_a_page(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["select", str(store), "--out", str(out), "--near", "0", "--license", "cc-by-4.0"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert len(list(read_trajectories(out))) == 5
    card = json.loads((out / "selection/card.json").read_text())
    assert card["episodes"] == {"seen": 6, "kept": 5}
    assert card["fell"]["outcome"] == {"on": True, "first": 1, "breaking": 1, "alone": 1}
    assert card["figures"]["variety"]["distinct"]["skeletons"] == {"total": 10, "distinct": 2}
    sheet = (out / "selection/README.md").read_text()
    assert sheet.startswith('---\nlicense: "cc-by-4.0"\n---') and "5 of 6 episodes" in sheet
    page = (out / "selection/preview.html").read_text()
    assert "outcome: failed" in page and "&lt;b&gt;a&lt;/b&gt;,b" in page and "<b>a</b>,b" not in page
    assert CliRunner().invoke(app, arguments).exit_code == 0  # the same again is taken up, and is the same
    assert json.loads((out / "selection/card.json").read_text()) == card


def test_stats_show_text_and_variety_beside_the_counts(store: Path) -> None:
    result = CliRunner().invoke(app, ["stats", str(store)])
    assert result.exit_code == 0
    assert re.search(r"plan skeletons, one per request\s+│\s+12 │\s+2 \(16\.7 %\)", result.output)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--language", "en"], "give NAME=SHARE"),
        (["--without", "grunding"], "unknown rule 'grunding'"),
        (["--outcome", "pased"], "unknown outcome 'pased'"),
    ],
)
def test_bad_options_are_named(store: Path, tmp_path: Path, given: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["select", str(store), "--out", str(tmp_path / "o"), *given])
    assert result.exit_code != 0 and said in result.output
