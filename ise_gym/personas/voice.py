"""Makes the same request sound like the person who makes it, without touching what is asked.

A task's wording is chosen by register; what makes two people of one register different is their habits: how they
greet, hedge, spell, end. `speak` applies a persona's habits as small rewritings of a masked text, so that paths,
names, figures and quotes reach the agent exactly as the checks expect them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping

from ise_gym.personas.data import load_habits
from ise_gym.personas.habits import words
from ise_gym.personas.lint import voice_problems
from ise_gym.personas.protected import Masked, mask, protected_spans
from ise_gym.personas.rewriting import greet, lowered_start, manners, rhythm, sign, soften
from ise_gym.personas.spelling import LIST_LINE, spell
from ise_gym.scenario import Persona

__all__ = ["introduce", "join", "protected_spans", "speak", "surface", "tell", "voice_problems"]


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
    prose = [bool(line.strip()) and not LIST_LINE.match(line) for line in lines]
    technical = rng.random() < 0.7
    for i, line in enumerate(lines):
        if prose[i] and technical:
            lines[i] = vocabulary.jargon(line, voice)
    if prose[0] and lines[0]:
        lines[0] = manners(lines[0], voice, vocabulary, rng)
        lines[0] = rhythm(lines[0], voice, vocabulary, rng)
        lines[0] = soften(lines[0], voice, vocabulary, rng, single=len(lines) == 1)
    body = "\n".join(lines)
    if opening:
        body = greet(body, persona, vocabulary, rng)
    body = sign(body, persona, rng, opening=opening, closing=closing, prose=prose[-1])
    return masked.unmask(spell(vocabulary.contractions(body, voice), voice, vocabulary, rng))


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
    vocabulary = words()
    body = vocabulary.contractions(masked.text, voice)
    shown = voice if emoji else {**voice, "emoji": None}
    return Masked(body, spans).unmask(spell(body, shown, vocabulary, rng))


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
