"""Does the user say what the agent has just said, as if it were its own news?

The commonest drift of small models: with nothing to say, they say the last thing they heard. People take a word or a
figure from each other, but not a sentence, unless they question it or say whose it is.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

from ise_gym.simulator.detectors.base import Turn, watches, words_of

_SENTENCE = re.compile(r"(?<=[.!?…。！？；])\s*(?=\S)|\n+|;\s+")
_HAN = re.compile("[\u4e00-\u9fff]")
_TURNED = re.compile(
    r"\b(?:you (?:say|said|wrote|write|claim|claimed|told|mention|mentioned|tell|mean)|but|not|n't|still|why|wrong|"
    r"though|although|however|only|instead|without|missing|no)\b|\?\s*$|[你您](?:说|讲|提到|写)|但|不|没|为什么|吗|？",
    re.IGNORECASE,
)
LEAST_WORDS = 5
SHARE = 0.75
"""Share of a sentence that must be the agent's to be an echo."""
NEW_WORDS = 3
"""Shared words that the user had not said itself."""


@watches("perspective_lock", "it says again what the other side has just said")
def echoes_agent(turn: Turn) -> str:
    """Says a sentence of the agent's as its own."""
    heard = [_tokens(part) for reply in turn.heard[-2:] for part in (reply, *_sentences(reply))]
    if not heard:
        return ""
    own = set(_tokens(" ".join((*turn.own, *(wish.text for wish in turn.known.wishes), *turn.failing))))
    for sentence in _sentences(turn.free):
        said = _tokens(sentence)
        if len(said) < LEAST_WORDS or _TURNED.search(sentence):
            continue
        count = Counter(said)
        for theirs in heard:
            shared = count & Counter(theirs)
            fresh = sum(1 for word in shared if word not in own)
            if shared.total() >= max(LEAST_WORDS - 1, SHARE * len(said)) and fresh >= NEW_WORDS:
                return sentence.strip()[:80]
    return ""


def _sentences(text: str) -> list[str]:
    return [sentence for sentence in _SENTENCE.split(text) if sentence.strip()]


def _tokens(text: str) -> list[str]:
    """Return words, and pairs of neighbouring characters where words have no spaces between them."""
    if len(_HAN.findall(text)) < 4:
        return words_of(text)
    letters = [c for c in text if c.isalnum()]
    return [a + b for a, b in pairwise(letters)]
