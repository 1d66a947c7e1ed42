"""How somebody spells and ends a message: case, final stop, emoji, on masked text."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping

from ise_gym.foreign.values import Json
from ise_gym.personas.habits import Words
from ise_gym.personas.protected import MASK
from ise_gym.personas.rewriting import shown_habit

LIST_LINE = re.compile(r"^\s*(?:[-*•>|]|\d+[.)]|\s{2,})")
_I = re.compile(r"(?<![\w'’])I(?=$|[\s,.;:!?]|['’](?:m|ve|ll|d)\b)")
_LOWER_I = re.compile(
    r"(?<![\w'’.-])i(?=['’](?:m|ve|ll|d)\b| (?:am|also|asked|can|can't|could|did|didn't|do|don't|get|got|guess|had|have"
    r"|just|know|like|mean|need|only|really|said|saw|see|should|still|think|tried|want|was|will|would)\b)"
)


def spell(body: str, voice: Mapping[str, Json], vocabulary: Words, rng: random.Random) -> str:
    """Return a message in the persona's case, with its kind of final stop and perhaps an emoji."""
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
    plain_end = bool(last) and not LIST_LINE.match(last) and body.endswith(".") and not body.endswith("..")
    if plain_end and stop == "drop":
        body = body[:-1]
    elif plain_end and stop == "exclaim" and exclaims and not MASK.match(body[-2:-1]):
        body = body[:-1] + "!"
    if emoji and not LIST_LINE.match(last) and not body.endswith("```"):
        form = emoji["forms"][int(pick * len(emoji["forms"]))]
        body = (body[:-1] if body.endswith(".") and not body.endswith("..") else body) + " " + form
    return body


def _lower_pronoun(body: str, vocabulary: Words) -> str:
    """Write "i" for "I", except where a word before it says that it is a name ("column I")."""

    def replace(m: re.Match[str]) -> str:
        before = re.search(r"(?<![A-Za-z])([A-Za-z]+) $", body[max(0, m.start() - 20) : m.start()])
        return "I" if before and before[1].lower() in vocabulary.naming else "i"

    return _I.sub(replace, body)
