"""Finds what must not leave the machine inside a published corpus: credentials, by shape and by value.

By shape: formats that issuers document. By value: the exact contents of this process' own environment variables that
are named like credentials, which is how a real leak would look. A finding never carries the secret itself.
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
    "password in a url": r"\b[a-z][a-z0-9+.-]*://[^\s/:@'\"]+:[^\s/@'\"$<{]{3,}@[^\s'\"]+",
}
"""Kind → regular expression of its form."""

_NAMED_LIKE_ONE = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)
_SHORTEST = 12
"""Values shorter than this are too likely to occur by chance."""


def scan(text: str) -> Iterator[str]:
    """Yield the kind of each credential found in a text.

    >>> list(scan("export AWS=" + "AKIA" + "ABCDEFGHIJKLMNOP"))
    ['aws access key']
    """
    for kind, pattern in _compiled():
        for _ in pattern.finditer(text):
            yield kind
    for name, value in _environment():
        if value in text:
            yield f"value of ${name}"


def scan_trajectory(trajectory: Trajectory) -> Counter[str]:
    """Count findings over everything in a record that a model, a tool or a user wrote."""
    found: Counter[str] = Counter()
    for message in trajectory.messages:
        found.update(scan(message["content"]))
        if reasoning := message.get("reasoning_content"):
            found.update(scan(reasoning))
        for call in message.get("tool_calls") or ():
            found.update(scan(call["function"]["arguments"]))
    found.update(scan(trajectory.intent))
    return found


@lru_cache(maxsize=1)
def _compiled() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((kind, re.compile(pattern)) for kind, pattern in PATTERNS.items())


def _environment() -> list[tuple[str, str]]:
    named = ((n, v) for n, v in os.environ.items() if _NAMED_LIKE_ONE.search(n) and len(v) >= _SHORTEST)
    return [(name, value) for name, value in named if "/" not in value[:1]]
