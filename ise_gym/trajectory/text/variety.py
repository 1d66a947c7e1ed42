"""How much text there is in a corpus and how much of it is different: what counts of messages cannot show.

A corpus can have ISETrace's turns, messages and calls and still repeat one sentence before every call. So beside the
counts stand the volume of text, the share that was thought, and how many sentences, replies and plans are distinct
once names and figures are masked.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from rich.table import Table

from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.text.wording import masked, own_conversations, replies, sentences, skeletons, volume

KINDS: Mapping[str, str] = {
    "sentences_before_calls": "sentences before calls",
    "sentences_of_replies": "sentences of replies",
    "replies": "whole replies",
    "skeletons": "plan skeletons, one per request",
}
"""What is counted for being distinct → how tables name it."""


class Distinct:
    """Counts different texts in eight bytes each, by a hash; two counts can be merged."""

    def __init__(self) -> None:
        self._sorted: np.ndarray[Any, np.dtype[np.uint64]] = np.empty(0, np.uint64)
        self._new: set[int] = set()

    def add(self, text: str) -> None:
        """Count a text."""
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        self._new.add(int.from_bytes(digest))
        if len(self._new) > _MOST_NEW:
            self._settle()

    def merge(self, other: Distinct) -> None:
        """Count what another one counted."""
        self._new.update(other._new)
        if other._sorted.size or len(self._new) > _MOST_NEW:
            self._settle()
            self._sorted = np.union1d(self._sorted, other._sorted)

    def __len__(self) -> int:
        self._settle()
        return int(self._sorted.size)

    def _settle(self) -> None:
        if self._new:
            self._sorted = np.union1d(self._sorted, np.fromiter(self._new, np.uint64, len(self._new)))
            self._new.clear()


_MOST_NEW = 1 << 18
"""Hashes that wait to be sorted in."""


class VarietyStats:
    """Streaming: `add` each trajectory, then read `summary`. Memory: eight bytes for each distinct text."""

    def __init__(self) -> None:
        self.episodes = 0
        self._sums: Counter[str] = Counter()
        self._all: Counter[str] = Counter()
        self._distinct = {kind: Distinct() for kind in KINDS}

    def add(self, trajectory: Trajectory) -> None:
        """Count one episode."""
        self.episodes += 1
        self._sums["characters"] += volume(trajectory)
        for messages in own_conversations(trajectory):
            for message in messages:
                if message["role"] == "assistant":
                    self._count_message(message)
        said = [text for _, text in replies(trajectory)]
        self._sums["reply_words"] += sum(len(text.split()) for text in said)
        self._note("replies", (" ".join(masked(text).lower().split()) for text in said))
        self._note("skeletons", skeletons(trajectory))

    def _count_message(self, message: Mapping[str, Any]) -> None:
        words, thought = str(message.get("content") or ""), str(message.get("reasoning_content") or "")
        calls = message.get("tool_calls") or ()
        called = sum(len(call["function"]["arguments"]) for call in calls)
        self._sums.update(
            {
                "assistant_messages": 1,
                "thoughtful_messages": int(bool(thought.strip())),
                "thought_characters": len(thought),
                "assistant_characters": len(words) + len(thought) + called,
            }
        )
        self._note("sentences_before_calls" if calls else "sentences_of_replies", sentences(words))

    def _note(self, kind: str, texts: Iterable[str]) -> None:
        for text in texts:
            self._all[kind] += 1
            self._distinct[kind].add(text)

    def merge(self, other: VarietyStats) -> None:
        """Count what another one counted."""
        self.episodes += other.episodes
        self._sums.update(other._sums)
        self._all.update(other._all)
        for kind, distinct in self._distinct.items():
            distinct.merge(other._distinct[kind])

    def summary(self) -> dict[str, Any]:
        """Return the figures as JSON; {} of nothing."""
        if not self.episodes:
            return {}
        sums, replies_made = self._sums, self._all["replies"]
        return {
            "characters": sums["characters"],
            "characters_an_episode": sums["characters"] / self.episodes,
            "assistant_share": _share(sums["assistant_characters"], sums["characters"]),
            "words_a_reply": _share(sums["reply_words"], replies_made),
            "reasoning": {
                "messages": _share(sums["thoughtful_messages"], sums["assistant_messages"]),
                "characters": _share(sums["thought_characters"], sums["assistant_characters"]),
            },
            "distinct": {
                kind: {"total": self._all[kind], "distinct": len(self._distinct[kind])} for kind in KINDS
            },
        }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def variety_table(variety: Mapping[str, object]) -> Table:
    """Return `VarietyStats.summary` as a table beside what is known of ISETrace."""
    table = Table(title="Text and its variety", title_justify="left")
    for column in ("", "here", "distinct", "ISETrace"):
        table.add_column(column, justify="right" if column else "left")
    for label, shown in variety_rows(variety):
        table.add_row(label, *shown, "not published")
    return table


def variety_rows(variety: Mapping[str, Any]) -> list[tuple[str, tuple[str, str]]]:
    """Return (label, (figure, share that is distinct)) of each line of the table."""
    if not variety:
        return []

    def percent(value: float | None) -> str:
        return "–" if value is None else f"{100 * value:.1f} %"

    words = variety["words_a_reply"]
    rows = [
        ("characters per episode", (f"{variety['characters_an_episode']:,.0f}", "")),
        ("of these the agent's", (percent(variety["assistant_share"]), "")),
        ("words per reply", ("–" if words is None else f"{words:.1f}", "")),
        ("messages with a thought", (percent(variety["reasoning"]["messages"]), "")),
        ("thought, of the agent's characters", (percent(variety["reasoning"]["characters"]), "")),
    ]
    for kind, label in KINDS.items():
        counts = variety["distinct"][kind]
        share = _share(counts["distinct"], counts["total"])
        rows.append((label, (f"{counts['total']:,}", f"{counts['distinct']:,} ({percent(share)})")))
    return rows
