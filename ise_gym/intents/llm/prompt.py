"""What a model is asked to write for one intent, and whether its answer still says everything.

The catalog has already said all that the checks depend on, so its text is both the material of the prompt
and the yardstick: every path, name, figure and quotation in it has to be in the answer, letter by letter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ise_gym.foreign.values import Json
from ise_gym.intents.intent import Intent
from ise_gym.intents.llm.meaning import Meaning, meaning_problem, meanings
from ise_gym.personas.lint import voice_problems
from ise_gym.personas.protected import protected_spans
from ise_gym.scenario import Persona

PROMPT_VERSION = 2
_LONGEST = 5
"""How many times as long as the catalog's text an answer may be."""

_SYSTEM = (
    "You write messages that a person sends to a capable assistant who works on this person's computer. You get the "
    "person, how this person writes, and a list of requests in plain wording. Say each request again as this very "
    "person would, one message a request, in the given order; every message has to be understood after the ones before "
    "it. Then write `intent`: one text in which the person asks for all of it at once. Change words, order and tone "
    "freely, but not what is asked. Everything listed under `keep` must appear in that request's message and in "
    "`intent`, copied letter by letter; what `must` names has to be asked for there in words of "
    "your own. Add no wishes, facts, names or paths of your own. Write as the person, "
    'never as the assistant. Answer with one JSON object: {"messages": ["…", …], "intent": "…"}.'
)
SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "messages": {"type": "array", "items": {"type": "string"}},
        "intent": {"type": "string"},
    },
    "required": ["messages", "intent"],
    "additionalProperties": False,
}


@dataclass(frozen=True)
class Wording:
    """What a user says: one text a request, and the whole as one."""

    utterances: tuple[str, ...]
    text: str


def kept_words(intent: Intent) -> list[tuple[str, ...]]:
    """Return for each request what its text may not lose: protected spans, and drawn values that it mentions."""
    return [
        tuple(dict.fromkeys((*protected_spans(text), *facts)))
        for text, facts in zip(intent.utterances, intent.facts(), strict=True)
    ]


def messages_for(intent: Intent, wanted: Sequence[Meaning] = ()) -> list[dict[str, str]]:
    """Return the conversation that asks for an intent's wording; ``wanted`` says what each request means."""
    wanted = wanted or meanings(intent)
    requests = [
        {"request": text, "keep": list(dict.fromkeys((*keep, *own.keys))), "must": [*own.work, *own.form]}
        for text, keep, own in zip(intent.utterances, kept_words(intent), wanted, strict=True)
    ]
    material = {"person": _portrait(intent.blueprint.persona), "requests": requests}
    return [
        {"role": "system", "content": _SYSTEM},
        {"role": "user", "content": json.dumps(material, ensure_ascii=False, indent=1)},
    ]


def _portrait(persona: Persona) -> dict[str, Any]:
    voice = persona.voice
    return {
        "name": persona.name,
        "role": persona.role,
        "industry": persona.industry,
        "experience": persona.experience_level,
        "context": persona.work_context,
        "style": persona.communication_style,
        "register": persona.register,
        "habits": {
            trait: voice[trait] for trait in ("length", "polite", "jargon", "case", "stop") if trait in voice
        },
    }


def read_answer(text: str) -> Wording | str:
    """Read a model's answer, with or without fences and words around it; a string says what is wrong.

    >>> read_answer('Sure! {"messages": ["Sort it."], "intent": "Sort it, please."}').utterances
    ('Sort it.',)
    """
    decoder, start = json.JSONDecoder(), text.find("{")
    while start >= 0:
        try:
            found, _ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            start = text.find("{", start + 1)
            continue
        if isinstance(found, dict) and "messages" in found:
            return _as_wording(found)
        start = text.find("{", start + 1)
    return "the answer holds no JSON object with `messages` and `intent`"


def _as_wording(found: Mapping[str, Json]) -> Wording | str:
    said, whole = found.get("messages"), found.get("intent")
    if not isinstance(said, list) or not all(isinstance(text, str) for text in said):
        return "`messages` is not a list of texts"
    if not isinstance(whole, str):
        return "`intent` is not a text"
    return Wording(tuple(text.strip() for text in said), whole.strip())


def wording_problem(wording: Wording, intent: Intent, wanted: Sequence[Meaning] = ()) -> str:
    """Return why a wording can't stand for an intent, or ""; what it lost is named."""
    count = len(intent.utterances)
    if len(wording.utterances) != count:
        return f"there are {len(wording.utterances)} messages, but {count} requests"
    keeps = kept_words(intent)
    for number, (said, keep) in enumerate(zip(wording.utterances, keeps, strict=True), 1):
        if lost := missing_words(said, keep):
            return f"message {number} lost {_quoted(lost)}"
    if lost := [word for keep in keeps for word in missing_words(wording.text, keep)]:
        return f"intent lost {_quoted(lost)}"
    wanted = wanted or meanings(intent)
    for number, (said, own) in enumerate(zip(wording.utterances, wanted, strict=True), 1):
        if problem := meaning_problem(said, own):
            return f"message {number} {problem}"
        if problem := meaning_problem(wording.text, own, whole=wanted):
            return f"intent, request {number}: {problem}"
    for where, said, plain in (
        *(
            (f"message {n}", s, p)
            for n, (s, p) in enumerate(zip(wording.utterances, intent.utterances, strict=True), 1)
        ),
        ("intent", wording.text, intent.text),
    ):
        if len(said) > _LONGEST * max(len(plain), 80):
            return f"{where} is {len(said)} characters long, the plain request {len(plain)}"
        if faults := voice_problems(said):
            return f"{where}: {faults[0]}"
    return ""


def missing_words(text: str, keep: Sequence[str]) -> list[str]:
    """Return what of ``keep`` is not in a text."""
    return [word for word in keep if word not in text]


def _quoted(words: Sequence[str]) -> str:
    return ", ".join(repr(word) for word in list(dict.fromkeys(words))[:5])
