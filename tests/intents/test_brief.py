"""Briefs: what a persona wants in a few sentences, without a detail, and without moving anything else that is drawn."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from pathlib import Path

import pytest

from ise_gym.intents.brief import brief_text, choose_gists
from ise_gym.intents.intent import Intent
from ise_gym.intents.lines import IntentFileSource
from ise_gym.intents.pool.generate import generate
from ise_gym.intents.source import IntentSource
from ise_gym.personas.habits import words
from ise_gym.personas.lint import voice_problems
from ise_gym.proving.review import review
from ise_gym.scenario import Persona
from ise_gym.tasks.draft import draft
from made_tasks import task_with

PATH = re.compile(r"\w/\w|\w\.[a-z]{2,4}\b|[{}<>_=`]|https?:")


def plain(text: str) -> str:
    """The same whatever a voice makes of it: no contractions, no capitals."""
    return words().expand(text).casefold()


def faults(intent: Intent) -> list[str]:
    found = voice_problems(intent.brief)
    found += [f"detail: {shown[0]}" for shown in PATH.finditer(intent.brief)]
    for drafted in intent.drafts:
        if not any(plain(gist) in plain(intent.brief) for gist in drafted.gists):
            found.append(f"nothing of {drafted.task}")
    if not 12 <= len(intent.brief.split()) <= 110:
        found.append(f"{len(intent.brief.split())} words")
    return [f"{intent.id}: {problem}" for problem in found]


def test_briefs_name_every_task_and_no_detail() -> None:
    source = IntentSource()
    assert [problem for seed in range(120) for problem in faults(source.intent(seed))] == []
    single = IntentSource(tasks_per_intent=1)
    assert [problem for seed in range(20) for problem in faults(single.intent(seed))] == []


@pytest.mark.slow
def test_two_thousand_briefs_read_without_a_fault() -> None:
    source = IntentSource("train")
    intents = [source.intent(seed) for seed in range(50_000, 52_000)]
    assert [problem for intent in intents for problem in faults(intent)] == []
    assert len({intent.brief for intent in intents}) == 2000
    mean = sum(len(intent.brief.split()) for intent in intents) / 2000
    assert 40 <= mean <= 60


def test_a_brief_has_a_random_source_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    source = IntentSource("eval")
    before = [source.intent(seed) for seed in range(10)]
    assert before == [IntentSource("eval").intent(seed) for seed in range(10)]
    monkeypatch.setattr("ise_gym.intents.source.brief_text", lambda asks, persona, rng: str(rng.random()))
    for old, new in zip(before, map(source.intent, range(10)), strict=True):
        assert new.brief != old.brief and new == replace(old, brief=new.brief)


PHRASES = [
    "merge the sales exports",
    "list hours and rates",
    "mend a job",
    "ask Anna",
    "tidy a folder",
    "rank offers",
]


@pytest.mark.parametrize("register", ["casual", "collaborative", "analytical", "formal"])
@pytest.mark.parametrize("length", ["short", "medium", "long"])
def test_every_layout_says_all_phrases_in_order(register: str, length: str) -> None:
    voice = {
        "length": length,
        "about": "I run a mill in Pune",
        "situation": "the audit is near",
        "case": "sentence",
    }
    person = Persona("Ada", "miller", "mills", register=register, voice=voice)  # type: ignore[arg-type]
    shapes = set()
    for seed in range(120):
        asks = PHRASES[: 1 + seed % len(PHRASES)]
        text = brief_text(asks, person, random.Random(seed))
        places = [text.casefold().find(ask.casefold()) for ask in asks]
        assert -1 not in places and places == sorted(places), text
        assert "mill in Pune" in text or "audit is near" in text or "miller" in text.casefold(), text
        assert voice_problems(text) == [] and text[0].isupper(), text
        shapes.add("\n" in text or ";" in text)
    assert shapes == {True, False}


def test_manners_and_capitals_are_the_persona_s() -> None:
    curt = Persona("Bo", "cook", "food", register="casual", voice={"polite": "blunt", "case": "lower"})
    courtly = Persona(
        "Cy", "cook", "food", register="formal", voice={"polite": "courtly", "contract": "never"}
    )
    for seed in range(60):
        text = brief_text(PHRASES[:4], curt, random.Random(seed))
        assert text.replace("Anna", "anna").islower() and not re.search(r"please|could|would|kindly", text), (
            text
        )
        assert "'" not in brief_text(PHRASES[:4], courtly, random.Random(seed))


def test_a_task_that_comes_twice_is_not_said_twice(tmp_path: Path) -> None:
    task = task_with(tmp_path)
    once, again = draft(task, 3, "a"), draft(task, 3, "b")
    assert sorted(choose_gists([once, again], random.Random(0))) == sorted(once.gists)
    assert len(choose_gists([once, again, once], random.Random(0))) == 2


def test_without_a_gist_the_title_speaks(tmp_path: Path) -> None:
    gist = (
        'gist: [count the lines of a list of animals, "see how long the list with the {{ words[0] }} is"]\n'
    )
    assert draft(task_with(tmp_path, (gist, "")), 1).gists == ("count words",)
    named = task_with(tmp_path, (gist, ""), ("title: Count words", "title: CSV files become one"))
    assert draft(named, 1).gists == ("CSV files become one",)


def test_details_that_an_expression_brings_into_a_gist_are_found(tmp_path: Path) -> None:
    assert [f for f in review(task_with(tmp_path)) if f.kind == "wording"] == []
    for drawn in ("{{ target }}", "{{ limit }}"):
        shown = review(task_with(tmp_path, ("{{ words[0] }}", drawn)))
        assert any(f.kind == "wording" and "shows" in f.detail for f in shown)


def test_what_an_earlier_task_makes_is_named_as_something_to_come() -> None:
    source, seen = IntentSource(), 0
    for seed in range(200):
        intent = source.intent(seed)
        for drafted in intent.drafts:
            for product in drafted.chained.values():
                bare = product.unrecalled().what
                assert product.name.startswith(bare) and "." not in bare
                seen += any(bare in gist for gist in drafted.gists)
                assert product.what.startswith(f"{product.name} ")
                assert not any(product.what in gist for gist in drafted.gists)
    assert seen > 5


def test_pools_of_before_there_were_briefs_still_load(tmp_path: Path) -> None:
    path = generate(2, 0, tmp_path, split="eval", tasks_per_intent=1, self_contained=False)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    old = tmp_path / "old.jsonl"
    old.write_text(
        "\n".join(json.dumps({k: v for k, v in {**line, "natural_language_intent": line["whole"]}.items() if k != "whole"})
                  for line in lines)
    )  # fmt: skip
    assert list(IntentFileSource(old)) == list(IntentFileSource(path))
