"""Makes the same request sound like the person who makes it, without touching what is asked.

A task's wording is chosen by register; what makes two people of one register different is their habits: how they
greet, hedge, spell, end. `speak` applies a persona's habits as small rewritings of a masked text, so that paths,
names, figures and quotes reach the agent exactly as the checks expect them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ise_gym.intents.habits import Words, words
from ise_gym.intents.lint import voice_problems
from ise_gym.intents.protected import MASK, mask, protected_spans
from ise_gym.scenario import Persona

__all__ = ["introduce", "protected_spans", "speak", "surface", "voice_problems"]

_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_ABBREVIATION = re.compile(
    r"(?:\b(?:Dr|Mr|Mrs|Ms|Prof|St|No|Nr|vs|approx|incl|etc|resp|cf|max|min)|\b[A-Z])\.$"
)
_WORD = re.compile(r"[^\W\d_]+(?:['’][a-z]+)?")
_LEAD = re.compile(r"^\W*?([^\W\d_]+(?:['’][a-z]+)?)")
_ASK = re.compile(
    r"^(?:could|can|would|will) you (?:please |kindly |maybe |possibly )?(?=([a-z][\w-]*))", re.IGNORECASE
)
_PLEASE = re.compile(r"^(?:please|kindly) (?=([a-z][\w-]*))", re.IGNORECASE)
_POLITE_ALREADY = re.compile(
    r"\b(?:please|pls|plz|kindly|could you|can you|would you|would it be|i'd like|i would like|thank|grateful|appreciate"
    r"|mind|need you|want you|can i|could i|may i)\b",
    re.IGNORECASE,
)
_LIST_LINE = re.compile(r"^\s*(?:[-*•>|]|\d+[.)]|\s{2,})")
_I = re.compile(r"(?<![\w'’])I(?=$|[\s,.;:!?]|['’](?:m|ve|ll|d)\b)")
_LOWER_I = re.compile(r"(?<![\w'’.])i(?=$|[\s,;!?]|['’](?:m|ve|ll|d)\b)")


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
    lines = masked.text.split("\n")
    prose = [bool(line.strip()) and not _LIST_LINE.match(line) for line in lines]
    technical = rng.random() < 0.7
    for i, line in enumerate(lines):
        if prose[i]:
            lines[i] = _wording(line, voice, vocabulary, technical)
    if prose[0] and lines[0]:
        lines[0] = _manners(lines[0], voice, vocabulary, rng)
        lines[0] = _rhythm(lines[0], voice, vocabulary, rng)
        lines[0] = _soften(lines[0], voice, vocabulary, rng, single=len(lines) == 1)
    body = "\n".join(lines)
    if opening:
        body = _greet(body, persona, vocabulary, rng)
    body = _sign(body, persona, rng, opening=opening, closing=closing, prose=prose[-1])
    return masked.unmask(_surface(body, voice, vocabulary, rng))


def surface(text: str, persona: Persona, rng: random.Random, keep: Sequence[str] = ()) -> str:
    """Return ``text`` with only the persona's spelling habits (case, final stop, emoji); ``keep`` are words to protect."""
    masked = mask(text)
    body = masked.text
    spans = list(masked.spans)
    for word in sorted({k for k in keep if k}, key=len, reverse=True):
        if word in body:
            spans.append(word)
            body = body.replace(word, chr(0xF0000 + len(spans) - 1))
    out = _surface(body, persona.voice, words(), rng)
    return type(masked)(out, tuple(spans)).unmask(out)


def introduce(persona: Persona, rng: random.Random) -> str:
    """Return one sentence in which the persona says what it does and where, in its own voice; "" if it has no story.

    Reads like "I plan berths and crane gangs at a container terminal in Busan, and peak season has filled the yard."
    """
    about, situation = persona.voice.get("about", ""), persona.voice.get("situation", "")
    if not about:
        return ""
    register = persona.register
    forms = {
        "casual": [
            "{about}, and {situation}.",
            "{about}, so you know.",
            "Bit of context: {about}.",
            "{Situation}, fun times.",
        ],
        "collaborative": [
            "{about}, and {situation}.",
            "For context, {about}.",
            "A little background: {situation}.",
        ],
        "analytical": ["Context: {about}; {situation}.", "Background: {about}.", "{about}."],
        "formal": [
            "{about}, and {situation}.",
            "By way of background, {about}.",
            "As you may know, {situation}.",
        ],
    }[register]
    form = rng.choice(forms)
    text = form.format(about=about, situation=situation, Situation=situation[:1].upper() + situation[1:])
    names = [persona.voice.get("place", ""), persona.industry]
    return surface(text, persona, rng, [n for n in names if n])


