"""Trajectories as ShareGPT rows, with tools, as LLaMA-Factory reads them.

A row is ``{"conversations": [{"from", "value"}], "system", "tools"}``. Speakers alternate strictly there: ``human`` and
``observation`` on odd places, ``gpt`` and ``function_call`` on even ones. So the results of one message's calls are one
observation, held apart by the marks that LLaMA-Factory itself puts there; words beside calls stand before the calls.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from ise_gym.messages import Message, ToolCall, is_object
from ise_gym.trajectory.exchange.export import trl_rows_of
from ise_gym.trajectory.record import Trajectory

BETWEEN_RESULTS = "\n</tool_response>\n<tool_response>\n"
_HUMAN, _AGENT = ("human", "observation"), ("gpt", "function_call")


def sharegpt_rows(trajectory: Trajectory) -> Iterator[dict[str, Any]]:
    """Yield the rows of an episode: its own, then one a sub-session; the same ones as `trl_rows_of`.

    Thoughts are ``<think>`` blocks before the words. A row ends before the first message that breaks the alternation or
    calls with arguments that are no JSON object, and is left out when no answer stands before it.
    """
    for row in trl_rows_of(trajectory):
        system, turns = "", list[dict[str, str]]()
        for message in row["messages"]:
            if message["role"] == "system" and not turns:
                system = message["content"]
                continue
            if not _added(turns, message):
                break
        while turns and turns[-1]["from"] not in _AGENT:
            turns.pop()
        if turns:
            yield {
                "conversations": turns,
                "system": system,
                "tools": json.dumps([tool["function"] for tool in row["tools"]], ensure_ascii=False),
            }


def _added(turns: list[dict[str, str]], message: Message) -> bool:
    """Add a message, or say that it has no place."""
    if message["role"] == "tool" and turns and turns[-1]["from"] == "observation":
        turns[-1]["value"] += BETWEEN_RESULTS + message["content"]
        return True
    speaker = {"user": "human", "tool": "observation", "assistant": "gpt"}.get(message["role"], "")
    value: str | None = message["content"]
    if message.get("tool_calls"):
        speaker, value = "function_call", _with_calls(message["content"], message["tool_calls"])
    if value is None or speaker not in (_AGENT if len(turns) % 2 else _HUMAN):
        return False
    if message.get("reasoning_content"):
        value = f"<think>\n{message['reasoning_content']}\n</think>\n\n{value}"
    turns.append({"from": speaker, "value": value})
    return True


def _with_calls(words: str, calls: Sequence[ToolCall]) -> str | None:
    """Return calls as JSON, inside of marks where words stand before them; None for what can't be read back."""
    if "<tool_call>" in words or not all(is_object(call["function"]["arguments"]) for call in calls):
        return None
    listed = json.dumps(
        [
            {"name": call["function"]["name"], "arguments": json.loads(call["function"]["arguments"])}
            for call in calls
        ],
        ensure_ascii=False,
    )
    for mark in ("<tool_call>", "</tool_call>"):  # inside of an argument it would be taken for the mark
        listed = listed.replace(mark, mark.replace("<", "\\u003c"))
    return f"{words}\n<tool_call>{listed}</tool_call>" if words else listed
