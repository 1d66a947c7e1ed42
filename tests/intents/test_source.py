"""Scenario sources: by seed, from a file, and what they say about bad input."""

from __future__ import annotations

import json
import pickle
import re
from pathlib import Path

import pytest

from ise_gym.errors import UserError
from ise_gym.intents.lines import IntentFileSource
from ise_gym.intents.pool.generate import generate
from ise_gym.intents.source import IntentSource
from ise_gym.messages import canonical_json
from ise_gym.personas.protected import protected_spans
from ise_gym.resources import envs_dir, read_text


@pytest.fixture(scope="module")
def source() -> IntentSource:
    return IntentSource("train")


def test_a_scenario_is_whole_and_a_function_of_its_seed(source: IntentSource) -> None:
    scenario = source.scenario(3)
    assert scenario == IntentSource("train").scenario(3) == pickle.loads(pickle.dumps(source)).scenario(3)
    assert scenario != source.scenario(4)
    assert scenario.id == "ise-os-train-3" and scenario.split == "train"
    assert len({request.name for request in scenario.requests}) == len(scenario.requests) >= 3
    assert all(r.subgoals and r.plan and r.reply and r.text and r.facts for r in scenario.requests)
    assert len({file.path for file in scenario.files}) == len(scenario.files)
    roots = set(scenario.metadata["roots"].values())
    assert len(roots) == len(scenario.tasks) and {f.path.split("/")[0] for f in scenario.files} <= roots
    assert (
        json.loads(canonical_json(scenario.metadata))["fingerprints"].keys()
        == scenario.metadata["roots"].keys()
    )
    assert 0 < len(scenario.system_prompt.split()) <= 120


def test_utterances_and_intent_keep_every_protected_word(source: IntentSource) -> None:
    for seed in range(60):
        scenario, intent = source.scenario(seed), source.intent(seed)
        assert tuple(r.text for r in scenario.requests) == intent.utterances
        for drafted in intent.drafts:
            for request in drafted.requests:
                text = next(r.text for r in scenario.requests if r.name == request.name)
                wordings = request.wordings[scenario.persona.register]
                assert any(all(span in text for span in protected_spans(w)) for w in wordings)
                assert any(all(span in scenario.intent for span in protected_spans(w)) for w in wordings)
        assert not re.search(r"\{\{|\}\}|\{%|Undefined", scenario.intent)


def test_offsets_shift_seeds_and_iteration_starts_at_zero(source: IntentSource) -> None:
    assert IntentSource("train", seed_offset=2).scenario(1) == source.scenario(3)
    stream = iter(source)
    assert [next(stream).id for _ in range(3)] == [source.scenario(i).id for i in range(3)]
    with pytest.raises(ValueError, match="≥ 0"):
        source.scenario(-1)


def test_splits_share_no_task_instance(source: IntentSource) -> None:
    def prints(split: str) -> set[str]:
        drawn = IntentSource(split, tasks_per_intent=1, tier="easy")
        return {p for s in range(150) for p in drawn.scenario(s).metadata["fingerprints"].values()}

    train, held_out = prints("train"), prints("eval")
    assert len(train) > 100 and len(held_out) > 100 and not train & held_out


def test_options_are_read_kindly_and_refused_clearly() -> None:
    small = IntentSource("eval", tasks_per_intent=[1, 2], domains="file-io", registers=["casual"])
    scenario = small.scenario(0)
    assert scenario.domains == ("file-io",) and scenario.persona.register == "casual"
    assert re.fullmatch(r"ise-os-eval-[0-9a-f]{6}-0", scenario.id)
    assert IntentSource(**scenario.metadata["options"]).scenario(0) == scenario
    with pytest.raises(UserError, match="Did you mean 'train'"):
        IntentSource("trian")
    with pytest.raises(UserError, match="number or a pair"):
        IntentSource(tasks_per_intent=[1, 2, 3])


def test_generated_files_rebuild_their_scenarios(tmp_path: Path, source: IntentSource) -> None:
    path = generate(12, 0, tmp_path / "pool", split="train", self_contained=False)
    again = generate(12, 0, tmp_path / "again", split="train", self_contained=False)
    other = generate(12, 1, tmp_path / "other", split="train", self_contained=False)
    assert path.read_bytes() == again.read_bytes() != other.read_bytes()
    file = IntentFileSource(path)
    assert len(file) == 12 and file.ids() == [s.id for s in file]
    assert (
        file.scenario(5)
        == source.scenario(5)
        == file.scenario(17)
        == pickle.loads(pickle.dumps(file)).scenario(5)
    )
    line = json.loads(path.read_text().splitlines()[5])
    scenario = source.scenario(5)
    assert (line["natural_language_intent"], line["whole"]) == (scenario.brief, scenario.intent)
    manifest = json.loads((tmp_path / "pool" / "manifest.json").read_text())
    assert manifest["count"] == 12 and manifest["catalog"] == source.catalog
    assert sum(manifest["complexity"].values()) == 12
    assert not [p for p in path.parent.iterdir() if p.name.startswith(".")]


def change(line: str, **keys: object) -> str:
    return json.dumps({**json.loads(line), **keys})


def test_bad_lines_are_named(tmp_path: Path) -> None:
    lines = generate(3, 0, tmp_path, split="train").read_text().splitlines()
    file = tmp_path / "bad.jsonl"
    for bad, words in (
        ("{", "bad.jsonl:2: not an intent: not JSON"),
        ("[]", "bad.jsonl:2: not an intent: the line"),
        (change(lines[1], seed=-1), "bad.jsonl:2: not an intent: seed"),
        (change(lines[1], complexity="hard"), "bad.jsonl:2: not an intent: complexity"),
        ('{"id": "x"}', "bad.jsonl:2: not an intent: seed: Field required"),
        (lines[0], "bad.jsonl:2: the id ise-os-train-0 is on line 1 as well"),
    ):
        file.write_text("\n".join([lines[0], bad, lines[2]]))
        with pytest.raises(UserError) as caught:
            IntentFileSource(file)
        assert words in str(caught.value)


def test_lines_that_the_catalog_no_longer_draws_are_refused(tmp_path: Path) -> None:
    line = generate(1, 0, tmp_path, split="train", self_contained=False).read_text()
    file = tmp_path / "old.jsonl"
    for changed in (
        change(line, natural_language_intent="Do it."),
        change(line, whole="Do it."),
        change(line, id="x"),
        change(line, seed=7),
    ):
        file.write_text(changed)
        with pytest.raises(UserError, match=r"old.jsonl:1: .* draws something else"):
            IntentFileSource(file).scenario(0)
    file.write_text(change(line, options={"splitt": "train"}))
    with pytest.raises(UserError, match=r"old.jsonl:1: options don't fit"):
        IntentFileSource(file).scenario(0)


def test_unreadable_files_are_explained(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe")
    for name, words in (
        ("none.jsonl", "no such intents file"),
        ("empty.jsonl", "holds no intent"),
        ("binary.jsonl", "can't be read"),
        ("", "can't be read"),
    ):
        with pytest.raises(UserError, match=words):
            IntentFileSource(tmp_path / name)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="can't be written"):
        generate(1, 0, tmp_path / "file" / "pool")


def test_the_world_is_found() -> None:
    assert (envs_dir() / "os" / "domains").is_dir()
    assert "/workspace" in read_text("os/system_prompt.txt")
    with pytest.raises(UserError, match="missing from the installation"):
        read_text("os/nothing.txt")
