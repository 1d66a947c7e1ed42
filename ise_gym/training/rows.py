"""One episode → training rows: token ids, labels, and a reason for everything that is left out.

Long episodes are never cut. A row that would not fit is split at user turns into windows: each window starts with
the system prompt and the tools, holds consecutive whole user turns word for word (nothing is summarised or
invented in place of what came before), and every assistant message is learned in exactly one window. A single
user turn that does not fit is dropped and counted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ise_gym.models.local.tokenizer import Tokenizer
from ise_gym.training.config import Loss
from ise_gym.training.template import Thinking, encode
from ise_gym.trajectory.record import Step
from ise_gym.trajectory.untaught import untaught

IGNORED = -100
"""The label of tokens outside the loss."""

Reason = Literal["broken", "empty", "over-long", "nothing to learn", "cut", "an answer that is not taught"]


@dataclass(frozen=True)
class Row:
    """What the trainer gets; ``labels`` are shifted by the trainer, not here."""

    name: str
    input_ids: list[int]
    labels: list[int]

    @property
    def learned(self) -> int:
        """Number of tokens in the loss."""
        return sum(label != IGNORED for label in self.labels)


@dataclass(frozen=True)
class RowOptions:
    """How episodes become rows; see `ise_gym.training.config.DataConfig` for the meaning of each."""

    max_length: int
    over_long: Literal["split", "drop"] = "split"
    thinking: Thinking = "keep"
    mask_failed_calls: bool = False
    single_user_turn: bool = False
    loss: Loss = "all"


@dataclass(frozen=True)
class RowSet:
    """Rows of one episode and what was left out of it, as (reason, detail)."""

    rows: tuple[Row, ...] = ()
    dropped: tuple[tuple[Reason, str], ...] = ()


def problem_of(messages: Sequence[Mapping[str, Any]]) -> tuple[Reason, str] | None:
    """Say why a conversation cannot be trained on, or None.

    >>> problem_of([])
    ('empty', 'no messages')
    """
    if not messages:
        return "empty", "no messages"
    open_calls: set[str] = set()
    for index, message in enumerate(messages):
        role = message.get("role")
        if role not in ("system", "user", "assistant", "tool"):
            return "broken", f"message {index} has the unknown role {role!r}"
        if not isinstance(message.get("content"), str):
            return "broken", f"message {index} ({role}) has no text content"
        if not _encodable(message):
            return "broken", f"message {index} ({role}) holds half a surrogate pair, which is no Unicode text"
        if role == "assistant":
            for call in message.get("tool_calls") or ():
                function = call.get("function") if isinstance(call, Mapping) else None
                if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
                    return "broken", f"message {index} holds a tool call without a name"
                if not isinstance(function.get("arguments"), str | Mapping):
                    return "broken", f"message {index} holds a tool call without arguments"
                open_calls.add(str(call.get("id", "")))
        elif role == "tool" and str(message.get("tool_call_id", "")) not in open_calls:
            return "broken", f"message {index} answers no tool call"
    if not any(message["role"] == "assistant" for message in messages):
        return "empty", "no assistant message"
    return None


def _encodable(message: Mapping[str, object]) -> bool:
    """Whether a tokenizer can read it; some model's output can hold what UTF-8 can't."""
    try:
        json.dumps(message, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def rows_of(
    tokenizer: Tokenizer,
    name: str,
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]],
    options: RowOptions,
    *,
    inherited: int = 0,
    steps: Sequence[Step] = (),
) -> RowSet:
    """Tokenise one conversation with the tokenizer's own template; see the module's docstring for long ones.

    Args:
        name: of the rows, for reports.
        messages: the conversation; ``tools``: the schemas that its agent was offered.
        options: how it becomes rows.
        inherited: messages at the start that were copied from another conversation: context, never in the loss.
        steps: of the conversation: an answer that its server cut, filtered or broke is context, never in the loss,
            as is every one that can't be read back (see `ise_gym.trajectory.untaught`).
    """
    problem = problem_of(messages)
    if problem:
        return RowSet(dropped=(problem,))
    head, turns = _turns(messages)
    if options.single_user_turn:
        turns = turns[: len(_turns(messages[:inherited])[1]) + 1]
    turns = _without_tail(turns)
    if not turns:
        return RowSet(dropped=(("empty", "no assistant message in the turns that are kept"),))
    failed = _failed_calls(messages) if options.mask_failed_calls else frozenset()
    foreign = sum(message["role"] == "assistant" for message in messages[:inherited])
    unfit = untaught(messages, steps)
    spoken = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
    chosen = _chosen(messages, spoken, turns, options.loss)
    numbers = frozenset(
        number for number, index in enumerate(spoken) if index in unfit or number not in chosen
    )
    build = _Builder(tokenizer, tools, head, turns, options.thinking, failed, foreign, numbers)
    last_only = options.thinking == "last-turn" and any(
        message.get("reasoning_content") for turn in turns[:-1] for message in turn
    )
    windows = [(0, last) for last in range(len(turns))] if last_only else [(0, len(turns) - 1)]
    rows: list[Row] = []
    dropped: list[tuple[Reason, str]] = [
        ("an answer that is not taught", f"message {index}: {why}")
        for index, why in unfit.items()
        if index >= inherited
    ]
    marked = len(dropped)
    for first, last in windows:
        labelled = {last} if last_only else set(range(first, last + 1))
        row = build(name, first, last, labelled)
        if len(row.input_ids) <= options.max_length:
            rows.append(row)
        elif options.over_long == "drop":
            dropped.append(("over-long", f"{len(row.input_ids)} tokens"))
        else:
            split, lost = _split(build, name, last, labelled, options.max_length)
            rows += split
            dropped += lost
    if not any(row.learned for row in rows) and len(dropped) == marked:
        dropped.append(("nothing to learn", "no token is in the loss"))
    return RowSet(tuple(row for row in rows if row.learned), tuple(dropped))


def _turns(
    messages: Sequence[Mapping[str, object]],
) -> tuple[list[Mapping[str, Any]], list[list[Mapping[str, Any]]]]:
    """Split into the head (system messages first) and user turns, each starting with its user message."""
    start = next((i for i, m in enumerate(messages) if m["role"] != "system"), len(messages))
    turns: list[list[Mapping[str, Any]]] = []
    for message in messages[start:]:
        if message["role"] == "user" or not turns:
            turns.append([])
        turns[-1].append(message)
    return list(messages[:start]), turns


def _without_tail(turns: Sequence[Sequence[Mapping[str, object]]]) -> list[list[Mapping[str, Any]]]:
    """Cut what follows the last assistant message: it teaches nothing and costs tokens."""
    kept = [list(turn) for turn in turns]
    while kept and not any(message["role"] == "assistant" for message in kept[-1]):
        kept.pop()
    while kept and kept[-1][-1]["role"] != "assistant":
        kept[-1].pop()
    return kept


@dataclass(frozen=True)
class _Builder:
    """Makes the row of a range of turns."""

    tokenizer: Tokenizer
    tools: Sequence[Mapping[str, Any]]
    head: Sequence[Mapping[str, Any]]
    turns: Sequence[Sequence[Mapping[str, Any]]]
    thinking: Thinking
    failed: frozenset[str]
    foreign: int = 0
    """Assistant messages at the start that are another conversation's."""
    unfit: frozenset[int] = frozenset()
    """Numbers of assistant messages that are not taught."""

    def __call__(self, name: str, first: int, last: int, learned: set[int]) -> Row:
        """Turns ``first`` to ``last`` (both included) as one row; only turns in ``learned`` carry loss."""
        messages = [*self.head, *(m for turn in self.turns[first : last + 1] for m in turn)]
        encoded = encode(self.tokenizer, messages, self.tools, thinking=self.thinking)
        speakers = [
            (index, message)
            for index in range(first, last + 1)
            for message in self.turns[index]
            if message["role"] == "assistant"
        ]
        labels = [IGNORED] * len(encoded.input_ids)
        before = sum(message["role"] == "assistant" for turn in self.turns[:first] for message in turn)
        spoken = zip(speakers, encoded.spans, strict=True)
        for number, ((turn, message), (start, end)) in enumerate(spoken, start=before):
            calls = {str(call.get("id", "")) for call in message.get("tool_calls") or ()}
            if (
                turn in learned
                and number >= self.foreign
                and number not in self.unfit
                and not calls & self.failed
            ):
                labels[start:end] = encoded.input_ids[start:end]
        suffix = "" if (first, last) == (0, len(self.turns) - 1) else f"#turns{first}-{last}"
        return Row(name + suffix, encoded.input_ids, labels)


