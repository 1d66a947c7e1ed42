"""What this project reads of the benchmark's own objects, whose classes live in a checkout of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ise_gym.evaluation.claweval.services.broken import Endpoint, ToolSpec
from ise_gym.foreign.values import Json


class Service(Protocol):
    """A mock service that a task starts; without ``reset_endpoint`` it keeps no audit."""

    name: str
    command: str
    port: int
    health_check: str
    health_check_method: str
    env: Mapping[str, str] | None
    reset_endpoint: str | None


class SimulatedUser(Protocol):
    """Who answers the agent, in tasks that have such a user (``enabled``)."""

    enabled: bool
    persona: str
    max_rounds: int
    system_prompt_suffix: str


class Surroundings(Protocol):
    """A task's limits; newer checkouts also have ``mock_today``."""

    timeout_seconds: float
    max_turns: int


class Prompt(Protocol):
    """What is asked first."""

    text: str


class Definition(Protocol):
    """One task, as the benchmark's own loader gives it; ``user_agent`` is missing in old checkouts."""

    task_id: str
    prompt: Prompt
    tools: Sequence[ToolSpec]
    tool_endpoints: Sequence[Endpoint]
    services: Sequence[Service]
    environment: Surroundings
    user_agent: SimulatedUser
    local_grader_files: list[str]

    def get_endpoint_map(self) -> Mapping[str, Endpoint]:
        """Return where each tool's calls go."""
        ...


class Judge(Protocol):
    """The benchmark's judge: it keeps what it was asked and said."""

    def get_call_log(self) -> list[dict[str, Json]]:
        """Return every question with its answer."""
        ...
