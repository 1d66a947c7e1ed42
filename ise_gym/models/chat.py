"""One question to an OpenAI-compatible endpoint, answered with a JSON object however well the server can do that.

The user simulator and the judge ask the same way: with a JSON schema where the server has it, without once it refused
one, and read the answer tolerantly. An endpoint that fails is an infrastructure failure, never the agent's.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from ise_gym.credentials import public_address, scrubbed, without_secrets
from ise_gym.errors import AgentError, UserError
from ise_gym.messages import Message
from ise_gym.models.endpoint import shared_client
from ise_gym.models.metering import Meter, prices_of, shared_pace

_THINKING = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL)
_FENCE = "```"
_STARTS_TRIED = 200
"""How many opening braces of an answer are tried as the start of its object."""


class JsonChat:
    """An endpoint and how it is sampled.

    Args:
        model: its name at the endpoint.
        base_url: default: ``OPENAI_BASE_URL``, else OpenAI's own. ``api_key``: default ``OPENAI_API_KEY``.
        temperature: None leaves it to the server. ``max_tokens`` of one answer.
        seed: sent along, for servers that sample reproducibly.
        timeout: seconds of one request; ``max_retries``: after connection failures, timeouts, 408, 409, 429 and 5xx.
        extra: further fields of the request body.
        price_in, price_out, price_cached: prices of a million prompt, completion and cached prompt tokens.
        requests_per_minute, tokens_per_minute: of this process, see `ise_gym.models.metering.Pace`.

    Attributes:
        meter: what the answers spent.

    Raises:
        UserError: the ``openai`` package is missing, or neither a key nor a URL is given.
    """

    def __init__(
        self,
        model: str,
        base_url: str | None = None,
        api_key: str | None = None,
        temperature: float | None = 0.7,
        max_tokens: int | None = 512,
        seed: int | None = None,
        timeout: float = 60.0,
        max_retries: int = 4,
        extra: Mapping[str, Any] | None = None,
        price_in: float | None = None,
        price_out: float | None = None,
        price_cached: float | None = None,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
    ) -> None:
        try:
            import openai  # noqa: F401  (said here, where the message can name the user)
        except ImportError as error:
            raise UserError(
                "the user 'llm:…' needs the openai package: pip install 'ise-gym[llm]'"
            ) from error
        if not model:
            raise UserError("the user 'llm:MODEL' needs a model name after the colon")
        base_url = base_url or os.environ.get("OPENAI_BASE_URL") or None
        api_key = api_key or os.environ.get("OPENAI_API_KEY") or ("none" if base_url else None)
        if api_key is None:
            raise UserError(
                "no endpoint for the user: set OPENAI_API_KEY, or give base_url (or OPENAI_BASE_URL)"
            )
        self.model, self.temperature, self.max_tokens, self.seed = model, temperature, max_tokens, seed
        self.extra = dict(extra or {})
        self.calls = 0
        self.meter = Meter(prices_of(price_in, price_out, price_cached))
        self._pace = shared_pace(base_url or "", model, requests_per_minute, tokens_per_minute)
        self._api_key = api_key
        self._where = (
            f"the user's model {model} at {public_address(base_url) if base_url else 'api.openai.com'}"
        )
        self._schema_known = True
        self._client = shared_client(base_url, api_key, timeout, max_retries)

    def ask(self, messages: Sequence[Message], schema: Mapping[str, Any], seed: int | None = None) -> str:
        """Return the text of the answer.

        Raises:
            AgentError: the endpoint failed after all retries, or answered without a message (infrastructure).
            UserError: it refused the key, or does not know the model.
        """
        import openai

        request: dict[str, Any] = {"model": self.model, "messages": [dict(m) for m in messages]}
        for name in ("temperature", "max_tokens"):
            if getattr(self, name) is not None:
                request[name] = getattr(self, name)
        if (chosen := self.seed if seed is None else seed) is not None:
            request["seed"] = chosen
        if self._schema_known:
            request["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": dict(schema), "strict": True},
            }
        self.calls += 1
        self._pace.wait()
        try:
            response = self._client.chat.completions.with_raw_response.create(
                **request, extra_body=self.extra or None
            )
            body = response.http_response.json()
        except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
            if "response_format" not in request:
                raise AgentError(f"{self._where} refused the request: {self._line(error)}") from error
            self._schema_known = False  # this server has no JSON schema: never ask it for one again
            return self.ask(messages, schema, seed)
        except (openai.AuthenticationError, openai.PermissionDeniedError, openai.NotFoundError) as error:
            raise UserError(
                f"{self._where} refused: {self._line(error)}; check the model's name, base_url and the API key"
            ) from error
        except openai.APIError as error:
            raise AgentError(f"{self._where} failed: {self._line(error)}") from error
        except ValueError as error:
            raise AgentError(f"{self._where} answered with something that is not JSON") from error
        if isinstance(body, dict):
            self._pace.spent(self.meter.add(body))
        try:
            content = body["choices"][0]["message"].get("content")
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise AgentError(f"{self._where} answered without a well-formed message") from error
        if content is not None and not isinstance(content, str):
            raise AgentError(f"{self._where} answered with content that is not text")
        return content or ""

    def _line(self, error: Exception) -> str:
        lines = scrubbed(str(error), self._api_key).splitlines()
        return lines[0][:300] if lines else type(error).__name__

    def sampling(self) -> dict[str, Any]:
        """Return model and sampling parameters; no address and no key."""
        return {
            "model": self.model,
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "seed": self.seed,
            "extra": without_secrets(self.extra),
        }


def read_object(text: str) -> dict[str, Any] | None:
    """Return the JSON object in a model's answer, past thinking, fences and chatter; None when there is none.

    >>> read_object('Sure: {"say": "hi"} ok')
    {'say': 'hi'}
    """
    plain = _THINKING.sub("", text).strip()
    if plain.startswith(_FENCE) and plain.endswith(_FENCE) and len(plain) >= 2 * len(_FENCE):
        plain = plain[len(_FENCE) : -len(_FENCE)].removeprefix("json").strip()
    decoder = json.JSONDecoder(strict=False)
    for start in islice((m.start() for m in re.finditer(r"\{", plain)), _STARTS_TRIED):
        try:
            value, _ = decoder.raw_decode(plain, start)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            return value
    return None


def without_thinking(text: str) -> str:
    """Return an answer without its thinking part."""
    return _THINKING.sub("", text).strip()
