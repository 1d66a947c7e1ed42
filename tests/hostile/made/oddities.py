"""One odd value in one place of a JSON document: every place, with values that have ended commands in tracebacks."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

MARK = "\ue000"
RAW: Mapping[str, str] = {
    "NaN": "NaN",
    "Infinity": "-Infinity",
    "a float without end": "1e999",
    "digits without end": "7" * 400,
    "too many digits": "7" * 5_000,
    "deep": "[" * 30_000 + "]" * 30_000,
    "half a character": '"\\ud800"',
}
"""Values that only a text can hold."""
ODD: Mapping[str, Any] = {
    "null": None,
    "a number": 7,
    "a negative number": -1,
    "a text": "x",
    "no text": "",
    "markup": "[/bold]x[link=file:///etc]",
    "escapes": "\x1b]0;title\x07\x1b[31m\x9b2J\u202e",
    "a list": ["x"],
    "a list of lists": [[1], [2]],
    "an object": {"x": {"y": 1}},
    "true": True,
    "a fraction": 0.5,
    "json text": '[{"a": 1}]',
}
NAMES = (*ODD, *RAW)


def places(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of every value in a document; of lists the first two and the last."""
    if at:
        yield at
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*at, key))
    elif isinstance(value, list):
        for index in sorted({0, 1, len(value) - 1} & set(range(len(value)))):
            yield from places(value[index], (*at, index))


def changed(document: Any, at: tuple[str | int, ...], odd: str) -> str:
    """Return a document as JSON text with an odd value in one place."""
    other = copy.deepcopy(document)
    inside = other
    for step in at[:-1]:
        inside = inside[step]
    inside[at[-1]] = MARK if odd in RAW else ODD[odd]
    text = json.dumps(other)
    return text.replace(json.dumps(MARK), RAW[odd]) if odd in RAW else text


def without(document: Any, at: tuple[str | int, ...]) -> str:
    """Return a document as JSON text with one place left out."""
    other = copy.deepcopy(document)
    inside = other
    for step in at[:-1]:
        inside = inside[step]
    del inside[at[-1]]
    return json.dumps(other)
