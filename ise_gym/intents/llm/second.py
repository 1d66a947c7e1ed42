"""A second reading of a wording, by somebody who has not seen what it was made of.

A model lists what a message asks for, from the message alone; then that list is held against the plain request. So the
one that compares never sees the wording, and can't be talked round by its tone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ise_gym.models.chat import read_object

READING_VERSION = 1
Ask = Callable[[Sequence[Mapping[str, str]], Mapping[str, Any]], str]
"""Conversation and JSON schema → the text of the answer."""

_READ = (
    "You read messages that a person sent to an assistant, one after the other. List for each message what the "
    "assistant is asked to do, as short orders with all names, figures, orders of sorting, roundings and formats that "
    "the message gives. A message that asks for nothing, or takes a wish back, has an empty list. Answer with one JSON "
    'object: {"messages": [{"asks": ["…", …]}, …]}, one entry per message.'
)
_COMPARE = (
    "You compare work orders. For each number you get a request, and what somebody was told to do. Say whether doing "
    "exactly what was told fulfils the request: nothing that the request asks for is missing or different, and nothing "
    'harmful is added. Answer with one JSON object: {"orders": [{"missing": ["…"], "added": ["…"], "same": true or '
    "false}, …]}, one entry per number."
)
_TEXTS = {"type": "array", "items": {"type": "string"}}


def _listing(key: str, properties: Mapping[str, object], count: int) -> dict[str, Any]:
    item = {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
    listed = {"type": "array", "items": item, "minItems": count, "maxItems": count}
    return {"type": "object", "properties": {key: listed}, "required": [key], "additionalProperties": False}


@dataclass(frozen=True)
class SecondReading:
    """What a second reading found: ``asks`` for each message, and ``problem``, "" when all of it is asked for."""

    asks: tuple[tuple[str, ...], ...]
    problem: str = ""


def second_reading(ask: Ask, said: Sequence[str], plain: Sequence[str]) -> SecondReading:
    """Read messages anew and compare what they ask for with the plain requests.

    Args:
        ask: puts a question to a model; what it raises passes through.
        said: the wording's messages. ``plain``: the catalog's requests, in the same order.
    """
    listed = _entries(
        ask(_talk(_READ, {"messages": list(said)}), _listing("messages", {"asks": _TEXTS}, len(said))),
        "messages",
        len(said),
    )
    if listed is None:
        return SecondReading((), "the second reading could not be read")
    asks = tuple(tuple(str(order) for order in entry.get("asks") or ()) for entry in listed)
    for number, orders in enumerate(asks, 1):
        if not orders:
            return SecondReading(asks, f"message {number} asks for nothing, as a second reading has it")
    pairs = [
        {"number": n, "request": text, "told": list(own)}
        for n, (text, own) in enumerate(zip(plain, asks, strict=True), 1)
    ]
    fields = {"missing": _TEXTS, "added": _TEXTS, "same": {"type": "boolean"}}
    found = _entries(
        ask(_talk(_COMPARE, pairs), _listing("orders", fields, len(plain))), "orders", len(plain)
    )
    if found is None:
        return SecondReading(asks, "the comparison with the request could not be read")
    for number, entry in enumerate(found, 1):
        if entry.get("same") is not True:
            words = [str(w) for key in ("missing", "added") for w in entry.get(key) or ()]
            return SecondReading(
                asks,
                f"message {number} asks for something else, as a second reading has it: {'; '.join(words)[:200]}",
            )
    return SecondReading(asks)


def _talk(instruction: str, material: object) -> list[dict[str, str]]:
    return [
        {"role": "system", "content": instruction},
        {"role": "user", "content": json.dumps(material, ensure_ascii=False, indent=1)},
    ]


def _entries(text: str, key: str, count: int) -> list[Mapping[str, Any]] | None:
    value = read_object(text)
    listed = value.get(key) if value is not None else None
    if not isinstance(listed, list) or len(listed) != count or not all(isinstance(e, dict) for e in listed):
        return None
    return listed
