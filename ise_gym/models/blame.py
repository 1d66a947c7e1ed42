"""Whose fault is it? Reads what servers answer instead of a completion.

A record must say truthfully who failed, and every server words its refusals its own way, under statuses of its own. A
conversation that no longer fits is the agent's own failure, whatever the status; a wrong key, an empty account, an
unknown model or a server without a tool parser is the user's to fix, and asking again would only cost; all else is the
endpoint's, and may pass.

Source: the error texts of OpenAI, Azure, Anthropic, Gemini, Mistral, DeepSeek, Groq, Cerebras, Together, Fireworks,
xAI, Cohere, Moonshot, Qwen, Bedrock and OpenRouter, and of the servers vLLM, SGLang, TGI, llama.cpp, Ollama, LM Studio
and TensorRT-LLM, as their documentation and source text have them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal[
    "context",
    "filtered",
    "credits",
    "key",
    "model",
    "url",
    "tools",
    "field",
    "refused",
    "busy",
    "timeout",
    "connection",
    "answer",
    "failed",
]
"""What is wrong.

context: the conversation is longer than the model's. filtered: the provider's rules refused it. credits: nothing left
to pay with. key, model, url: not known there. tools: the server has no tool calling. field: it does not know a field of
the request. refused: it does not like the request, for another reason. busy: rate limits and overload. timeout,
connection: as they say. answer: it answered, but not with a completion. failed: all else.
"""

MENDABLE: Mapping[Kind, str] = {
    "credits": "the account has run out of credit; top it up, or use another key",
    "key": "check the API key (api_key, or OPENAI_API_KEY)",
    "model": "check the model's name",
    "url": "check base_url: it usually ends in /v1, and the server must speak OpenAI's chat completions",
    "tools": "start the server with its tool parser, or give the agent the options calls=text call_format=hermes",
}
"""Kinds that the user can mend, and how; asking again would meet the same."""

_CODES: Mapping[str, Kind] = {
    "context_length_exceeded": "context",
    "exceed_context_size_error": "context",
    "context_window_exceeded": "context",
    "contextwindowexceedederror": "context",
    "model_max_prompt_tokens_exceeded": "context",
    "prompt_too_long": "context",
    "string_above_max_length": "context",
    "tokens_limit_reached": "context",
    "request_too_large": "context",
    "content_filter": "filtered",
    "content_policy_violation": "filtered",
    "contentpolicyviolationerror": "filtered",
    "data_inspection_failed": "filtered",
    "responsibleaipolicyviolation": "filtered",
    "insufficient_quota": "credits",
    "insufficient_balance": "credits",
    "insufficient_credits": "credits",
    "balance_exhausted": "credits",
    "arrearage": "credits",
    "billing_not_active": "credits",
    "billing_hard_limit_reached": "credits",
    "invalid_api_key": "key",
    "authentication_error": "key",
    "unauthenticated": "key",
    "api_key_invalid": "key",
    "account_deactivated": "key",
    "model_not_found": "model",
    "model_not_exist": "model",
    "invalid_model": "model",
    "notfounderror": "model",
    "rate_limit_exceeded": "busy",
    "rate_limit_error": "busy",
    "resource_exhausted": "busy",
    "overloaded_error": "busy",
    "engine_overloaded": "busy",
}
"""What stands in ``code``, ``type`` or ``status``, in lower case. Asked before the words are."""

_RATE = re.compile(r"per (?:minute|day|hour|second)|\b[tr]p[md]\b|rate.?limit|too many requests", re.I)

_WORDS: tuple[tuple[Kind, str], ...] = (
    (
        "context",
        r"""
        context (?:length|size|window|limit).{0,200}?(?:exceed|overflow|reduce|too (?:long|large)|only)
        (?:exceed|longer than|larger than|too (?:long|large) (?:for|to fit)).{0,120}?context
        maximum (?:context|model|prompt|input) length
        max(?:imum)?[_ ]model[_ ]len
        (?:prompt|input) (?:is|was) too long
        too long for (?:the )?requested model
        prompt too long
        prompt exceeds max length
        prompt (?:length|token count).{0,60}?exceeds
        reduce (?:the length|the size) of (?:the |your |either )?(?:messages|prompt|input|one)
        reduce (?:your|the) prompt
        (?:input|prompt) token count.{0,80}?(?:exceeds|cannot exceed)
        (?:input|prompt)[a-z ]{1,20}[\d,]+ tokens.{0,60}?only supports
        prompt length.{0,120}?should not exceed
        exceeds the maximum number of tokens allowed
        input (?:sequence )?length.{0,80}?(?:exceed|should not|must)
        range of input length should be
        `inputs` (?:must have less than|tokens \+ `max_new_tokens` must be)
        exceeded model token limit
        too many tokens
        keep from the initial prompt is greater than the context
        request prompt has \d+ tokens in total, larger than
        (?:input|prompt) (?:is|has) [\d,]+ tokens?.{0,80}?(?:limit|maximum)
        """,
    ),
    (
        "credits",
        r"""
        insufficient (?:credit|balance|fund|quota)
        credit balance is too low
        exceeded your current quota
        requires more credits
        out of credit
        no (?:remaining )?balance
        arrearage
        payment required
        billing (?:is )?not active
        """,
    ),
    (
        "tools",
        r"""
        enable-auto-tool-choice
        tool.call.parser
        not support (?:tools|tool use|tool calling|function call)
        tools? param requires --jinja
        that support tool use
        (?:tools?|tool use|tool calling|function calling) (?:is|are) not (?:supported|enabled|implemented)
        tool_choice.{0,40}?only (?:allowed|supported)
        """,
    ),
    (
        "filtered",
        r"""
        content (?:management|filter(?:ing)?|usage) policy
        flagged by
        (?:was|were) flagged
        content_filter
        """,
    ),
    (
        "key",
        r"""
        (?:incorrect|invalid|missing|no) api.?key
        api key (?:is )?(?:not valid|invalid|missing)
        invalid (?:authentication|bearer)
        not authenticated
        unauthorized
        """,
    ),
    (
        "model",
        r"""
        model.{0,120}?(?:does not exist|not found|not exist|is not (?:a )?(?:valid|available|supported))
        (?:unknown|invalid|no such) model
        not a valid model
        try pulling it first
        server is pinned to
        """,
    ),
    (
        "field",
        r"""
        response_format|json_schema|grammar|guided|structured output
        unsupported (?:parameter|value)
        unrecognized (?:request )?argument
        extra (?:inputs|fields) (?:are )?not
        unknown (?:field|parameter|name)
        unexpected (?:keyword|field)
        (?:field|parameter).{0,40}?not (?:allowed|supported)
        """,
    ),
    (
        "busy",
        r"""
        overloaded
        over capacity
        temporarily unavailable
        too many requests
        server (?:is )?busy
        try again later
        """,
    ),
)
"""Words that tell a kind, one pattern a line; asked in this order."""

_PATTERNS = tuple(
    (kind, re.compile("|".join(line.strip() for line in lines.strip().splitlines()), re.IGNORECASE))
    for kind, lines in _WORDS
)

_STATUS: Mapping[int, Kind] = {
    401: "key",
    402: "credits",
    403: "key",
    404: "url",
    405: "url",
    408: "busy",
    409: "busy",
    413: "context",
    425: "busy",
    429: "busy",
    503: "busy",
    529: "busy",
}


@dataclass(frozen=True)
class Fault:
    """What a server said instead of an answer; ``words`` are its own, on one line and bounded."""

    kind: Kind
    words: str
    status: int = 0

    @property
    def passing(self) -> bool:
        """Whether asking again may help."""
        return self.kind in ("busy", "timeout", "connection", "answer", "failed")


def fault_of(status: int, body: object, text: str = "") -> Fault:
    """Read an answer that is no completion.

    Args:
        status: of HTTP; a body with a status of its own (``{"error": {"code": 503}}`` under 200) overrules 200.
        body: the decoded JSON, None where there is none. ``text``: the raw body, for words where JSON has none.
    """
    errors = list(_errors(body))
    codes = [
        str(error[key]).lower() for error in errors for key in ("code", "type", "status") if error.get(key)
    ]
    inner = next((int(code) for code in codes if code.isdigit() and 400 <= int(code) < 600), 0)
    status = inner if status < 300 and inner else status
    words = _one_line(" ".join(filter(None, map(_words, errors))) or _plain(body) or _page(text))
    return Fault(_kind(status, codes, words), words or "without a word", status)


def _kind(status: int, codes: list[str], words: str) -> Kind:
    by_code: Kind | None = next((_CODES[code] for code in codes if code in _CODES), None)
    if by_code == "busy" or (status == 429 and by_code not in ("credits", "context")):
        # an empty account is told as a rate limit, too
        return "credits" if _first(words, "credits") else "busy"
    if by_code in ("context", "filtered", "credits"):
        return by_code
    found = _first(words)
    if found == "context" and _RATE.search(words):
        return "busy"
    if found == "key" and status >= 500:  # a proxy's own trouble with what stands behind it
        return "failed"
    if found:
        return found
    if by_code:
        return by_code
    if status in _STATUS:
        return _STATUS[status]
    return "refused" if 400 <= status < 500 else "failed"


def _first(words: str, *kinds: str) -> Kind | None:
    head = words[:2000]
    return next((kind for kind, p in _PATTERNS if (not kinds or kind in kinds) and p.search(head)), None)


def _errors(body: object) -> Iterator[Mapping[str, Any]]:
    """Yield every object that may describe the error, innermost first."""
    if isinstance(body, list):
        for item in body[:3]:
            yield from _errors(item)
    if not isinstance(body, Mapping):
        return
    for key in ("error", "errors", "detail"):
        inner = body.get(key)
        if isinstance(inner, Mapping | list):
            yield from _errors(inner)
    yield body


def _words(error: Mapping[str, object]) -> str:
    said = [
        error[key] for key in ("message", "msg", "detail", "error_msg", "error", "reason") if key in error
    ]
    metadata = error.get("metadata")
    if isinstance(metadata, Mapping):  # OpenRouter: what the provider behind it said
        said.append(metadata.get("raw"))
    return " ".join(text for text in said if isinstance(text, str))


def _plain(body: object) -> str:
    return body if isinstance(body, str) else ""


def _page(text: str) -> str:
    """Return the words of a page that came instead of JSON."""
    head = text[:4000]
    if "<" not in head:
        return head
    title = re.search(r"<title[^>]{0,100}>([^<]{1,200})", head, re.I)
    return f"a web page{f' titled {title[1].strip()!r}' if title else ''} instead of JSON"


def _one_line(text: str) -> str:
    plain = "".join(c if c.isprintable() else " " for c in text[:4000])
    return " ".join(plain.split())[:300]
