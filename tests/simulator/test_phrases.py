"""The scripted user's lines: enough of them, in the right voice, with the slots filled."""

import random
import re
from pathlib import Path

import pytest

from ise_gym.errors import UserError
from ise_gym.personas.catalog import load_personas
from ise_gym.personas.voice import voice_problems
from ise_gym.scenario import Persona
from ise_gym.simulator.phrases import SLOTS, lead_in, load_phrases, phrase

PERSONAS = load_personas()
FILLS = {
    "missing": [
        "reports/q3.csv",
        "the merged file holds every row",
        "2 of the 3 files in out/",
        "`make test` exits 0",
    ],
    "request": [
        "Could you merge a.csv and b.csv?",
        "merge a.csv and b.csv",
        "Marta needs x.csv sorted.",
        "Fix run.sh.",
    ],
}
# What only an assistant, never a user with a task of its own, would say.
ASSISTANT = re.compile(
    r"how can i help|can i help|may i help|let me know if|would you like me|do you want me|i can help|happy to help"
    r"|i'll (?:help|create|fix|check)|i have (?:created|updated|fixed|completed)|shall i|should i|as an ai"
    r"|anything else|glad (?:i could|to)|you're welcome|here is the|here's the (?:file|result)|let me",
    re.IGNORECASE,
)


def said(kind: str, persona: Persona, rng: random.Random) -> tuple[str, str]:
    slots = {name: rng.choice(FILLS[name]) for name in SLOTS[kind]}
    return phrase(kind, persona, rng, **slots), "".join(slots.values())


def test_there_are_twelve_lines_for_every_kind_and_register() -> None:
    for kind, registers in load_phrases().items():
        assert set(registers) == {"casual", "collaborative", "analytical", "formal"}
        for register, lines in registers.items():
            assert len(set(lines)) == len(lines) >= 12, (kind, register)
    every = [line for registers in load_phrases().values() for lines in registers.values() for line in lines]
    assert len(set(every)) >= 0.99 * len(every)


def test_no_line_sounds_like_an_assistant() -> None:
    for kind, registers in load_phrases().items():
        for lines in registers.values():
            for line in lines:
                assert not ASSISTANT.search(line), (kind, line)


def test_thousands_of_lines_have_no_mistake_and_hold_their_slots() -> None:
    for number, persona in enumerate(PERSONAS[::2]):
        for kind in SLOTS:
            text, slot = said(kind, persona, random.Random(f"{number}/{kind}"))
            assert voice_problems(text) == [], text
            assert slot.lower() in text.lower() and "{" not in text


def test_what_is_missing_is_in_the_line_letter_by_letter() -> None:
    for kind in ("nudge", "nudge_again", "false_claim"):
        for i, persona in enumerate(PERSONAS[::11]):
            assert "Out/Q3-Final.CSV" in phrase(kind, persona, random.Random(i), missing="Out/Q3-Final.CSV")


def test_only_a_path_is_spoken_of_as_a_thing() -> None:
    persona = next(p for p in PERSONAS if p.register == "casual" and p.voice["case"] == "keep")
    paths = {phrase("nudge", persona, random.Random(i), missing="a/b.csv") for i in range(400)}
    clauses = {phrase("nudge", persona, random.Random(i), missing="the file is sorted") for i in range(400)}
    assert any("what about a/b.csv?" in text for text in paths)
    assert all(re.search(r"[:?] the file is sorted\W*$", text) for text in clauses)


def test_lines_follow_the_personas_spelling() -> None:
    lower = next(
        p
        for p in PERSONAS
        if p.voice["case"] == "lower" and p.voice["stop"] == "drop" and not p.voice["emoji"]
    )
    formal = next(p for p in PERSONAS if p.register == "formal" and not p.voice["emoji"])
    for i in range(60):
        text = phrase("double_check", lower, random.Random(i))
        assert text[0].islower() and not text.endswith(".")
        text = phrase("double_check", formal, random.Random(i))
        assert text[0].isupper() and text[-1] in ".?" and "n't" not in text


def test_a_line_said_before_is_not_said_again_while_others_are_left() -> None:
    persona = PERSONAS[0]
    before: list[str] = []
    lines = len(load_phrases()["double_check"][persona.register])
    for i in range(lines):
        text = phrase("double_check", persona, random.Random(i), avoid=before)
        assert text not in before
        before.append(text)
    assert phrase("double_check", persona, random.Random(0), avoid=before)


def test_the_same_rng_gives_the_same_line_and_moves_on() -> None:
    rng = random.Random(3)
    first, second = (phrase("accept", PERSONAS[5], rng) for _ in range(2))
    assert phrase("accept", PERSONAS[5], random.Random(3)) == first
    assert len({first, second} | {phrase("accept", PERSONAS[5], rng) for _ in range(20)}) > 5


def test_lead_in_introduces_the_next_request() -> None:
    assert lead_in("Also, sort x.csv.", PERSONAS[0], random.Random(0)) == "Also, sort x.csv."
    for i, persona in enumerate(PERSONAS[::7]):
        text = lead_in("Could you sort x.csv by id?", persona, random.Random(i))
        assert text.endswith("ould you sort x.csv by id?") and len(text) > 30
        assert voice_problems(text) == [], text
        assert not re.search(r"[,:] Could", text)


@pytest.mark.parametrize(
    ("kind", "slots", "expected"),
    [
        ("acept", {}, "Did you mean 'accept'?"),
        ("nudge", {}, "missing"),
        ("nudge", {"missing": "  "}, "none of them empty"),
        ("accept", {"missing": "x"}, "none"),
        ("answer", {"missing": "x"}, "request"),
    ],
)
def test_wrong_use_is_explained(kind: str, slots: dict[str, str], expected: str) -> None:
    with pytest.raises(UserError, match=re.escape(expected)):
        phrase(kind, PERSONAS[0], random.Random(0), **slots)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("accept:\n", "acccept:\n", "accept.casual: no line"),
        ("nice, that's it.", "nice, {missing} is it.", "takes none"),
        ("still missing: {missing}", "still missing", "exactly one of"),
        ("done:\n  casual:", "extra:\n  casual: [hm]\ndone:\n  casual:", "unknown kind 'extra'"),
        ("  casual:", "  kasual:", "kasual"),
    ],
)
def test_a_wrong_phrase_file_is_named(tmp_path: Path, old: str, new: str, expected: str) -> None:
    from ise_gym.resources import os_world

    text = (os_world() / "phrases.yaml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "phrases.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UserError, match=re.escape(expected)) as caught:
        load_phrases(path)
    assert str(path) in str(caught.value)
