"""What must never be written down or shown: which names hold a credential, and how it is taken out of data and text.

Every run card, manifest, record and message asks here. A second list of such names would one day let a key out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

from ise_gym.foreign.values import Json

_ALWAYS_SECRET = re.compile(
    r"key|secret|passw|passphrase|credential|authori[sz]ation|bearer|cookie|token$|(?<![a-z])auth(?![a-z])"
)
_SECRET_UNLESS_NUMBERS = re.compile(r"token(?!i[sz])")
HIDDEN = "***"
"""Stands for a credential that was taken out of a text."""
_SHORTEST = 6
"""Shorter ones (such as "none", which servers without a key are sent) are words of the language."""


def is_secret(name: str, value: Json = "") -> bool:
    """Tell whether an option holds a credential, by its name: ``api_key``, ``HF_TOKEN``, ``Authorization``, …

    Counts and ids (``max_tokens``, ``stop_token_ids``) are told from credentials (``api_tokens``) by their value.

    >>> [is_secret(name) for name in ("api_key", "HF_TOKEN", "X-Secret", "Authorization", "base_url", "tokenizer")]
    [True, True, True, True, False, False]
    >>> is_secret("max_tokens", 512), is_secret("stop_token_ids", [1, 2]), is_secret("api_tokens", "abc")
    (False, False, True)
    """
    plain = name.lower().replace("-", "_")
    if _ALWAYS_SECRET.search(plain):
        return True
    return bool(_SECRET_UNLESS_NUMBERS.search(plain)) and not _is_numbers(value)


def _is_numbers(value: Json) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_numbers(item) for item in value)
    return value is None or isinstance(value, int | float)


def without_secrets(value: Json) -> Any:
    """Return a copy of JSON-like data without the credentials in it, however deep, as `is_secret` finds them.

    Addresses lose user, password and query, where keys travel too.

    >>> without_secrets({"model": "m", "extra": [{"api_key": "k", "top_p": 0.9}]})
    {'model': 'm', 'extra': [{'top_p': 0.9}]}
    """
    if isinstance(value, Mapping):
        return {
            name: without_secrets(inner) for name, inner in value.items() if not is_secret(str(name), inner)
        }
    if isinstance(value, list | tuple):
        return [without_secrets(inner) for inner in value]
    if isinstance(value, str) and _ADDRESS.match(value):
        return public_address(value)
    return value


_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]{0,20}://\S+\Z", re.IGNORECASE)


def public_address(url: str) -> str:
    """Return an endpoint's address as messages may show it: without user, password, query and fragment.

    >>> public_address("https://me:pw@host:8000/v1?key=abc")
    'https://host:8000/v1'
    """
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:  # not an address at all: what it holds is anybody's guess
        return HIDDEN
    return f"{parts.scheme}://{host}{parts.path}" if parts.scheme else url


def split_off(arguments: Sequence[str]) -> list[str]:
    """Return what may be credentials on a command line on which a name lost its value: what follows the name.

    >>> split_off(["--agent", "openai:m", "--agent-option", "api_key", "sk-123", "--hf-token=", "hf_1"])
    ['sk-123', 'hf_1']
    """
    words = [word for word in arguments if word not in ("=", ":")]
    found = []
    for place, (before, value) in enumerate(pairwise(words)):
        flag, _, rest = before.partition("=") if before.startswith("--") else ("", "", before)
        name, _, there = rest.partition("=")
        option = flag or (words[place - 1] if place else "")
        of_option = bool(rest) and option.endswith("-option")
        if not there and (of_option or is_secret((name or flag).rstrip(":"))) and not value.startswith("-"):
            found.append(value.lstrip("=:"))
    return found


def scrubbed(text: str, *secrets: str | None) -> str:
    """Return a text, such as an endpoint's own error message, without credentials that are repeated in it.

    >>> scrubbed("wrong key: abcdef", "abcdef", None)
    'wrong key: ***'
    """
    for secret in secrets:
        if secret and len(secret) >= _SHORTEST:
            text = text.replace(secret, HIDDEN)
    return text
