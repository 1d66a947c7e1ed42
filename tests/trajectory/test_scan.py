"""A store that many processes read gives what one gives, to the byte."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from trajectory_samples import delegating, trajectory

from ise_gym.errors import UserError
from ise_gym.trajectory.exchange.export import Exported, export_file
from ise_gym.trajectory.filter import Filtered, Rules, filter_store
from ise_gym.trajectory.record import Outcome
from ise_gym.trajectory.scan import parts, workers
from ise_gym.trajectory.scan.parts import Part, lines_of, parts_of
from ise_gym.trajectory.scan.verify import verify_store
from ise_gym.trajectory.select.rules import Selection
from ise_gym.trajectory.select.run import select_store
from ise_gym.trajectory.stats import Stats, read_all, store_stats
from ise_gym.trajectory.store import TrajectoryStore, raw_records, read_trajectories

OUTCOMES: tuple[Outcome, ...] = ("passed", "failed", "unverified", "infrastructure_error")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a store of several shards and many parts, with failures, twins, a secret and an address."""
    folder = tmp_path_factory.mktemp("large") / "s"
    with TrajectoryStore(folder) as made, TrajectoryStore(folder) as second, TrajectoryStore(folder) as third:
        for n in range(40):
            outcome = OUTCOMES[n % 4 if n % 8 < 4 else 0]
            writer = (made, second, third)[n // 14]  # each has a shard of its own
            writer.append(trajectory(n, outcome, timings={"total_s": 0.1 * n}))
        made.append(trajectory(3))  # played again, and well
        made.append(trajectory(100, seed=2, episode_id="twin"))
        made.append(trajectory(100, seed=3, episode_id="twin again"))
        made.append(delegating(50).model_copy(update={"outcome": "passed"}))
        made.append(trajectory(60, intent="key " + "AKIA" + "ABCDEFGHIJKLMNOP"))
        made.append(trajectory(61, intent="write to ada@lovelace.co.uk"))
    return folder


@pytest.fixture
def _in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_BYTES", 10_000)
    monkeypatch.setattr(workers, "WORTH_IT", 0)


def test_parts_are_the_store_in_its_order(store: Path, _in_pieces: None) -> None:
    cut = parts_of(store)
    assert len(cut) > 10 and len({part.path for part in cut}) == 3
    whole = [(file, number, line) for file, number, line in raw_records(store)]
    assert [(part.path, number, line) for part in cut for number, line in lines_of(part)] == whole


def test_what_is_not_indexed_yet_is_a_part_too(store: Path, tmp_path: Path) -> None:
    lone = tmp_path / "lone.jsonl"
    lone.write_bytes(b"".join(line + b"\n" for _, _, line in raw_records(store)))
    (part,) = parts_of(lone)
    assert [line for _, line in lines_of(part)] == [line for _, _, line in raw_records(store)]
    assert store_stats(lone)["episodes"] == store_stats(store)["episodes"]


def test_figures_are_equal(store: Path, _in_pieces: None) -> None:
    alone = store_stats(store, workers=1)
    assert store_stats(store, workers=3) == alone
    counted = Stats()
    for episode in read_all(store):
        counted.add(episode)
    single = counted.summary()
    assert single.pop("seconds_an_episode") == pytest.approx(alone.pop("seconds_an_episode"))
    assert single.pop("mean_score") == pytest.approx(alone.pop("mean_score"))
    assert single == alone and alone["infrastructure_errors"] == {"workspace": 4}


@pytest.mark.parametrize(
    ("format", "name"),
    [("openai", "a.jsonl"), ("isetrace", "a.jsonl"), ("trl", "a.jsonl"), ("trl", "a.parquet"), ("atif", "a")],
)
def test_exports_are_equal(store: Path, tmp_path: Path, _in_pieces: None, format: str, name: str) -> None:
    if name.endswith(".parquet"):
        pytest.importorskip("datasets")

    def made(count: int) -> tuple[Exported, dict[str, bytes]]:
        out = tmp_path / str(count) / name
        counts = export_file(store, format, out, passed_only=True, workers=count)
        files = sorted(out.iterdir()) if out.is_dir() else [out]
        return counts, {file.name: file.read_bytes() for file in files}

    alone, several = made(1), made(3)
    assert alone == several and alone[0].secrets and alone[0].personal and alone[0].sessions == 2


@pytest.mark.parametrize("rules", [Rules(unique=True), Rules(no_secrets=True, no_personal=True)])
def test_filters_are_equal(store: Path, tmp_path: Path, _in_pieces: None, rules: Rules) -> None:
    def made(count: int) -> tuple[Filtered, list[bytes]]:
        out = tmp_path / str(count)
        counts = filter_store(store, out, rules, workers=count)
        return counts, [line for _, _, line in raw_records(out)]

    alone = made(1)
    assert made(3) == alone and alone[0].seen > alone[0].kept > 5


def test_selections_are_equal_and_known_facts_are_not_read_again(
    store: Path, tmp_path: Path, _in_pieces: None
) -> None:
    rules = Selection(near=0.0, without=("guard",))
    alone, facts = select_store(store, tmp_path / "one", rules)
    several, same = select_store(store, tmp_path / "three", rules, workers=3)
    assert (alone, facts) == (several, same) and alone.kept
    assert [*read_trajectories(tmp_path / "one")] == [*read_trajectories(tmp_path / "three")]
    log = next((tmp_path / "three" / "selection").glob("facts-*.jsonl"))
    size = log.stat().st_size
    assert select_store(store, tmp_path / "three", rules, workers=3) == (alone, facts)
    assert log.stat().st_size == size


def test_verification_is_equal(store: Path, _in_pieces: None) -> None:
    assert verify_store(store, workers=3) == verify_store(store) and verify_store(store).whole


def _dies(part: Part) -> Iterator[int]:
    if part.first > 1:
        os.kill(os.getpid(), signal.SIGKILL)
    yield part.first


def _complains(part: Part) -> Iterator[int]:
    raise UserError(f"{part.path}: not good")
    yield 0


def test_what_ends_a_process_or_its_work_is_said(store: Path, _in_pieces: None) -> None:
    with pytest.raises(UserError, match="a worker process was killed"):
        list(workers.in_parts(parts_of(store), _dies, 2))
    with pytest.raises(UserError, match="not good"):
        list(workers.in_parts(parts_of(store), _complains, 2))
