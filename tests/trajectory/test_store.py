from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import signal
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trajectory_samples import trajectory

from ise_gym.errors import UserError
from ise_gym.storage.atomic import replacing
from ise_gym.trajectory import shards
from ise_gym.trajectory.lines.reading import units
from ise_gym.trajectory.record import Trajectory, content_hash, episode_id, to_line
from ise_gym.trajectory.store import MANIFEST, TrajectoryStore, parse_line, read_trajectories

RUN = {"agent": "expert", "seed": 1}


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_what_is_appended_is_read_back(tmp_path: Path, compression: shards.Compression) -> None:
    if compression == "zstd":
        pytest.importorskip("zstandard")
    wanted = [trajectory(n) for n in range(20)]
    with TrajectoryStore(tmp_path / "s", run=RUN, compression=compression) as store:
        for t in wanted[:10]:
            store.append(t)
        assert store.ids() == {t.episode_id for t in wanted[:10]}
    with TrajectoryStore(tmp_path / "s", run=RUN) as store:  # opened again: keeps its own compression
        for t in wanted[10:]:
            store.append(t)
        assert list(store) == wanted
    assert len(list((tmp_path / "s" / "shards").iterdir())) == 1


def test_infrastructure_failures_are_kept_apart(tmp_path: Path) -> None:
    with TrajectoryStore(tmp_path) as store:
        store.append(trajectory(1))
        store.append(trajectory(2, "infrastructure_error"))
        store.append(trajectory(3, "failed"))
        assert len(store.ids()) == 2 and len(store.failed_ids()) == 1
        store.append(trajectory(2))
        assert store.failed_ids() == set()  # it was done since
    assert [t.scenario_id for t in read_trajectories(tmp_path)] == ["intent_1", "intent_3", "intent_2"]
    assert [t.scenario_id for t in read_trajectories(tmp_path, failures=True)] == ["intent_2"]


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_cut_off_at_any_byte_only_the_last_line_is_lost(
    tmp_path: Path, compression: shards.Compression
) -> None:
    if compression == "zstd":
        pytest.importorskip("zstandard")
    store = TrajectoryStore(tmp_path / "s", run=RUN, compression=compression)
    ends = []
    for n in range(3):
        store.append(trajectory(n))
        assert store._shards.path
        ends.append(store._shards.path.stat().st_size)
    shard = store._shards.path
    store.close()
    whole = shard.read_bytes()  # type: ignore[union-attr]
    rng = random.Random(0)
    for cut in [1, ends[1] - 1, ends[1], ends[1] + 1, len(whole) - 1, *rng.sample(range(len(whole)), 12)]:
        shard.write_bytes(whole[:cut])  # type: ignore[union-attr]
        kept = sum(end <= cut for end in ends)
        assert [t.scenario_id for t in read_trajectories(tmp_path / "s")] == [
            f"intent_{n}" for n in range(kept)
        ]
        with TrajectoryStore(tmp_path / "s", run=RUN) as again:
            torn = cut - ([0, *ends][kept])
            assert [t.size for t in again.torn] == ([torn] if torn else [])
            if again.torn:
                aside = again.torn[0].side_file.read_bytes()  # after those of earlier cuts at this line
                assert aside.endswith(whole[:cut][-torn:])
            assert len(again.ids()) == kept
            for n in range(kept, 3):
                again.append(trajectory(n))
        assert list(read_trajectories(tmp_path / "s")) == [trajectory(n) for n in range(3)]


@pytest.mark.parametrize("tail", [b"\0" * 4096, b"\0" * 100 + b"\n", b'{"schema_version":1,"epi\n'])
def test_what_a_power_cut_leaves_is_set_aside_too(tmp_path: Path, tail: bytes) -> None:
    with TrajectoryStore(tmp_path) as store:
        store.append(trajectory(1))
    shard = next((tmp_path / "shards").iterdir())
    with shard.open("ab") as file:
        file.write(tail)
    with TrajectoryStore(tmp_path) as store:
        assert store.torn[0].side_file.read_bytes() == tail
        store.append(trajectory(2))
    assert [t.scenario_id for t in read_trajectories(tmp_path)] == ["intent_1", "intent_2"]


