"""`update_plan`: the agent's own list of steps, shown back so that a long turn keeps its thread."""

from __future__ import annotations

from typing import Literal, TypedDict

from ise_gym.tools.base import Tool, ToolContext, ToolOutcome
from ise_gym.tools.output import failure
from ise_gym.tools.schema import function_tool

STATUSES = ("pending", "in_progress", "completed")
_MARKS = {"pending": "[ ]", "in_progress": "[>]", "completed": "[x]"}


class PlanItem(TypedDict):
    """One step of a plan."""

    step: str
    status: Literal["pending", "in_progress", "completed"]


class PlanArguments(TypedDict):
    """Arguments of `update_plan`."""

    plan: list[PlanItem]


def run(context: ToolContext, arguments: PlanArguments) -> ToolOutcome:
    """Replace the plan and show it."""
    plan = [{"step": item["step"], "status": item["status"]} for item in arguments["plan"]]
    active = [item for item in plan if item["status"] == "in_progress"]
    if len(active) > 1:
        return failure(
            f"update_plan: {len(active)} steps are in_progress; at most one may be", "bad_arguments"
        )
    if any(not item["step"].strip() for item in plan):
        return failure("update_plan: a step has no text", "bad_arguments")
    context.state["plan"] = plan
    done = sum(item["status"] == "completed" for item in plan)
    lines = [f"{_MARKS[item['status']]} {item['step']}" for item in plan]
    return ToolOutcome("\n".join([f"Plan: {done} of {len(plan)} completed", *lines]), success=True)


UPDATE_PLAN = Tool(
    function_tool(
        "update_plan",
        "Note or replace your plan for a longer task. At most one step is in_progress.",
        {
            "explanation": {"type": "string", "description": "Why it changed"},
            "plan": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "properties": {
                        "step": {"type": "string"},
                        "status": {"type": "string", "enum": list(STATUSES)},
                    },
                    "required": ["step", "status"],
                    "additionalProperties": False,
                },
            },
        },
        ["plan"],
    ),
    run,
)
