"""`cron`: scheduled jobs, on a simulated time that passes only when the agent lets it (`wake`)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Literal, Required, TypedDict

from ise_gym.foreign.values import Json
from ise_gym.services.host import ServiceHost, services_of
from ise_gym.services.jobs import JobModel, read_job, written
from ise_gym.services.scheduler import HEARTBEAT_MIN, MOST_RUNS, Ran, Scheduler, SchedulerError
from ise_gym.tools.base import Tool, ToolContext, ToolOutcome
from ise_gym.tools.output import failure, in_box_path, output_text
from ise_gym.tools.schema import function_tool
from ise_gym.workspace.base import WORKDIR, Hosting, Workspace

RUNS_SHOWN = 20


class CronArguments(TypedDict, total=False):
    """Arguments of `cron`: which of them an action needs, the action says."""

    action: Required[str]
    includeDisabled: bool
    job: dict[str, Json]
    patch: dict[str, Json]
    jobId: str
    id: str
    runMode: Literal["force", "due"]
    text: str
    mode: Literal["now", "next-heartbeat"]


Action = Callable[[ToolContext, Scheduler, CronArguments], ToolOutcome]


def run(context: ToolContext, arguments: CronArguments) -> ToolOutcome:
    """Run the tool."""
    scheduler = scheduler_of(context.workspace)
    if scheduler is None:
        return failure("cron: this workspace keeps no services, so nothing can be scheduled", "no_scheduler")
    try:
        return ACTIONS[arguments["action"]](context, scheduler, arguments)
    except SchedulerError as error:
        return failure(f"cron: {error}", error.kind)


def scheduler_of(workspace: Workspace) -> Scheduler | None:
    """Return the workspace's scheduler, an empty one where no service runs yet; None where none can be kept."""
    host = services_of(workspace)
    if host is None:
        if not isinstance(workspace, Hosting):
            return None
        host = workspace.services = ServiceHost([])  # from now on it is saved with the workspace
    return host.scheduler


def _status(context: ToolContext, scheduler: Scheduler, arguments: CronArguments) -> ToolOutcome:
    upcoming = [entry["state"]["nextRun"] for entry in scheduler.jobs.values() if entry["state"]["nextRun"]]
    return _answer(
        {
            "now": written(scheduler.now),
            "jobs": len(scheduler.jobs),
            "enabled": sum(entry["enabled"] for entry in scheduler.jobs.values()),
            "nextRun": min(upcoming, default=None),
            "nextHeartbeat": written(scheduler.next_heartbeat()),
        }
    )


def _list(context: ToolContext, scheduler: Scheduler, arguments: CronArguments) -> ToolOutcome:
    every = arguments.get("includeDisabled", False)
    shown = [entry for _, entry in sorted(scheduler.jobs.items()) if every or entry["enabled"]]
    hidden = len(scheduler.jobs) - len(shown)
    return _answer({"jobs": shown, **({"disabledNotShown": hidden} if hidden else {})})


def _get(context: ToolContext, scheduler: Scheduler, arguments: CronArguments) -> ToolOutcome:
    return _answer(scheduler.get(_job_id(arguments)))


def _add(context: ToolContext, scheduler: Scheduler, arguments: CronArguments) -> ToolOutcome:
    if "job" not in arguments:
        raise SchedulerError("action 'add' needs 'job'", "bad_arguments")
    try:
        job = read_job(arguments["job"])
    except ValueError as error:
        raise SchedulerError(f"job.{error}", "bad_arguments") from None
    return _answer(scheduler.add(job))


def _update(context: ToolContext, scheduler: Scheduler, arguments: CronArguments) -> ToolOutcome:
    if not arguments.get("patch"):
        raise SchedulerError("action 'update' needs 'patch': the keys of the job to change", "bad_arguments")
    return _answer(scheduler.update(_job_id(arguments), arguments["patch"]))


def _remove(context: ToolContext, scheduler: Scheduler, arguments: CronArguments) -> ToolOutcome:
    job_id = _job_id(arguments)
    scheduler.remove(job_id)
    return _answer({"removed": job_id})


def _run(context: ToolContext, scheduler: Scheduler, arguments: CronArguments) -> ToolOutcome:
    only_if_due = arguments.get("runMode", "force") == "due"
    record = scheduler.run(_job_id(arguments), _runner(context), only_if_due=only_if_due)
    return _with_truth(record, [record])


