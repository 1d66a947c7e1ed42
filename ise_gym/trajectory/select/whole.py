"""Messages that are cut off or broken: nobody should be taught to stop in the middle of a word.

Three kinds of evidence, from the surest to the least sure: what the model's server said of its answer, the form of
the conversation (calls without answers, arguments that no parser reads), and words that end where no sentence does.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ise_gym.models.parsing import THINK_OPEN
from ise_gym.trajectory.record import Step, Trajectory
from ise_gym.trajectory.untaught import why_marked, why_unreadable

Messages = Sequence[Mapping[str, Any]]

LEAST_WORDS = 4
"""Shorter last lines ("All set", "On it") may do without a full stop."""
LEAST_SIGNS = 8
"""The same for a last line in Chinese or Japanese."""
_ENDED = re.compile(
    r"[.!?…。！？）：:)\]}>\"'”’»`*_~|%€$£¥°✓✔✅]\s*$|\d\s*$|[\U0001F300-\U0001FAFF☀-➿]\ufe0f?\s*$"
)
_DANGLING = re.compile(
    r"(?:[,;(\[{–—、，；（]|\b(?:the|an?|and|or|but|nor|which|because|into|its|your|my|their|our|than|whose|every))\s*$"
)
"""What nothing ends on. Words that a request may end on ("leave the rest as is", "what it is for") are not here."""
_OWN_LINE = re.compile(r"^\s*(?:[-*+•|>#]|\d+[.)]|[\w ./`'-]{1,40}:\s)|://|^\s{4}|^\s*[\w./-]+\s*$")
"""Lines whose end is no sentence's end: list items, tables, headings, quotations, ``key: value``, code."""
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
_LONE = re.compile(r"[\ud800-\udfff]")
_REPEATS, _LEAST_REPEATED = 5, 20


def faults(trajectory: Trajectory) -> Iterator[str]:
    """Yield why messages of an episode are cut or broken, in words; none where all are whole."""
    yield from said_by_server(trajectory.steps)
    yield from broken_form(trajectory.messages)
    yield from cut_words(trajectory.messages)
    for session in trajectory.sessions:
        own = session["messages"]
        yield from said_by_server([Step.model_validate(s) for s in session.get("steps") or ()])
        if session.get("status") == "cut":
            yield "a sub-session was cut off"
        else:
            yield from broken_form(own)
            yield from cut_words(own)


def said_by_server(steps: Sequence[Step]) -> Iterator[str]:
    """Yield what the server itself reported: cut for its length, filtered, given up, or words that had to be mended."""
    for step in steps:
        if why := why_marked(step.completion):
            yield f"message {step.message}: {why}"


def broken_form(messages: Messages) -> Iterator[str]:
    """Yield where a conversation is not one: calls and answers that do not pair, empty or unreadable messages."""
    open_calls: dict[str, int] = {}
    for index, message in enumerate(messages):
        role, content = message["role"], message.get("content")
        if not isinstance(content, str):
            yield f"message {index}: its content is not text"
            continue
        if role == "tool":
            if open_calls.pop(str(message.get("tool_call_id")), None) is None:
                yield f"message {index}: answers no call"
            continue
        if open_calls:
            yield f"message {min(open_calls.values())}: a call without an answer"
            open_calls.clear()
        if _LONE.search(content):
            yield f"message {index}: half a surrogate pair"
        if role == "assistant":
            yield from _broken_assistant(index, message, content)
            open_calls = {str(call["id"]): index for call in message.get("tool_calls") or ()}
        elif role == "user" and not content.strip():
            yield f"message {index}: an empty user message"
    if open_calls:
        yield f"message {min(open_calls.values())}: a call without an answer"


def _broken_assistant(index: int, message: Mapping[str, object], content: str) -> Iterator[str]:
    calls = message.get("tool_calls") or ()
    if not content.strip() and not calls:
        yield f"message {index}: says and calls nothing"
    if why := why_unreadable(message):
        yield f"message {index}: {why}"
    thought = str(message.get("reasoning_content") or "")
    if THINK_OPEN in thought:
        yield f"message {index}: a think tag in its thought"
    if _loops(content) or _loops(thought):
        yield f"message {index}: repeats itself"


def _loops(text: str) -> bool:
    """Tell whether one sentence or line of some length stands there again and again."""
    parts = (part.strip() for part in re.split(r"(?<=[.!?。！？])\s*|\n", text))
    counts = Counter(part for part in parts if len(part) >= _LEAST_REPEATED)
    return any(count >= _REPEATS for count in counts.values())


def cut_words(messages: Messages) -> Iterator[str]:
    """Yield messages whose words end where no sentence does.

    An agent's reply is held to it; what it says before a call, and what a user writes, only where it ends on a word
    that cannot end anything ("the", "and", a comma), since people leave full stops out.
    """
    for index, message in enumerate(messages):
        content = message.get("content")
        if (
            message["role"] not in ("user", "assistant")
            or not isinstance(content, str)
            or not content.strip()
        ):
            continue
        strict = message["role"] == "assistant" and not message.get("tool_calls")
        if ends_cut(content, strict=strict):
            yield f"message {index}: cut off in mid-sentence"


def ends_cut(text: str, *, strict: bool) -> bool:
    """Tell whether a text stops in the middle.

    >>> ends_cut("I moved the three files and", strict=False), ends_cut("I moved the three fil", strict=True)
    (True, True)
    >>> ends_cut("I moved them.", strict=True), ends_cut("All set", strict=True), ends_cut("- 3 files", strict=True)
    (False, False, False)
    >>> ends_cut("move them, rest as is", strict=False), ends_cut("that is what it is for", strict=False)
    (False, False)
    """
    whole = text.rstrip()
    if whole.count("```") % 2:
        return True
    if whole.endswith("```"):
        return False
    line = whole.rsplit("\n", 1)[-1]
    if _DANGLING.search(line) and not _signature(whole):
        return True
    if not strict or _ENDED.search(line) or _OWN_LINE.search(line):
        return False
    if _CJK.search(line):
        return len(_CJK.findall(line)) >= LEAST_SIGNS
    return len(line.split()) >= LEAST_WORDS


def _signature(text: str) -> bool:
    """Tell whether the last line is a closing such as "Thanks," or "Best," on a line of its own."""
    lines = text.split("\n")
    return len(lines) > 1 and len(lines[-1].split()) <= 3 and lines[-1].rstrip().endswith(",")
