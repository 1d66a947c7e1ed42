"""The index holds what the store holds, whatever happened to either."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from report_samples import fill, sample

from ise_gym.errors import UserError
from ise_gym.trajectory.record import to_line
from ise_gym.trajectory.store import TrajectoryStore
from ise_gym.view.index import query
from ise_gym.view.index.asked import read_asked
from ise_gym.view.index.build import Progress, update
from ise_gym.view.index.database import index_path, reading
from ise_gym.view.index.facts import TAGS
from ise_gym.view.labels import Labels
from ise_gym.view.library import Library


def filled(*stores: Path) -> Library:
    library = Library(list(stores))
    for run in library.runs:
        update(run.source, run.index, processes=1)
    library.changed()
    return library


def found(library: Library, asked: str) -> list[str]:
    pairs = [tuple(part.split("=", 1)) for part in asked.split("&")] if asked else []
    answer = library.found(read_asked([*pairs, ("sort", "old")]))  # type: ignore[list-item]
    return [row["episode_id"] for _, row in library.rows(answer.places)]


def test_only_what_is_new_is_read(tmp_path: Path) -> None:
    store = fill(tmp_path / "s", [sample(n) for n in range(3)])
    index = index_path(store)
    assert update(store, index) == 3 and update(store, index) == 0
    fill(store, [sample(n) for n in range(3, 5)])
    assert update(store, index) == 2
    assert found(filled(store), "") == [f"episode-{n:04d}" for n in range(5)]


def test_an_interrupted_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ise_gym.view.index.build.BATCH_BYTES", 1)
    store = fill(tmp_path / "s", [sample(n) for n in range(6)])
    index, seen = index_path(store), list[Progress]()
    assert update(store, index, processes=1, on_progress=seen.append, go_on=lambda: len(seen) < 2) == 2
    assert 0 < seen[-1].done < seen[-1].total
    assert update(store, index, processes=1) == 4
    assert len(found(filled(store), "")) == 6


def test_processes_find_what_one_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ise_gym.view.index.build.ALONE_BYTES", 0)
    monkeypatch.setattr("ise_gym.view.index.build.BATCH_BYTES", 20_000)
    store = fill(tmp_path / "s", [sample(n, words=f"word{n}") for n in range(12)])
    assert update(store, index_path(store), processes=2) == 12
    assert found(filled(store), "q=word7") == ["episode-0007"]


def test_a_bad_line_is_told_and_a_torn_one_waits(tmp_path: Path) -> None:
    store = fill(tmp_path / "s", [sample(0)])
    shard = store / "shards" / "part-00000.jsonl"
    whole = to_line(sample(1))
    with shard.open("ab") as file:
        file.write(b'{"not": "a record"}\n' + whole[:100])
    library = filled(store)
    assert found(library, "") == ["episode-0000"]
    (problem,) = library.problems()
    assert "not a trajectory" in problem
    with shard.open("ab") as file:
        file.write(whole[100:])
    assert found(filled(store), "") == ["episode-0000", "episode-0001"]


def test_a_store_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    store = fill(tmp_path / "s", [sample(n) for n in range(4)])
    filled(store)
    (store / "shards" / "part-00000.jsonl").write_bytes(to_line(sample(7, words="other words")) * 1)
    library = filled(store)
    assert found(library, "") == ["episode-0007"] and found(library, "q=plain") == []


def test_zstd_and_lone_files(tmp_path: Path) -> None:
    pytest.importorskip("zstandard")
    packed = tmp_path / "packed"
    with TrajectoryStore(packed, compression="zstd") as store:
        for n in range(3):
            store.append(sample(n, words=f"word{n}"))
    lone = tmp_path / "lone.jsonl"
    lone.write_bytes(to_line(sample(5)) + to_line(sample(6)).rstrip(b"\n"))
    library = filled(packed, lone)
    assert found(library, "q=word2") == ["episode-0002"]
    assert found(library, "store=lone.jsonl") == ["episode-0005", "episode-0006"]
    (run, row), *_ = library.rows(library.found(read_asked([("q", "word2")])).places)
    assert run.record(row).episode_id == "episode-0002"


def test_what_broke_and_was_played_again_is_passed_over(tmp_path: Path) -> None:
    broken = [sample(n, "infrastructure_error") for n in (1, 2)]
    library = filled(fill(tmp_path / "s", [sample(1), *broken]))
    assert sorted(found(library, "")) == ["episode-0001", "episode-0002"]
    assert found(library, "outcome=infrastructure_error") == ["episode-0002"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("outcome=failed", [1, 3]),
        ("outcome=failed&outcome=passed", [0, 1, 2, 3]),
        ("domain=file-io", [1, 3]),
        ("task=file-io/task-2", [2]),
        ("tool=exec&has=failed", [0, 1, 2, 3]),
        ("has=refused", [0, 3]),
        ("min_turns=3", [2]),
        ("min_turns=3&max_turns=2", []),
        ("has=first", []),
        ("agent=expert&complexity=medium&outcome=failed&domain=code-runtime", []),
        ("scenario=intent-2", [2]),
        ("has=nonsense&min_turns=x&min_cost=nan&unknown=1", [0, 1, 2, 3]),
        ("max_score=0.5", [1, 3]),
        ("has=labelled", [1]),
        ("label=odd", [1]),
    ],
)
def test_filters(tmp_path: Path, query: str, expected: list[int]) -> None:
    records = [sample(n, "failed" if n % 2 else "passed", turns=3 if n == 2 else 2) for n in range(4)]
    for n, record in enumerate(records):
        record.user["guard"]["drifted"] = int(n % 3 == 0)
    library = filled(fill(tmp_path / "s", records))
    library.runs[0].labels.add("episode-0001", "odd", "")
    assert found(library, query) == [f"episode-{n:04d}" for n in expected]


def test_orders_and_counts(tmp_path: Path) -> None:
    records = [sample(n, "failed" if n == 1 else "passed", turns=n + 1) for n in range(3)]
    records[2].score = None
    library = filled(fill(tmp_path / "s", records))

    def order(sort: str) -> str:
        places = library.found(read_asked([("sort", sort)])).places
        return "".join(row["episode_id"][-1] for _, row in library.rows(places))

    assert [order(s) for s in ("new", "old", "turns", "short", "score")] == [
        "210",
        "012",
        "210",
        "012",
        "102",
    ]
    spread = library.spread(read_asked([("outcome", "failed")]))
    assert spread["outcome"] == {"passed": 2, "failed": 1}, "a filter counts as if it were not set itself"
    assert spread["complexity"] == {"medium": 1}


def test_labels_survive_two_writers_and_a_torn_end(tmp_path: Path) -> None:
    store = fill(tmp_path / "s", [sample(0)])
    one, two = Labels(store), Labels(store)
    first = one.add("episode-0000", " reward  hack ", "")
    two.add("episode-0000", "", "a note \ud800", message=3, by="me")
    with one.path.open("ab") as file:
        file.write(b'{"id": "torn')
    assert [label.label for label in one.all()] == ["reward hack", ""]
    two.remove(first.id)
    assert [label.message for label in one.all()] == [3]
    assert (store / "labels.jsonl.torn").read_bytes() == b'{"id": "torn'
    assert all(json.loads(line) for line in one.path.read_bytes().splitlines())
    with pytest.raises(UserError, match="Write a label"):
        one.add("episode-0000", " ", "")
    with pytest.raises(UserError, match="not there any more"):
        one.remove(first.id)


def test_folders_of_runs_are_looked_into(tmp_path: Path) -> None:
    fill(tmp_path / "runs" / "before" / "trajectories", [sample(0)])
    fill(tmp_path / "runs" / "after" / "trajectories", [sample(0)])
    assert [run.name for run in Library([tmp_path / "runs"]).runs] == ["after", "before"]
    with pytest.raises(UserError, match="neither a trajectory store nor a folder"):
        Library([fill(tmp_path / "s", [sample(0)]) / "shards"])
    with pytest.raises(UserError, match="no such file"):
        Library([tmp_path / "nowhere"])


def test_every_count_is_under_the_other_filters(tmp_path: Path) -> None:
    records = [
        sample(0, words="red apple"),
        sample(1, "failed", words="red plum"),
        sample(2, "failed", words="green apple"),
        sample(3, words="red pear"),
    ]
    other = fill(tmp_path / "other", [sample(4, "failed", words="red fig"), sample(5, words="blue")])
    library = filled(fill(tmp_path / "s", records), other)
    labels = library.runs[0].labels
    for number, label in ((0, "good"), (1, "good"), (1, "bug"), (2, "bug"), (3, ""), (9, "of none")):
        labels.add(f"episode-{number:04d}", label, "a note")
    labels.add("episode-0001", "good", "twice is once")

    def spread(*pairs: tuple[str, str]) -> dict[str, dict[str, int]]:
        return library.spread(read_asked(pairs))

    whole = spread()
    assert whole["label"] == {"good": 2, "bug": 2} and whole["store"] == {"s": 4, "other": 2}
    assert whole["has"]["labelled"] == 4 and whole["has"]["failed"] == 6
    red = spread(("q", "red"))
    assert red["outcome"] == {"passed": 2, "failed": 2} and red["store"] == {"s": 3, "other": 1}
    assert red["label"] == {"good": 2, "bug": 1} and red["has"]["labelled"] == 3
    assert red["domain"] == {"code-runtime": 2, "file-io": 2}
    both = spread(("q", "red"), ("outcome", "failed"), ("label", "bug"))
    assert both["outcome"] == {"failed": 1}, "red and a bug"
    assert both["label"] == {"good": 1, "bug": 1}, "red and failed"
    assert both["domain"] == {"file-io": 1} and both["has"]["labelled"] == 1, "all of it"
    assert both["store"] == {"s": 1, "other": 0}
    chosen = spread(("label", "bug"), ("store", "other"))
    assert chosen["store"] == {"s": 2, "other": 0} and chosen["label"] == {"bug": 0}
    assert chosen["outcome"] == {}


def test_a_search_runs_once_for_all_counts(tmp_path: Path) -> None:
    library = filled(fill(tmp_path / "s", [sample(n) for n in range(3)]))
    asked = read_asked([("q", "plain"), ("outcome", "passed"), ("domain", "file-io"), ("label", "good")])
    labelled = {"good": frozenset({"episode-0001"})}
    with reading(library.runs[0].index) as connection:
        given = query.condition(asked, labelled)
        sent: list[str] = []
        connection.set_trace_callback(sent.append)
        counted = query.counts_of(connection, given, labelled, (*query.PLAIN, *TAGS, "label", "has"))
        connection.set_trace_callback(None)
        (statement,) = [each for each in sent if each.startswith("WITH")]
        plan = [row["detail"] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
    assert counted[""] == {"": 1} and counted["label"] == {"good": 1}
    assert len([step for step in plan if "words VIRTUAL TABLE" in step]) == 1, plan
