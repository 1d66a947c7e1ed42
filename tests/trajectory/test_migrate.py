from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from trajectory_samples import trajectory

from ise_gym.episode.steps import received
from ise_gym.errors import UserError
from ise_gym.trajectory.migrate import MIGRATIONS, READABLE, upgraded
from ise_gym.trajectory.record import SCHEMA_VERSION, Step
from ise_gym.trajectory.stats import store_stats
from ise_gym.trajectory.store import MANIFEST, TrajectoryStore, read_manifest, read_trajectories


def draft(number: int, **changes: Any) -> dict[str, Any]:
    """A record as version 0 had it."""
    return {
        "schema_version": 0,
        "episode_id": f"intent_{number}-0",
        "scenario_id": f"intent_{number}",
        "seed": 1,
        "intent": "Count.",
        "persona": "Ada",
        "success": True,
        "rewards": [0.0, 1.0],
        "messages": [
            {"role": "user", "content": "Count."},
            {"role": "assistant", "content": "Looking."},
            {"role": "user", "content": "And?"},
            {"role": "assistant", "content": "Three."},
        ],
        "tools": [],
        **changes,
    }


@pytest.fixture
def old(tmp_path: Path) -> Path:
    folder = tmp_path / "old"
    (folder / "shards").mkdir(parents=True)
    manifest = {
        "format": "ise_gym trajectories",
        "schema_version": 0,
        "compression": "none",
        "run": {"agent": "a"},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest))
    lines = [draft(1), draft(2, success=False), draft(3, error="workspace: gone")]
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    (folder / "shards" / "part-00000.jsonl").write_text(text)
    return folder


def test_every_version_before_this_one_has_a_way_up() -> None:
    assert sorted(MIGRATIONS) == list(range(SCHEMA_VERSION)) and READABLE[-1] == SCHEMA_VERSION
    present = trajectory(1).model_dump()
    assert upgraded(present) == present and upgraded([7]) == [7]


def test_an_old_store_is_read_as_if_it_were_new(old: Path) -> None:
    before = {p: p.read_bytes() for p in old.rglob("*") if p.is_file()}
    one, two, three = read_trajectories(old)
    assert (one.outcome, one.score, one.persona) == ("passed", 1.0, {"name": "Ada"})
    assert one.steps == [Step(message=1, reward=0.0), Step(message=3, reward=1.0, score=1.0)]
    assert (two.outcome, three.outcome, three.reason) == (
        "failed",
        "infrastructure_error",
        "workspace: gone",
    )
    assert store_stats(old)["outcomes"] == {"failed": 1, "passed": 1}
    assert before == {p: p.read_bytes() for p in old.rglob("*") if p.is_file()}


def test_an_old_store_can_be_written_on(old: Path) -> None:
    lines = (old / "shards" / "part-00000.jsonl").read_bytes()
    with TrajectoryStore(old, run={"agent": "a"}) as store:
        assert store.ids() == {"intent_1-0", "intent_2-0", "intent_3-0"}
        store.append(trajectory(4))
    assert read_manifest(old)["schema_version"] == SCHEMA_VERSION
    assert (old / "shards" / "part-00000.jsonl").read_bytes().startswith(lines)
    assert [t.scenario_id for t in read_trajectories(old)] == [f"intent_{n}" for n in (1, 2, 3, 4)]
    assert {t.schema_version for t in read_trajectories(old)} == {SCHEMA_VERSION}


def test_a_newer_store_is_refused(old: Path) -> None:
    text = (old / MANIFEST).read_text().replace('"schema_version": 0', '"schema_version": 99')
    (old / MANIFEST).write_text(text)
    with pytest.raises(UserError, match=r"schema version 99; this release of ise_gym reads versions 0 to 2"):
        list(read_trajectories(old))


def test_what_a_model_s_server_said_is_kept_beside_the_message_and_nothing_is_added_where_none_spoke() -> (
    None
):
    said = {
        "finish": "length",
        "ended": "cut",
        "usage": {"prompt": 9},
        "id": "x-1",
        "seconds": 0.5,
        "tries": 2,
    }
    completion, arrival = received({"role": "assistant", "content": "", "completion": said}, 4, "main:a")
    assert completion is not None and arrival is not None
    assert completion.model_dump() == {"finish": "length", "ended": "cut", "usage": {"prompt": 9}}
    assert arrival.model_dump() == {
        "message": 4,
        "session": "main:a",
        "id": "x-1",
        "seconds": 0.5,
        "tries": 2,
    }
    assert received({"role": "assistant", "content": "Hi."}, 4) == (None, None)
    plain = trajectory(1).model_dump()
    assert {"findings", "guard_events", "scenario"}.isdisjoint(plain) and "received" not in plain["timings"]
    assert all(set(step) == {"message", "reward", "digest", "score", "error"} for step in plain["steps"])


def test_a_score_of_version_1_is_null_where_nothing_was_verified() -> None:
    before = {**trajectory(1).model_dump(), "schema_version": 1, "score": 0.0}
    assert upgraded({**before, "outcome": "unverified"})["score"] is None
    assert upgraded({**before, "outcome": "failed"})["score"] == 0.0
    assert upgraded({**before, "outcome": "failed"})["schema_version"] == 2
