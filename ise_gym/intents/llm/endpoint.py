"""One OpenAI-compatible endpoint: asks for a completion, survives what servers do, counts tokens."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ise_gym.credentials import scrubbed
from ise_gym.errors import UserError
from ise_gym.intents.llm.prompt import SCHEMA


class EndpointFailure(Exception):
    """The endpoint gave no usable completion, after the client's own retries; another time it may."""


@dataclass
class Usage:
    """Calls that were answered, and their tokens as the server counts them."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def cost(self, price_in: float, price_out: float) -> float:
        """Return the price, given prices of a million tokens."""
        return (self.prompt_tokens * price_in + self.completion_tokens * price_out) / 1e6

    def to_json(self) -> dict[str, int]:
        """Return the counts."""
        return asdict(self)


@dataclass
class Endpoint:
    """A chat-completions endpoint; safe to use from several threads.

    Attributes:
        model: its name there.
        base_url: up to ``/v1``; default ``OPENAI_BASE_URL``, else OpenAI's own.
        api_key: default ``OPENAI_API_KEY``; an endpoint given by URL may do without.
        temperature, max_tokens: sampling; None leaves it to the server.
        timeout: seconds for one request; ``retries`` of timeouts, 429 and 5xx, with growing pauses.
        structured: ask for JSON by schema; turned off when the server refuses that.
        usage: of this run.
    """

    model: str
    base_url: str | None = None
    api_key: str | None = None
    temperature: float | None = 0.9
    max_tokens: int | None = 4096
    timeout: float = 120.0
    retries: int = 4
    structured: bool = True
    usage: Usage = field(default_factory=Usage)

    def __post_init__(self) -> None:
        try:
            import openai
        except ImportError:
            raise UserError("the llm realiser needs the openai package: pip install 'ise-gym[llm]'") from None
        base_url = self.base_url or os.environ.get("OPENAI_BASE_URL") or None
        key = self.api_key or os.environ.get("OPENAI_API_KEY") or ("none" if base_url else None)
        if key is None:
            raise UserError("no endpoint: set OPENAI_API_KEY, or give --base-url (or OPENAI_BASE_URL)")
        self._key = key
        self._lock = threading.Lock()
        self._client = openai.OpenAI(
            base_url=base_url, api_key=key, timeout=self.timeout, max_retries=self.retries
        )

    def sampling(self) -> dict[str, Any]:
        """Return what, besides the prompt, an answer depends on."""
        return {"model": self.model, "temperature": self.temperature, "max_tokens": self.max_tokens}

    def ask(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Return the text of one completion.

        Raises:
            EndpointFailure: no answer, or one that is no completion.
            UserError: key or model name refused.
        """
        import openai

        request: dict[str, Any] = {"model": self.model, "messages": list(messages)}
        if self.temperature is not None:
            request["temperature"] = self.temperature
        if self.max_tokens is not None:
            request["max_tokens"] = self.max_tokens
        if self.structured:
            form = {
                "type": "json_schema",
                "json_schema": {"name": "wording", "schema": SCHEMA, "strict": True},
            }
            request["response_format"] = form
        try:
            body = self._client.chat.completions.with_raw_response.create(**request).http_response.json()
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            if not self.structured:
                raise EndpointFailure(f"the endpoint refused the request: {self._line(error)}") from error
            self.structured = False  # not every server knows schemas; the parser needs none
            return self.ask(messages)
        except (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError) as error:
            raise UserError(
                f"the endpoint refused {self.model}: {self._line(error)}; check model, base URL and API key"
            ) from error
        except openai.APIError as error:
            raise EndpointFailure(self._line(error)) from error
        except ValueError as error:
            raise EndpointFailure("the endpoint answered with something that is not JSON") from error
        self._count(body)
        return _content(body)

    def _line(self, error: Exception) -> str:
        lines = scrubbed(str(error), self._key).splitlines()
        return lines[0][:300] if lines else type(error).__name__

    def _count(self, body: Any) -> None:
        reported = body.get("usage") if isinstance(body, dict) else None
        with self._lock:
            self.usage.calls += 1
            if isinstance(reported, dict):
                self.usage.prompt_tokens += int(reported.get("prompt_tokens") or 0)
                self.usage.completion_tokens += int(reported.get("completion_tokens") or 0)


def _content(body: Any) -> str:
    try:
        content = body["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError) as error:
        raise EndpointFailure("the endpoint answered without a message") from error
    if not isinstance(content, str) or not content.strip():
        raise EndpointFailure("the endpoint answered with an empty message")
    return content
