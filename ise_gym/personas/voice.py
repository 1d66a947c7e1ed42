"""Makes the same request sound like the person who makes it, without touching what is asked.

A task's wording is chosen by register; what makes two people of one register different is their habits: how they
greet, hedge, spell, end. `speak` applies a persona's habits as small rewritings of a masked text, so that paths,
names, figures and quotes reach the agent exactly as the checks expect them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

from ise_gym.personas.data import load_habits
from ise_gym.personas.habits import Words, words
from ise_gym.personas.lint import voice_problems
from ise_gym.personas.protected import MASK, Masked, mask, protected_spans
from ise_gym.personas.rewriting import (
    lowered_start,
    manners,
    raised_start,
    rhythm,
    same_word,
    shown_habit,
    soften,
)
from ise_gym.scenario import Persona

__all__ = ["introduce", "join", "protected_spans", "speak", "surface", "tell", "voice_problems"]

_LIST_LINE = re.compile(r"^\s*(?:[-*•>|]|\d+[.)]|\s{2,})")
_I = re.compile(r"(?<![\w'’])I(?=$|[\s,.;:!?]|['’](?:m|ve|ll|d)\b)")
_LOWER_I = re.compile(
    r"(?<![\w'’.-])i(?=['’](?:m|ve|ll|d)\b| (?:am|also|asked|can|can't|could|did|didn't|do|don't|get|got|guess|had|have"
    r"|just|know|like|mean|need|only|really|said|saw|see|should|still|think|tried|want|was|will|would)\b)"
)


def speak(
    text: str, persona: Persona, rng: random.Random, *, opening: bool = False, closing: bool = False
) -> str:
    """Return ``text`` as the persona would write it.

    Args:
        text: what is asked, in the persona's register; ends with or without a period.
        persona: whose habits apply (``persona.voice``; a persona without any speaks plainly).
        rng: the only source of chance.
        opening: the first message of a conversation: greetings belong here.
        closing: the last one: sign-offs belong here.

    Returns:
        The message. Every protected span of ``text`` is in it unchanged and in order.
    """
    voice, vocabulary = persona.voice, words()
    masked = mask(text.strip())
    if not masked.text:
        return ""
    lines = masked.text.split("\n")
    prose = [bool(line.strip()) and not _LIST_LINE.match(line) for line in lines]
    technical = rng.random() < 0.7
    for i, line in enumerate(lines):
        if prose[i] and technical:
            lines[i] = _jargon(line, voice, vocabulary)
    if prose[0] and lines[0]:
        lines[0] = manners(lines[0], voice, vocabulary, rng)
        lines[0] = rhythm(lines[0], voice, vocabulary, rng)
        lines[0] = soften(lines[0], voice, vocabulary, rng, single=len(lines) == 1)
    body = "\n".join(lines)
    if opening:
        body = _greet(body, persona, vocabulary, rng)
    body = _sign(body, persona, rng, opening=opening, closing=closing, prose=prose[-1])
    return masked.unmask(_surface(_contractions(body, voice, vocabulary), voice, vocabulary, rng))


def surface(
    text: str,
    persona: Persona,
    rng: random.Random,
    *,
    slots: Mapping[str, str] | None = None,
    ends: bool = True,
    emoji: bool = True,
) -> str:
    """Return ``text`` with only the persona's spelling habits: contractions, case, final stop, emoji.

    Args:
        text: a line; may hold ``{name}`` slots.
        persona: whose habits apply.
        rng: the only source of chance.
        slots: what the slots hold; it is not looked into, so it comes out unchanged.
        ends: the message ends here; False keeps the final stop, because more follows.
        emoji: an emoji may follow.
    """
    masked = mask(text)
    filled = {f"{{{name}}}": value for name, value in (slots or {}).items()}
    spans = tuple(filled.get(span, span) for span in masked.spans)
    voice = persona.voice if ends else {**persona.voice, "stop": "keep"}
    body = _contractions(masked.text, voice, words())
    return Masked(body, spans).unmask(
        _surface(body, voice if emoji else {**voice, "emoji": None}, words(), rng)
    )


def join(lead: str, text: str, persona: Persona) -> str:
    """Return two pieces as one utterance: after a comma or colon the second goes on in lower case, if it may.

    >>> join("Next up:", "Merge the files.", Persona("", "", ""))
    'Next up: merge the files.'
    """
    lowered = run_on(text) if lead.endswith((",", ":")) else text
    if lowered is None:
        return f"{lead[:-1]}: {text}"
    return f"{lead} {lowered}"


def run_on(text: str) -> str | None:
    """Return ``text`` as it goes on after a comma or colon; None when its first word may be a name."""
    masked = mask(text)
    lowered = lowered_start(masked.text, words())
    return None if lowered is None else masked.unmask(lowered)


def introduce(persona: Persona, rng: random.Random) -> str:
    """Return one sentence in which the persona says what it does and where, in its own voice; "" if it has no story.

    Reads like "I plan berths and crane gangs at a container terminal in Busan, and peak season has filled the yard."
    """
    if not persona.voice.get("about"):
        return ""
    form = rng.choice(load_habits().introductions[persona.register])
    return surface(tell(form, persona), persona, rng)


def tell(form: str, persona: Persona) -> str:
    """Fill a form with the persona's story; "" if it has none.

    Args:
        form: may hold ``{about}``, ``{situation}``, ``{Situation}`` and ``{role}``.
        persona: whose story it is.
    """
    about, situation = persona.voice.get("about", ""), persona.voice.get("situation", "")
    if not about:
        return ""
    parts = {"about": about, "situation": situation, "role": persona.role}
    parts["Situation"] = situation[:1].upper() + situation[1:]
    return re.sub(r"\{(\w+)\}", lambda m: str(parts[m[1]]), form)


def _jargon(line: str, voice: Mapping[str, Any], vocabulary: Words) -> str:
    jargon = voice.get("jargon", "mid")
    return line if jargon == "mid" else vocabulary.translate(line, to_trade=jargon == "high")


def _contractions(body: str, voice: Mapping[str, Any], vocabulary: Words) -> str:
    contract = voice.get("contract", "keep")
    if contract == "always":
        return vocabulary.contract(body)
    return vocabulary.expand(body) if contract == "never" else body


def _name(form: str, persona: Persona) -> str:
    voice = persona.voice
    given = voice.get("given") or persona.name.split(" ")[0]
    return form.replace("<given>", given).replace("<fullname>", persona.name)


def _greet(body: str, persona: Persona, vocabulary: Words, rng: random.Random) -> str:
    habit = shown_habit(persona.voice, "greet", rng)
    pick = rng.random()
    if not habit or re.match(
        r"(?:hi|hey|hello|good (?:morning|day|afternoon|evening)|dear|morning)\b", body, re.IGNORECASE
    ):
        return body
    form = _name(habit["forms"][int(pick * len(habit["forms"]))], persona)
    if form.endswith("\n\n"):
        return form + raised_start(body)
    if form.endswith(","):
        lowered = lowered_start(body, vocabulary)
        if lowered is None or same_word(form, lowered):
            return f"{form[:-1]}! {raised_start(body)}"
        return f"{form} {lowered}"
    return f"{form} {raised_start(body)}"


def _sign(
    body: str, persona: Persona, rng: random.Random, *, opening: bool, closing: bool, prose: bool
) -> str:
    scale = 1.4 if closing else 0.45 if opening else 0.0
    habit = shown_habit(persona.voice, "sign", rng, scale)
    pick = rng.random()
    if not habit:
        return body
    form = _name(habit["forms"][int(pick * len(habit["forms"]))], persona)
    if "thank" in body.lower() and re.search(r"thank|ty\b|thx|cheers", form, re.IGNORECASE):
        return body
    if form.startswith("\n"):
        return body + form
    if not prose:
        return f"{body}\n{form}"
    if body[-1] not in ".!?…":
        body += "."
    if persona.voice.get("case") == "sentence":
        form = raised_start(form)
    return f"{body} {form}"


def _lower_pronoun(body: str, vocabulary: Words) -> str:
    """Write "i" for "I", except where a word before it says that it is a name ("column I")."""

    def replace(m: re.Match[str]) -> str:
        before = re.search(r"(?<![A-Za-z])([A-Za-z]+) $", body[max(0, m.start() - 20) : m.start()])
        return "I" if before and before[1].lower() in vocabulary.naming else "i"

    return _I.sub(replace, body)


def _surface(body: str, voice: Mapping[str, Any], vocabulary: Words, rng: random.Random) -> str:
    """Case, final stop and emoji."""
    case, stop = voice.get("case", "keep"), voice.get("stop", "keep")
    exclaims, pick = rng.random() < 0.6, rng.random()
    emoji = shown_habit(voice, "emoji", rng)
    if case == "lower":
        body = _lower_pronoun(body, vocabulary)
        body = vocabulary.recase(body, upper=False)
    elif case == "sentence":
        body = _LOWER_I.sub("I", body)
        body = vocabulary.recase(body, upper=True)
    last = body.rsplit("\n", 1)[-1]
    plain_end = bool(last) and not _LIST_LINE.match(last) and body.endswith(".") and not body.endswith("..")
    if plain_end and stop == "drop":
        body = body[:-1]
    elif plain_end and stop == "exclaim" and exclaims and not MASK.match(body[-2:-1]):
        body = body[:-1] + "!"
    if emoji and not _LIST_LINE.match(last) and not body.endswith("```"):
        form = emoji["forms"][int(pick * len(emoji["forms"]))]
        body = (body[:-1] if body.endswith(".") and not body.endswith("..") else body) + " " + form
    return body
