"""What a voice must never touch: paths, quotes, code, numbers, identifiers.

Checks depend on the exact spelling of such words. So every rewriting of an utterance happens on a *masked* text,
in which each protected span is one private-use character; unmasking puts the spans back unchanged.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_BASE = 0xF0000  # Supplementary Private Use Area-A: no keyboard makes these characters
_PUA = f"{chr(_BASE)}-{chr(0xFFFFD)}"
MASK = re.compile(f"[{_PUA}]")
_SPAN = re.compile(
    r"```.*?```"  # fenced code
    r"|`[^`\n]+`"
    r'|"[^"\n]+"|“[^”\n]{1,400}”|«[^»\n]{1,400}»|(?<!\w)‘[^’\n]{1,400}’(?!\w)'
    r"|(?<![\w'])'[^'\n]*[^'\s]'(?!\w)"
    r"|[(\[]+(?=['‘])"  # so that a bracketed quote is seen as a quote
    r"|[^\s\"`“«]+",  # any other word: protected or not, see `_word`
    re.DOTALL,
)
_MARKS = re.compile(r"[\d_/\\@#=<>*$|~&^%+{}\[\]]|\w\.\w|[a-zß-ÿ][A-ZÀ-Þ]|\w:\w|\w\(|^\.\w|^--?\w")
_LATIN = re.compile(r"(?:e\.g|i\.e|a\.m|p\.m)\.", re.IGNORECASE)
_LONGEST_WORD = 400
_TRAIL = ".,;:!?'’…"


def _shape(word: str) -> tuple[int, int]:
    """Return start and end of the part of a whitespace-delimited word that could be an identifier."""
    start, end = 0, len(word)
    while start < end and word[start] in "([¿¡‘'":
        start += 1
    while end > start:
        last = word[end - 1]
        # "sum=.." is a form to fill in, and "e.g." an abbreviation: neither ends a sentence
        if word[start:end].endswith("..") or _LATIN.fullmatch(word[start:end]):
            break
        unopened = (last == ")" and "(" not in word[start:end]) or (
            last == "]" and "[" not in word[start:end]
        )
        if not (last in _TRAIL or unopened):
            break
        end -= 1
    return start, end


def _is_protected(core: str) -> bool:
    if MASK.search(core) or _MARKS.search(core):
        return True
    letters = [c for c in core if c.isalpha()]
    return len(letters) > 1 and all(c.isupper() for c in letters)


@lru_cache(maxsize=65_536)
def _core_of(word: str) -> tuple[int, int] | None:
    """Return where the protected part of a word lies; None when nothing in it is protected.

    A pool says the same few thousand words millions of times, so the answer is kept.
    """
    if len(word) > _LONGEST_WORD:
        return (0, len(word))  # a blob, whatever it is made of
    start, end = _shape(word)
    return (start, end) if _is_protected(word[start:end]) else None


@dataclass(frozen=True)
class Masked:
    """A text whose protected spans are single private-use characters, and the spans, in order."""

    text: str
    spans: tuple[str, ...]

    def unmask(self, text: str) -> str:
        """Return ``text`` with every mask character replaced by its span."""
        return MASK.sub(lambda m: self.spans[ord(m[0]) - _BASE], text)


def mask(text: str) -> Masked:
    """Mask the protected spans of ``text``.

    >>> m = mask('Put "a b" into out/x.csv, please.')
    >>> m.spans
    ('"a b"', 'out/x.csv')
    >>> m.unmask(m.text)
    'Put "a b" into out/x.csv, please.'
    """
    spans: list[str] = []

    def keep(span: str) -> str:
        spans.append(span)
        return chr(_BASE + len(spans) - 1)

    def replace(match: re.Match[str]) -> str:
        found = match[0]
        if found[0] in '"`“«' or (found[0] in "'‘" and found[-1] in "'’" and len(found) > 2):
            return keep(found)
        core = _core_of(found)
        if core is None:
            return found
        start, end = core
        return found[:start] + keep(found[start:end]) + found[end:]

    masked = _SPAN.sub(replace, text)
    return Masked(masked, tuple(spans))


def protected_spans(text: str) -> tuple[str, ...]:
    """Return the spans of ``text`` that no voice may change, in order.

    >>> protected_spans("Fix the TODO in src/app.py: it's 3 lines, see readConfig().")
    ('TODO', 'src/app.py', '3', 'readConfig()')
    """
    return mask(text).spans
