"""What a server says of the longest answer that it will give, and a request that asks for no more.

Most servers refuse a request when prompt and ``max_tokens`` together exceed the context, though the prompt alone would
fit. That is no full context: there is still room for a shorter answer. Only when hardly any is left is it full.

Source: the refusals of vLLM, SGLang, TGI, OpenAI, Anthropic, DeepSeek, Groq, Qwen and OpenRouter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ise_gym.messages import tool_calls_of
from ise_gym.models.answer import Answer
from ise_gym.models.blame import Fault

LEAST = 32
"""Tokens of an answer that are still worth asking for."""

SLACK = 8
"""Tokens by which counts may differ between a refusal and the next request."""

_LIMITS = ("max_tokens", "max_completion_tokens")
_MOST = re.compile(
    r"max(?:imum)? (?:context|model) length (?:is |of )?(\d+)|must be <= (\d+)|context limit: \d+ \+ \d+ > (\d+)",
    re.IGNORECASE,
)
_SUM = re.compile(
    r"requested (?:a total of )?(about )?(\d{1,12}) tokens.{0,120}?"
    r"(\d+) (?:in the completion|tokens for the completion|in the output)",
    re.IGNORECASE,
)
_INPUT = re.compile(
    r"(at least )?(?<!\d)(\d{1,12}) (?:input tokens|`inputs` tokens|tokens from the input)|context limit: (\d+) \+",
    re.IGNORECASE,
)
_ANSWER = re.compile(
    r"at most (\d+) completion tokens"
    r"|max_(?:completion_)?tokens.{0,80}?(?:\[\d+, ?|<= ?|less than or equal to `?|: \d+ > )(\d+)",
    re.IGNORECASE,
)


def adapted(request: Mapping[str, Any], fault: Fault) -> dict[str, Any] | None:
    """Return the request as the server wants its ``max_tokens``; None where that is not what it refused.

    >>> said = "This model's maximum context length is 4096 tokens. However, you requested 5096 tokens "
    >>> said += "(1000 in the messages, 4096 in the completion)."
    >>> adapted({"max_tokens": 4096}, Fault("context", said))
    {'max_tokens': 3088}
    """
    name = next((name for name in _LIMITS if isinstance(request.get(name), int)), "")
    if not name:
        return None
    if fault.kind == "field" and name == "max_tokens" and "max_completion_tokens" in fault.words:
        rest = {key: value for key, value in request.items() if key != name}
        return {**rest, "max_completion_tokens": request[name]}  # newer models of OpenAI's want that
    if fault.kind not in ("context", "field", "refused", "failed"):
        return None
    fits = longest_answer(fault.words, request[name])
    return {**request, name: fits} if fits is not None and LEAST <= fits < request[name] else None


def longest_answer(words: str, asked: int) -> int | None:
    """Return how many tokens an answer may have by a server's refusal; None where it doesn't say."""
    plain = re.sub(r"(?<=\d),(?=\d{3})", "", words)
    most = _MOST.search(plain)
    if most is None:
        answer = _ANSWER.search(plain)
        return int(answer[1] or answer[2]) if answer else None
    room = int(next(filter(None, most.groups())))
    if total := _SUM.search(plain):
        prompt = int(total[2]) - int(total[3])
        return room - prompt - (prompt // 20 if total[1] else SLACK)
    if (prompt_said := _INPUT.search(plain)) is None:
        return None
    prompt = int(prompt_said[2] or prompt_said[3])
    left = room - prompt - SLACK
    return min(left, asked) // 2 if prompt_said[1] else left  # "at least": it stopped counting


def unsaid_end(answer: Answer, request: Mapping[str, object]) -> Answer:
    """Mark an answer as cut that has all the tokens it was allowed, where the server says that it ended well.

    `transformers serve` and others say "stop" of every answer. One that ends by itself with its last allowed token is
    marked wrongly, which costs one message of a training set.
    """
    most = next((request[name] for name in _LIMITS if request.get(name)), None)
    full = most is not None and answer.usage[1] == most and not tool_calls_of(answer.message)
    return replace(answer, ended="cut") if full and answer.ended in ("", "stop") else answer
