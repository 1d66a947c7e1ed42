"""A later task works on what an earlier one made, by its real path, and says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from ise_gym.errors import UserError
from ise_gym.intents.chaining import CHANCE, arranged, fits
from ise_gym.intents.source import IntentSource
from ise_gym.proving.review import review
from ise_gym.tasks.complete import instantiate
from ise_gym.tasks.file import TaskSpec, load_task, load_tasks
from made_tasks import GOOD, task_with, write_task

MAKER = GOOD.replace(
    "files:\n",
    'outputs:\n  number: {path: "{{ target }}", kind: text, what: "the line count"}\nfiles:\n',
    1,
)
LATE = MAKER.replace('what: "the line count"', 'what: "the line count", after: limit')
TAKER = """
title: Copy a file
description: A file is copied under another name.
tier: easy
parameters:
  word: {word: noun}
  number: {integer: [1000, 9999]}
  copy: {value: "{{ root }}/copy-{{ number }}.txt"}
inputs:
  original: {accepts: [text], path: "{{ root }}/{{ word }}.txt", what: "the {{ word }} note"}
files:
  - path: "{{ original.path }}"
    for: original
    content: "{{ word }} {{ number }}\\n"
requests:
  - name: copy
    say:
      casual: ["copy {{ original.what }} ({{ original.path }}) to {{ copy }}"]
      collaborative: ["Could you copy {{ original.what }}, {{ original.path }}, to {{ copy }}?"]
      analytical: ["Copy {{ original.path }} to {{ copy }}: {{ original.what }}."]
      formal: ["Please copy {{ original.what }} in {{ original.path }} to {{ copy }}."]
    subgoals:
      - name: copy is equal
        checks:
          - command: {argv: [cmp, "{{ original.path }}", "{{ copy }}"]}
    expert:
      - exec: {command: "mkdir -p {{ root }} && cp {{ original.path }} {{ copy }}"}
        key: true
    reply: "{{ copy }} is a copy of {{ original.path }}."
