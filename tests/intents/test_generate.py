"""Pools: duplicates and faulty texts are left out and counted; the number of workers changes nothing."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ise_gym.cli import app
from ise_gym.errors import UserError
from ise_gym.intents.intent import Intent
from ise_gym.intents.pool import generate as generate_module
from ise_gym.intents.pool.dedup import Deduplicator, normalised, signature, stages
from ise_gym.intents.pool.generate import generate
from ise_gym.intents.source import IntentSource
from ise_gym.personas.lint import voice_problems

TEXT = "Please sort the rows of quay/orders.csv by date and put the result into quay/sorted.csv, with its header. "
OTHER = (
    "I need a list of all files below pier/photos that are larger than two megabytes, biggest first, thanks. "
)


def test_stages_remove_what_they_are_for() -> None:
    pytest.importorskip("datasketch")
    texts = {
        "a": TEXT + OTHER,
        "same": TEXT + OTHER,
        "case": (TEXT + OTHER).upper().replace(". ", "!  "),
        "near": TEXT + OTHER + "Cheers!",
        "far": OTHER + "And nothing else.",
    }

    def kept(upto: str) -> list[str]:
        pool = Deduplicator(upto)  # type: ignore[arg-type]
        return [name for name, text in texts.items() if pool.admit(name, text)]

    assert kept("none") == list(texts)
    assert kept("exact") == ["a", "case", "near", "far"]
    assert kept("normalised") == ["a", "near", "far"]
    assert kept("minhash") == ["a", "far"]
    pool = Deduplicator("minhash")
    assert [pool.admit(name, text, signature(text)) for name, text in texts.items()].count(True) == 2
    report = pool.report()
    assert {stage: entry["removed"] for stage, entry in report.items()} == {
        "exact": 1,
        "normalised": 1,
        "minhash": 1,
    }
    assert report["minhash"]["examples"] == [{"removed": "near", "kept": "a", "text": texts["near"][:160]}]


def test_the_similarity_of_signatures_is_that_of_the_word_sequences() -> None:
    pytest.importorskip("datasketch")
    words = [f"w{i}" for i in range(400)]
    first, second = " ".join(words[:300]), " ".join(words[100:])
    shared = (signature(first) == signature(second)).mean()
    assert abs(shared - 197 / 397) < 0.13
    assert (signature(first) == signature(first.upper())).all()


def test_normalising_keeps_words_and_paths() -> None:
    assert normalised("- Sort (a/b.csv)!  NOW") == "sort a/b.csv now"
    assert normalised("a b") != normalised("ab")


def test_unknown_stages_and_a_missing_library_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="Did you mean 'minhash'"):
        stages("minihash")
    monkeypatch.setitem(sys.modules, "datasketch", None)
    with pytest.raises(UserError, match=r"pip install 'ise-gym\[dedup\]'"):
        Deduplicator("minhash")


def test_faulty_and_repeated_intents_are_left_out_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = IntentSource.intent

    def with_faults(self: IntentSource, seed: int) -> Intent:
        intent = drawn(self, seed if seed != 4 else 3)
        text = {2: f"{intent.text} {{{{ name }}}}"}.get(seed, intent.text)
        brief = {5: f"the the {intent.brief}", 6: drawn(self, 7).brief}.get(seed, intent.brief)
        return replace(intent, id=f"{self.name}-{seed}", text=text, brief=brief)

    monkeypatch.setattr(IntentSource, "intent", with_faults)
    path = generate(8, 0, tmp_path, split="train", tasks_per_intent=1, tier="easy")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["quality"]["removed"] == {"doubled word": 1, "placeholder": 1}
    assert manifest["dedup"]["exact"]["removed"] == 1
    assert (manifest["drawn"], manifest["count"]) == (8, len(path.read_text().splitlines())) == (8, 5)


@pytest.mark.slow
def test_workers_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate_module, "_CHUNK", 7)
    seen: list[tuple[int, int]] = []
    options = {"split": "train", "tasks_per_intent": 1, "tier": "easy"}
    alone = generate(30, 2, tmp_path / "a", workers=1, **options)  # type: ignore[arg-type]
    together = generate(
        30,
        2,
        tmp_path / "b",
        workers=2,
        on_progress=lambda d, n: seen.append((d, n)),
        **options,  # type: ignore[arg-type]
    )
    assert alone.read_bytes() == together.read_bytes()
    assert seen == [(i, 30) for i in range(1, 31)]


@pytest.mark.slow
def test_two_thousand_utterances_read_without_a_fault() -> None:
    """The benchmark looks through ten thousand with the same linter."""
    source, utterances, wrong = IntentSource("train"), 0, []
    for seed in range(10_000, 10_000 + 310):
        intent = source.intent(seed)
        utterances += len(intent.utterances)
        wrong += [(intent.id, p) for text in (*intent.utterances, intent.text) for p in voice_problems(text)]
    assert utterances >= 2000 and wrong == []


def test_the_linter_finds_plurals_and_spares_addresses() -> None:
    for text in ("Copy 1 files to x.", "Put 2 file in y.", "Move 3 copy of it.", "Look at each entries."):
        assert [p.partition(":")[0] for p in voice_problems(text)] == ["plural"], text
    for text in (
        "One file, 12 rows, a 3 line summary of each day.",
        "make it from http://a.example/ : name,team",
    ):
        assert voice_problems(text) == []
    assert voice_problems("see a/b.csv , then go")[0].startswith("space before punctuation")


def test_the_command_prints_the_report_and_the_path(tmp_path: Path) -> None:
    arguments = [
        "intents",
        "generate",
        "--count",
        "12",
        "--out",
        str(tmp_path),
        "--tasks-per-intent",
        "1",
        "--tier",
        "easy",
    ]
    result = CliRunner().invoke(app, [*arguments, "--dedup", "exact", "--workers", "1"])
    assert result.exit_code == 0 and result.stdout.strip() == str(tmp_path / "intents.jsonl")
    for words in (
        "exact duplicates",
        "quality (grammar, placeholders)",
        "points",
        "before any parameter is drawn",
    ):
        assert words in " ".join(result.stderr.split())
    assert "normalised" not in result.stderr
    silent = CliRunner().invoke(app, [*arguments, "--dedup", "exact", "--quiet"])
    assert silent.exit_code == 0 and silent.stderr == ""


def test_the_command_draws_from_chosen_tasks_only(tmp_path: Path) -> None:
    arguments = [
        "intents",
        "generate",
        "--count",
        "6",
        "--out",
        str(tmp_path),
        "--tasks-per-intent",
        "1-2",
        "--quiet",
    ]
    chosen = {"file-io/write-note", "file-io/copy-backup"}
    assert CliRunner().invoke(app, [*arguments, "--tasks", ",".join(sorted(chosen))]).exit_code == 0
    lines = [json.loads(line) for line in (tmp_path / "intents.jsonl").read_text().splitlines()]
    assert lines and {task for line in lines for task in line["tasks"]} == chosen
    unknown = CliRunner().invoke(app, [*arguments, "--tasks", "file-io/write-notes"])
    assert unknown.exit_code == 2 and "Did you mean 'file-io/write-note'" in unknown.output


def test_no_pool_is_written_over_another(tmp_path: Path) -> None:
    options = {"split": "train", "tasks_per_intent": 1, "tier": "easy"}
    path = generate(4, 0, tmp_path, **options)  # type: ignore[arg-type]
    kept = path.read_bytes()
    assert generate(4, 0, tmp_path, **options).read_bytes() == kept  # type: ignore[arg-type]
    others: list[dict[str, Any]] = [
        {"count": 5},
        {"seed": 1},
        {"tier": "medium"},
        {"self_contained": False},
        {"dedup": "exact"},
    ]
    for other in others:
        with pytest.raises(UserError, match="holds another pool"):
            generate(**{"count": 4, "seed": 0, "out": tmp_path, **options, **other})
    assert path.read_bytes() == kept
    path.write_bytes(kept + b"\n")
    with pytest.raises(UserError, match="changed since"):
        generate(4, 0, tmp_path, **options)  # type: ignore[arg-type]
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(UserError, match="delete that pool first"):
        generate(4, 0, tmp_path, **options)  # type: ignore[arg-type]
    assert path.read_bytes() == kept + b"\n"
