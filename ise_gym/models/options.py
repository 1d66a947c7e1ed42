"""Options of agents and users as a command line has them: ``temperature=0.7``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ise_gym.errors import UserError

RATES = ("requests_per_minute", "tokens_per_minute")
"""Given for the whole run, and shared out among its workers."""

FREE = (
    *RATES,
    "base_url",
    "api_key",
    "timeout",
    "max_retries",
    "price_in",
    "price_out",
    "price_cached",
    "device",
)
"""Options that may differ when a run is resumed, since what is played does not depend on them; they stay out of the
store's manifest, which so holds neither addresses nor keys."""


def options_of(texts: Iterable[str] | None) -> dict[str, Any]:
    """Read ``NAME=VALUE`` texts; a value that is JSON is that, any other is text.

    Raises:
        UserError: a text without a name or without "=", or a name given twice.

    >>> options_of(["temperature=0.7", "base_url=http://127.0.0.1:8000/v1", 'extra={"top_p": 0.9}'])
    {'temperature': 0.7, 'base_url': 'http://127.0.0.1:8000/v1', 'extra': {'top_p': 0.9}}
    """
    options: dict[str, Any] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name.isidentifier():
            raise UserError(f"option '{text}': write NAME=VALUE, such as temperature=0.7")
        if name in options:
            raise UserError(f"option '{name}' is given twice")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options


def a_workers_share(options: Mapping[str, Any], workers: int) -> dict[str, Any]:
    """Return the options for one of ``workers`` processes.

    >>> a_workers_share({"requests_per_minute": 60, "temperature": 0}, 4)
    {'requests_per_minute': 15.0, 'temperature': 0}
    """
    numbers = {name for name, value in options.items() if name in RATES and isinstance(value, int | float)}
    return {name: value / workers if name in numbers else value for name, value in options.items()}


def binding(key: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that a resumed run must repeat, under a key of the manifest; {} when there are none."""
    kept = {name: value for name, value in options.items() if name not in FREE}
    return {key: kept} if kept else {}
