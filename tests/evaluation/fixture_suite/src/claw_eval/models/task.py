"""The task file."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel


class Service(BaseModel):
    name: str
    command: str
    port: int
    health_check: str
    health_check_method: str = "GET"
    reset_endpoint: str
    env: dict[str, str] = {}


class Prompt(BaseModel):
    text: str


class Tool(BaseModel):
    name: str
    description: str = ""
    input_schema: dict[str, Any] = {}


class Endpoint(BaseModel):
    tool_name: str
    url: str
    method: str = "POST"


class Limits(BaseModel):
    timeout_seconds: int = 30
    max_turns: int = 8
    mock_today: str | None = None


class User(BaseModel):
    enabled: bool = False
    persona: str = ""
    max_rounds: int = 3
    system_prompt_suffix: str = ""


class TaskDefinition(BaseModel):
    task_id: str
    prompt: Prompt
    tools: list[Tool] = []
    tool_endpoints: list[Endpoint] = []
    services: list[Service] = []
    local_grader_files: list[str] = []
    environment: Limits = Limits()
    user_agent: User = User()

    def get_endpoint_map(self):
        return {endpoint.tool_name: endpoint for endpoint in self.tool_endpoints}

    @classmethod
    def from_yaml(cls, path):
        return cls.model_validate(yaml.safe_load(Path(path).read_text(encoding="utf-8")))
