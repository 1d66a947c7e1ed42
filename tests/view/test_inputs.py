"""What the report is given from other commands: run cards and comparisons, good and bad."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ise_gym.errors import UserError
from ise_gym.view import read_comparison, read_run_card


def test_run_card(tmp_path: Path) -> None:
    (tmp_path / "run_card.json").write_text(json.dumps({"losses": [[10, 2.5], [20, 1.25]]}))
    assert read_run_card(tmp_path) == [{"step": 10, "loss": 2.5}, {"step": 20, "loss": 1.25}]


@pytest.mark.parametrize(("text", "says"), [("{}", "losses"), ("{", "not JSON"), (None, "can't be read")])
def test_no_run_card(tmp_path: Path, text: str, says: str) -> None:
    if text is not None:
        (tmp_path / "run_card.json").write_text(text)
    with pytest.raises(UserError, match=says):
        read_run_card(tmp_path)


def test_comparison(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps({"runs": [{"label": "a", "passed": 43, "total": 114}], "p_value": 0.5}))
    found = read_comparison(path)
    assert found.runs[0].rate == pytest.approx(43 / 114)
    path.write_text(json.dumps({"runs": [{"label": "a", "passed": 5, "total": 4}]}))
    with pytest.raises(UserError, match="5 passed of 4"):
        read_comparison(path)
