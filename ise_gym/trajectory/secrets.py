"""Finds what must not leave the machine inside a published corpus: credentials and personal data.

Credentials by shape: formats that issuers document. By value: the exact contents of this process' own environment
variables that are named like credentials, which is how a real leak would look. A finding never carries the secret
itself.

Personal data: e-mail addresses outside the domains reserved for examples, and numbers of payment cards and bank
accounts whose check digits are right. Names aren't looked for: the personas are made up.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache

from ise_gym.trajectory.record import Trajectory

PATTERNS: Mapping[str, str] = {
    "aws access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "github token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})\b",
    "gitlab token": r"\bglpat-[A-Za-z0-9_-]{20,}\b",
    "model provider key": r"\bsk-(?:ant-|proj-|or-)?[A-Za-z0-9_-]{32,}\b",
    "hugging face token": r"\bhf_[A-Za-z0-9]{30,}\b",
    "google api key": r"\bAIza[0-9A-Za-z_-]{35}\b",
    "slack token": r"\bxox[abeoprs]-[A-Za-z0-9-]{20,}\b",
    "stripe key": r"\b[rs]k_live_[A-Za-z0-9]{20,}\b",
    "json web token": r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\b",
    "private key": r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----",
    "password in a url": r"\b[a-z][a-z0-9+.-]{0,20}://[^\s/:@'\"]+:[^\s/@'\"$<{]{3,}@[^\s'\"]+",
}
"""Kind → regular expression of its form."""

_SIGNS: Mapping[str, tuple[str, ...]] = {
    "aws access key": ("AKIA", "ASIA"),
    "github token": ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    "gitlab token": ("glpat-",),
    "model provider key": ("sk-",),
    "hugging face token": ("hf_",),
    "google api key": ("AIza",),
    "slack token": ("xox",),
    "stripe key": ("k_live_",),
    "json web token": ("eyJ",),
    "private key": ("PRIVATE KEY",),
    "password in a url": ("://",),
}
"""Kind → strings of which one is in every match. Looking for them first is what makes a scan of megabytes cheap."""

_NAMED_LIKE_ONE = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)
_SHORTEST = 12
"""Values shorter than this are too likely to occur by chance."""


# each begins with what it matches and looks behind that: the search then jumps from one such sign to the next
_EMAIL = re.compile(r"[A-Za-z0-9](?<![\w.+-].)[\w.+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,18}\b")
_RESERVED = re.compile(
    r"@(?:[\w-]+\.)*(?:example\.(?:com|org|net)|example|test|invalid|localhost|local|internal|lan)$",
    re.IGNORECASE,
)
"""Domains that nobody owns (RFC 2606, RFC 6762 and private use)."""
_CARD = re.compile(r"[3-6](?<![\w.-].)\d{3}(?:[ -]?\d{4}){2}[ -]?\d{3,4}(?![\w.-])")
_IBAN = re.compile(r"[A-Z](?<!\w.)[A-Z]\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b")


_APART = "\n\0\n"
"""Between texts that are searched together: no form of a finding goes over a line's end, and no value holds a NUL."""


def scan(text: str) -> Iterator[str]:
    """Yield the kind of each credential found in a text.

    >>> list(scan("export AWS=" + "AKIA" + "ABCDEFGHIJKLMNOP"))
    ['aws access key']
    """
    yield from _by_form(text)
    for name, value in _environment():
        if value in text:
            yield f"value of ${name}"


def _by_form(text: str) -> Iterator[str]:
    for kind, pattern in _compiled():
        lines = {start: line for sign in _SIGNS[kind] for start, line in _lines_with(sign, text)}
        for line in lines.values():
            for _ in pattern.finditer(line):
                yield kind


def scan_personal(trajectory: Trajectory) -> Counter[str]:
    """Count what looks like personal data, over the same texts as `scan_trajectory`."""
    found: Counter[str] = Counter()
    text = _APART.join(_texts(trajectory))
    for _, line in _lines_with("@", text):
        found["e-mail address"] += sum(not _RESERVED.search(m[0]) for m in _EMAIL.finditer(line))
    for match in _CARD.finditer(text):
        found["payment card"] += _luhn(re.sub(r"\D", "", match[0]))
    for match in _IBAN.finditer(text):
        found["bank account"] += _mod97(match[0].replace(" ", ""))
    return +found


def _lines_with(sign: str, text: str) -> Iterator[tuple[int, str]]:
    """Yield where it begins, and the line, of each line of a text that holds a sign."""
    end = 0
    while (place := text.find(sign, end)) >= 0:
        start = text.rfind("\n", 0, place) + 1
        end = text.find("\n", place)
        end = len(text) if end < 0 else end
        yield start, text[start:end]


def scan_trajectory(trajectory: Trajectory) -> Counter[str]:
    """Count findings over everything in a record that a model, a tool or a user wrote."""
    texts = list(_texts(trajectory))
    whole = _APART.join(
        texts
    )  # one search for all: an episode has hundreds of texts, and next to none has a finding
    found = Counter(_by_form(whole))
    for name, value in _environment():
        if value in whole and (count := sum(value in text for text in texts)):
            found[f"value of ${name}"] += count
    return found


def _texts(trajectory: Trajectory) -> Iterator[str]:
    yield trajectory.intent
    yield trajectory.brief
    inside = [message for session in trajectory.sessions for message in session["messages"]]
    for message in [*trajectory.messages, *inside]:
        yield message["content"]
        if reasoning := message.get("reasoning_content"):
            yield reasoning
        for call in message.get("tool_calls") or ():
            # an escaped line break would otherwise glue its "n" to the word that follows
            yield call["function"]["arguments"].replace("\\n", "\n").replace("\\t", "\t")
    for step in trajectory.steps:
        if step.files is not None:
            yield from step.files.diffs.values()
    yield from (finding.found for finding in trajectory.findings)
    yield from (event.said for event in trajectory.guard_events)


def _luhn(digits: str) -> bool:
    """Whether a card number's check digit is right (ISO/IEC 7812-1)."""
    doubled = [int(d) * (1 + n % 2) for n, d in enumerate(reversed(digits))]
    return len(set(digits)) > 1 and sum(d - 9 * (d > 9) for d in doubled) % 10 == 0


def _mod97(account: str) -> bool:
    """Whether an IBAN's check digits are right (ISO 13616)."""
    return int("".join(str(int(c, 36)) for c in account[4:] + account[:4])) % 97 == 1


@lru_cache(maxsize=1)
def _compiled() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((kind, re.compile(pattern)) for kind, pattern in PATTERNS.items())


def _environment() -> list[tuple[str, str]]:
    named = ((n, v) for n, v in os.environ.items() if _NAMED_LIKE_ONE.search(n) and len(v) >= _SHORTEST)
    return [(name, value) for name, value in named if "/" not in value[:1]]
