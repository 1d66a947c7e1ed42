"""Assistant messages nobody should learn from: those that were cut, filtered or broken, or can't be read back.

They are played and recorded as they came, since they happened; but a model that is taught them learns to stop in the
middle of a word, or to write calls that no parser takes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ise_gym.foreign.values import Json
from ise_gym.messages import is_object
from ise_gym.models.parsing import CALL_OPEN, INVALID_TOOL_CALL, THINK_CLOSE, THINK_OPEN
from ise_gym.models.words.thinking import apart
from ise_gym.trajectory.record import Completion, Step

ENDED: Mapping[str, str] = {
    "cut": "cut for its length",
    "filtered": "filtered by the provider",
    "broken": "given up by the server",
}
FAULTS: Mapping[str, str] = {
    "arguments": "a call whose arguments are no JSON object",
    "surrogate": "half a surrogate pair",
    "thinking": "a thought among its words",
    "call in words": "a call in its words that nobody read",
}


def why_marked(completion: Completion | None) -> str:
    """Say why the server's own account of a message keeps it from being learned; "" when it doesn't."""
    if completion is None:
        return ""
    if why := ENDED.get(completion.ended):
        return why
    return next((FAULTS[fault] for fault in completion.faults if fault in FAULTS), "")


def why_unreadable(message: Mapping[str, Any]) -> str:
    """Say why an assistant message can't be read back from text as what it is; "" when it can.

    >>> why_unreadable({"role": "assistant", "content": "<think>a</think>b"})
    'thinking in its words'
    """
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        arguments = function.get("arguments")
        text = arguments if isinstance(arguments, str) else json.dumps(arguments)
        if function.get("name") == INVALID_TOOL_CALL or not function.get("name"):
            return "a call that could not be read"
        if not is_object(text):
            return FAULTS["arguments"]
    words = str(message.get("content") or "")
    if not words.strip() and not message.get("tool_calls") and not message.get("reasoning_content"):
        return "an empty answer"
    if words.lstrip().startswith(THINK_OPEN) or THINK_CLOSE in words or apart(words).words != words:
        return "thinking in its words"
    if CALL_OPEN in words:
        return FAULTS["call in words"]
    if THINK_CLOSE in str(message.get("reasoning_content") or ""):
        return "the end of thinking in its thought"
    return ""


def untaught(messages: Sequence[Mapping[str, Json]], steps: Iterable[Step] = ()) -> dict[int, str]:
    """Return the indices of assistant messages that nobody should learn from, and why.

    Args:
        messages: a conversation. ``steps``: of the same, where they were recorded.
    """
    completions = {step.message: step.completion for step in steps}
    found = {
        index: why_marked(completions.get(index)) or why_unreadable(message)
        for index, message in enumerate(messages)
        if message["role"] == "assistant"
    }
    return {index: why for index, why in found.items() if why}
