"""The small rewritings that make a voice: manners, rhythm, hedges and fillers, greetings and sign-offs.

All of them work on masked text (`ise_gym.personas.protected`) and change a sentence only where its form is plain
enough to keep the grammar right; whatever they are unsure of, they leave alone.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any

from ise_gym.foreign.values import Json
from ise_gym.personas.habits import Words
from ise_gym.personas.protected import MASK
from ise_gym.scenario import Persona

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
_PLAIN_END = re.compile(r"[\w" + MASK.pattern[1:-1] + r"][.?]$")
_POLITE_ALREADY = re.compile(
    r"\b(?:please|pls|plz|kindly|could you|can you|would you|would it be|i'd like|i would like|thank|grateful"
    r"|appreciate|mind|need you|want you|can i|could i|may i)\b",
    re.IGNORECASE,
)


def split(line: str) -> list[str]:
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


def lowered_start(text: str, vocabulary: Words) -> str | None:
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


def raised_start(text: str) -> str:
    """Return the text with its first word capitalised, unless that word is protected."""
    found = _LEAD.match(text)
    if not found or MASK.match(text):
        return text
    at = found.start(1)
    return text[:at] + text[at].upper() + text[at + 1 :]


def manners(line: str, voice: Mapping[str, Json], vocabulary: Words, rng: random.Random) -> str:
    """Turn orders into requests or requests into orders, where the first sentence is plainly one of them."""
    polite = voice.get("polite", "plain")
    sentences = split(line)
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
            head = raised_start(head[asked.end() :]) if head[:1].isupper() else head[asked.end() :]
            sentences[0] = re.sub(r",? (?:please|pls|plz)(?=[?.]?$)", "", head.removesuffix("?")).rstrip() + (
                "." if question else ""
            )
    elif polite in ("polite", "courtly") and roll < 0.65:
        lowered = lowered_start(head, vocabulary)
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


def rhythm(line: str, voice: Mapping[str, Json], vocabulary: Words, rng: random.Random) -> str:
    """Cut long sentences in two, or join short ones."""
    length = voice.get("length", "medium")
    roll = rng.random()
    if length == "short" and roll < 0.8:
        out = []
        for sentence in split(line):
            cut = re.search(r"(?:;|, and then|, then|; then) (?=([a-z][\w-]*))", sentence)
            starts = _first(sentence) in vocabulary.verbs | {"please"}
            if (
                cut
                and cut[1] in vocabulary.verbs
                and starts
                and "(" not in sentence
                and not sentence.endswith("?")
            ):
                link = "Then " if "then" in cut[0] else ""
                sentence = f"{sentence[: cut.start()]}. {raised_start(link + sentence[cut.end() :])}"
            out.append(sentence)
        return " ".join(out)
    if length == "long" and roll < 0.6:
        sentences = split(line)
        for i in range(len(sentences) - 1):
            one, two = sentences[i], sentences[i + 1]
            lowered = lowered_start(two, vocabulary)
            imperative = _first(one) in vocabulary.verbs and _first(two) in vocabulary.verbs
            if imperative and lowered and one.endswith(".") and not re.search(r"[:;?(]| and ", one + lowered):
                sentences[i : i + 2] = [f"{one[:-1]}, and {lowered}"]
                break
        return " ".join(sentences)
    return line


def shown_habit(
    voice: Mapping[str, Any], name: str, rng: random.Random, scale: float = 1.0
) -> Mapping[str, Any] | None:
    """Return the habit if the persona has it and it shows this time; draws once either way."""
    roll = rng.random()
    habit = voice.get(name)
    return habit if habit and roll < habit["chance"] * scale else None


def soften(
    line: str, voice: Mapping[str, Json], vocabulary: Words, rng: random.Random, *, single: bool
) -> str:
    """Add a filler or a hedge: never both."""
    filler, hedge = shown_habit(voice, "fill", rng), shown_habit(voice, "hedge", rng)
    pick, choice = rng.random(), rng.random()
    if hedge and not re.search(r"\bif\b|\bwhen you\b|no rush|sorry", line, re.IGNORECASE):
        kind = "before" if pick < 0.3 else "after" if pick < 0.7 else "alone"
        forms = hedge[kind]
        form = forms[int(choice * len(forms))]
        sentences = split(line)
        asks = (
            bool(_ASK.match(sentences[0]) or _PLEASE.match(sentences[0])) or _first(line) in vocabulary.verbs
        )
        if kind == "before" and asks and (lowered := lowered_start(line, vocabulary)):
            return raised_start(f"{form} {lowered}") if line[:1].isupper() else f"{form} {lowered}"
        short = len(sentences[0].split()) < 30 and ":" not in sentences[0]
        if kind == "after" and asks and short and _PLAIN_END.search(sentences[0]):
            sentences[0] = sentences[0][:-1] + form + sentences[0][-1]
            return " ".join(sentences)
        if single and kind == "alone" and line[-1] in ".?!":
            return f"{line} {raised_start(form)}" + ("" if form[-1] in ".!" else ".")
        return line
    if filler and (lowered := lowered_start(line, vocabulary)):
        form = filler["forms"][int(choice * len(filler["forms"]))]
        if not same_word(form, lowered):
            return raised_start(f"{form} {lowered}") if line[:1].isupper() else f"{form} {lowered}"
    return line


def same_word(before: str, after: str) -> bool:
    """Return whether the two, side by side, would say a word twice."""
    tail, head = _WORD.findall(before.lower()), _WORD.findall(after.lower()[:40])
    return bool(tail and head and (tail[-1] == head[0] or tail[0] == head[0]))


def greet(body: str, persona: Persona, vocabulary: Words, rng: random.Random) -> str:
    """Return a first message with the persona's greeting, if it shows this time and the message brings none."""
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


def sign(
    body: str, persona: Persona, rng: random.Random, *, opening: bool, closing: bool, prose: bool
) -> str:
    """Return a message with the persona's sign-off, if it shows this time: most often in the last message."""
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


def _name(form: str, persona: Persona) -> str:
    voice = persona.voice
    given = voice.get("given") or persona.name.split(" ")[0]
    return form.replace("<given>", given).replace("<fullname>", persona.name)
