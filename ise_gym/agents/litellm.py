"""An agent of any provider that LiteLLM knows: Anthropic, Google, Bedrock, Cohere, … by one flag."""

from __future__ import annotations

from typing import ClassVar

from ise_gym.agents.openai import OpenAIAgent
from ise_gym.models.client import Client
from ise_gym.models.providers import ProviderClient


class LiteLLMAgent(OpenAIAgent):
    """A model by LiteLLM's name, such as ``litellm:anthropic/claude-sonnet-4-5``; options as of `OpenAIAgent`."""

    syntax = "litellm:PROVIDER/MODEL (any provider that LiteLLM knows)"

    kind: ClassVar[str] = "litellm"
    speaks_through: ClassVar[type[Client]] = ProviderClient
