"""Thoughts that stand inside of a model's words, set apart from them.

A server without the right reasoning parser leaves them there, in whatever tags the model was trained on. A simulated
user would read them, and a model that is tuned on them learns to think aloud. What this project's own template writes
is read by `ise_gym.models.parsing`; this is for everything else that comes in.

Source: the chat templates of DeepSeek-R1 and Qwen3 (``<think>``), Magistral (``[THINK]``), Kimi (``◁think▷``), Seed-OSS
(``<seed:think>``), Command A (``<|START_THINKING|>``) and gpt-oss (harmony channels); ``<thinking>``, ``<thought>``,
``<reasoning>`` and ``<reflection>`` are habits of models that were told to think in tags.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from ise_gym.messages import Message
from ise_gym.models.parsing import CALL_OPEN, begins_call

_OPENING = re.compile(
    r"\s*(?:<(?:seed:)?(?:think|thinking|thoughts?|reasoning|reflection) ?>|\[THINK\]|◁think▷|<\|START_THINKING\|>)",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"</(?:seed:)?(?:think|thinking|thoughts?|reasoning|reflection) ?>|\[/THINK\]|◁/think▷|<\|END_THINKING\|>",
    re.IGNORECASE,
)
_UNOPENED = re.compile(r"</(?:seed:)?think(?:ing)? ?>|\[/THINK\]|◁/think▷|<\|END_THINKING\|>", re.IGNORECASE)
"""Closing tags whose opening one a template may have written into the prompt."""
_OPENED = re.compile(r"<think(?:ing)? ?>", re.IGNORECASE)
_AMONG = re.compile(
    r"(?P<code>```.*?(?:```|\Z)|`[^`\n]*`)"
    r"|(?P<opening><think(?:ing)? ?>)"
    r"|(?P<call>\{\s*\"|<tool_call|<function|<invoke|\[TOOL_CALLS\]|<\|tool|<｜tool)",
    re.DOTALL | re.IGNORECASE,
)
"""What is met among words: code, a thought, or the beginning of a call, whose arguments are left as they are."""
_CHANNEL = re.compile(
    r"<\|channel\|>(analysis|commentary|final)<\|message\|>(.*?)(?=<\|(?:end|start|return|channel)\|>|\Z)",
    re.DOTALL,
)
_TO_TOOL = re.compile(r"<\|channel\|>\w{1,20} to=")
_RESPONSE = re.compile(r"<\|(?:START|END)_RESPONSE\|>")


class Apart(NamedTuple):
    """Thought and words of a text; ``among``: a thought stood behind words, so that their order is lost."""

    thought: str
    words: str
    among: bool = False


def apart(text: str) -> Apart:
    """Set thoughts apart: blocks at the start (their first tag may be missing), and whole ones among the words.

    Tags inside code, or behind the beginning of a call, are no thoughts. Without any the text comes back as it is.

    >>> apart("<thinking>Hm.</thinking>Done."), apart("So.<think>Hm.</think>Done.")
    (Apart(thought='Hm.', words='Done.', among=False), Apart(thought='Hm.', words='So.\\nDone.', among=True))
    """
    if "<|channel|>" in text and (channels := _CHANNEL.findall(text)):
        thought = _joined(said for name, said in channels if name == "analysis")
        if _TO_TOOL.search(text):  # a call stands in a channel of its own
            return Apart(thought, _CHANNEL.sub(lambda said: "" if said[1] == "analysis" else said[2], text))
        return Apart(thought, _joined(said for name, said in channels if name != "analysis"))
    thoughts, rest = _at_the_start(text)
    inner, words = _among_words(rest)
    if not thoughts and not inner:
        return Apart("", text)
    return Apart(_joined([*thoughts, *inner]), _RESPONSE.sub("", words).strip(), bool(inner))


def bare(thought: str) -> str:
    """Return a thought without the tags that some servers leave around it.

    >>> bare("<think>Hm.</think>")
    'Hm.'
    """
    begun = _OPENING.match(thought)
    inner = thought[begun.end() :] if begun else thought
    tags = list(_CLOSING.finditer(inner))
    if len(tags) == 1 and not inner[tags[0].end() :].strip():
        inner = inner[: tags[0].start()]
    return inner.strip()


def set_apart(message: Message) -> bool:
    """Set the thoughts in an assistant message's words apart, in place; tell whether their order is lost."""
    thought, words, among = apart(message["content"])
    message["content"] = words
    if thought:
        message["reasoning_content"] = _joined([message.get("reasoning_content") or "", thought])
    return among


def _at_the_start(text: str) -> tuple[list[str], str]:
    thoughts: list[str] = []
    rest = text
    while begun := _OPENING.match(rest):
        inner = rest[begun.end() :]
        closed = _CLOSING.search(inner)
        if closed is None:
            at = inner.find(CALL_OPEN)
            end = at if at >= 0 and begins_call(inner, at) else len(inner)  # it meant its call
            return [*thoughts, inner[:end]], inner[end:]
        thoughts.append(inner[: closed.start()])
        rest = inner[closed.end() :]
    if not thoughts and (closed := _UNOPENED.search(rest)):
        before = rest[: closed.start()]
        if not _OPENED.search(before) and CALL_OPEN not in before:
            return [before], rest[closed.end() :]
    return thoughts, rest


def _among_words(text: str) -> tuple[list[str], str]:
    """Cut whole blocks out of words; one that never ends stays."""
    thoughts: list[str] = []
    pieces: list[str] = []
    position = looked = 0
    while found := _AMONG.search(text, looked):
        if found.lastgroup == "call":
            break
        looked = found.end()
        if found.lastgroup != "opening":
            continue
        closed = _UNOPENED.search(text, looked)
        if closed is None:
            break
        thoughts.append(text[looked : closed.start()])
        pieces.append(text[position : found.start()])
        position = looked = closed.end()
    return thoughts, _joined([*pieces, text[position:]]) if thoughts else text


def _joined(parts: Iterable[str]) -> str:
    return "\n".join(part.strip() for part in parts if part.strip())
