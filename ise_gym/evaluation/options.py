"""Reads options of ``python -m eval run`` that are more than a word, and refuses those that would do nothing."""

from __future__ import annotations

import json
from typing import Any

import typer

from ise_gym.errors import UserError

_BUILTIN_ONLY = ("user", "backend", "slots", "trained_on", "allow_contaminated")
_CLAWEVAL_ONLY = (
    "claw_eval",
    "protocol",
    "tasks",
    "judge",
    "judge_base_url",
    "judge_cache",
    "judge_concurrency",
    "judge_price",
    "agent_price",
    "user_model",
    "user_base_url",
    "sandbox",
    "services",
    "clock",
)


def refuse_unused(context: typer.Context, suite: str) -> None:
    """Refuse options that were given but mean nothing for a suite, such as a check that would not be made.

    Raises:
        UserError: there are some; names them.
    """
    idle = _BUILTIN_ONLY if suite == "claweval" else _CLAWEVAL_ONLY
    given = []
    for name in idle:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":  # by name: typer may bring a click of its own
            given.append(f"--{name.replace('_', '-')}")
    if given:
        raise UserError(f"{', '.join(given)}: no effect with --suite {suite}; leave it out.")


def parse_options(pairs: list[str]) -> dict[str, Any]:
    """Parse ``KEY=VALUE`` pairs; values that are JSON scalars (numbers, true, false, null) become those.

    Raises:
        UserError: a pair without ``=``.

    >>> parse_options(["temperature=0.7", "base_url=http://localhost:8000/v1"])
    {'temperature': 0.7, 'base_url': 'http://localhost:8000/v1'}
    """
    options: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not key or not equals:
            raise UserError(f"--agent-option {pair!r}: write KEY=VALUE.")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        options[key] = text if isinstance(value, dict | list) else value
    return options


def parse_price(text: str) -> tuple[float, float]:
    """Parse ``IN,OUT``, dollars a million tokens; "" is no price.

    Raises:
        UserError: not two numbers.

    >>> parse_price("0.5,3")
    (0.5, 3.0)
    """
    try:
        read, written = (float(part) for part in text.split(",")) if text else (0.0, 0.0)
    except ValueError:
        raise UserError(
            f"{text!r} is no price: write IN,OUT, dollars a million tokens, such as 0.5,3."
        ) from None
    return read, written
