"""Text that others wrote: how much of it is read, and how it is shown.

What an agent, a page, a file or a record says may be a megabyte of one letter or hold terminal escapes. Two rules keep
that harmless: readers look at an `excerpt` of bounded length, and what reaches a terminal went through `printable`
(see `ise_gym.foreign.screen`, which does so for all that commands print).
"""

from __future__ import annotations

import json
import re

from ise_gym.foreign.values import Json

_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
"""Controls, terminal escapes, invisible and direction-changing characters, and halves of characters."""


def excerpt(text: str, limit: int) -> str:
    """Return a text of at most about ``limit`` characters: all of it, or its start and end with a mark between.

    >>> excerpt("short", 100)
    'short'
    >>> len(excerpt("x" * 1_000_000, 1000)) < 1100
    True
    """
    if len(text) <= limit:
        return text
    head = limit * 3 // 4
    tail = limit - head
    return f"{text[:head]}\n[… {len(text) - limit:,} characters left out …]\n{text[len(text) - tail :]}"


def printable(text: str) -> str:
    r"""Return a text that is safe to print: what a terminal would act on stands as an escape.

    >>> print(printable("ls\x1b[31m"))
    ls\x1b[31m
    """
    return _UNPRINTABLE.sub(_escaped, text)


def printable_in_place(text: str) -> str:
    """Return `printable` with one replacement character for each, for a text whose positions matter."""
    return _UNPRINTABLE.sub("\ufffd", text)


def printable_json(value: Json) -> str:
    r"""Dump to JSON for a terminal or a file: readable, and with unprintable characters as JSON's own escapes.

    >>> print(printable_json(["\x9b", "é", "\ud800"]).replace("\n", ""))
    [  "\u009b",  "é",  "\ud800"]
    """
    return _UNPRINTABLE.sub(lambda m: f"\\u{ord(m[0]):04x}", json.dumps(value, indent=2, ensure_ascii=False))


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
