"""`tau2 run` with scripted models for its agent and its user, once in a domain whose user has tools: ``tau2_run.py FOLDER``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from endpoint import serve

from ise_gym.messages import Message, ToolSchema, assistant, tool_call

USERS_TOOL = "check_status_bar"


class Both:
    """Agent and user of τ²-bench; who is asked shows in the system prompt."""

    def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Any:
        spoken = sum(m["role"] == "assistant" for m in messages)
        if "<scenario>" in messages[0]["content"]:
            return self.user(spoken, {tool["function"]["name"] for tool in tools})
        return self.agent(messages, {tool["function"]["name"] for tool in tools})

    def user(self, spoken: int, tools: set[str]) -> Any:
        if spoken == 0:
            return assistant("Please create the task 'Important Meeting' for user_1.")
        if spoken == 1 and USERS_TOOL in tools:
            return assistant("", [tool_call(USERS_TOOL, {})])
        return assistant("Thanks. ###STOP###")

    def agent(self, messages: Sequence[Message], tools: set[str]) -> Any:
        acted = any(m["role"] == "tool" for m in messages)
        if acted or "create_task" not in tools:
            return assistant("It is done: “Important Meeting” is in your list.")
        calls = [
            tool_call("get_users", {}),
            tool_call("create_task", {"user_id": "user_1", "title": "Important Meeting"}),
        ]
        return assistant("", calls)


where = Path(sys.argv[1])
url, server = serve(Both())
model = ["openai/scripted", f'{{"api_base": "{url}", "api_key": "none"}}']
env = {**os.environ, "OPENAI_API_KEY": "none", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
for domain, more in (
    ("mock", ["--task-ids", "create_task_1", "update_task_1"]),
    ("telecom", ["--num-tasks", "1"]),
):
    command = ["tau2", "run", "--domain", domain, *more, "--num-trials", "1", "--max-concurrency", "1"]
    for seat in ("agent", "user"):
        command += [f"--{seat}-llm", model[0], f"--{seat}-llm-args", model[1]]
    command += ["--save-to", domain, "--results-dir", str(where), "--max-steps", "12"]
    done = subprocess.run(command, cwd=where, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
server.shutdown()
print(*sorted(str(path) for path in where.rglob("*.json")), sep="\n")
