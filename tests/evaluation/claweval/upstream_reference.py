"""Runs tasks by the benchmark's own batch function, services as subprocesses, for parity tests.

Only the two model clients are replaced (agent and judge), so that no endpoint is needed, and for tasks in a sandbox the
container around the benchmark's server (see `upstream_sandbox`). Run as a script in a
process of its own: ``python upstream_reference.py CHECKOUT AGENT JUDGE_SCORE OUT PORT_OFFSET TASK…``; it writes
task → dimensions, or the error that the benchmark recorded.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path


def main(root: Path, agent_spec: str, score: str, out: Path, port_offset: int, tasks: list[str]) -> None:
    here = Path.cwd()
    sys.path[:0] = [str(root / "src"), str(here)]
    os.chdir(root)
    from claw_eval import cli
    from claw_eval.graders import llm_judge
    from claw_eval.runner import sandbox_runner, services
    from claw_eval.runner.providers import openai_compat

    from ise_gym.evaluation.claweval.agents import make_claw_agent
    from ise_gym.evaluation.claweval.models.judge import make_client, parse_judge
    from ise_gym.evaluation.claweval.models.provider import AgentClient
    from ise_gym.evaluation.claweval.tasks import load_tasks

    agent = make_claw_agent(agent_spec, json.loads(os.environ.get("AGENT_OPTIONS", "{}")))
    judge = make_client(parse_judge(f"stub:{score}"))

    class Provider(openai_compat.OpenAICompatProvider):  # type: ignore[misc]
        def __init__(self, **options: object) -> None:
            super().__init__(model_id=agent.name, api_key="x", base_url="http://unused.invalid")
            self.client = AgentClient(agent)

    class Judge(llm_judge.LLMJudge):  # type: ignore[misc]
        def __init__(self, **options: object) -> None:
            super().__init__(api_key="x")
            self.client = judge

    start = services.ServiceManager.__init__

    def patient(self: object, defined: list, cwd: Path | None = None, **more: object) -> None:  # type: ignore[type-arg]
        """On a busy machine services need longer than the benchmark waits; it changes nothing else."""
        for service in defined:
            service.ready_timeout = max(service.ready_timeout, 180)
        start(self, defined, cwd, **more)

    sys.path.insert(0, str(Path(__file__).parent))
    from upstream_sandbox import boxed_runner

    boxed = {task.id for task in load_tasks(root) if task.needs_sandbox}
    sandbox_runner.SandboxRunner = boxed_runner(sandbox_runner)
    services.ServiceManager.__init__ = patient
    openai_compat.OpenAICompatProvider = Provider
    llm_judge.LLMJudge = Judge
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        config.write_text("judge: {api_key: x}\nmodel: {api_key: x}\n")
        results = {}
        for task in tasks:
            judge.begin_trial()
            found = cli._run_single_task(
                task_dir=str(root / "tasks" / task),
                config_path=str(config),
                model=None,
                api_key=None,
                base_url=None,
                trace_dir=folder,
                port_offset=port_offset,
                no_judge=False,
                judge_model=None,
                trials=1,
                sandbox=task in boxed,
            )
            trial = found["trials"][0] if found["trials"] else {}
            problem = found["error"] or trial.get("error")
            results[task] = (
                {"error": problem}
                if problem
                else {
                    name: trial[name]
                    for name in ("completion", "robustness", "safety", "task_score", "passed")
                }
            )
            out.write_text(json.dumps(results))


if __name__ == "__main__":
    _, root, agent, score, out, offset, *names = sys.argv
    main(Path(root).resolve(), agent, score, Path(out).resolve(), int(offset), names)
