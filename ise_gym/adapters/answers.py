"""What a model said through somebody else's client → our message, with what its server said of it.

Harnesses and trainers bring clients of their own. Their answers are marked here as those of our own agents are: one
that was cut for its length, or a call in the words that no parser read, is played and recorded, and never taught.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ise_gym.errors import AgentError
from ise_gym.foreign.values import Json
from ise_gym.messages import Message, ToolSchema, assistant_of, tool_calls_of
from ise_gym.models.answer import NoAnswer, answer_of, unreadable
from ise_gym.models.blame import fault_of
from ise_gym.models.words.calls import holds_call
from ise_gym.models.words.ending import ended_as

_AGENTS_OWN = ("context", "filtered")
_STOPPED = ("rollout stopped", "rollout concluded")
"""How verifiers' proxy refuses a request after a limit of its own: no fault of any endpoint."""


def noted(
    message: Message,
    tools: Sequence[ToolSchema],
    *,
    finish: str = "",
    usage: Mapping[str, int] | None = None,
    model: str = "",
    faults: Iterable[str] = (),
) -> Message:
    """Put beside an assistant message what is known of the answer, for the record.

    Args:
        message: is given the key ``completion``, and returned.
        tools: what the model was offered.
        finish: why it ended, in the server's word; ``usage``, ``model`` and ``faults`` as in
            `ise_gym.episode.steps.Completion`.

    >>> noted({"role": "assistant", "content": "I was"}, [], finish="length")["completion"]["ended"]
    'cut'
    """
    found = list(faults)
    if unreadable(message) and "arguments" not in found:
        found.append("arguments")
    if not tool_calls_of(message) and holds_call(message["content"], tools):
        found.append("call in words")
    message["completion"] = {
        "finish": finish,
        "ended": ended_as(finish),
        "usage": dict(usage or {}),
        "model": model,
        "faults": found,
    }
    return message


def of_chat(body: object, tools: Sequence[ToolSchema]) -> Message:
    """Read a chat completion; ids of calls stay the server's, by which a harness knows its messages again.

    Raises:
        AgentError: it holds no answer.
    """
    try:
        answer = answer_of(body)
    except NoAnswer as error:
        raise AgentError(str(error), kind=error.fault.kind) from error
    found: Any = body  # its shape was read above
    message = assistant_of({"role": "assistant", **found["choices"][0]["message"]})
    read = answer.completion()
    noted(message, tools, finish=answer.finish, usage=read["usage"], model=answer.model, faults=answer.faults)
    return message


def refusal(status: int, body: Json, text: str) -> AgentError:
    """Return the error of a response that is no completion; it says whose fault it was."""
    fault = fault_of(status, body, text)
    stopped = any(words in fault.words for words in _STOPPED)
    return AgentError(
        f"status {status}: {fault.words}",
        infrastructure=not stopped and fault.kind not in _AGENTS_OWN,
        kind=fault.kind,
    )


def failure(error: BaseException) -> AgentError:
    """Return what an error of somebody else's client means: the response that caused it says whose fault it was."""
    while error.__cause__ is not None:
        error = error.__cause__
    status, body = getattr(error, "status_code", 0), getattr(error, "body", None)
    if isinstance(status, int) and status:
        return refusal(status, {"error": body} if isinstance(body, dict) else None, str(error))
    return AgentError(f"{type(error).__name__}: {error}"[:300])