def _chosen(
    messages: Sequence[Mapping[str, object]],
    spoken: Sequence[int],
    turns: Sequence[Sequence[Mapping[str, object]]],
    loss: Loss,
) -> frozenset[int]:
    """Return the numbers of the assistant messages that the choice of loss lets be learned.

    Args:
        messages: the whole conversation; ``spoken``: where its assistant messages are.
        turns: the user turns that are kept, from the first on.
        loss: of the recipe.
    """
    if loss == "all":
        return frozenset(range(len(spoken)))
    if loss == "last":
        before = sum(message["role"] == "assistant" for turn in turns[:-1] for message in turn)
        return frozenset(range(before, len(spoken)))
    chosen = set()
    failed = False
    numbers = {index: number for number, index in enumerate(spoken)}
    for index, message in enumerate(messages):
        if message["role"] == "user":
            failed = False
        elif message["role"] == "tool" and message.get("success") is False:
            failed = True
        elif message["role"] == "assistant" and failed:
            chosen.add(numbers[index])
    return frozenset(chosen)


def _failed_calls(messages: Sequence[Mapping[str, object]]) -> frozenset[str]:
    failed = (m for m in messages if m["role"] == "tool" and m.get("success") is False)
    return frozenset(str(m.get("tool_call_id", "")) for m in failed)


def _split(
    build: _Builder, name: str, last: int, learned: set[int], limit: int
) -> tuple[list[Row], list[tuple[Reason, str]]]:
    """Greedy windows over turns 0..last; each learned turn lands in the first window that has room for it."""
    rows: list[Row] = []
    dropped: list[tuple[Reason, str]] = []
    if len(learned) == 1:
        # One turn is learned with as much of what came before as fits.
        for first in range(last + 1):
            row = build(name, first, last, learned)
            if len(row.input_ids) <= limit:
                return [row], []
        return [], [("over-long", f"user turn {last} alone is {len(row.input_ids)} tokens")]
    first = 0
    pending: Row | None = None
    position = 0
    while position <= last:
        row = build(name, first, position, set(range(first, position + 1)))
        if len(row.input_ids) <= limit:
            pending = row
            position += 1
        elif pending is not None:
            rows.append(pending)
            pending, first = None, position
        else:
            dropped.append(("over-long", f"user turn {position} alone is {len(row.input_ids)} tokens"))
            position += 1
            first = position
    if pending is not None:
        rows.append(pending)
    return rows, dropped
