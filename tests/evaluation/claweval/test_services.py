"""Services as processes, and services at their task's own time."""

import json
import os
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
from pad_service import SUITE, pad

from ise_gym.errors import UserError
from ise_gym.evaluation.claweval.models.judge import JudgeSpec
from ise_gym.evaluation.claweval.runner import run_claweval
from ise_gym.evaluation.claweval.services import processes
from ise_gym.evaluation.claweval.services.asgi import Router
from ise_gym.evaluation.claweval.services.host import InProcessServices, ServiceError
from ise_gym.evaluation.claweval.services.processes import SubprocessServices
from ise_gym.evaluation.claweval.tasks import Service
from ise_gym.evaluation.run import load_run

AUDIT = "http://localhost:19301/pad/audit"


def test_a_process_is_reached_under_the_tasks_port_whoever_sits_there(router: Router) -> None:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 19301))
        squatter.listen()
        with SubprocessServices([pad()], SUITE, router):
            found = httpx.get(AUDIT).json()
            assert [call["endpoint"] for call in found["calls"]] == ["/pad/list"]


def test_a_ctrl_c_on_the_terminal_does_not_reach_a_process(router: Router) -> None:
    with SubprocessServices([pad()], SUITE, router) as services:
        groups = [os.getpgid(process.pid) for _, process, _ in services._running]
        assert groups and os.getpgid(0) not in groups


def test_a_check_that_its_route_refuses_finds_the_service_ready(router: Router) -> None:
    asks_without_a_body = pad(health_check="http://localhost:19301/pad/add", health_check_method="POST")
    with SubprocessServices([asks_without_a_body], SUITE, router):
        assert [call["endpoint"] for call in httpx.get(AUDIT).json()["calls"]] == ["/pad/add"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"env": {}}, "failed to start .exit code 1.*PAD_FIXTURES"),
        ({"health_check": "http://localhost:19301/pad/nowhere"}, "did not get ready: 404"),
        ({"command": "no-such-program x"}, "can't be started"),
    ],
)
def test_a_process_that_is_not_ready_is_none(
    router: Router, changes: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = SubprocessServices._health

    def ask_once(self: SubprocessServices, service: Service, port: int) -> str:
        monkeypatch.setattr(processes, "READY_S", 0.0)  # time is up after one answer
        return asked(self, service, port)

    monkeypatch.setattr(SubprocessServices, "_health", ask_once)
    with (
        pytest.raises(ServiceError, match=f"(?s){message}"),
        SubprocessServices([pad(**changes)], SUITE, router),
    ):
        pass


def test_a_service_that_dies_is_an_infrastructure_error(tmp_path: Path) -> None:
    run_claweval(
        SUITE,
        "explorer",
        tmp_path / "run",
        tasks="T901,T907",
        judge=JudgeSpec("none"),
        services="subprocess",
        retries=0,
    )
    found = {trial.task[:4]: trial for trial in load_run(tmp_path / "run").trials.values()}
    assert found["T901"].outcome == "pass"
    assert (found["T907"].outcome, found["T907"].score) == ("infrastructure_error", None)
    assert "service 'pad' died (exit code -9)" in found["T907"].reason


# -- the clock ---------------------------------------------------------------------------------------

MOVING = """
import json, os
from datetime import datetime, timedelta, timezone

LOADS = []

def load():
    events = json.load(open(os.environ["DAYS"]))
    first = min(datetime.fromisoformat(e["at"].replace("Z", "+00:00")) for e in events)
    delta = datetime.now(timezone.utc) + timedelta(days=1) - first
    for e in events:
        moved = datetime.fromisoformat(e["at"].replace("Z", "+00:00")) + delta
        e["at"] = moved.strftime("%Y-%m-%dT%H:%M:%SZ")
    return events

EVENTS = load()

async def app(scope, receive, send):
    await receive()
    body = json.dumps({"events": EVENTS, "now": datetime.now(timezone.utc).isoformat()}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""


def test_at_its_tasks_time_a_service_moves_nothing(router: Router, tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(MOVING)
    days = [{"at": "2026-03-02T09:00:00Z"}, {"at": "2026-03-04T09:30:00Z"}]
    (tmp_path / "days.json").write_text(json.dumps(days))
    service = pad(
        command="python server.py", env={"DAYS": str(tmp_path / "days.json")}, health_check=AUDIT, name="days"
    )
    with InProcessServices([service], tmp_path, router):
        assert httpx.get(AUDIT).json()["events"] != days
    with InProcessServices([service], tmp_path, router, clock="task"):
        found = httpx.get(AUDIT).json()
    assert found == {"events": days, "now": "2026-03-01T09:00:00+00:00"}


def test_bad_ways_to_run_services(tmp_path: Path) -> None:
    for changes, message in (
        ({"services": "thread"}, "unknown services 'thread'"),
        ({"clock": "tsak"}, "Did you mean 'task'"),
        ({"clock": "task", "services": "subprocess"}, "needs services in process"),
    ):
        with pytest.raises(UserError, match=message):
            run_claweval(SUITE, "vacuous", tmp_path / "run", tasks="T901", judge=JudgeSpec("none"), **changes)  # type: ignore[arg-type]
