"""A scripted worker for delegated tasks: it runs the commands that the task quotes, and reports what they printed.

It is what the scripted agents do in a sub-session, and what answers where nobody else plays one (a task's proof, say).
So a plan that delegates has to say how, as `` `wc -l < notes.txt` ``, and its figures come out of the box.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from ise_gym.messages import Message, assistant, tool_call
from ise_gym.tools.delegation.subsessions import MESSAGE_MARK, TASK_MARK

_YIELD = "sessions_yield"
_QUOTED = re.compile(r"`([^`]+)`")


def is_delegated(messages: Sequence[Message]) -> bool:
    """Tell whether a conversation is a sub-session: its last user message comes from another session."""
    return _last_task(messages)[0].startswith((TASK_MARK, MESSAGE_MARK))


def follow(messages: Sequence[Message]) -> Message:
    """Return the next message of a worker that follows its task to the letter; it yields when the task says so.

    >>> from ise_gym.messages import user
    >>> follow([user("Count with `wc -l < a.txt`.")])["tool_calls"][0]["function"]["arguments"]
    '{"command": "wc -l < a.txt"}'
    """
    task, after = _last_task(messages)
    commands = _QUOTED.findall(task)
    spoken = sum(message["role"] == "assistant" for message in after)
    if spoken < len(commands):
        return assistant("", [tool_call("exec", {"command": commands[spoken]})])
    results = [message for message in after if message["role"] == "tool"]
    lines = []
    for command, result in zip(commands, results, strict=False):
        verdict = "" if result["success"] else f" (failed: {json.dumps(command, ensure_ascii=False)})"
        lines.append(result["content"] + verdict)
    answer = "\n".join(lines) or "There was nothing to run."
    if _YIELD in task and spoken == len(commands):
        return assistant("", [tool_call(_YIELD, {"message": answer})])
    return assistant(answer)


def _last_task(messages: Sequence[Message]) -> tuple[str, Sequence[Message]]:
    for index in range(len(messages) - 1, -1, -1):
        if messages[index]["role"] == "user":
            return messages[index]["content"], messages[index + 1 :]
    return "", messages
