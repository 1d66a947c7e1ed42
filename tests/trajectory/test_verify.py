"""A damaged line costs its own episode, is named, and is moved and not lost."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trajectory_samples import trajectory
from typer.testing import CliRunner

from ise_gym.cli import app
from ise_gym.errors import UserError
from ise_gym.trajectory.lines.index import index_path, read_index, sealed
from ise_gym.trajectory.scan.verify import ShardReport, Verified, verify_store
from ise_gym.trajectory.shards import Compression, shard_paths
from ise_gym.trajectory.store import TrajectoryStore, read_trajectories

KINDS = ["none", "zstd"]


def filled(folder: Path, count: int = 6, compression: Compression = "none") -> Path:
    """Make a store of some episodes and return its only shard."""
    if compression == "zstd":
        pytest.importorskip("zstandard")
    with TrajectoryStore(folder, compression=compression) as store:
        for n in range(count):
            store.append(trajectory(n))
    (shard,) = shard_paths(folder / "shards")
    return shard


def flip(shard: Path, place: int) -> bytes:
    """Flip the bits of a byte; return what the file was."""
    before = shard.read_bytes()
    shard.write_bytes(before[:place] + bytes([before[place] ^ 0xFF]) + before[place + 1 :])
    return before


def ids(folder: Path) -> list[str]:
    return [t.episode_id for t in read_trajectories(folder)]


def only(found: Verified) -> ShardReport:
    """Return the report of a store's only shard."""
    (report,) = found.shards
    return report


@pytest.mark.parametrize("compression", KINDS)
def test_the_index_has_a_line_for_each_record_and_is_sealed_on_close(
    tmp_path: Path, compression: Compression
) -> None:
    shard = filled(tmp_path / "s", 4, compression)
    index = read_index(shard)
    assert [entry.episode for entry in index.entries] == ids(tmp_path / "s")
    assert index.size == shard.stat().st_size and sealed(shard)
    assert only(verify_store(tmp_path / "s")) == ShardReport(shard, lines=4)


@pytest.mark.parametrize("compression", KINDS)
@pytest.mark.parametrize("where", [0.02, 0.5, 0.97])
def test_a_flipped_byte_costs_one_episode(tmp_path: Path, compression: Compression, where: float) -> None:
    shard = filled(tmp_path / "s", 6, compression)
    whole = ids(tmp_path / "s")
    hit = read_index(shard).entries[2]
    place = hit.start + int(where * (hit.end - hit.start))
    before = flip(shard, place)
    named = rf"line 3 \(episode {hit.episode}\)"
    with pytest.raises(UserError, match=named):
        TrajectoryStore(tmp_path / "s")
    with pytest.raises(UserError, match=named):
        ids(tmp_path / "s")
    damaged = shard.read_bytes()
    found = verify_store(tmp_path / "s")
    (damage,) = only(found).damaged
    assert (damage.line, damage.episodes, only(found).lines, found.whole) == (3, (hit.episode,), 5, False)
    assert shard.read_bytes() == damaged, "looking changed something"
    report = only(verify_store(tmp_path / "s", repair=True))
    ((_, side),) = report.aside
    assert side.read_bytes() == damaged[hit.start : hit.end]
    assert shard.stat().st_size == len(before)
    assert verify_store(tmp_path / "s").whole
    rest = [i for i in whole if i != hit.episode]
    assert ids(tmp_path / "s") == rest
    with TrajectoryStore(tmp_path / "s") as store:
        assert store.ids() == set(rest)
        store.append(trajectory(2))
    assert sorted(ids(tmp_path / "s")) == sorted(whole)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), compression=st.sampled_from(KINDS))
def test_whatever_is_flipped_all_other_episodes_stay(
    tmp_path_factory: pytest.TempPathFactory, seed: int, compression: Compression
) -> None:
    folder = tmp_path_factory.mktemp("flip") / "s"
    shard = filled(folder, 5, compression)
    whole, entries = ids(folder), read_index(shard).entries
    rng = random.Random(seed)
    places = [rng.randrange(shard.stat().st_size) for _ in range(rng.randrange(1, 4))]
    for place in places:
        flip(shard, place)
    hit = {e.episode for e in entries for place in places if e.start <= place < e.end}
    verify_store(folder, repair=True)
    left = ids(folder)
    assert set(whole) - hit <= set(left) and len(left) == len(set(left))
    with TrajectoryStore(folder) as store:
        assert store.ids() == set(left)


