"""Options of agents, users and judges: how a command line writes them, and which of them may be written down.

Every command reads ``NAME=VALUE`` here, and every run card, manifest and record asks here which options are secret
(never written anywhere) and which are free (may change when a run is resumed). A second list of either would one day
let a key out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from ise_gym.errors import UserError

RATES = ("requests_per_minute", "tokens_per_minute")
"""Given for the whole run, and shared out among its workers."""

_FREE = re.compile(
    r"requests_per_minute|tokens_per_minute|(?:\w+_)?(?:url|endpoint|address|proxy|host|port)"
    r"|(?:\w+_)?timeout(?:_s)?|(?:max_)?retries|(?:\w+_)?prices?(?:_\w+)?|device"
)
_ALWAYS_SECRET = re.compile(
    r"key|secret|passw|passphrase|credential|authori[sz]ation|bearer|cookie|token$|(?<![a-z])auth(?![a-z])"
)
_SECRET_UNLESS_NUMBERS = re.compile(r"token(?!i[sz])")
HIDDEN = "***"
"""Stands for a credential that was taken out of a text."""


def is_secret(name: str, value: Any = "") -> bool:
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


def _is_numbers(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_numbers(item) for item in value)
    return value is None or isinstance(value, int | float)


def is_free(name: str) -> bool:
    """Tell whether an option may differ when a run is resumed: addresses, prices, rates, timeouts and the like.

    What is played does not depend on them, so they stay out of run cards and manifests, as credentials do.

    >>> [is_free(name) for name in ("base_url", "price_in", "timeout", "temperature")]
    [True, True, True, False]
    """
    return bool(_FREE.fullmatch(name.lower().replace("-", "_")))


def options_of(texts: Iterable[str] | None, flag: str = "--agent-option") -> dict[str, Any]:
    """Read ``NAME=VALUE`` texts; a value that is JSON is that, any other is text. Hyphens in names are underscores.

    A credential is always text, and no message repeats what was given: it may be a key that lost its name.

    Args:
        texts: as given on the command line.
        flag: the option that they were given with, for messages.

    Raises:
        UserError: a text without a name or without "=", or a name given twice.

    >>> options_of(["temperature=0.7", "base_url=http://127.0.0.1:8000/v1", 'extra={"top_p": 0.9}', "api-key=12"])
    {'temperature': 0.7, 'base_url': 'http://127.0.0.1:8000/v1', 'extra': {'top_p': 0.9}, 'api_key': '12'}
    """
    options: dict[str, Any] = {}
    for place, text in enumerate(texts or (), start=1):
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name.isidentifier():
            raise UserError(f"{flag} number {place}: write NAME=VALUE, such as {flag} temperature=0.7")
        if name in options:
            raise UserError(f"{flag} {name} is given twice. Give it once.")
        options[name] = value if is_secret(name) and not _is_numeric_count(name, value) else _value(value)
    return options


def _is_numeric_count(name: str, value: str) -> bool:
    """Whether a name such as ``max_tokens`` comes with the number that makes it a count."""
    return not is_secret(name, _value(value))


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def a_workers_share(options: Mapping[str, Any], workers: int) -> dict[str, Any]:
    """Return the options for one of ``workers`` processes.

    >>> a_workers_share({"requests_per_minute": 60, "temperature": 0}, 4)
    {'requests_per_minute': 15.0, 'temperature': 0}
    """
    numbers = {name for name, value in options.items() if name in RATES and isinstance(value, int | float)}
    return {name: value / workers if name in numbers else value for name, value in options.items()}


def binding(key: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that a resumed run must repeat, under a key of the manifest; {} when there are none.

    >>> binding("agent_options", {"temperature": 0, "base_url": "http://h/v1", "api_key": "k", "extra": {"token": "t"}})
    {'agent_options': {'temperature': 0, 'extra': {}}}
    """
    kept = {name: value for name, value in without_secrets(options).items() if not is_free(name)}
    return {key: kept} if kept else {}


def without_secrets(value: Any) -> Any:
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


def scrubbed(text: str, *secrets: str | None) -> str:
    """Return a text, such as an endpoint's own error message, without credentials that are repeated in it.

    >>> scrubbed("wrong key: abcdef", "abcdef", None)
    'wrong key: ***'
    """
    for secret in secrets:
        if secret and len(secret) >= _SHORTEST:
            text = text.replace(secret, HIDDEN)
    return text


_SHORTEST = 6
"""Shorter ones (such as "none", which servers without a key are sent) are words of the language."""
