"""Is it something a person would type at all? Very small models loop, spell file names and say one stray word."""

from __future__ import annotations

import re
from collections import Counter

from ise_gym.personas.habits import words as vocabulary
from ise_gym.simulator.detectors.base import Turn, watches, words_of
from ise_gym.simulator.detectors.form import tool_call_syntax
from ise_gym.simulator.detectors.language import WORDS

LOOP = 4
"""How often the same three words may come again."""
SAME_SENTENCE = 3
"""How often the same sentence is a loop."""
_STOP = re.compile(r"(?<=[.!?])\s+|[。！？\n]+")
KNOWN_SHARE = 0.4
"""Least share of a turn's words that must be words: of a language, or of this conversation."""
CURT = 2
"""A turn of so few words needs a question before it, or courtesy in it."""

_HAN = re.compile("[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]")
_NON_LATIN = re.compile("[\u0370-\u1fff\u2e80-\ud7ff]")
_COURTEOUS = re.compile(
    r"\b(?:off|all|yes|sure|thanks?|thank|thx|ta|cheers|bye|goodbye|ok|okay|great|good|nice|perfect|please|pls|sorry|hello|hi|hey|done|"
    r"again|try|retry|still|wrong|missing|there|works?|broken|correct|confirmed|check|fine|danke|merci|gracias|nope|nah)\b",
    re.IGNORECASE,
)
_FUNCTION = frozenset().union(*WORDS.values())


@watches("responsive_conditioning", "it makes no sense here")
def makes_no_sense(turn: Turn) -> str:
    """Loops, is no sentence in any language, or drops a stray word that answers nothing."""
    text = turn.free.strip()
    if not text.strip("…. ") or turn.said.gave_up or tool_call_syntax(turn):
        return ""
    said = words_of(text)
    if looped := _loop(said, text):
        return looped
    if _NON_LATIN.search(text):
        return ""
    asked = bool(turn.heard) and "?" in turn.heard[-1][-160:]
    if len(said) <= CURT and not asked and not turn.said.done and not _COURTEOUS.search(text):
        return text[:40] if "…" not in text else ""
    known = _known(turn)
    plain = [word for word in said if not re.search(r"[/.@\d]", word)] or said
    sensible = sum(1 for word in plain if _sensible(word, known))
    return text[:60] if sensible < KNOWN_SHARE * len(plain) else ""


def _loop(said: list[str], text: str) -> str:
    if len(_HAN.findall(text)) >= 8:
        letters = [c for c in text if c.isalnum()]
        said = ["".join(letters[at : at + 3]) for at in range(0, len(letters), 3)]
    sentences = Counter(part.strip(" .!?").lower() for part in _STOP.split(text) if len(part.strip()) > 8)
    if sentences and sentences.most_common(1)[0][1] >= SAME_SENTENCE:
        return sentences.most_common(1)[0][0][:60]
    runs = Counter(zip(said, said[1:], said[2:], strict=False))
    if runs:
        words, count = runs.most_common(1)[0]
        if count >= LOOP and count * 3 * 2 >= len(said):
            return " ".join(words)
    return ""


def _known(turn: Turn) -> set[str]:
    said = (turn.known.words(), *turn.heard, *turn.own, *turn.failing)
    return {word for text in said for word in words_of(text)}


def _sensible(word: str, known: set[str]) -> bool:
    return (
        word in _FUNCTION
        or word in known
        or word in vocabulary().plain
        or word in vocabulary().verbs
        or bool(
            re.fullmatch(r"[a-z'’-]{2,}(?:ing|ed|ly|s|er|tion|ment|able|ful|ish)", word) and "_" not in word
        )
        or bool(_COURTEOUS.fullmatch(word))
    )