def _split(line: str) -> list[str]:
    """Split a line into sentences, keeping abbreviations whole."""
    parts: list[str] = []
    for part in _SENTENCE.split(line.strip()):
        if parts and _ABBREVIATION.search(parts[-1]):
            parts[-1] += " " + part
        else:
            parts.append(part)
    return parts


def _first(text: str) -> str:
    found = _LEAD.match(text)
    return found[1].lower() if found and not MASK.match(text) else ""


def _lower(text: str, vocabulary: Words) -> str | None:
    """Return the text with its first word in lower case, or None when that word may be a name."""
    found = _LEAD.match(text)
    if not text or MASK.match(text) or not found:
        return text if text and MASK.match(text) else None
    if found[1] in ("I", "I'm", "I've", "I'd", "I'll") or found[1].islower():
        return text
    if found[1].lower() not in vocabulary.plain:
        return None
    at = found.start(1)
    return text[:at] + text[at].lower() + text[at + 1 :]


def _upper(text: str) -> str:
    found = _LEAD.match(text)
    if not found or MASK.match(text):
        return text
    at = found.start(1)
    return text[:at] + text[at].upper() + text[at + 1 :]


def _wording(line: str, voice: Mapping[str, Any], vocabulary: Words, technical: bool) -> str:
    """Contractions and jargon."""
    contract = voice.get("contract", "keep")
    if contract == "always":
        line = vocabulary.contract(line)
    elif contract == "never":
        line = vocabulary.expand(line)
    jargon = voice.get("jargon", "mid")
    if technical and jargon != "mid":
        line = vocabulary.translate(line, to_trade=jargon == "high")
    return line


def _manners(line: str, voice: Mapping[str, Any], vocabulary: Words, rng: random.Random) -> str:
    """Turn orders into requests or requests into orders, where the first sentence is plainly one of them."""
    polite = voice.get("polite", "plain")
    sentences = _split(line)
    head = sentences[0]
    roll, pick = rng.random(), rng.random()
    if polite == "blunt" and roll < 0.8:
        asked = _ASK.match(head) or _PLEASE.match(head)
        question = head.endswith("?")
        if (
            asked
            and asked[1].lower() in vocabulary.verbs
            and question == bool(_ASK.match(head))
            and not re.search(r"[?]|\bor\b", head[:-1])
        ):
            head = _upper(head[asked.end() :]) if head[:1].isupper() else head[asked.end() :]
            sentences[0] = re.sub(r",? (?:please|pls|plz)(?=[?.]?$)", "", head.removesuffix("?")).rstrip() + (
                "." if question else ""
            )
    elif polite in ("polite", "courtly") and roll < 0.65:
        lowered = _lower(head, vocabulary)
        single = not re.search(r"[:;?!\n]", head)
        if lowered and _first(head) in vocabulary.verbs and single and not _POLITE_ALREADY.search(line):
            bare = lowered.removesuffix(".")
            forms = (
                ["Please {}.", "Could you {}?", "Please {}."]
                if polite == "polite"
                else [
                    "Would you kindly {}?",
                    "Kindly {}.",
                    "I should be grateful if you would {}.",
                    "May I ask you to {}?",
                ]
            )
            sentences[0] = forms[int(pick * len(forms))].replace("{}", bare)
    return " ".join(sentences)


def _rhythm(line: str, voice: Mapping[str, Any], vocabulary: Words, rng: random.Random) -> str:
    """Cut long sentences in two, or join short ones."""
    length = voice.get("length", "medium")
    roll = rng.random()
    if length == "short" and roll < 0.8:
        out = []
        for sentence in _split(line):
            cut = re.search(r"(?:;|, and then|, then|; then) (?=([a-z][\w-]*))", sentence)
            starts = _first(sentence) in vocabulary.verbs | {"please"}
            if (
                cut
                and cut[1] in vocabulary.verbs
                and starts
                and "(" not in sentence
                and not sentence.endswith("?")
            ):
                sentence = f"{sentence[: cut.start()]}. Then {sentence[cut.end() :]}"
            out.append(sentence)
        return " ".join(out)
    if length == "long" and roll < 0.6:
        sentences = _split(line)
        for i in range(len(sentences) - 1):
            one, two = sentences[i], sentences[i + 1]
            lowered = _lower(two, vocabulary)
            imperative = _first(one) in vocabulary.verbs and _first(two) in vocabulary.verbs
            if imperative and lowered and one.endswith(".") and not re.search(r"[:;?(]| and ", one + lowered):
                sentences[i : i + 2] = [f"{one[:-1]}, and {lowered}"]
                break
        return " ".join(sentences)
    return line