def test_an_older_store_gets_its_index_when_it_is_opened_or_verified(tmp_path: Path) -> None:
    shard = filled(tmp_path / "s")
    whole = read_index(shard)
    shutil.rmtree(tmp_path / "s" / "index")
    assert len(ids(tmp_path / "s")) == 6
    assert only(verify_store(tmp_path / "s")).added == 6
    assert read_index(shard).entries == whole.entries and sealed(shard)
    shutil.rmtree(tmp_path / "s" / "index")
    with TrajectoryStore(tmp_path / "s"):
        pass
    assert read_index(shard).entries == whole.entries and sealed(shard)


def test_resume_does_not_read_a_shard_that_nobody_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path / "s")
    asked: list[object] = []
    monkeypatch.setattr("ise_gym.trajectory.shards.check", lambda *given: asked.append(given))
    with TrajectoryStore(tmp_path / "s") as store:
        assert len(store.ids()) == 6
    assert asked == []


@pytest.mark.parametrize("cut", [1, 7, 40])
def test_a_torn_index_is_made_whole_from_the_shard(tmp_path: Path, cut: int) -> None:
    shard = filled(tmp_path / "s")
    path = index_path(shard)
    path.write_bytes(path.read_bytes()[:-cut])
    with TrajectoryStore(tmp_path / "s") as store:
        assert len(store.ids()) == 6
        store.append(trajectory(6))
    assert [e.episode for e in read_index(shard).entries] == ids(tmp_path / "s") and sealed(shard)


def test_a_deleted_shard_is_said(tmp_path: Path) -> None:
    shard = filled(tmp_path / "s", 3)
    shard.unlink()
    for read in (TrajectoryStore, ids):
        with pytest.raises(UserError, match=r"part-00000.jsonl: this shard is deleted; it held 3 episodes"):
            read(tmp_path / "s")
    report = only(verify_store(tmp_path / "s"))
    assert report.deleted and len(report.gone) == 3
    verify_store(tmp_path / "s", repair=True)
    with TrajectoryStore(tmp_path / "s") as store:
        assert store.ids() == set()
    assert len(list((tmp_path / "s" / "torn").iterdir())) == 1


def test_a_line_that_was_cut_out_is_said_to_be_gone(tmp_path: Path) -> None:
    shard = filled(tmp_path / "s", 4)
    gone = read_index(shard).entries[1]
    data = shard.read_bytes()
    shard.write_bytes(data[: gone.start] + data[gone.end :])
    assert only(verify_store(tmp_path / "s")).gone == [gone.episode]
    with TrajectoryStore(tmp_path / "s") as store:
        assert store.gone == [gone.episode] and len(store.ids()) == 3


def test_the_command_names_the_line_sets_it_aside_and_its_exit_code_says_so(tmp_path: Path) -> None:
    shard = filled(tmp_path / "s", 4)
    hit = read_index(shard).entries[1]
    flip(shard, hit.start + 300)
    ask = CliRunner()
    found = ask.invoke(app, ["verify", str(tmp_path / "s")])
    assert found.exit_code == 1
    assert f"shards/part-00000.jsonl, line 2 (episode {hit.episode}): not what was written" in found.output
    assert "3 records in 1 shards are whole; 1 damaged. `ise verify" in found.output
    told = json.loads(ask.invoke(app, ["verify", str(tmp_path / "s"), "--json"]).output)
    assert told["shards"][0]["damaged"][0]["episodes"] == [hit.episode] and not told["whole"]
    mended = ask.invoke(app, ["verify", str(tmp_path / "s"), "--repair"])
    assert mended.exit_code == 0 and "1 set aside. The same `ise rollout`" in mended.output
    assert ask.invoke(app, ["verify", str(tmp_path / "s")]).exit_code == 0