def test_a_bad_line_in_the_middle_is_named_and_nothing_is_cut(tmp_path: Path) -> None:
    with TrajectoryStore(tmp_path) as store:
        for n in range(3):
            store.append(trajectory(n))
    shard = next((tmp_path / "shards").iterdir())
    lines = shard.read_bytes().splitlines(keepends=True)
    for bad, unknown in [
        (b'{"episode_id": "x"}\n', r"part-00000.jsonl, line 2: not a trajectory: scenario_id"),
        (b"rubbish\n", "line 2: not JSON"),
    ]:
        shard.write_bytes(lines[0] + bad + lines[2])
        whose = trajectory(1).episode_id
        with pytest.raises(UserError, match=rf"part-00000.jsonl, line 2 \(episode {whose}\): damaged"):
            list(read_trajectories(tmp_path))
        with pytest.raises(UserError, match=rf"part-00000.jsonl, line 2 \(episode {whose}\).*--repair"):
            TrajectoryStore(tmp_path)
        shutil.move(tmp_path / "index", tmp_path / ".kept")  # as an older release left it
        with pytest.raises(UserError, match=unknown):
            list(read_trajectories(tmp_path))
        shutil.rmtree(tmp_path / "index", ignore_errors=True)
        shutil.move(tmp_path / ".kept", tmp_path / "index")
    assert len(shard.read_bytes().splitlines()) == 3


def test_a_lone_file_is_read_line_by_line(tmp_path: Path) -> None:
    file = tmp_path / "t.jsonl"
    file.write_bytes(to_line(trajectory(1)) + b"\n" + to_line(trajectory(2)).rstrip())
    assert [t.scenario_id for t in read_trajectories(file)] == ["intent_1", "intent_2"]
    file.write_bytes(to_line(trajectory(1)) + to_line(trajectory(2))[:-9])
    with pytest.raises(UserError, match=r"t.jsonl, line 2: not JSON"):
        list(read_trajectories(file))
    file.write_bytes(b"[1,2]\n")
    with pytest.raises(UserError, match=r"line 1: not a trajectory: the line: Input should be"):
        list(read_trajectories(file))
    with pytest.raises(UserError, match="no such file"):
        list(read_trajectories(tmp_path / "nothing"))


def put(path: Path) -> None:
    with replacing(path):
        raise AssertionError("the work began although its result has no place")


def test_wrong_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a trajectory store: it has no manifest"):
        list(read_trajectories(tmp_path))
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="it is not empty and has no"):
        TrajectoryStore(tmp_path)
    with pytest.raises(UserError, match="is a file"):
        TrajectoryStore(tmp_path / "thesis.tex")
    for write in (
        lambda: TrajectoryStore(tmp_path / "thesis.tex" / "s"),
        lambda: put(tmp_path / "thesis.tex" / "a"),
    ):
        with pytest.raises(UserError, match=r"can't be written: .*thesis\.tex is a file, not a folder"):
            write()
    with pytest.raises(UserError, match="it is a folder"):
        put(tmp_path)
    for text, words in [
        ("{", "can't be read"),
        ('{"format": "other"}', "not the manifest"),
        (
            json.dumps({"format": "ise_gym trajectories", "schema_version": 99}),
            "schema version 99; this release",
        ),
    ]:
        (tmp_path / MANIFEST).write_text(text)
        with pytest.raises(UserError, match=words):
            TrajectoryStore(tmp_path)


