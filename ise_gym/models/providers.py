"""Providers that do not speak OpenAI's protocol (Anthropic, Google, Bedrock, …), through LiteLLM.

LiteLLM translates requests and answers; deadline, retries, pace, blame and what is recorded stay this project's own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ise_gym.errors import UserError
from ise_gym.models.answer import Answer, answer_of
from ise_gym.models.client import Client
from ise_gym.models.endpoint import EndpointOptions
from ise_gym.models.streaming import Assembled


class ProviderClient(Client):
    """As `Client`, for a model as LiteLLM names it: ``anthropic/claude-…``, ``gemini/gemini-…``.

    Args:
        model, options, who, needs: as of `Client`. Without ``api_key`` the provider's own variable is read, such as
            ``ANTHROPIC_API_KEY``; without ``base_url`` its own address is used.

    Raises:
        UserError: the ``litellm`` package is missing.
    """

    def __init__(self, model: str, options: EndpointOptions, who: str, needs: str = "") -> None:
        # its table of prices is fetched from the network at import otherwise
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        try:
            import litellm
        except ImportError as error:
            raise UserError(f"{needs or who} needs LiteLLM: pip install 'ise-gym[litellm]'") from error
        litellm.suppress_debug_info = True
        super().__init__(model, options, who, needs)

    def _found_key(self) -> str:
        return self.options.api_key or ""  # else LiteLLM reads the provider's variable

    def _connection(self, url: str | None) -> Any:
        return url if self.options.base_url else None  # OPENAI_BASE_URL is not this provider's

    async def _sent(self, client: object, request: Mapping[str, object], session: str) -> Answer:
        import litellm

        more: dict[str, Any] = {"timeout": self.options.timeout, "num_retries": 0, "max_retries": 0}
        more |= {"api_base": client, "api_key": self._key or None}
        if not self.options.stream:
            return answer_of((await litellm.acompletion(**request, **more)).model_dump())
        assembled = Assembled()
        streamed = await litellm.acompletion(
            **request, **more, stream=True, stream_options={"include_usage": True}
        )
        async for chunk in streamed:
            assembled.add(chunk.model_dump(exclude_unset=True))
        return answer_of(assembled.body())
