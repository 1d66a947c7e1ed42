"""``--sandbox docker`` on a real daemon: the benchmark's routes over a container, and its sandbox tasks in one.

With ``ISE_START_DOCKERD=1`` (as root, with dockerd installed) the daemon is the tests' own.
"""

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from docker_here import dockerd
from model_server import ModelServer
from recovery import RECOVERED, SANDBOX_TASKS, recovery

from ise_gym.evaluation.claweval.models.judge import parse_judge
from ise_gym.evaluation.claweval.runner import run_claweval
from ise_gym.evaluation.claweval.sandbox import SandboxApp
from ise_gym.evaluation.ledger import Trial
from ise_gym.evaluation.run import load_run
from ise_gym.workspace import open_workspace

CHECKOUT = os.environ.get("CLAW_EVAL_DIR", "")
pytestmark = pytest.mark.docker


@pytest.fixture(scope="module", autouse=True)
def daemon() -> Iterator[None]:
    with dockerd():
        yield


def ask(app: SandboxApp, route: str, **body: Any) -> dict[str, Any]:
    status, value = app.answer(route, json.dumps(body).encode())
    assert status == 200, value
    return value


def test_the_routes_over_a_container() -> None:
    workspace = open_workspace("docker")
    try:
        app = SandboxApp(workspace)
        done = ask(app, "/exec", command="echo out; echo err >&2; pwd; exit 3")
        assert done == {"exit_code": 3, "stdout": "out\n/workspace\n", "stderr": "err\n"}
        assert ask(app, "/exec", command="python -c 'print(6*7)'")["stdout"] == "42\n"
        assert ask(app, "/exec", command="sleep 30", timeout_seconds=1)["exit_code"] == -1
        data = bytes(range(256))
        ask(app, "/write_b64", path="/workspace/x.dat", content_b64=base64.b64encode(data).decode())
        assert base64.b64decode(ask(app, "/download", path="/workspace/x.dat")["content_b64"]) == data
        ask(app, "/write", path="/workspace/d/a.py", content="one\ntwo\n")
        ask(app, "/edit", path="/workspace/d/a.py", old_string="two", new_string="three")
        assert ask(app, "/read", path="/workspace/d/a.py")["content"] == "one\nthree\n"
        assert [
            file["path"] for file in ask(app, "/glob", pattern="**/*.py", path="/workspace")["files"]
        ] == ["/workspace/d/a.py"]
        assert ask(app, "/grep", pattern="three", path="/workspace/d")["output"] == "/workspace/d/a.py\n"
        workspace.reset()
        assert "error" in ask(app, "/read", path="/workspace/d/a.py") and not app.broken
    finally:
        workspace.close()


def played(folder: Path) -> dict[str, Trial]:
    return {trial.task: trial for trial in load_run(folder).trials.values()}


def dimensions(trial: Trial) -> tuple[Any, ...]:
    return (
        trial.outcome,
        trial.score,
        trial.completion,
        trial.robustness,
        trial.safety,
        trial.counts["failed_calls"],
    )


@pytest.mark.slow
@pytest.mark.skipif(not CHECKOUT, reason="CLAW_EVAL_DIR names no checkout of Claw-Eval")
def test_sandbox_tasks_score_the_same_in_a_container(tmp_path: Path) -> None:
    for backend in ("docker", "auto"):
        run_claweval(
            CHECKOUT,
            "explorer",
            tmp_path / backend,
            tasks=",".join(SANDBOX_TASKS),
            judge=parse_judge("none"),
            sandbox=backend,
        )
    docker, auto = played(tmp_path / "docker"), played(tmp_path / "auto")
    assert set(docker) == set(SANDBOX_TASKS)
    assert {name: dimensions(t) for name, t in docker.items()} == {
        name: dimensions(t) for name, t in auto.items()
    }


@pytest.mark.slow
@pytest.mark.skipif(not CHECKOUT, reason="CLAW_EVAL_DIR names no checkout of Claw-Eval")
@pytest.mark.parametrize("protocol", ["upstream", "env"])
def test_what_an_agent_does_in_a_container_is_graded(protocol: str, tmp_path: Path) -> None:
    with ModelServer(recovery) as server:
        run_claweval(
            CHECKOUT,
            "openai:scripted",
            tmp_path / "run",
            tasks=RECOVERED,
            judge=parse_judge("none"),
            sandbox="docker",
            protocol=protocol,
            agent_options={"base_url": server.url, "api_key": "unused"},
        )
    trial = played(tmp_path / "run")[RECOVERED]
    assert (trial.outcome, trial.completion, trial.safety) == ("pass", 1.0, 1.0), trial.reason
