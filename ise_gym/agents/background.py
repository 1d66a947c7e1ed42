"""Which background process a plan's step means: the workspace numbers them, a plan can only name a command.

How many processes were started before is known first when the plan is played (another task of the same
scenario may have started some). So a plan writes ``sessionId: "@serve.py"``, and the id is read from the
conversation, where the agent that follows the plan has seen it too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ise_gym.foreign.values import Json
from ise_gym.messages import Message, tool_calls_of

MARK = "@"
"""Opens a session id that names a command instead of a process."""

UNKNOWN = "proc_0"
"""Stands for a process that was never started; no workspace counts from 0, so the call fails as it should."""

_STARTED = re.compile(r"\(Still running as (\w+);")


def resolved(arguments: Mapping[str, Json], messages: Sequence[Message]) -> dict[str, Any]:
    """Return a step's arguments with ``sessionId: "@words"`` replaced by the id of the process that is meant.

    That is the one started last whose command contains the words; ``"@"`` alone means the one started last.

    >>> from ise_gym.messages import assistant, tool_call, tool_result
    >>> start = assistant("", [tool_call("exec", {"command": "python3 serve.py", "background": True}, "c1")])
    >>> seen = [start, tool_result("c1", "exec", "(Still running as proc_2; use process)", success=True)]
    >>> resolved({"action": "kill", "sessionId": "@serve.py"}, seen)
    {'action': 'kill', 'sessionId': 'proc_2'}
    """
    words = arguments.get("sessionId")
    if not isinstance(words, str) or not words.startswith(MARK):
        return dict(arguments)
    meant = [started for command, started in started_processes(messages) if words[len(MARK) :] in command]
    return {**arguments, "sessionId": meant[-1] if meant else UNKNOWN}


def started_processes(messages: Sequence[Message]) -> Iterator[tuple[str, str]]:
    """Yield the command and the id of every process that `exec` left running, in order."""
    commands: dict[str, str] = {}
    for message in messages:
        for call in tool_calls_of(message):
            if call["function"]["name"] == "exec":
                commands[call["id"]] = _command(call["function"]["arguments"])
        command = commands.get(message.get("tool_call_id", ""))
        if command is not None and (ids := _STARTED.findall(message["content"])):
            yield command, ids[-1]


def _command(arguments: str) -> str:
    try:
        values = json.loads(arguments)
    except ValueError:  # another agent's broken call, which can't have started anything
        return ""
    return str(values.get("command", "")) if isinstance(values, dict) else ""