def test_another_run_is_refused_unless_nothing_was_recorded_yet(tmp_path: Path) -> None:
    TrajectoryStore(tmp_path, run={"agent": "exprt"}).close()
    with TrajectoryStore(tmp_path, run=RUN) as store:
        store.append(trajectory(1))
    with pytest.raises(UserError, match=r"seed was 1, now 2.*resume"):
        TrajectoryStore(tmp_path, run={**RUN, "seed": 2})
    with pytest.raises(UserError, match=r"holds another run \(agent differs\)"):
        TrajectoryStore(tmp_path, run={**RUN, "agent": "x" * 999})
    assert TrajectoryStore(tmp_path).run == RUN


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with TrajectoryStore(tmp_path) as store:
        store.append(trajectory(1))
        real = os.write

        def half(fd: int, data: bytes) -> int:
            if len(data) < 100:
                raise OSError(28, "No space left on device")
            return real(fd, data[: len(data) // 2])

        monkeypatch.setattr(os, "write", half)
        with pytest.raises(UserError, match=r"No space left.*Free some space and run again"):
            store.append(trajectory(2))
        monkeypatch.undo()
        store.append(trajectory(3))
    assert [t.scenario_id for t in read_trajectories(tmp_path)] == ["intent_1", "intent_3"]


def test_large_shards_rotate(tmp_path: Path) -> None:
    writer = shards.ShardWriter(tmp_path / "shards", max_bytes=5000)
    for n in range(9):
        writer.append(to_line(trajectory(n)))
    writer.close()
    paths = shards.shard_paths(tmp_path / "shards")
    assert len(paths) > 2 and sum(1 for p in paths for _ in units(p)) == 9


def _write_many(folder: str, first: int, count: int, barrier: object) -> None:
    with TrajectoryStore(folder, run=RUN) as store:
        barrier.wait()  # type: ignore[attr-defined]
        for n in range(first, first + count):
            store.append(trajectory(n))


def test_several_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    writers = [
        context.Process(target=_write_many, args=(str(tmp_path / "s"), 1000 * n, 60, barrier))
        for n in range(3)
    ]
    for w in writers:
        w.start()
    for w in writers:
        w.join()
    assert [w.exitcode for w in writers] == [0, 0, 0]
    ids = [t.scenario_id for t in read_trajectories(tmp_path / "s")]
    assert len(ids) == len(set(ids)) == 180
    assert len(shards.shard_paths(tmp_path / "s" / "shards")) == 3


def _write_forever(folder: str) -> None:
    with TrajectoryStore(folder, run=RUN) as store:
        done = len(store.ids())
        n = done
        while True:
            store.append(trajectory(n))
            n += 1
            time.sleep(0.0005)


def test_killing_the_writer_again_and_again_loses_no_finished_line(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    rng = random.Random(1)
    before: list[str] = []
    for _ in range(3):
        writer = context.Process(target=_write_forever, args=(str(tmp_path / "s"),))
        writer.start()
        manifest = tmp_path / "s" / MANIFEST
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if manifest.exists() and len(list(read_trajectories(tmp_path / "s"))) > len(before) + 3:
                break
        time.sleep(rng.random() * 0.05)
        assert writer.pid
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        ids = [t.scenario_id for t in read_trajectories(tmp_path / "s")]
        assert ids[: len(before)] == before and len(ids) > len(before)
        assert ids == [f"intent_{n}" for n in range(len(ids))]
        before = ids


def test_reading_needs_constant_memory(tmp_path: Path) -> None:
    big = "x" * 20_000
    with TrajectoryStore(tmp_path) as store:
        for n in range(300):  # 6 MB
            store.append(trajectory(n, intent=big))
    tracemalloc.start()
    count = sum(1 for _ in read_trajectories(tmp_path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 300 and peak < 1_500_000


@settings(max_examples=60, deadline=None)
@given(st.text(), st.dictionaries(st.text(max_size=5), st.text(max_size=20), max_size=3))
def test_any_text_survives_a_line(content: str, extra: dict[str, str]) -> None:
    made = trajectory(0, messages=[{"role": "user", "content": content, "name": "\ud800"}], metadata=extra)
    line = to_line(made)
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert parse_line(line, "here") == made


def test_timings_are_all_that_the_content_hash_leaves_out() -> None:
    one, two = trajectory(1), trajectory(1)
    two.timings.total_s = 99
    assert content_hash(one) == content_hash(two)
    assert content_hash(trajectory(1, reason="x")) != content_hash(one)


def test_ids_are_stable_readable_and_safe_as_file_names() -> None:
    assert episode_id("a/../b c", 1, "x").startswith("a_.._b_c-")
    assert len({episode_id("a", seed, agent) for seed in range(3) for agent in "xy"}) == 6
    assert Trajectory.model_fields.keys() >= {"timings"} and list(Trajectory.model_fields)[1] == "episode_id"


def test_threads_that_open_a_new_store_at_once_all_write_to_it(tmp_path: Path) -> None:
    ready = threading.Barrier(12)

    def write(number: int) -> None:
        ready.wait()
        with TrajectoryStore(tmp_path / "s") as store:
            store.append(trajectory(number))

    for attempt in range(5):
        with ThreadPoolExecutor(12) as pool:
            list(pool.map(write, range(12)))
        assert {t.scenario_id for t in read_trajectories(tmp_path / "s")} == {
            f"intent_{n}" for n in range(12)
        }
        (tmp_path / "s").rename(tmp_path / f"s{attempt}")
