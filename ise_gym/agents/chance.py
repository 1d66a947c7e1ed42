"""A tool user that means nothing by it: random calls with arguments that fit, then a claim of success.

The floor of a suite. An agent that does nothing shows which checks hold from the start; this one shows which hold
after somebody has been busy: files read, written and moved about by chance. A task that it passes measures little.
What it does is a function of (scenario, seed, conversation), so a fork of an episode goes on as the original would.
"""

from __future__ import annotations

import math
import random
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from ise_gym.errors import UserError
from ise_gym.messages import Message, ToolSchema, assistant, sha256_of, tool_call, tool_calls_of
from ise_gym.scenario import Scenario

CLAIM = "I have done that."
PROGRAMS = (
    "ls -la",
    "cat",
    "head -5",
    "wc -l",
    "sort",
    "grep -n the",
    "touch",
    "mkdir -p",
    "rm -f",
    "cp -r . ",
)
"""What a shell command begins with; a word from the conversation follows."""

_WORD = re.compile(r"[\w./@:-]{2,80}")
_PATHS = re.compile(r"(?i)path|file|folder|dir")
_COMMANDS = re.compile(r"(?i)^(command|cmd)$")
_OPTIONAL = 0.3
_DEEPEST = 4
_LONGEST = 20_000
"""Characters of the conversation, from its end, whose words are used."""


class RandomAgent:
    """Calls random tools with arguments drawn from their schemas and from words that it was told.

    Args:
        calls: per user message, one a message; then it claims to be done.

    Raises:
        UserError: ``calls`` is negative.
    """

    syntax = "random or random:CALLS (random calls that fit the schemas, 6 per user message, then a claim)"

    def __init__(self, calls: int = 6) -> None:
        if calls < 0:
            raise UserError(f"the random agent's number of calls must not be negative, got {calls}")
        self.calls = calls
        self.name = "random" if calls == 6 else f"random:{calls}"
        self._start = ""

    @classmethod
    def from_argument(cls, argument: str) -> RandomAgent:
        """Read the number of ``random:CALLS``."""
        try:
            return cls(int(argument))
        except ValueError:
            raise UserError(f"'random:{argument}': the number of calls must be a whole number") from None

    def reset(self, scenario: Scenario, seed: int) -> None:
        """Take what its choices are seeded with."""
        self._start = f"random:{seed}:{scenario.id}"

    def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Message:
        """Return the next random call, or the claim."""
        asked = max((i for i, message in enumerate(messages) if message["role"] == "user"), default=0)
        made = sum(len(tool_calls_of(message)) for message in messages[asked:])
        if made >= self.calls or not tools:
            return assistant(CLAIM)
        told = [message["content"] or "" for message in messages if message["role"] != "system"]
        rng = random.Random(f"{self._start}:{sha256_of([len(messages), told])}")
        words = _WORD.findall("\n".join(told)[-_LONGEST:]) or ["notes.txt"]
        function = rng.choice(tools)["function"]
        return assistant(
            "", [tool_call(function["name"], drawn(function.get("parameters") or {}, words, rng))]
        )

    def describe(self) -> dict[str, Any]:
        """Return name and number of calls."""
        return {"agent": "random", "calls": self.calls}

    def close(self) -> None:
        """Nothing is held."""


def drawn(schema: Mapping[str, object], words: Sequence[str], rng: random.Random) -> dict[str, Any]:
    """Draw the properties of a JSON schema of an object: all that are required, and some of the others.

    >>> drawn({"properties": {"n": {"enum": [3]}}, "required": ["n"]}, ["a"], random.Random(0))
    {'n': 3}
    """
    return _object(schema, words, rng, 0)


def _object(
    schema: Mapping[str, Any], words: Sequence[str], rng: random.Random, depth: int
) -> dict[str, Any]:
    required = set(schema.get("required") or ())
    return {
        name: _value(name, inner, words, rng, depth + 1)
        for name, inner in (schema.get("properties") or {}).items()
        if name in required or rng.random() < _OPTIONAL
    }


def _value(name: str, schema: object, words: Sequence[str], rng: random.Random, depth: int) -> Any:
    if not isinstance(schema, Mapping):  # true and false are schemas too
        return rng.choice(words)
    for several in ("anyOf", "oneOf", "allOf"):
        if schema.get(several):
            return _value(name, rng.choice(schema[several]), words, rng, depth)
    if schema.get("enum"):
        return rng.choice(schema["enum"])
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type")
    match rng.choice(kind) if isinstance(kind, list) and kind else kind:
        case "integer":
            low, high = _bounds(schema)
            return rng.randint(math.ceil(low), math.floor(high))
        case "number":
            return rng.uniform(*_bounds(schema))
        case "boolean":
            return rng.random() < 0.5
        case "null":
            return None
        case "array" if depth < _DEEPEST:
            count = max(int(schema.get("minItems", 0)), rng.randint(0, 3))
            return [_value(name, schema.get("items") or {}, words, rng, depth + 1) for _ in range(count)]
        case "array":
            return []
        case "object":
            return _object(schema, words, rng, depth) if depth < _DEEPEST else {}
    return _text(name, words, rng)


def _bounds(schema: Mapping[str, Any]) -> tuple[float, float]:
    low = schema.get("minimum", min(1, schema.get("maximum", 1)))
    return low, max(low, schema.get("maximum", low + 20))


def _text(name: str, words: Sequence[str], rng: random.Random) -> str:
    paths = [word for word in words if "." in word.strip(".") or "/" in word] or list(words)
    if _COMMANDS.search(name):
        return f"{rng.choice(PROGRAMS)} {shlex.quote(rng.choice(paths))}"
    if _PATHS.search(name):
        return rng.choice(paths)
    return " ".join(rng.choice(words) for _ in range(rng.randint(1, 4)))
