"""Text that others wrote: how much of it is read, and how it is shown.

What an agent, a page, a file or a record says may be a megabyte of one letter, hold terminal escapes or look like
markup. Two rules keep that harmless: readers look at an `excerpt` of bounded length, and whatever reaches a terminal
goes through `shown` (plain) or `rich_text` (where rich's markup is on).
"""

from __future__ import annotations

import re

from rich.markup import escape

_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
"""Controls, terminal escapes, invisible and direction-changing characters, and halves of characters."""
_LINE_BREAKS = re.compile(r"[\t\n]")


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


def shown(text: object, limit: int = 2_000) -> str:
    r"""Return a text that is safe to print: escapes stand as ``\x1b``, what is too long is cut.

    >>> print(shown("ls\x1b[31m"))
    ls\x1b[31m
    """
    return _UNPRINTABLE.sub(_escaped, excerpt(_plain(text), limit))


def one_line(text: object, limit: int = 200) -> str:
    r"""Return `shown` on one line, for tables and titles; what is too long ends in "…".

    >>> print(one_line("a\nb"))
    a\nb
    """
    plain = _plain(text)
    cut = plain if len(plain) <= limit else plain[: limit - 1] + "…"
    return _LINE_BREAKS.sub(lambda m: "\\n" if m[0] == "\n" else "\\t", _UNPRINTABLE.sub(_escaped, cut))


def rich_text(text: object, limit: int = 200) -> str:
    r"""Return `one_line` for a rich console or table: brackets are words there, not markup.

    >>> print(rich_text("[/bold]x"))
    \[/bold]x
    """
    return escape(one_line(text, limit))


def _plain(text: object) -> str:
    return text if isinstance(text, str) else str(text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
