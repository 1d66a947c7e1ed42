"""What the words of an agent know: a name that nothing has shown, a cause before its effect."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ise_gym.proving.knowledge.calls import leaked_words
from ise_gym.proving.knowledge.seen import Hidden, Seen, words_of

_QUOTED = re.compile(r"\"([^\"\n]{3,200})\"|“([^”\n]{3,200})”|`([^`\n]{3,200})`")
_FORWARD = re.compile(
    r"\?|^(?:first|now|next|then|once more|again|let|i'll|i will|trying|try|running|starting|checking"
    r"|a (?:first|quick|short) |a (?:try|copy)|one (?:of them|more)|that is the one)"
    r"|\blet me\b|\bI(?:'ll| will| want| try| would)\b|\b(?:could|can|will|"
    r"should|must|might|may|ought|let's|probably)\b|\bsee (?:whether|if|how|what)\b",
    re.IGNORECASE,
)
_BACKWARD = re.compile(
    r"\b(?:has to|have to|had to|wants|needs|doesn't|didn't|isn't|wasn't|aren't|don't|wrong|missing|instead|failed"
    r"|fails|"
    r"refused|rejected|expired|denied|no such|is called|are called|is named|as well|no longer|not yet|lacks"
    r"|too (?:\w+))\b"
    r"|\bno \w+ (?:\w+ )?yet\b|, not \w+",
    re.IGNORECASE,
)


def leaks_of_words(text: str, seen: Seen, hidden: Hidden) -> Iterator[str]:
    """Yield names, figures and quotations of a text that nothing has shown."""
    for word in leaked_words(text, seen, hidden):
        yield f"tells of {word!r}, which was never shown"
    for word in dict.fromkeys(words_of(text)):
        word = re.sub(r"['’]s$", "", word)
        proper = word[:1].isupper() and not word.isupper() and len(word) > 2
        if proper and word in hidden.exact and word.lower() not in hidden.exact and not seen.word(word):
            yield f"tells of {word!r}, which was never shown"
    for match in _QUOTED.finditer(text):
        quoted = next(group for group in match.groups() if group)
        if " " in quoted.strip() and not _quotation_seen(quoted, seen):
            yield f"quotes {quoted!r}, which was never shown"


def _quotation_seen(quoted: str, seen: Seen) -> bool:
    plain = quoted.strip().rstrip(".,;:!?…")
    return seen.text(plain) or all(seen.word(word) for word in words_of(plain) if len(word) > 3)


def told_too_early(text: str) -> bool:
    """Return whether the words beside a failing call explain its failure, which nobody knows yet.

    >>> told_too_early("The column is called name, in lower case."), told_too_early("Let me see the tests fail.")
    (True, False)
    """
    if not text.strip() or "?" in text:
        return False
    if re.search(r"\bmust (?:be|not|give)\b", text):
        return False
    return bool(_BACKWARD.search(text)) or not _FORWARD.search(text)