def _runs(context: ToolContext, scheduler: Scheduler, arguments: CronArguments) -> ToolOutcome:
    runs = scheduler.runs
    if arguments.get("jobId") or arguments.get("id"):
        job_id = _job_id(arguments)
        runs = [record for record in runs if record["jobId"] == job_id]
        if not runs:
            scheduler.get(job_id)  # a job that never ran has an empty history; an unknown one is a mistake
    cut = len(runs) - RUNS_SHOWN
    return _answer({"runs": runs[-RUNS_SHOWN:], **({"olderNotShown": cut} if cut > 0 else {})})


def _wake(context: ToolContext, scheduler: Scheduler, arguments: CronArguments) -> ToolOutcome:
    if text := arguments.get("text", "").strip():
        scheduler.note(text)
    later = arguments.get("mode", "now") == "next-heartbeat"
    until = scheduler.next_heartbeat() if later else scheduler.now
    done = scheduler.advance(until, _runner(context))
    said: dict[str, Any] = {
        "now": written(scheduler.now),
        "runs": done[-RUNS_SHOWN:],
        "events": scheduler.take_events(),
    }
    if len(done) > RUNS_SHOWN:
        said["olderNotShown"] = len(done) - RUNS_SHOWN
    if len(done) == MOST_RUNS:
        said["stopped"] = f"after {MOST_RUNS} runs; wake again to go on"
    return _with_truth(said, done)


ACTIONS: dict[str, Action] = {
    "status": _status,
    "list": _list,
    "get": _get,
    "add": _add,
    "update": _update,
    "remove": _remove,
    "run": _run,
    "runs": _runs,
    "wake": _wake,
}


def _job_id(arguments: CronArguments) -> str:
    found = str(arguments.get("jobId") or arguments.get("id") or "")
    if not found:
        raise SchedulerError(f"action '{arguments['action']}' needs 'jobId'", "bad_arguments")
    return found


def _runner(context: ToolContext) -> Callable[[JobModel], Ran]:
    workspace = context.workspace

    def start(job: JobModel) -> Ran:
        payload = job.payload
        limit = workspace.limits.command_timeout_s
        timeout = min(float(payload.timeout_seconds or limit), limit)
        folder = in_box_path(payload.workdir) if payload.workdir else WORKDIR
        try:
            result = workspace.exec(["bash", "-c", str(payload.command)], cwd=folder, timeout=timeout)
        except OSError as error:
            return Ran(126, f"{payload.workdir}: {error.strerror or error}")
        text = output_text(result.output, result.dropped_bytes)
        return Ran(None if result.timed_out else result.exit_code, text)

    return start


def _answer(value: Json) -> ToolOutcome:
    return ToolOutcome(json.dumps(value, ensure_ascii=False, indent=1), success=True)


def _with_truth(value: object, runs: list[dict[str, Any]]) -> ToolOutcome:
    """Answer with what ran; a job that failed is a failure, and its exit code is kept."""
    text = json.dumps(value, ensure_ascii=False, indent=1)
    for record in runs:
        if record["status"] != "ok":
            error = "timeout" if record["status"] == "timeout" else "exit"
            return ToolOutcome(text, success=False, exit_code=record["exitCode"], error=error)
    return ToolOutcome(text, success=True, exit_code=0 if runs else None)


CRON = Tool(
    function_tool(
        "cron",
        "Schedule jobs. A job: {name, schedule: {kind: cron, expr} | {kind: at, at: YYYY-MM-DDTHH:MM} | {kind: every, "
        "everyMs}, payload: {kind: command, command, workdir} | {kind: systemEvent, text}, enabled, deleteAfterRun}. "
        f"Time is simulated: 'wake' with mode next-heartbeat lets it pass to the next {HEARTBEAT_MIN} minutes' mark.",
        {
            "action": {"type": "string", "enum": list(ACTIONS)},
            "includeDisabled": {"type": "boolean", "description": "For list"},
            "job": {"type": "object", "description": "For add"},
            "jobId": {"type": "string", "description": "For get, update, remove, run, runs"},
            "id": {"type": "string", "description": "Same as jobId"},
            "patch": {"type": "object", "description": "For update: keys to change"},
            "text": {"type": "string", "description": "For wake: note to yourself"},
            "mode": {"type": "string", "enum": ["now", "next-heartbeat"]},
            "runMode": {"type": "string", "enum": ["due", "force"]},
        },
        ["action"],
    ),
    run,
)
