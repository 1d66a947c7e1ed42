"""Options of agents, users and judges: how a command line writes them, and which of them belong to a run.

Every command reads ``NAME=VALUE`` here, and every run card and manifest asks here which options are free (may change
when a run is resumed); which are secret is said in `ise_gym.credentials`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ise_gym.credentials import is_secret, without_secrets
from ise_gym.errors import UserError

RATES = ("requests_per_minute", "tokens_per_minute")
"""Given for the whole run, and shared out among its workers."""

_FREE = re.compile(
    r"requests_per_minute|tokens_per_minute|concurrency|(?:\w+_)?(?:url|endpoint|address|proxy|host|port)"
    r"|(?:\w+_)?timeout(?:_s)?|(?:max_)?retries|(?:\w+_)?prices?(?:_\w+)?|device"
)


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
