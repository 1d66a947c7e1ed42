"""Cuts a long text of somebody else's into the turns that a person would make of it.

An intent from elsewhere is one paragraph with everything in it; a user who pastes it whole makes no multi-turn
episode. The cut is by list items, else by sentences, and every word of the text is said exactly once.
"""

from __future__ import annotations

import re
from itertools import pairwise

MOST_TURNS = 8
"""ISETrace's episodes have 8.12 user turns on average; some of these are reactions."""

_ITEM = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.)])\s+")
_END = re.compile(
    r"(?:(?<=[.!?])|(?<=[.!?][\"')\]]))\s+(?=[\"'(\[«„]?[A-ZÀ-ÞΑ-ΩА-ЯЁ0-9])|(?<=[。！？])[\"”’」』）]?\s*(?=\S)"
)
_DETAIL = re.compile(r"[^\W\d_][\w &/-]{0,30}[:：]\s?(?!\S*[?？])\S")
"""“ER: Requires 60 FTEs.” belongs to the sentence before it: a fact by its label, not a wish."""
_ASKS = re.compile(r"[?？]|\b(?:please|could|can|would|need|want|should)\b|请|帮|麻烦|需要", re.I)
_ABBREVIATED = re.compile(
    r"(?:\b(?:e\.g|i\.e|etc|vs|approx|no|nr|mr|ms|mrs|dr|fig|inc|ltd|st)\.|\b[A-Z]\.)$", re.I
)
_SHORT = 6


def increments(text: str, most: int = MOST_TURNS) -> list[str]:
    """Return a text as one to ``most`` turns, in order.

    Args:
        text: with or without a list.
        most: how many turns at most; neighbours are said together where there would be more.

    >>> increments("I run a shop. Please sort orders.csv by date. Then tell me the largest order of May.")
    ['I run a shop. Please sort orders.csv by date.', 'Then tell me the largest order of May.']
    """
    pieces = _items(text) or _sentences(text)
    merged: list[str] = []
    for piece in pieces:
        if (merged and _DETAIL.match(piece) and not _ASKS.search(piece)) or (
            merged and _length(merged[-1]) < _SHORT
        ):
            merged[-1] = f"{merged[-1]} {piece}"
        else:
            merged.append(piece)
    if len(merged) > 1 and _length(merged[-1]) < _SHORT:
        merged[-2:] = [f"{merged[-2]} {merged[-1]}"]
    size, over = divmod(len(merged), most)
    if not size or (size == 1 and not over):
        return merged
    cuts = [n * size + min(n, over) for n in range(most + 1)]
    return [" ".join(merged[a:b]) for a, b in pairwise(cuts)]


_HAN = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")


def _length(text: str) -> int:
    """Return how many words a text has; two characters count as one where words have no spaces between them."""
    return len(_HAN.sub(" ", text).split()) + len(_HAN.findall(text)) // 2


def _items(text: str) -> list[str]:
    """Return the items of a list, with what stands before it in the first; [] when there are not two."""
    lines = [line for line in text.splitlines() if line.strip()]
    if sum(bool(_ITEM.match(line)) for line in lines) < 2:
        return []
    found: list[str] = []
    before: list[str] = []
    for line in lines:
        if _ITEM.match(line):
            found.append(" ".join([*before, _ITEM.sub("", line).strip()]))
            before = []
        elif found:
            found[-1] += " " + line.strip()
        else:
            before.append(line.strip())
    return found


def _sentences(text: str) -> list[str]:
    found: list[str] = []
    for piece in _END.split(" ".join(text.split())):
        if found and _ABBREVIATED.search(found[-1]):
            found[-1] += " " + piece
        elif piece:
            found.append(piece)
    return found
