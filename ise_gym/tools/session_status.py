"""`session_status`: what this session did so far. It names no clock, so that it answers the same in a replay."""

from __future__ import annotations

from collections.abc import Mapping

from ise_gym.foreign.values import Json
from ise_gym.tools.base import Tool, ToolContext, ToolOutcome
from ise_gym.tools.output import failure
from ise_gym.tools.processes.process import registry
from ise_gym.tools.schema import function_tool

SESSION_KEY = "main"


def count_call(context: ToolContext, name: str, success: bool) -> None:
    """Note one finished call of a tool."""
    calls: dict[str, list[int]] = context.state.setdefault("calls", {})
    tally = calls.setdefault(name, [0, 0])
    tally[0] += 1
    tally[1] += int(not success)


def status(context: ToolContext, arguments: Mapping[str, Json]) -> ToolOutcome:
    """Say how many calls were made and failed, what runs in the background and how far the plan is."""
    key = arguments.get("sessionKey", SESSION_KEY)
    if key != SESSION_KEY:
        return failure(f"session_status: no session '{key}'. Known: {SESSION_KEY}", "not_found")
    calls: dict[str, list[int]] = context.state.get("calls", {})
    total, failed = (sum(tally[i] for tally in calls.values()) for i in (0, 1))
    by_tool = ", ".join(f"{name} {tally[0]}" for name, tally in sorted(calls.items()))
    lines = [
        f"Session: {SESSION_KEY}",
        f"Tool calls: {total}, {failed} failed" + (f" ({by_tool})" if by_tool else ""),
    ]
    processes = registry(context)
    for process_id in processes.records:
        processes.refresh(context.workspace, process_id)
    running = [process_id for process_id, record in processes.records.items() if record.running]
    lines.append(f"Background processes: {', '.join(running) if running else 'none'}")
    plan: list[dict[str, str]] = context.state.get("plan", [])
    if plan:
        done = sum(item["status"] == "completed" for item in plan)
        lines.append(f"Plan: {done} of {len(plan)} completed")
    return ToolOutcome("\n".join(lines), success=True)


SESSION_STATUS = Tool(
    function_tool(
        "session_status",
        "Show what this session did so far: tool calls, background processes, plan.",
        {"sessionKey": {"type": "string", "description": f"Default: {SESSION_KEY}"}},
    ),
    status,
)
