"""The words that voices work with, read from ``envs/os/personas/words.yaml`` and ``habits.yaml``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from ise_gym.foreign.values import Json
from ise_gym.personas.data import Habits, load_habits, load_words
from ise_gym.personas.protected import MASK

_START = re.compile(r"(^|(?<![.!?])[.!?]\s+|\n)([^\W\d_]+(?:['’][a-z]+)?)(?![\w-])")
_UNMARKED = MASK.pattern[1:-1]


def _alternatives(phrases: tuple[str, ...]) -> re.Pattern[str]:
    ordered = sorted(phrases, key=len, reverse=True)
    return re.compile(rf"(?<![\w'’-])(?:{'|'.join(map(re.escape, ordered))})(?![\w'’-])", re.IGNORECASE)


@dataclass(frozen=True)
class Words:
    """Vocabulary of the rewritings.

    Attributes:
        verbs: they start requests.
        plain: words that are never names; ``commands`` always are.
        naming: words beside which any word may be a name.
        short, long: contractions and back; ``trade``, ``everyday``: jargon and back.
        patterns: one expression for the keys of each table.
    """

    verbs: frozenset[str]
    plain: frozenset[str]
    naming: frozenset[str]
    commands: frozenset[str]
    short: dict[str, str]
    long: dict[str, str]
    trade: dict[str, str]
    everyday: dict[str, str]
    patterns: dict[str, re.Pattern[str]]

    def jargon(self, line: str, voice: Mapping[str, Json]) -> str:
        """Use trade words or everyday ones, as the voice does."""
        jargon = voice.get("jargon", "mid")
        return line if jargon == "mid" else self.translate(line, to_trade=jargon == "high")

    def contractions(self, body: str, voice: Mapping[str, Json]) -> str:
        """Contract or expand, as the voice does."""
        contract = voice.get("contract", "keep")
        if contract == "always":
            return self.contract(body)
        return self.expand(body) if contract == "never" else body

    def contract(self, line: str) -> str:
        """Contract: "do not" → "don't"."""

        def replace(m: re.Match[str]) -> str:
            # "I am." and "they are, …" stay: only "not" may end a clause contracted
            if not m[0].lower().endswith("not") and not re.match(r" [a-z" + _UNMARKED + "]", line[m.end() :]):
                return m[0]
            return _like(self.short[_key(m[0])], m[0])

        return self.patterns["long"].sub(replace, line)

    def expand(self, line: str) -> str:
        """Expand: "don't" → "do not", but not in a question that begins with it ("Don't you …")."""

        def replace(m: re.Match[str]) -> str:
            if m[0].lower().endswith("n't") and re.match(
                r" (?:you|we|they|i|it|he|she|the)\b", line[m.end() :], re.I
            ):
                return m[0]
            return _like(self.long[_key(m[0])], m[0])

        return self.patterns["short"].sub(replace, line.replace("’", "'"))

    def translate(self, line: str, *, to_trade: bool) -> str:
        """Swap everyday words for trade words or back, except beside a word that makes them a name."""
        table = self.trade if to_trade else self.everyday

        def replace(m: re.Match[str]) -> str:
            before = re.findall(r"[\w'" + _UNMARKED + "]+", line[max(0, m.start() - 30) : m.start()])
            after = re.findall(r"[\w'" + _UNMARKED + "]+", line[m.end() : m.end() + 30])
            beside = {w.lower() for w in before[-1:] + after[:1]}
            if beside & self.naming or any(MASK.match(w) for w in after[:1]):
                return m[0]
            return _like(table[m[0].lower()], m[0])

        return self.patterns["everyday" if to_trade else "trade"].sub(replace, line)

    def recase(self, body: str, *, upper: bool) -> str:
        """Change the case at the starts of sentences: down only for plain words, up for all but commands."""

        def replace(m: re.Match[str]) -> str:
            word = m[2]
            known = word.lower() in self.plain
            if not known and not (upper and len(word) > 1 and word.islower() and word not in self.commands):
                return m[0]
            first = word[0].upper() if upper else word[0].lower()
            return m[1] + first + word[1:]

        return _START.sub(replace, body)


def _key(found: str) -> str:
    return "I" + found[1:].lower() if found[0] in "iI" and found[1:2] in " '" else found.lower()


def _like(new: str, old: str) -> str:
    return new[0].upper() + new[1:] if old[0].isupper() and new[0].islower() else new


@lru_cache(maxsize=1)
def words() -> Words:
    """Return the vocabulary (read once)."""
    lists = load_words()
    habits: Habits = load_habits()
    verbs = frozenset(lists.verbs.split())
    short = dict(habits.contractions)
    long = {v: k for k, v in short.items() if k != "can not"}
    trade = dict(habits.jargon)
    everyday = {v.lower(): k for k, v in trade.items()}
    return Words(
        verbs=verbs,
        plain=verbs | frozenset(lists.starts.split()),
        naming=frozenset(habits.naming.split()),
        commands=frozenset(lists.commands.split()),
        short=short,
        long=long,
        trade=trade,
        everyday=everyday,
        patterns={
            "long": _alternatives(tuple(short)),
            "short": _alternatives(tuple(long)),
            "everyday": _alternatives(tuple(trade)),
            "trade": _alternatives(tuple(everyday)),
        },
    )
