"""A small trained voice beside the rules: a linear classifier over pieces of words, and over where the turn stands.

Rules find what somebody has seen and named; new models find new ways. The classifier adds the general sound of drift:
its weights come from labelled turns (``benchmarks/users/train_voice.py``) and are in ``voice.json`` beside this
file, so that no library is needed where users play. It names no kind, so it watches over no single principle, and
its threshold is set for few false refusals, not for much recall.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from ise_gym.simulator.detectors.base import Turn, watches, words_of
from ise_gym.simulator.telling import facts_of, untold

WEIGHTS = Path(__file__).parent / "voice.json"
LONGEST = 2_000
"""Characters of a turn that are looked at."""
SIZES = (2, 3, 4)
"""Lengths of the pieces of words."""

_PATH = re.compile(r"\S{0,200}[/@]\S{0,200}|\b[\w-]{1,80}\.[A-Za-z]{1,5}\b")
_QUOTE = re.compile(r"[\"“「][^\"”」\n]{1,200}[\"”」]")
_FIGURE = re.compile(r"\d[\d.,:-]*")
_HAN = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")


@dataclass(frozen=True)
class Weights:
    """A linear model: piece → weight, what is added to every sum, and the sum from which a turn is adrift."""

    pieces: Mapping[str, float]
    bias: float
    threshold: float


@lru_cache(maxsize=1)
def weights() -> Weights:
    """Return the weights that come with the package."""
    told = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    return Weights(told["pieces"], told["bias"], told["threshold"])


@watches("", "it does not sound like somebody who wants something done")
def sounds_adrift(turn: Turn) -> str:
    """Sounds more like drift than like a user, by weight of its pieces."""
    if not turn.text.strip() or turn.said.gave_up:
        return ""
    given = weights()
    score = score_of(pieces_of(turn), given)
    return f"{score - given.threshold:.2f} above the threshold" if score > given.threshold else ""


def score_of(pieces: frozenset[str], given: Weights) -> float:
    """Return the sum of the weights of the known pieces, over the root of how many they are."""
    known = [given.pieces[piece] for piece in sorted(pieces) if piece in given.pieces]
    return given.bias + (math.fsum(known) / math.sqrt(len(known)) if known else 0.0)


def pieces_of(turn: Turn) -> frozenset[str]:
    """Return what the classifier sees of a turn: pieces of its words, the words, pairs of them, and its place."""
    text = masked(turn)
    found: set[str] = set()
    words = text.split()
    for word in words:
        padded = f" {word} "
        for size in SIZES:
            found |= {padded[at : at + size] for at in range(len(padded) - size + 1)}
    found |= {f"w:{word}" for word in words}
    found |= {f"w:{a} {b}" for a, b in pairwise(words)}
    return frozenset(found | _place(turn, words))


def masked(turn: Turn) -> str:
    """Return a turn's words in lower case with names, paths, quotes and figures made equal."""
    text = _QUOTE.sub(" QUOTE ", _PATH.sub(" PATH ", turn.text[:LONGEST].replace("’", "'")))
    for name in turn.known.persona.name.split():
        text = text.replace(name, "NAME")
    text = _FIGURE.sub("0", text)
    text = re.sub(r"([.!?,;:。！？，；：…()])", r" \1 ", text)
    return " ".join(word if word.isupper() else word.lower() for word in text.split())


def _place(turn: Turn, words: list[str]) -> set[str]:
    view, said = turn.view, turn.said
    place = {"p:first" if view is None else "p:later", f"p:long{min(6, int(math.log2(len(words) + 1)))}"}
    if said.done:
        place.add("p:leaves")
    if view is not None:
        heard = turn.heard[-1] if turn.heard else ""
        place.add("p:asked" if "?" in heard[-160:] or "？" in heard[-160:] else "p:told")
        place.add("p:failing" if turn.failing else "p:settled")
        mine, theirs = set(words_of(turn.text)), set(words_of(heard))
        place.add(f"p:echo{round(4 * len(mine & theirs) / max(1, len(mine)))}")
        if said.request and said.request != view.request:
            place.add("p:new")
    index = turn.known.index(said.meant or said.request)
    if index >= 0:
        wish = turn.known.wishes[index]
        facts = len(facts_of(wish))
        told = facts - len(untold(wish, [said.text]))
        place.add(f"p:wish{round(4 * max(0, told) / max(1, facts))}")
    if len(_HAN.findall(turn.text)) > 3:
        place.add("p:han")
    return {f"{one}" for one in place} | {f"{a}&{b}" for a in place for b in place if a < b}
