"""One question to an OpenAI-compatible endpoint, answered with a JSON object however well the server can do that.

The user simulator and the judge ask the same way: with a JSON schema where the server has it, without once it refused
one, and read the answer tolerantly. An endpoint that fails is an infrastructure failure, never the agent's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from ise_gym.errors import AgentError, UserError
from ise_gym.models.answer import Answer
from ise_gym.models.client import Client
from ise_gym.models.endpoint import PROBE_TOKENS, endpoint_options
from ise_gym.models.metering import Meter
from ise_gym.models.words.thinking import apart

DEFAULTS = {"temperature": 0.7, "max_tokens": 512, "timeout": 60.0, "max_retries": 4}

_FENCE = "```"
_STARTS_TRIED = 200
"""How many opening braces of an answer are tried as the start of its object."""


class JsonChat:
    """An endpoint and how it is sampled.

    Args:
        model: its name at the endpoint.
        who: what messages call it.
        endpoint: options of `ise_gym.models.endpoint.EndpointOptions`.

    Attributes:
        meter: what the answers spent.

    Raises:
        UserError: the ``openai`` package is missing, neither a key nor a URL is given, or an option is wrong.
    """

    def __init__(self, model: str, who: str = "user", **endpoint: object) -> None:
        if not model:
            raise UserError(f"the {who} 'llm:MODEL' needs a model name after the colon")
        self.model = model
        options = endpoint_options(f"{who} 'llm:{model}'", DEFAULTS, endpoint)
        self._client = Client(model, options, f"the {who}'s model {model}", f"the {who} 'llm:…'")
        self._schema_known = True

    @property
    def meter(self) -> Meter:
        """What the answers spent."""
        return self._client.meter

    def ask(
        self, messages: Sequence[Mapping[str, object]], schema: Mapping[str, object], seed: int | None = None
    ) -> str:
        """Return the text of the answer.

        Raises:
            AgentError: the endpoint failed after all retries, or answered without a message (infrastructure).
            UserError: it refused the key, or does not know the model.
        """
        return self.answer(messages, schema, seed).text

    def answer(
        self, messages: Sequence[Mapping[str, object]], schema: Mapping[str, object], seed: int | None = None
    ) -> Answer:
        """Return the whole answer; raises as `ask`."""
        fields: dict[str, Any] = {}
        if seed is not None:  # each answer its own, so that a second draft is another one
            fields["seed"] = seed
        form = {"name": "answer", "schema": dict(schema), "strict": True}
        if self._schema_known:
            try:
                asked = {"type": "json_schema", "json_schema": form}
                return self._client.ask(messages, response_format=asked, **fields)
            except AgentError as error:
                if error.kind not in ("field", "refused"):
                    raise
                self._schema_known = False  # this server has no JSON schema: never ask it for one again
        return self._client.ask(messages, **fields)

    def probe(self) -> None:
        """Ask once for a few tokens.

        Raises:
            UserError: no answer; says why, and what to do.
        """
        try:
            self._client.ask([{"role": "user", "content": "Say OK."}], max_tokens=PROBE_TOKENS)
        except AgentError as error:
            raise UserError(f"{error}; is it up, and is base_url right?") from error

    def sampling(self) -> dict[str, Any]:
        """Return model and sampling parameters; no address and no key."""
        return {"model": self.model, **self._client.options.sampling()}


def read_object(text: str) -> dict[str, Any] | None:
    """Return the JSON object in a model's answer, past thinking, fences and chatter; None when there is none.

    >>> read_object('Sure: {"say": "hi"} ok')
    {'say': 'hi'}
    """
    plain = without_thinking(text)
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
    return apart(text).words.strip()
