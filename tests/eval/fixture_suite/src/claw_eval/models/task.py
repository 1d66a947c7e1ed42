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


class TaskDefinition(BaseModel):
    task_id: str
    prompt: Any
    tools: list[dict[str, Any]] = []
    tool_endpoints: list[dict[str, str]] = []
    services: list[Service] = []
    local_grader_files: list[str] = []
    max_turns: int = 8
    user_agent: Any = None

    @property
    def text(self) -> str:
        return self.prompt.text

    @classmethod
    def from_yaml(cls, path: Path) -> "TaskDefinition":
        data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        task = cls.model_validate(data)
        task.prompt = type("Prompt", (), {"text": data["prompt"]["text"]})
        if data.get("user_agent"):
            task.user_agent = type("User", (), data["user_agent"])
        return task
