"""The benchmark's own code, looked up in a checkout and checked before anything is played.

A checkout of another version may have other functions; that is said once, with their names, and not found out in the
middle of a run.
"""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from ise_gym.errors import UserError
from ise_gym.evaluation.claweval.models.judge import JudgeClient
from ise_gym.evaluation.claweval.models.provider import AgentClient

_EXPECTED: dict[str, dict[str, tuple[str, ...]]] = {
    "claw_eval.runner.loop": {
        "run_task": ("task", "provider", "trace_dir", "prompt_cfg", "model_cfg", "media_cfg", "user_agent")
    },
    "claw_eval.graders.registry": {"get_grader": ("task_id", "tasks_dir", "task_dir")},
    "claw_eval.trace.reader": {"load_trace": ("path",)},
    "claw_eval.models.scoring": {"compute_task_score": ("scores",), "is_pass": ("score",)},
    "claw_eval.graders.llm_judge": {"LLMJudge": ("model_id", "api_key", "base_url")},
    "claw_eval.runner.providers.openai_compat": {"OpenAICompatProvider": ("model_id", "api_key", "base_url")},
    "claw_eval.config": {"PromptConfig": (), "ModelConfig": (), "MediaConfig": ()},
    "claw_eval.models.task": {"TaskDefinition": ()},
}
_EXPECTED_OF_ENV: dict[str, dict[str, tuple[str, ...]]] = {
    "claw_eval.runner.dispatcher": {"ToolDispatcher": ("endpoints",)},
    "claw_eval.runner.loop": {
        "_build_initial_user_content": ("task", "trace_id", "writer", "model_cfg", "media_cfg")
    },
    "claw_eval.models.content": {"TextBlock": (), "ToolUseBlock": (), "ToolResultBlock": ()},
    "claw_eval.models.message": {"Message": ()},
    "claw_eval.models.trace": {"TraceStart": (), "TraceMessage": (), "AuditSnapshot": (), "TraceEnd": ()},
    "claw_eval.trace.writer": {"TraceWriter": ("path",)},
}
_EXPECTED_OF_ENV_SANDBOX: dict[str, dict[str, tuple[str, ...]]] = {
    "claw_eval.runner.sandbox_dispatcher": {"SandboxToolDispatcher": ("http_dispatcher", "sandbox_url")},
    "claw_eval.runner.sandbox_tools": {"SANDBOX_TOOLS": ()},
}
_EXPECTED_OF_SANDBOX: dict[str, dict[str, tuple[str, ...]]] = {
    "claw_eval.runner.sandbox_runner": {"SandboxRunner": ()},
    "claw_eval.cli": {"_collect_env_snapshot": ("sandbox_url", "task")},
}
_EXPECTED_OF_USER: dict[str, dict[str, tuple[str, ...]]] = {
    "claw_eval.runner.user_agent": {"UserAgent": ("model_id", "api_key", "base_url")},
}
_MAKES_CLIENTS = (
    "claw_eval.graders.llm_judge",
    "claw_eval.runner.providers.openai_compat",
    "claw_eval.runner.user_agent",
)


def _no_client(**options: object) -> None:
    """Stand for ``openai.OpenAI`` where its object is replaced by ours before anything asks it."""


class Upstream:
    """The benchmark's own code, looked up once and checked.

    Args:
        root: the checkout, whose ``src`` is on the import path and which is the working directory.
        sandbox, user: whether its sandbox and its simulated user are needed.
        env: whether tasks are played in our env, which needs its dispatcher and its trace classes.

    Raises:
        UserError: a function that is used is missing or takes other arguments.
    """

    def __init__(self, root: Path, *, sandbox: bool = False, user: bool = False, env: bool = False) -> None:
        self.root = root
        self._look_up(_EXPECTED)
        if sandbox:
            self._look_up(_EXPECTED_OF_SANDBOX)
        if user:
            self._look_up(_EXPECTED_OF_USER)
        if env:
            self._look_up(_EXPECTED_OF_ENV)
        if env and sandbox:
            self._look_up(_EXPECTED_OF_ENV_SANDBOX)
        for name in _MAKES_CLIENTS:
            if name in sys.modules:
                # Each of them makes a client that is replaced at once, and reads all certificates for it.
                sys.modules[name].OpenAI = _no_client  # type: ignore[attr-defined]

    def _look_up(self, expected: Mapping[str, Mapping[str, tuple[str, ...]]]) -> None:
        for module_name, functions in expected.items():
            try:
                module = import_module(module_name)
            except ImportError as error:
                raise UserError(f"{self.root}: {module_name} can't be imported ({error}).") from error
            for name, arguments in functions.items():
                self._require(module, name, arguments)
                setattr(self, name, getattr(module, name))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)

    def _require(self, module: ModuleType, name: str, arguments: tuple[str, ...]) -> None:
        found = getattr(module, name, None)
        if found is None:
            raise UserError(
                f"{self.root}: this version of Claw-Eval has no {module.__name__}.{name}; it was expected."
            )
        known = inspect.signature(found).parameters if arguments else {}
        missing = [argument for argument in arguments if argument not in known]
        if missing:
            raise UserError(
                f"{self.root}: {module.__name__}.{name} no longer takes {', '.join(missing)}: this version of "
                "Claw-Eval is not supported."
            )

    def judge(self, client: JudgeClient) -> Any:
        """Return the benchmark's own judge over our client; its sleeps between tries are left out."""
        judge = self.LLMJudge(model_id=client.spec.model, api_key="unused", base_url="http://unused.invalid")
        judge.client = client
        import_module("claw_eval.graders.llm_judge").time = _NoSleep()  # type: ignore[attr-defined]
        return judge

    def user(self, client: JudgeClient) -> Any:
        """Return the benchmark's own simulated user over our client."""
        user = self.UserAgent(model_id=client.spec.model, api_key="unused", base_url="http://unused.invalid")
        user.client = client
        return user

    def provider(self, client: AgentClient, name: str) -> Any:
        """Return the benchmark's own provider over our agent."""
        provider = self.OpenAICompatProvider(
            model_id=name, api_key="unused", base_url="http://unused.invalid"
        )
        provider.client = client
        return provider


class _NoSleep:
    """Stands for the ``time`` module in the judge's: retries there are our client's business."""

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    @staticmethod
    def sleep(seconds: float) -> None:
        """Go on at once."""
