"""An agent behind any OpenAI-compatible endpoint: vLLM, SGLang, llama.cpp, or a hosted service.

The record must say truthfully who failed. An endpoint that is down, overloaded or talks nonsense is an
infrastructure failure; a conversation that outgrew the model's context is the agent's own; a wrong key or
model name is the user's to mend.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from ise_gym.credentials import public_address, scrubbed, without_secrets
from ise_gym.errors import AgentError, UserError
from ise_gym.messages import Message, ToolCall, ToolSchema, assistant, tool_call
from ise_gym.models.endpoint import shared_client
from ise_gym.models.metering import Meter, prices_of, shared_pace
from ise_gym.scenario import Scenario

_ALLOWED: Mapping[str, tuple[str, ...]] = {
    "system": ("role", "content"),
    "user": ("role", "content"),
    "assistant": ("role", "content", "tool_calls"),
    "tool": ("role", "content", "tool_call_id"),
}
_CONTEXT_WORDS = (
    "context length",
    "context_length",
    "maximum context",
    "too many tokens",
    "prompt is too long",
)


def wire_messages(messages: Sequence[Message], send_reasoning: bool = False) -> list[dict[str, Any]]:
    """Return copies of the messages with the keys that the chat-completions API knows, and no others.

    Some servers decode the arguments of earlier calls and refuse a conversation in which one is no JSON object;
    such arguments are sent as ``{"not_json": <the raw text>}``.

    Args:
        messages: the conversation.
        send_reasoning: also send ``reasoning_content`` back; servers that template it want that, others refuse it.
    """
    sent = []
    for message in messages:
        allowed = _ALLOWED[message["role"]]
        if send_reasoning and message["role"] == "assistant":
            allowed = (*allowed, "reasoning_content")
        wire = {key: value for key, value in message.items() if key in allowed}
        if calls := message.get("tool_calls"):
            wire["tool_calls"] = [_wire_call(call) for call in calls]
        sent.append(wire)
    return sent


def _wire_call(call: ToolCall) -> dict[str, Any]:
    function = call["function"]
    try:
        well_formed = isinstance(json.loads(function["arguments"]), dict)
    except (ValueError, RecursionError):
        well_formed = False
    arguments = function["arguments"] if well_formed else json.dumps({"not_json": function["arguments"]})
    return {
        "id": call["id"],
        "type": "function",
        "function": {"name": function["name"], "arguments": arguments},
    }


class OpenAIAgent:
    """A model behind the chat-completions API, without streaming.

    Args:
        model: its name at the endpoint.
        base_url: the endpoint, up to ``/v1``; default: ``OPENAI_BASE_URL``, else OpenAI's own.
        api_key: default: ``OPENAI_API_KEY``; an endpoint given by URL may do without.
        temperature: sampling temperature; None leaves it to the server.
        max_tokens: most tokens of one completion.
        timeout: seconds for one request, each retry anew.
        max_retries: retries after connection failures, timeouts, 408, 409, 429 and 5xx, with the client's
            exponential backoff (it honours ``Retry-After``).
        send_reasoning: hand earlier reasoning back to the server.
        extra: further fields of the request body, e.g. ``{"top_p": 0.9}``.
        price_in, price_out, price_cached: prices of a million prompt, completion and cached prompt tokens.
        requests_per_minute, tokens_per_minute: of this process, shared by its agents of the same model, see
            `ise_gym.models.metering.Pace`. A server's own 429 is waited out besides.

    Raises:
        UserError: the ``openai`` package is missing, neither a key nor a URL is given, or a price or rate is wrong.
    """

    syntax = "openai:MODEL (an OpenAI-compatible endpoint)"

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        temperature: float | None = 0.0,
        max_tokens: int | None = 4096,
        timeout: float = 120.0,
        max_retries: int = 5,
        send_reasoning: bool = False,
        extra: Mapping[str, Any] | None = None,
        price_in: float | None = None,
        price_out: float | None = None,
        price_cached: float | None = None,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
    ) -> None:
        try:
            import openai  # noqa: F401  (said here, where the message can name the agent)
        except ImportError as error:
            raise UserError(
                "the agent 'openai:…' needs the openai package: pip install 'ise-gym[llm]'"
            ) from error
        if not model:
            raise UserError("the agent 'openai:MODEL' needs a model name after the colon")
        base_url = base_url or os.environ.get("OPENAI_BASE_URL") or None
        api_key = api_key or os.environ.get("OPENAI_API_KEY") or ("none" if base_url else None)
        if api_key is None:
            raise UserError("no endpoint: set OPENAI_API_KEY, or give base_url (or OPENAI_BASE_URL)")
        self.name = f"openai:{model}"
        self.model = model
        self.temperature, self.max_tokens = temperature, max_tokens
        self.send_reasoning = send_reasoning
        self.extra = dict(extra or {})
        prices = prices_of(price_in, price_out, price_cached)
        self._episode, self._total = Meter(prices), Meter(prices)
        self._endpoint = public_address(base_url) if base_url else "api.openai.com"
        self._api_key = api_key
        self._pace = shared_pace(base_url or self._endpoint, model, requests_per_minute, tokens_per_minute)
        self._client = shared_client(base_url, api_key, timeout, max_retries)

    @property
    def usage(self) -> dict[str, Any]:
        """What the present episode spent, see `ise_gym.models.metering.Meter`."""
        return self._episode.usage

    @property
    def total_usage(self) -> dict[str, Any]:
        """What all episodes spent."""
        return self._total.usage

    def reset(self, scenario: Scenario, seed: int) -> None:
        """Start counting anew; a model never sees the scenario."""
        self._episode.reset()

    def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Message:
        """Ask the endpoint for the next assistant message.

        Call ids are left for the env to give: servers' own are random, or repeat from turn to turn.

        Raises:
            AgentError: the endpoint failed after all retries (infrastructure), or the conversation is longer
                than the model's context (not infrastructure).
            UserError: the endpoint refused the key, or does not know the model.
        """
        request: dict[str, Any] = {
            "model": self.model,
            "messages": wire_messages(messages, self.send_reasoning),
        }
        if tools:
            request["tools"] = list(tools)
        if self.temperature is not None:
            request["temperature"] = self.temperature
        if self.max_tokens is not None:
            request["max_tokens"] = self.max_tokens
        self._pace.wait()
        reply = self._ask(request)
        self._episode.add(reply)
        self._pace.spent(self._total.add(reply))
        return self._as_message(reply)

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send one request; return the decoded body."""
        import openai

        where = f"{self.name} at {self._endpoint}"
        try:
            response = self._client.chat.completions.with_raw_response.create(
                **request, extra_body=self.extra or None
            )
            body = response.http_response.json()
        except openai.BadRequestError as error:
            if any(words in str(error).lower() for words in _CONTEXT_WORDS):
                message = f"{where}: the conversation is longer than the model's context"
                raise AgentError(message, infrastructure=False) from error
            raise AgentError(f"{where} refused the request: {self._line(error)}") from error
        except (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError) as error:
            raise UserError(
                f"{where} refused: {self._line(error)}; check the model's name, base_url and the API key"
            ) from error
        except openai.APIError as error:
            raise AgentError(f"{where} failed: {self._line(error)}") from error
        except ValueError as error:
            raise AgentError(f"{where} answered with something that is not JSON") from error
        if not isinstance(body, dict):
            raise AgentError(f"{where} answered with JSON that is not an object")
        return body

    def _line(self, error: Exception) -> str:
        """Return the first line of an endpoint's error; some servers repeat the key that they refuse."""
        return _first_line(scrubbed(str(error), self._api_key) or type(error).__name__)

    def _as_message(self, reply: Mapping[str, Any]) -> Message:
        where = f"{self.name} at {self._endpoint}"
        try:
            message = reply["choices"][0]["message"]
            content = message.get("content") or message.get("refusal") or ""
            reasoning = message.get("reasoning_content") or message.get("reasoning") or None
            calls = [_as_call(call) for call in message.get("tool_calls") or ()]
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise AgentError(f"{where} answered without a well-formed message") from error
        if not isinstance(content, str) or not isinstance(reasoning, str | None):
            raise AgentError(f"{where} answered with content that is not text")
        return assistant(content, calls, reasoning)

    def describe(self) -> dict[str, Any]:
        """Return model, sampling parameters and the episode's token usage; no address and no key."""
        return {
            "agent": "openai",
            "model": self.model,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "extra": without_secrets(self.extra),
            "usage": dict(self.usage),
        }

    def close(self) -> None:
        """Nothing is held: the connections are the process', see `ise_gym.models.endpoint`."""


def _as_call(call: Mapping[str, Any]) -> ToolCall:
    """Take over one call; what is wrong in it is for the env to answer."""
    function = call.get("function") or {}
    arguments = function.get("arguments")
    if arguments is None:
        arguments = ""
    if not isinstance(arguments, str | dict):
        arguments = str(arguments)
    return tool_call(str(function.get("name") or ""), arguments)


def _first_line(text: str) -> str:
    lines = text.splitlines()
    return lines[0][:300] if lines else text