def _habit(
    voice: Mapping[str, Any], name: str, rng: random.Random, scale: float = 1.0
) -> Mapping[str, Any] | None:
    """Return the habit if the persona has it and it shows this time (one draw either way, so that draws stay aligned)."""
    roll = rng.random()
    habit = voice.get(name)
    return habit if habit and roll < habit["chance"] * scale else None


def _soften(
    line: str, voice: Mapping[str, Any], vocabulary: Words, rng: random.Random, *, single: bool
) -> str:
    """Add a filler or a hedge: never both."""
    filler, hedge = _habit(voice, "fill", rng), _habit(voice, "hedge", rng)
    pick, choice = rng.random(), rng.random()
    if hedge and not re.search(r"\bif\b|\bwhen you\b|no rush|sorry", line, re.IGNORECASE):
        kind = "before" if pick < 0.3 else "after" if pick < 0.7 else "alone"
        forms = hedge[kind]
        form = forms[int(choice * len(forms))]
        sentences = _split(line)
        asks = (
            bool(_ASK.match(sentences[0]) or _PLEASE.match(sentences[0])) or _first(line) in vocabulary.verbs
        )
        if kind == "before" and asks and (lowered := _lower(line, vocabulary)):
            return _upper(f"{form} {lowered}") if line[:1].isupper() else f"{form} {lowered}"
        if (
            kind == "after"
            and asks
            and len(sentences[0].split()) < 30
            and re.search(r"[\w" + MASK.pattern[1:-1] + r"][.?]$", sentences[0])
        ):
            if ":" not in sentences[0]:
                end = sentences[0][-1]
                sentences[0] = sentences[0][:-1] + form + end
                return " ".join(sentences)
        if single and kind == "alone" and line[-1] in ".?!":
            return f"{line} {_upper(form)}" + ("" if form[-1] in ".!" else ".")
        return line
    if filler and (lowered := _lower(line, vocabulary)):
        form = filler["forms"][int(choice * len(filler["forms"]))]
        if not _same_word(form, lowered):
            return _upper(f"{form} {lowered}") if line[:1].isupper() else f"{form} {lowered}"
    return line


def _same_word(before: str, after: str) -> bool:
    tail, head = _WORD.findall(before.lower()), _WORD.findall(after.lower()[:40])
    return bool(tail and head and (tail[-1] == head[0] or tail[0] == head[0]))


def _name(form: str, persona: Persona) -> str:
    voice = persona.voice
    given = voice.get("given") or persona.name.split(" ")[0]
    return form.replace("<given>", given).replace("<name>", persona.name)


def _greet(body: str, persona: Persona, vocabulary: Words, rng: random.Random) -> str:
    habit = _habit(persona.voice, "greet", rng)
    pick = rng.random()
    if not habit or re.match(
        r"(?:hi|hey|hello|good (?:morning|day|afternoon|evening)|dear|morning)\b", body, re.IGNORECASE
    ):
        return body
    form = _name(habit["forms"][int(pick * len(habit["forms"]))], persona)
    if form.endswith("\n\n"):
        return form + _upper(body)
    if form.endswith(","):
        lowered = _lower(body, vocabulary)
        if lowered is None or _same_word(form, lowered):
            return f"{form[:-1]}! {_upper(body)}"
        return f"{form} {lowered}"
    return f"{form} {_upper(body)}"


def _sign(
    body: str, persona: Persona, rng: random.Random, *, opening: bool, closing: bool, prose: bool
) -> str:
    scale = 1.4 if closing else 0.45 if opening else 0.0
    habit = _habit(persona.voice, "sign", rng, scale)
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
        form = _upper(form)
    return f"{body} {form}"


def _surface(body: str, voice: Mapping[str, Any], vocabulary: Words, rng: random.Random) -> str:
    """Case, final stop and emoji."""
    case, stop = voice.get("case", "keep"), voice.get("stop", "keep")
    exclaims, pick = rng.random() < 0.6, rng.random()
    emoji = _habit(voice, "emoji", rng)
    if case == "lower":
        body = _I.sub("i", body)
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
