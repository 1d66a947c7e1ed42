"""The detectors, measured on labelled turns; and the set itself: large enough, varied enough, well-formed."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ise_gym.cli import app
from ise_gym.errors import UserError
from ise_gym.simulator.detectors import DETECTORS, detect
from ise_gym.simulator.measuring.driftset import read_set
from ise_gym.simulator.measuring.measure import evaluate

SET = Path(__file__).parent / "drift_set.jsonl"
LABELLED = (
    "assistant_voice", "offers_help", "asks_about_own_task", "answers_instead_of_asking", "tool_call_syntax",
    "stage_direction", "scenario_leak", "task_dump", "repeats_itself", "register_break", "language_switch",
    "invented_state", "premature_end", "empty_turn",
)  # fmt: skip
"""The kinds that this set was written for; what came later has its own set."""


@pytest.fixture(scope="module")
def turns() -> Any:
    return list(read_set(SET))


def test_the_set_is_large_and_varied(turns: Any) -> None:
    assert len(turns) >= 600 and len({turn.id for turn in turns}) == len(turns)
    labels = Counter(label for turn in turns for label in turn.labels)
    held = Counter(label for turn in turns if turn.split == "held-out" for label in turn.labels)
    assert min(labels[name] for name in LABELLED) >= 40
    assert min(held[name] for name in LABELLED) >= 20
    assert sum(not turn.labels for turn in turns) >= 100, "hard negatives"
    registers = {turn.known.persona.register for turn in turns}
    assert registers == {"casual", "collaborative", "analytical", "formal"}
    # the same words may be right in one place and an echo in another, but no draft comes back with its labels
    drafts = Counter(
        (turn.turn.text.strip().lower(), turn.labels) for turn in turns if turn.turn.text.strip()
    )
    assert max(n for (text, _), n in drafts.items() if len(text.split()) > 4) == 1


def test_held_out_precision_and_recall(turns: Any) -> None:
    result = evaluate(turns, "held-out", without=frozenset(DETECTORS) - frozenset(LABELLED))
    assert result.overall.precision >= 0.97 and result.overall.recall >= 0.95
    for name, score in result.detectors.items():
        assert score.precision >= 0.90 and score.recall >= 0.85, (name, score)
    whole = evaluate(turns, "held-out")
    assert whole.flagged_clean <= 0.03 * whole.clean


def test_equal_turns_get_equal_verdicts(turns: Any) -> None:
    for turn in turns[::9]:
        assert detect(turn.turn, turn.view, turn.known) == detect(turn.turn, turn.view, turn.known)


def test_the_detectors_are_quick(turns: Any) -> None:
    sample = turns[::6]
    for turn in sample:  # caches of the scenarios are warm in an episode, too
        detect(turn.turn, turn.view, turn.known)
    began = time.process_time()
    for turn in sample:
        detect(turn.turn, turn.view, turn.known)
    assert (time.process_time() - began) / len(sample) <= 0.002


def test_the_command_prints_what_it_measured() -> None:
    result = CliRunner().invoke(app, ["guard", "eval", "--json", "--mistakes"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    written = found["written, held-out"]
    assert set(written["detectors"]) == set(DETECTORS)
    assert written["whole"]["recall"]["of"] == written["turns"] - written["clean"] > 300
    wrong = sum(one["false_alarms"] + one["misses"] for one in written["detectors"].values())
    assert len(written["mistakes"]) == wrong


WISH = {"name": "a/b", "text": "Sort x.csv."}
LINE = {
    "id": "1",
    "scenario": {"id": "s", "wishes": [WISH]},
    "persona": {"name": "Ann"},
    "turn": {"text": "Sort x.csv."},
}


def test_anyone_can_bring_a_set(tmp_path: Path) -> None:
    later = {
        **LINE,
        "id": "2",
        "scenario": "s",
        "persona": "Ann",
        "turn": {"text": "..."},
        "labels": ["empty_turn"],
    }
    path = tmp_path / "own.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in (LINE, later)) + "\n")
    result = evaluate(read_set(path))
    assert result.turns == 2 and result.overall.hits == 1 and result.overall.false_alarms == 0
    out = CliRunner().invoke(app, ["guard", "eval", "--set", str(path)])
    assert out.exit_code == 0 and "2 turns" in out.output and "1 of 1 = 100.0 %" in out.output


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"labels": ["emty_turn"]}, "Did you mean 'empty_turn'"),
        ({"scenario": "other"}, "'other' was not given in full"),
        ({"turn": {"txt": "x"}}, "line 1: turn.text"),
        ({"split": "test"}, "line 1: split"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, change: Any, expected: Any) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps({**LINE, **change}) + "\n")
    with pytest.raises(UserError) as caught:
        list(read_set(path))
    assert expected in str(caught.value)


def test_broken_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text("{\n")
    with pytest.raises(UserError, match="line 1: not JSON"):
        list(read_set(path))
