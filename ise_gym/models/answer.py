"""What a server answered → an assistant message, and beside it all that the server said of that message.

What came is recorded as it came; only where the meaning is plain is a shape put right: text in parts, thinking inside
of the words, no arguments at all. The rest is marked, so that it is played but never taught.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ise_gym.foreign.values import Json
from ise_gym.messages import (
    Message,
    ToolCall,
    arguments_text,
    assistant,
    is_object,
    plain_text,
    tool_call,
    tool_calls_of,
)
from ise_gym.models.blame import Fault, fault_of
from ise_gym.models.parsing import without_surrogates
from ise_gym.models.words.ending import Ended, ended_as
from ise_gym.models.words.thinking import apart, bare


class NoAnswer(Exception):
    """The body holds no answer; ``fault`` says what it holds instead."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.words)
        self.fault = fault


@dataclass(frozen=True)
class Answer:
    """One completion.

    Attributes:
        message: the assistant message; call ids are empty, for the env to give.
        ended: what ``finish`` (the server's own word) means, see `ise_gym.trajectory.record.Completion`.
        usage: (prompt, completion, cached) tokens as reported; zeros where the server does not say.
        faults: what had to be fixed, or can't be read.
    """

    message: Message
    finish: str = ""
    ended: Ended = ""
    usage: tuple[int, int, int] = (0, 0, 0)
    model: str = ""
    id: str = ""
    faults: tuple[str, ...] = ()
    said: str = ""
    prompt_token_ids: tuple[int, ...] = ()
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    seconds: float = field(default=0.0, compare=False)
    tries: int = 1

    @property
    def text(self) -> str:
        """The words."""
        return self.message["content"]

    def completion(self) -> dict[str, Any]:
        """Return what goes beside the message, for the record: `Completion` and `Received` in one."""
        return {
            "finish": self.finish,
            "ended": self.ended,
            "usage": {k: v for k, v in zip(("prompt", "completion", "cached"), self.usage, strict=True) if v},
            "model": self.model,
            "said": self.said,
            "faults": list(self.faults),
            "prompt_token_ids": list(self.prompt_token_ids),
            "token_ids": list(self.token_ids),
            "logprobs": list(self.logprobs),
            "id": self.id,
            "seconds": round(self.seconds, 4),
            "tries": self.tries,
        }


def answer_of(body: object, text: str = "") -> Answer:
    """Read the decoded body of a chat completion.

    Args:
        body: of a response with status 200. ``text``: the same, undecoded.

    Raises:
        NoAnswer: it holds an error instead, or nothing that is an assistant's message.
    """
    if not isinstance(body, Mapping):
        raise _malformed("JSON that is not an object", text or repr(body))
    if body.get("error"):
        raise NoAnswer(fault_of(200, body, text))
    choice = _choice(body, text)
    if isinstance(choice.get("error"), Mapping):
        raise NoAnswer(fault_of(200, choice, text))
    raw = choice.get("message")
    if not isinstance(raw, Mapping):
        raise _malformed("a choice without a message", text)
    try:
        message, faults = _message(raw)
    except ValueError as error:
        raise _malformed(str(error), text) from error
    finish = next(
        (v for k in ("finish_reason", "native_finish_reason") if isinstance(v := choice.get(k), str) and v),
        "",
    )
    ids, logprobs = _sampled(choice)
    return Answer(
        message,
        finish,
        ended_as(finish),
        tokens_of(body),
        _string(body.get("model")),
        _string(body.get("id")),
        tuple(faults),
        prompt_token_ids=tuple(_ids(body.get("prompt_token_ids") or choice.get("prompt_token_ids"))),
        token_ids=tuple(_ids(choice.get("token_ids")) or ids),
        logprobs=tuple(logprobs),
    )


def tokens_of(body: Mapping[str, object]) -> tuple[int, int, int]:
    """Return (prompt, completion, cached) tokens of a chat completion; 0 where the server does not say.

    >>> tokens_of({"usage": {"prompt_tokens": "12", "completion_tokens": 3}}), tokens_of({"usage": "n/a"})
    ((12, 3, 0), (0, 0, 0))
    """
    reported = body.get("usage")
    if not isinstance(reported, Mapping):
        return 0, 0, 0
    details = reported.get("prompt_tokens_details")
    cached = (
        details.get("cached_tokens")
        if isinstance(details, Mapping)
        else reported.get("prompt_cache_hit_tokens")
    )
    prompt = _count(reported.get("prompt_tokens", reported.get("input_tokens")))
    completion = _count(reported.get("completion_tokens", reported.get("output_tokens")))
    return prompt, completion, min(_count(cached), prompt)


