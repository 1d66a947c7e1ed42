"""Where a model is asked and how: the options that every seat has in common, checked before anything is spent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ise_gym.credentials import public_address, without_secrets
from ise_gym.errors import UserError, nearest

PROBE_TOKENS = 64
"""Of the answer that shows before a run whether an endpoint is there. A whole call fits: servers fail at half."""

Positive = Annotated[float, Field(gt=0)]
Price = Annotated[float, Field(ge=0)]


class EndpointOptions(BaseModel):
    """How an OpenAI-compatible endpoint is asked.

    Attributes:
        base_url: up to ``/v1``; default: ``OPENAI_BASE_URL``, else OpenAI's own. Several (a list, or with commas
            between) are one fleet: an episode stays with one, and goes on at the next where that one fails.
        api_key: default: ``OPENAI_API_KEY``; an endpoint given by URL may do without.
        temperature: of sampling; None leaves it to the server. ``max_tokens``: most tokens of one answer.
        seed: sent along, for servers that sample reproducibly.
        timeout: seconds for one try, from the first byte sent to the last byte read.
        max_retries: more tries after connection failures, timeouts, 408, 409, 429, 5xx and answers that are none, with
            growing pauses (``Retry-After`` is honoured).
        stream: have the answer streamed, for servers that give up on long ones otherwise.
        logprobs: ask for the log-probability (and id, where the server gives it) of each sampled token.
        session_header: name of a header that carries the episode's id, so that a router can keep its prefix cached.
        extra: further fields of the request body, e.g. ``{"top_p": 0.9}``.
        price_in, price_out, price_cached: prices of a million prompt, completion and cached prompt tokens.
        concurrency: most requests of this process at once. Whatever it is, fewer are sent to an endpoint that says that
            it is busy (429, overload) or answers late, see `ise_gym.models.congestion`.
        requests_per_minute, tokens_per_minute: of this process, see `ise_gym.models.metering.Pace`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    base_url: str | list[str] | None = None
    api_key: str | None = Field(default=None, repr=False)
    temperature: Annotated[float, Field(ge=0)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    seed: int | None = None
    timeout: Positive = 120.0
    max_retries: Annotated[int, Field(ge=0)] = 5
    stream: bool = False
    logprobs: bool = False
    session_header: str = ""
    extra: dict[str, Any] = Field(default_factory=dict)
    price_in: Price | None = None
    price_out: Price | None = None
    price_cached: Price | None = None
    concurrency: Annotated[int, Field(ge=1)] | None = None
    requests_per_minute: Positive | None = None
    tokens_per_minute: Positive | None = None

    @field_validator("extra", mode="before")
    @classmethod
    def _no_extra(cls, value: object) -> Any:
        return {} if value is None else dict(value) if isinstance(value, Mapping) else value

    @property
    def urls(self) -> tuple[str | None, ...]:
        """The endpoints; (None,) is OpenAI's own."""
        given = self.base_url or os.environ.get("OPENAI_BASE_URL") or None
        parts = given.split(",") if isinstance(given, str) else given
        return tuple(part.strip().rstrip("/") for part in parts if part.strip()) if parts else (None,)

    @property
    def where(self) -> str:
        """The endpoint as messages name it."""
        return ", ".join(public_address(url) if url else "api.openai.com" for url in self.urls)

    def key(self, who: str) -> str:
        """Return the API key.

        Raises:
            UserError: there is neither a key nor a URL.
        """
        found = self.api_key or os.environ.get("OPENAI_API_KEY") or ("none" if self.urls != (None,) else None)
        if found is None:
            raise UserError(
                f"no endpoint for {who}: set OPENAI_API_KEY, or give base_url (or OPENAI_BASE_URL)"
            )
        return found

    def sampling(self) -> dict[str, Any]:
        """Return what, besides the prompt, an answer depends on; no address and no key."""
        return {
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "seed": self.seed,
            "extra": without_secrets(self.extra),
        }


def endpoint_options(who: str, defaults: Mapping[str, object], given: Mapping[str, Any]) -> EndpointOptions:
    """Check options that a user gave, by name and by type.

    Args:
        who: who is asked, for the message, e.g. ``agent 'openai:tiny'``.
        defaults: of this seat.

    Raises:
        UserError: an unknown option, or a value that it can't have.

    >>> endpoint_options("agent 'openai:tiny'", {}, {"temperature": "hot"})
    Traceback (most recent call last):
    ...
    ise_gym.errors.UserError: agent 'openai:tiny': option 'temperature': input should be a valid number.
    """
    try:
        options = EndpointOptions(**{**defaults, **given})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        if first["type"] == "extra_forbidden":
            raise UserError(
                f"{who}: there is no option '{name}'.{nearest(name, EndpointOptions.model_fields)}"
            ) from None
        problem = first["msg"]  # without what was given: it may be a key
        raise UserError(f"{who}: option '{name}': {problem[:1].lower()}{problem[1:]}.") from None
    for url in options.urls:
        if url is not None and not url.startswith(("http://", "https://")):
            raise UserError(f"{who}: base_url {public_address(url)} must begin with http:// or https://")
        if url is not None and url.endswith("/chat/completions"):
            raise UserError(
                f"{who}: base_url {public_address(url)}: leave /chat/completions off; it usually ends in /v1"
            )
    return options
