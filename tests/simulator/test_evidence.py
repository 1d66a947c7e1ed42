"""The evidence digest: what changed, bounded; principles and drift statistics on top of it."""

from __future__ import annotations

import pytest

import ise_gym.trajectory.drift as drift_module
from ise_gym.messages import tool_call, tool_result
from ise_gym.simulator.base import Evidence
from ise_gym.simulator.detectors import DETECTORS
from ise_gym.simulator.evidence import DIGEST_LENGTH, FILES_SHOWN, LINE_LENGTH, command_of, gather, render
from ise_gym.simulator.measuring.recall import Measured
from ise_gym.simulator.principles import PRINCIPLES, principle_of, scorecard
from ise_gym.statistics import wilson
from ise_gym.trajectory.drift import DriftStats
from ise_gym.trajectory.record import Trajectory
from ise_gym.workspace.backends.dummy import DummyWorkspace
from ise_gym.workspace.base import SeedFile


def test_the_digest_shows_files_as_their_owner_would_see_them() -> None:
    box = DummyWorkspace()
    box.seed([SeedFile("a.txt", b"one\n"), SeedFile("old.txt", b"x")])
    before = box.manifest()
    box.write("a.txt", b"one\ntwo\n")
    box.write("new.bin", b"\x00\xff")
    box.remove("old.txt")
    call = tool_call("exec", {"command": "false"}, "c1")
    failed = command_of(call, tool_result("c1", "exec", "", success=False, exit_code=1))
    evidence = gather(box, before, box.manifest(), [failed], [], ["one"], ["two"])
    notes = {note.path: note for note in evidence.files}
    assert notes["a.txt"].lines == ("one", "two") and notes["a.txt"].line_count == 2
    assert notes["new.bin"].lines == () and notes["new.bin"].size == 2
    assert notes["old.txt"].change == "deleted"
    assert evidence.present is not None and "old.txt" not in evidence.present
    text = render(evidence)
    assert text.startswith("- DOES NOT HOLD: two\n- holds: one")
    assert "a.txt: changed, 8 bytes" in text and "failed (exit 1): false" in text


def test_the_digest_is_bounded_whatever_the_agent_did() -> None:
    box = DummyWorkspace()
    before = box.manifest()
    for number in range(60):
        box.write(f"folder/{'x' * 60}{number}.txt", b"y" * 5_000 + b"\n" + b"z\n" * 90)
    evidence = gather(box, before, box.manifest(), [], [], [], ["goal " * 40] * 30)
    assert len(evidence.files) == FILES_SHOWN
    assert all(len(line) <= LINE_LENGTH for note in evidence.files for line in note.lines)
    assert len(render(evidence)) <= DIGEST_LENGTH


def test_an_idle_agent_leaves_a_plain_digest() -> None:
    assert render(Evidence()) == "- no file was created, changed or deleted"


def test_each_detector_serves_one_principle_and_the_trained_voice_none() -> None:
    for name in DETECTORS:
        assert sum(name in p.detectors for p in PRINCIPLES.values()) == (name != "sounds_adrift"), name
    assert principle_of("judge") == principle_of("sounds_adrift") == ""


def test_a_scorecard_gives_the_share_of_turns_that_keep_each_principle() -> None:
    assert scorecard([["offers_help"], [], ["task_dump", "offers_help"], []]) == {
        "perspective_lock": 0.5,
        "register_matching": 1.0,
        "incremental_advancement": 0.75,
        "responsive_conditioning": 1.0,
    }


def test_drift_that_was_refused_and_what_must_have_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = Measured(found=90, out_of_role=100, refused=2, in_role=100)
    monkeypatch.setattr(drift_module, "measured", lambda: figures)
    guard = {"turns": 4, "drifted": 2, "fallbacks": 1, "detector:offers_help": 2}
    drift = [
        {"turn": 2, "detectors": ["offers_help"], "action": "resample"},
        {"turn": 3, "detectors": ["offers_help"], "action": "fallback"},
    ]
    common = {
        "scenario_id": "s",
        "seed": 1,
        "intent": "",
        "outcome": "passed",
        "score": 1.0,
        "messages": [],
        "tools": [],
    }
    stats = DriftStats()
    stats.add(Trajectory(episode_id="1", user={"name": "llm:m", "guard": guard, "drift": drift}, **common))  # type: ignore[arg-type]
    stats.add(Trajectory(episode_id="2", user={"name": "naive"}, **common))  # type: ignore[arg-type]
    found = stats.summary()
    assert found["turns"] == 4 and found["refused"]["rate"] == 0.5 and found["script"]["rate"] == 0.25
    assert found["refused"]["low"] == pytest.approx(wilson(2, 4)[0])
    assert found["by_turn"]["3"]["script"]["count"] == 1 and found["by_turn"]["1"]["refused"]["count"] == 0
    assert found["past_guard"]["low"] <= found["past_guard"]["rate"] <= found["past_guard"]["high"]
    assert list(found["by_user"]) == ["llm:m"] and found["detectors"] == {"offers_help": 2}
    assert DriftStats().summary() == {}
