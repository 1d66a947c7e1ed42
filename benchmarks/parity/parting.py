"""Where two traces of one Claw-Eval task part, beside what no two runs of it share.

Moments, random ids, ports and durations differ between any two runs, of the benchmark by itself too. They are taken out
here; what is left is what agent and grader could tell apart.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_LOST = re.compile(r"Connection reset by peer|Server disconnected|Connection refused|Broken pipe")
_PASSING = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d[:.\d]{0,16}(?:Z|[+-]\d\d:\d\d)?"), "MOMENT"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"(?<=localhost:)\d+"), "PORT"),
    (re.compile(r"(?<=127\.0\.0\.1:)\d+"), "PORT"),
)
_UNSHARED = ("trace_id", "timestamp", "latency_ms", "endpoint_url", "audit_url", "model", "usage")
_COMPARED = ("message", "tool_dispatch", "audit_snapshot")


def parting(ours: Path, theirs: Path) -> str:
    """Say in words where two traces part; "" when they don't.

    Args:
        ours, theirs: JSONL traces of one task, by this harness and by the benchmark.
    """
    left, right = _events(ours), _events(theirs)
    for mine, other in zip(left, right, strict=False):
        if mine != other:
            return _words(mine, other)
    return "" if len(left) == len(right) else f"{len(left)} events here, {len(right)} there"


def _events(trace: Path) -> list[dict[str, Any]]:
    """Return what agent and grader see, in order: a call before the message that holds its answer."""
    lines = trace.read_text(encoding="utf-8").splitlines()
    events = [json.loads(passing_out(line)) for line in lines if line]
    return [
        {name: value for name, value in event.items() if name not in _UNSHARED}
        for event in events
        if event["type"] in _COMPARED
    ]


def passing_out(text: str) -> str:
    """Put a word in place of every moment, random id and port."""
    for pattern, word in _PASSING:
        text = pattern.sub(word, text)
    return text


def _words(mine: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    if mine["type"] != other["type"]:
        return f"{mine['type']} here, {other['type']} there"
    if mine["type"] == "tool_dispatch":
        tool = other["tool_name"]
        if mine.get("request_body") != other.get("request_body") or mine["tool_name"] != tool:
            return f"another call: {mine['tool_name']} here, {tool} there"
        body = json.dumps(other.get("response_body"), ensure_ascii=False)
        if lost := _LOST.search(body):
            return f"the socket of its service was lost under {tool} ({lost[0]})"
        return (
            f"{tool} answers {mine['response_status']} {_cut(mine.get('response_body'), other.get('response_body'))} "
            f"here, {other['response_status']} {_cut(other.get('response_body'), mine.get('response_body'))} there"
        )
    return f"{mine['type']}: {_cut(mine, other)} here, {_cut(other, mine)} there"


def _cut(value: Any, other: Any, width: int = 60) -> str:
    """Return the piece of a value in which it begins to differ from another."""
    text, against = (json.dumps(one, ensure_ascii=False, sort_keys=True) for one in (value, other))
    start = next((i for i, (a, b) in enumerate(zip(text, against, strict=False)) if a != b), 0)
    return f"…{text[max(0, start - 15) : start + width]}…"
