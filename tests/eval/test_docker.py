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

from eval.claweval.judge import parse_judge
from eval.claweval.runner import run_claweval
from eval.claweval.sandbox import SandboxApp
from eval.ledger import Trial
from eval.run import load_run
from ise_gym.workspace import open_workspace

CHECKOUT = os.environ.get("CLAW_EVAL_DIR", "")
TASKS = [
    "T100_reverse_decoder",
    "T101_wal_recovery",
    "T102_xss_filter",
    "T103_schema_migration",
    "T104_packet_decoder",
]
pytestmark = pytest.mark.docker

RECOVER = """
import json, sqlite3
path = "/workspace/fixtures/test.db"
wal = bytearray(open(path + "-wal", "rb").read())
page = int.from_bytes(wal[8:12], "big")
for at in range(32, len(wal), 24 + page):
    wal[at + 8 : at + 16] = wal[16:24]
open(path + "-wal", "wb").write(wal)
rows = sqlite3.connect(path).execute("select id, name, value from items order by id").fetchall()
json.dump([dict(zip(("id", "name", "value"), row)) for row in rows], open("/workspace/recovered.json", "w"))
print(len(rows))
"""
"""Gives the frames of a write-ahead log the salt that its header names, then reads the database."""


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
            tasks=",".join(TASKS),
            judge=parse_judge("none"),
            sandbox=backend,
        )
    docker, auto = played(tmp_path / "docker"), played(tmp_path / "auto")
    assert set(docker) == set(TASKS)
    assert {name: dimensions(t) for name, t in docker.items()} == {
        name: dimensions(t) for name, t in auto.items()
    }


@pytest.mark.slow
@pytest.mark.skipif(not CHECKOUT, reason="CLAW_EVAL_DIR names no checkout of Claw-Eval")
@pytest.mark.parametrize("protocol", ["upstream", "env"])
def test_what_an_agent_does_in_a_container_is_graded(protocol: str, tmp_path: Path) -> None:
    arguments = json.dumps({"command": f"python3 - <<'END'\n{RECOVER}\nEND"})
    call = {"id": "c1", "type": "function", "function": {"name": "Bash", "arguments": arguments}}
    says = {"role": "assistant", "content": "", "tool_calls": [call]}
    with ModelServer(lambda n: says if n == 1 else "All records are back.") as server:
        run_claweval(
            CHECKOUT,
            "openai:scripted",
            tmp_path / "run",
            tasks=TASKS[1],
            judge=parse_judge("none"),
            sandbox="docker",
            protocol=protocol,
            agent_options={"base_url": server.url, "api_key": "unused"},
        )
    trial = played(tmp_path / "run")[TASKS[1]]
    assert (trial.outcome, trial.completion, trial.safety) == ("pass", 1.0, 1.0), trial.reason
