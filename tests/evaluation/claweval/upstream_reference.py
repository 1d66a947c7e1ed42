"""Runs tasks by the benchmark's own batch function, services as subprocesses, for parity tests.

Only the model clients are replaced (agent, judge and the user of multi-turn tasks), so that no endpoint is needed, and for
tasks in a sandbox the container around the benchmark's server (see `upstream_sandbox`). Run as a script in a process of
its own: ``python upstream_reference.py CHECKOUT AGENT JUDGE OUT PORT_OFFSET TASK…``; JUDGE is a constant score, or
``hash`` for one that hashes all it reads. It writes task → dimensions and name of the trace, or the error that the
benchmark recorded, and goes on where an earlier call stopped. Traces are kept in ``OUT.traces`` (its suffix replaced).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

DIMENSIONS = ("completion", "robustness", "safety", "task_score", "passed")


def main(root: Path, agent_spec: str, score: str, out: Path, port_offset: int, tasks: list[str]) -> None:
    here = Path.cwd()
    sys.path[:0] = [str(root / "src"), str(here)]
    os.chdir(root)
    from claw_eval import cli
    from claw_eval.graders import llm_judge
    from claw_eval.runner import sandbox_runner, services, user_agent
    from claw_eval.runner.providers import openai_compat

    from ise_gym.evaluation.claweval.agents import make_claw_agent
    from ise_gym.evaluation.claweval.models.judge import make_client, make_user_client, parse_judge
    from ise_gym.evaluation.claweval.models.provider import AgentClient
    from ise_gym.evaluation.claweval.tasks import load_tasks

    agent = make_claw_agent(agent_spec, json.loads(os.environ.get("AGENT_OPTIONS", "{}")))
    judge = make_client(parse_judge(f"stub:{score}"))
    speaker = make_user_client(parse_judge(f"stub:{score}"))

    class Provider(openai_compat.OpenAICompatProvider):  # type: ignore[misc]
        def __init__(self, **options: object) -> None:
            super().__init__(model_id=agent.name, api_key="x", base_url="http://unused.invalid")
            self.client = AgentClient(agent)

    class Judge(llm_judge.LLMJudge):  # type: ignore[misc]
        def __init__(self, **options: object) -> None:
            super().__init__(model_id=judge.spec.model, api_key="x")
            self.client = judge

    class User(user_agent.UserAgent):  # type: ignore[misc]
        def __init__(self, **options: object) -> None:
            super().__init__(model_id=speaker.spec.model, api_key="x")
            self.client = speaker

    start = services.ServiceManager.__init__

    def patient(self: object, defined: list, cwd: Path | None = None, **more: object) -> None:  # type: ignore[type-arg]
        """On a busy machine services need longer than the benchmark waits; it changes nothing else."""
        for service in defined:
            service.ready_timeout = max(service.ready_timeout, 180)
        start(self, defined, cwd, **more)

    sys.path.insert(0, str(Path(__file__).parent))
    from upstream_sandbox import boxed_runner

    boxed = {task.id for task in load_tasks(root) if task.needs_sandbox or task.split == "M"}
    sandbox_runner.SandboxRunner = boxed_runner(sandbox_runner)
    services.ServiceManager.__init__ = patient
    openai_compat.OpenAICompatProvider = Provider
    llm_judge.LLMJudge = Judge
    user_agent.UserAgent = User
    traces = out.with_suffix(".traces")
    traces.mkdir(exist_ok=True)
    config = traces / "config.yaml"
    config.write_text("judge: {api_key: x}\nmodel: {api_key: x}\n")
    results: dict[str, Any] = json.loads(out.read_text()) if out.is_file() else {}
    for task in tasks:
        if task in results:
            continue
        judge.begin_trial()
        speaker.begin_trial()
        found = cli._run_single_task(
            task_dir=str(root / "tasks" / task),
            config_path=str(config),
            model=None,
            api_key=None,
            base_url=None,
            trace_dir=str(traces),
            port_offset=port_offset,
            no_judge=False,
            judge_model=None,
            trials=1,
            sandbox=task in boxed,
        )
        results[task] = _result(found)
        draft = out.with_suffix(".part")
        draft.write_text(json.dumps(results))
        draft.replace(out)


def _result(found: dict[str, Any]) -> dict[str, Any]:
    trial = found["trials"][0] if found["trials"] else {}
    if problem := found["error"] or trial.get("error"):
        return {"error": problem}
    return {name: trial[name] for name in DIMENSIONS} | {"trace": Path(trial["trace"]).name}


if __name__ == "__main__":
    _, root, agent, score, out, offset, *names = sys.argv
    main(Path(root).resolve(), agent, score, Path(out).resolve(), int(offset), names)