def unreadable(message: Message) -> bool:
    """Tell whether a call in the message has arguments that are no JSON object, or no name."""
    return any(
        not call["function"]["name"] or not is_object(call["function"]["arguments"])
        for call in tool_calls_of(message)
    )


def _choice(body: Mapping[str, object], text: str) -> Mapping[str, Any]:
    choices = body.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], Mapping):
        return choices[0]
    if any(key in body for key in ("detail", "message", "msg", "errors", "error_msg")):
        raise NoAnswer(fault_of(200, body, text))
    raise _malformed("no choice", text)


def _malformed(what: str, text: str) -> NoAnswer:
    head = " ".join(text[:200].split())
    return NoAnswer(Fault("answer", f"no completion, but {what}{f': {head}' if head else ''}"))


def _message(raw: Mapping[str, Any]) -> tuple[Message, list[str]]:
    faults: list[str] = []

    def clean(text: str) -> str:
        plain = without_surrogates(text)
        if plain != text and "surrogate" not in faults:
            faults.append("surrogate")
        return plain

    thoughts, words = _content(raw.get("content"))
    for key in ("reasoning_content", "reasoning", "reasoning_details", "thinking"):
        if raw.get(key):
            thoughts.insert(0, bare(plain_text(raw[key], key)))
            break
    if not words and isinstance(raw.get("refusal"), str):
        words = raw["refusal"]
    inside, words, among = apart(words)
    if among:
        faults.append("thinking")
    thought = "\n".join(part.strip() for part in [*thoughts, inside] if part.strip())
    calls = _calls(raw, clean)
    message = assistant(clean(words), calls, clean(thought) or None)
    if unreadable(message):
        faults.append("arguments")
    return message, faults


def _content(content: Json) -> tuple[list[str], str]:
    """Return (thoughts, words); thinking may be a part of its own."""
    if not isinstance(content, list):
        return [], plain_text(content, "content")
    thoughts = [plain_text(part.get("thinking"), "thinking") for part in content if _thinks(part)]
    return thoughts, plain_text([part for part in content if not _thinks(part)], "content")


def _thinks(part: object) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "thinking"


def _calls(raw: Mapping[str, Json], clean: Any) -> list[ToolCall]:
    """Take over the calls; what is wrong in one is for the env to answer."""
    given = raw.get("tool_calls") or ()
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise ValueError("'tool_calls' must be a list")
    if not given and isinstance(raw.get("function_call"), Mapping):  # the older form
        given = [{"function": raw["function_call"]}]
    calls = []
    for call in given:
        if not isinstance(call, Mapping):
            raise ValueError("a tool call that is not an object")
        function = call.get("function") or {}
        if not isinstance(function, Mapping):
            raise ValueError("a tool call whose function is not an object")
        name = function.get("name")
        calls.append(tool_call(clean(str(name or "")), clean(arguments_text(function.get("arguments")))))
    return calls


def _sampled(choice: Mapping[str, object]) -> tuple[list[int], list[float]]:
    """Return token ids and log-probabilities, where the server gives one a token."""
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    if not isinstance(content, list) or not all(isinstance(entry, Mapping) for entry in content):
        return [], []
    values = [entry.get("logprob") for entry in content]
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return [], []
    return _ids([_token_id(entry) for entry in content]), [float(value) for value in values]


def _token_id(entry: Mapping[str, object]) -> Any:
    """Return a token's id: llama.cpp's ``id``, or vLLM's ``token_id:7`` in the place of its text."""
    if isinstance(token := entry.get("token"), str) and token.startswith("token_id:"):
        return int(token[9:]) if token[9:].isdigit() else None
    return entry.get("id")


def _ids(value: object) -> list[int]:
    if isinstance(value, list) and all(
        isinstance(item, int) and not isinstance(item, bool) for item in value
    ):
        return value
    return []


def _count(value: object) -> int:
    if isinstance(value, str) and value.isdigit():
        return int(value[:18])
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e15:
        return int(value)
    return 0


def _string(value: object) -> str:
    return without_surrogates(value)[:200] if isinstance(value, str) else ""
