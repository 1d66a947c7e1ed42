"""The model that words intents: asks for JSON by schema, and tells an endpoint's failure from a poor answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ise_gym.errors import AgentError
from ise_gym.intents.llm.prompt import SCHEMA
from ise_gym.models.chat import JsonChat

DEFAULTS = {"temperature": 0.9, "max_tokens": 4096, "timeout": 120.0, "max_retries": 4}


class EndpointFailure(Exception):
    """The endpoint gave no usable completion, after the client's own retries; another time it may."""


@dataclass(frozen=True)
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


class Endpoint:
    """A chat-completions endpoint that words intents; safe to use from several threads.

    Args:
        model: its name there.
        base_url: None takes ``OPENAI_BASE_URL``, else OpenAI's own.
        options: more of `ise_gym.models.endpoint.EndpointOptions`; `DEFAULTS` holds for what is not given.

    Raises:
        UserError: the ``openai`` package is missing, there is no endpoint, or an option is wrong.
    """

    def __init__(self, model: str, base_url: str | None = None, **options: object) -> None:
        self.model = model
        self._chat = JsonChat(model, who="writer", **{**DEFAULTS, "base_url": base_url, **options})

    @property
    def usage(self) -> Usage:
        """What this run spent."""
        spent = self._chat.meter.usage
        return Usage(spent["calls"], spent["prompt_tokens"], spent["completion_tokens"])

    def sampling(self) -> dict[str, Any]:
        """Return what, besides the prompt, an answer depends on."""
        return {name: self._chat.sampling()[name] for name in ("model", "temperature", "max_tokens")}

    def ask(self, messages: Sequence[Mapping[str, str]], schema: Mapping[str, object] = SCHEMA) -> str:
        """Return the text of one completion that follows a JSON schema.

        Raises:
            EndpointFailure: no answer, or one that is not a completion.
            UserError: key or model name refused.
        """
        try:
            content = self._chat.ask(messages, schema)
        except AgentError as error:
            raise EndpointFailure(str(error)) from error
        if not content.strip():
            raise EndpointFailure("the endpoint answered with an empty message")
        return content
