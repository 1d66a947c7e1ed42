"""`cron` in a live box: real commands, true failures, state that forks with the workspace, checks that see it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ise_gym.checks import build_check
from ise_gym.messages import tool_call
from ise_gym.services import make_spec, services_of, start_services
from ise_gym.tools.dispatch import Toolbox
from ise_gym.workspace.backends.dummy import DummyWorkspace
from ise_gym.workspace.base import Workspace
from tools.tool_fixtures import Caller

STAMP = {
    "name": "Stamp",
    "schedule": {"kind": "cron", "expr": "10 9 * * *"},
    "payload": {"kind": "command", "command": "echo done >> stamps.txt"},
}


@pytest.fixture
def cron(workspace: Workspace) -> Caller:
    return Caller(Toolbox(["cron"], workspace))


def said(message: Any) -> Any:
    return json.loads(message["content"])


def test_a_job_runs_its_command_when_time_is_let_pass(cron: Caller, workspace: Workspace) -> None:
    assert said(cron("cron", action="add", job=STAMP))["id"] == "stamp"
    assert workspace.stat("stamps.txt") is None
    woken = cron("cron", action="wake", mode="next-heartbeat", text="look")
    assert woken["success"] and woken["exit_code"] == 0
    assert said(woken)["now"] == "2025-03-03T09:30"
    assert [event["text"] for event in said(woken)["events"]] == ["look"]
    assert workspace.read("stamps.txt") == b"done\n"
    assert said(cron("cron", action="runs", jobId="stamp"))["runs"][0]["status"] == "ok"
    assert said(cron("cron", action="status"))["nextRun"] == "2025-03-04T09:10"


def test_a_job_that_fails_is_a_failed_call_with_its_exit_code(cron: Caller) -> None:
    cron(
        "cron", action="add", job={**STAMP, "payload": {"kind": "command", "command": "echo no >&2; exit 7"}}
    )
    message = cron("cron", action="run", jobId="stamp")
    assert (message["success"], message["exit_code"]) == (False, 7)
    assert said(message)["output"] == "no"
    assert cron.error("cron", action="wake", mode="next-heartbeat") == "exit"
    cron(
        "cron",
        action="update",
        id="stamp",
        patch={"payload": {"command": "sleep 9", "timeoutSeconds": 1}, "enabled": False},
    )
    slow = cron("cron", action="run", jobId="stamp", runMode="force")
    assert (slow["success"], slow["exit_code"], said(slow)["status"]) == (False, None, "timeout")


def test_a_missing_folder_is_the_jobs_failure(cron: Caller) -> None:
    cron(
        "cron",
        action="add",
        job={**STAMP, "payload": {"kind": "command", "command": "true", "workdir": "nowhere"}},
    )
    message = cron("cron", action="run", jobId="stamp")
    assert message["success"] is False and message["exit_code"] not in (0, None)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"action": "get", "jobId": "nix"}, "not_found", "no job 'nix'. Jobs: none"),
        ({"action": "get"}, "bad_arguments", "needs 'jobId'"),
        ({"action": "add"}, "bad_arguments", "needs 'job'"),
        ({"action": "add", "job": {"name": "x"}}, "bad_arguments", "job.schedule"),
        (
            {"action": "add", "job": {**STAMP, "schedule": {"kind": "cron", "expr": "61 * * * *"}}},
            "bad_arguments",
            "minute",
        ),
        ({"action": "update", "jobId": "stamp"}, "bad_arguments", "needs 'patch'"),
        ({"action": "remove", "jobId": "nix"}, "not_found", "nix"),
        ({"action": "runs", "jobId": "nix"}, "not_found", "nix"),
        ({"action": "frob"}, "bad_arguments", "action"),
        ({"action": "list", "gatewayUrl": "x"}, "bad_arguments", "unknown argument 'gatewayUrl'"),
    ],
)
def test_wrong_calls_are_answered(cron: Caller, arguments: dict[str, Any], error: str, words: str) -> None:
    assert cron.error("cron", **arguments) == error
    assert words in cron("cron", **arguments)["content"]


def test_due_runs_only_what_is_due(cron: Caller) -> None:
    cron("cron", action="add", job=STAMP)
    assert cron.error("cron", action="run", jobId="stamp", runMode="due") == "not_due"


def test_disabled_jobs_are_listed_on_demand_and_never_run(cron: Caller, workspace: Workspace) -> None:
    cron("cron", action="add", job={**STAMP, "enabled": False})
    assert said(cron("cron", action="list")) == {"jobs": [], "disabledNotShown": 1}
    assert len(said(cron("cron", action="list", includeDisabled=True))["jobs"]) == 1
    cron("cron", action="wake", mode="next-heartbeat")
    assert workspace.stat("stamps.txt") is None
    assert said(cron("cron", action="remove", jobId="stamp")) == {"removed": "stamp"}


def test_jobs_and_time_are_saved_and_forked_with_the_box(cron: Caller, workspace: Workspace) -> None:
    cron("cron", action="add", job=STAMP)
    saved = workspace.snapshot()
    cron("cron", action="wake", mode="next-heartbeat")
    cron("cron", action="remove", jobId="stamp")
    workspace.restore(saved)
    host = services_of(workspace)
    assert host is not None and host.scheduler.state["now"] == "2025-03-03T09:00"
    assert list(host.scheduler.jobs) == ["stamp"]
    assert workspace.stat("stamps.txt") is None


def test_checks_see_jobs_and_runs(cron: Caller, workspace: Workspace) -> None:
    start_services(workspace, [make_spec("cron", {"domain": "a.example", "jobs": [{**STAMP, "id": "s1"}]})])

    def passes(**spec: Any) -> bool:
        return build_check("cron", spec).run(workspace, {}).passed

    assert passes(has={"name": "Stamp", "expr": "10  9 * * *", "enabled": True})
    assert not passes(has={"name": "Stamp", "expr": "11 9 * * *"})
    assert not passes(lacks={"name": "Stamp"}) and passes(lacks=[{"name": "Other"}])
    assert not passes(ran={"jobId": "s1"})
    cron("cron", action="run", jobId="s1")
    assert passes(ran={"jobId": "s1", "status": "ok"})
    with pytest.raises(ValueError, match="mappings"):
        build_check("cron", {})


def test_a_workspace_that_keeps_no_services_says_so() -> None:
    toolbox = Toolbox(["cron"], DummyWorkspace())
    message = toolbox.call(tool_call("cron", {"action": "status"}, "c"))
    assert message["success"] is False and "keeps no services" in message["content"]  # type: ignore[index]
