"""Gymnasium spaces for chat messages.

`gymnasium.spaces.Text` needs a fixed alphabet and a fixed length, which real conversations do not have; these
spaces check the shape of a message instead and can sample valid ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np

from ise_gym.messages import (
    Message,
    ToolCall,
    ToolSchema,
    assistant,
    assistant_of,
    tool_call,
    tool_result,
    user,
)

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_ROLES = {"system", "user", "assistant", "tool"}


def message_problem(message: object) -> str:
    """Say what keeps a value from being a message, or return an empty string.

    An assistant's may have any shape that `ise_gym.messages.assistant_of` takes.

    >>> message_problem({"role": "user", "content": "hi"})
    ''
    >>> message_problem({"role": "user"})
    "'content' must be a string, got NoneType"
    """
    if callable(dump := getattr(message, "model_dump", None)):
        message = dump()
    if not isinstance(message, dict):
        return f"a message is a dict, got {type(message).__name__}"
    if message.get("role") not in _ROLES:
        return f"'role' must be one of {sorted(_ROLES)}, got {message.get('role')!r}"
    if message["role"] != "assistant":
        return "" if isinstance(message.get("content"), str) else _not_text(message.get("content"))
    try:
        assistant_of(message)
    except ValueError as error:
        return str(error)
    return ""


def _not_text(content: object) -> str:
    return f"'content' must be a string, got {type(content).__name__}"


class AssistantMessageSpace(gym.Space[Message]):
    """The action space: one assistant message, with or without tool calls.

    Samples are well-formed: half of them plain text, half a call of a random tool with random words for its
    required string parameters.
    """

    def __init__(
        self, tools: Sequence[ToolSchema] = (), seed: int | np.random.Generator | None = None
    ) -> None:
        super().__init__(shape=None, dtype=None, seed=seed)
        self.tools = tuple(tools)

    @property
    def is_np_flattenable(self) -> bool:
        """Messages have no flat array form."""
        return False

    def contains(self, x: object) -> bool:
        """Tell whether ``x`` is a well-formed assistant message."""
        try:
            assistant_of(x)
        except ValueError:
            return False
        return True

    def sample(self, mask: object = None, probability: object = None) -> Message:
        """Draw a random well-formed assistant message."""
        text = " ".join(self._word() for _ in range(int(self.np_random.integers(1, 5))))
        if not self.tools or self.np_random.random() < 0.5:
            return assistant(text)
        return assistant(text, [self._sample_call()])

    def _word(self) -> str:
        return "".join(
            _LETTERS[i] for i in self.np_random.integers(0, 26, int(self.np_random.integers(3, 9)))
        )

    def _sample_call(self) -> ToolCall:
        function = self.tools[int(self.np_random.integers(len(self.tools)))]["function"]
        parameters = function["parameters"]
        properties = parameters.get("properties", {})
        arguments: dict[str, Any] = {}
        for name in parameters.get("required", ()):
            schema = properties.get(name, {})
            if "enum" in schema:
                arguments[name] = schema["enum"][int(self.np_random.integers(len(schema["enum"])))]
            elif schema.get("type", "string") == "string":
                arguments[name] = self._word()
            elif schema["type"] in ("integer", "number"):
                arguments[name] = int(self.np_random.integers(0, 10))
            elif schema["type"] == "boolean":
                arguments[name] = bool(self.np_random.integers(2))
            else:
                arguments[name] = [] if schema["type"] == "array" else {}
        return tool_call(function["name"], arguments)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AssistantMessageSpace) and self.tools == other.tools

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"AssistantMessageSpace({[t['function']['name'] for t in self.tools]})"


class MessageSequenceSpace(gym.Space[tuple[Message, ...]]):
    """The observation space: a tuple of messages of any roles, possibly empty."""

    def __init__(
        self, tools: Sequence[ToolSchema] = (), seed: int | np.random.Generator | None = None
    ) -> None:
        super().__init__(shape=None, dtype=None, seed=seed)
        self.tools = tuple(tools)

    @property
    def is_np_flattenable(self) -> bool:
        """Messages have no flat array form."""
        return False

    def contains(self, x: object) -> bool:
        """Tell whether ``x`` is a tuple of well-formed messages."""
        return isinstance(x, tuple) and not any(message_problem(m) for m in x)

    def sample(self, mask: object = None, probability: object = None) -> tuple[Message, ...]:
        """Draw up to three random user and tool messages."""
        return tuple(
            user("sample")
            if self.np_random.random() < 0.5
            else tool_result("call_1", "exec", "", success=True)
            for _ in range(int(self.np_random.integers(0, 4)))
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MessageSequenceSpace) and self.tools == other.tools

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "MessageSequenceSpace()"