"""


def catalog(folder: Path, maker: str = MAKER) -> dict[str, TaskSpec]:
    write_task(folder, maker, "maker")
    write_task(folder, TAKER, "taker", "code-runtime")
    return load_tasks([folder])


def test_alone_a_task_makes_its_own_start_file(tmp_path: Path) -> None:
    task = catalog(tmp_path)["code-runtime/taker"]
    instance = instantiate(task, 0)
    (file,) = instance.files
    assert file.path == instance.parameters["original"]["path"] and file.path.startswith(instance.root)
    assert instance.chained == {} and review(task) == []


def test_an_intent_hands_on_what_was_made(tmp_path: Path) -> None:
    catalog(tmp_path)
    source = IntentSource(tasks_per_intent=2, folders=[tmp_path])
    chained = 0
    for seed in range(60):
        scenario = source.scenario(seed)
        assert scenario.tasks == ("file-io/maker", "code-runtime/taker")
        taker = scenario.requests[-1]
        roots = scenario.metadata["roots"]
        if "chained" not in scenario.metadata:
            assert any(file.path.startswith(roots["code-runtime/taker"]) for file in scenario.files)
            assert taker.folder == roots["code-runtime/taker"]
            continue
        chained += 1
        made = f"{roots['file-io/maker']}/count.txt"
        assert scenario.metadata["chained"] == {"code-runtime/taker": {"original": made}}
        assert made in taker.text and made in taker.facts and "the line count" in taker.text
        assert f"cp {made} " in taker.plan[-1].arguments["command"]
        assert taker.subgoals[0].checks[0].argv[1] == made  # type: ignore[attr-defined]
        assert taker.folder == "" and not any(roots["code-runtime/taker"] in f.path for f in scenario.files)
    assert abs(chained / 60 - CHANCE) < 0.2


def test_nothing_is_handed_on_that_no_request_makes(tmp_path: Path) -> None:
    catalog(tmp_path, LATE)
    source = IntentSource(tasks_per_intent=2, folders=[tmp_path])
    seen = set()
    for seed in range(40):
        scenario = source.scenario(seed)
        asked = any(request.name == "file-io/maker/limit" for request in scenario.requests)
        seen.add((asked, "chained" in scenario.metadata))
    assert seen == {(True, True), (True, False), (False, False)}


def test_the_taker_comes_after_the_maker(tmp_path: Path) -> None:
    tasks = catalog(tmp_path)
    maker, taker = tasks["file-io/maker"], tasks["code-runtime/taker"]
    other = task_with(tmp_path / "more", name="other")
    assert arranged([taker, other, maker]) == [other, maker, taker]
    assert arranged([maker, taker, other]) == [maker, taker, other]
    assert arranged([taker, other]) == [taker, other]


def test_a_kind_must_fit() -> None:
    assert fits("script", ["file"]) and fits("folder", ["folder"]) and not fits("image", ["text", "table"])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("    for: original\n", "", "needs a start file with `for: original`"),
        ("for: original", "for: orginal", "is not an input.*Did you mean 'original'"),
        (
            "  word: {word: noun}",
            "  original: {word: noun}\n  word: {word: noun}",
            "a parameter has that name",
        ),
        ("accepts: [text]", "acepts: [text]", "Did you mean 'accepts'"),
    ],
)
def test_what_is_wrong_with_an_input_is_said(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        load_task(write_task(tmp_path, TAKER.replace(old, new)))


def test_an_output_of_no_request_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"outputs\.number\.after: 'limits' is not a request"):
        load_task(write_task(tmp_path, LATE.replace("after: limit", "after: limits")))


def test_a_wording_must_name_what_is_handed_on(tmp_path: Path) -> None:
    hidden = TAKER.replace("({{ original.path }}) to", "to").replace(
        "copy {{ original.what }} to", "copy that to"
    )
    (finding,) = review(load_task(write_task(tmp_path, hidden)))
    assert "say.casual.0 doesn't give away original" in finding.detail


def test_a_source_of_chained_intents_hands_on_in_each() -> None:
    source = IntentSource("train", chained=True)
    assert source.described() == {"split": "train", "chained": True}
    takers, lengths = set(), set()  # type: ignore[var-annotated]
    for seed in range(120):
        intent = source.intent(seed)
        given = {instance.task: instance.chained for instance in intent.drafts if instance.chained}
        made = {product.path for instance in intent.drafts for product in instance.outputs.values()}
        assert given and all(
            product.path in made for products in given.values() for product in products.values()
        )
        assert intent.blueprint.domains == tuple(sorted({i.task.split("/")[0] for i in intent.drafts}))
        assert 2 <= len(intent.blueprint.domains) <= 3 <= len(intent.drafts) <= 6
        takers |= given.keys()
        lengths.add(len(intent.drafts))
    assert len(takers) >= 6 and lengths >= {3, 4, 5}


def test_what_happens_to_fit_stays_as_it_was_drawn(tmp_path: Path) -> None:
    plain, chained = IntentSource("train"), IntentSource("train", chained=True)
    fitting = [s for s in range(120) if any(i.chained for i in plain.intent(s).drafts)]
    assert fitting
    same = [
        {i.task for i in chained.intent(seed).drafts} == {i.task for i in plain.intent(seed).drafts}
        for seed in fitting
    ]
    assert same.count(False) <= 1  # too few requests may be left of one, and then a further task is drawn


def test_tasks_that_hand_on_nothing_make_no_chained_intents(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs two tasks or more"):
        IntentSource(chained=True, tasks_per_intent=1)
    lone = IntentSource(chained=True, tasks=["file-io/write-note", "file-io/rename-file"], tasks_per_intent=2)
    with pytest.raises(UserError, match="none of the allowed tasks takes what another makes"):
        lone.intent(0)
    write_task(tmp_path, LATE, "maker")
    write_task(tmp_path, TAKER, "taker", "code-runtime")
    with pytest.raises(UserError, match="none of the allowed"):  # its product is made by a follow-up only
        IntentSource(chained=True, tasks_per_intent=2, folders=[tmp_path]).intent(0)
