"""Writes an episode of our env as a trace of the benchmark, which is what its graders read.

The events are the benchmark's own classes and its own writer, so a trace made here and one made by its loop differ in
nothing that a grader could see.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from ise_gym.evaluation.claweval.benchmark import Upstream
from ise_gym.evaluation.claweval.definition import Definition, Service
from ise_gym.evaluation.claweval.services.host import ServiceError
from ise_gym.evaluation.claweval.toolbox import ClawToolbox
from ise_gym.messages import Message, tool_calls_of

USER_MARK = "[user_agent]\n"
"""What the benchmark puts before the words of its simulated user."""


def write_trace(
    upstream: Upstream,
    task: Definition,
    path: Path,
    trace_id: str,
    messages: Sequence[Message],
    toolbox: ClawToolbox,
    agent: str,
) -> None:
    """Write a finished episode.

    Args:
        upstream, task: the benchmark's code and the task's definition.
        path: the JSONL file; written anew.
        trace_id: the id that the toolbox's dispatches carry.
        messages: the episode's conversation, system message first.
        toolbox: what it was played with.
        agent: name of the agent.

    Raises:
        ServiceError: a service doesn't give its audit.
    """
    path.unlink(missing_ok=True)
    with upstream.TraceWriter(path) as writer:

        def say(role: str, blocks: Sequence[object], **more: object) -> None:
            message = upstream.Message(role=role, content=list(blocks), **more)
            writer.write_event(upstream.TraceMessage(trace_id=trace_id, message=message))

        writer.write_event(upstream.TraceStart(trace_id=trace_id, task_id=task.task_id, model=agent))
        opening = upstream._build_initial_user_content(
            task, trace_id=trace_id, writer=writer, model_cfg=upstream.ModelConfig(), media_cfg=upstream.MediaConfig()
        )  # fmt: skip
        say("user", opening)
        rounds = 0
        for message in messages[2:]:
            match message["role"]:
                case "user":
                    rounds += 1
                    say("user", [upstream.TextBlock(text=USER_MARK + message["content"])])
                case "assistant":
                    _agent_turn(upstream, message, messages, toolbox, say)
        for event in toolbox.dispatches:
            writer.write_event(event)
        for service in task.services:
            if service.reset_endpoint:
                writer.write_event(_audit(upstream, service, trace_id))
        turns = sum(message["role"] == "assistant" for message in messages)
        writer.write_event(upstream.TraceEnd(trace_id=trace_id, total_turns=turns, user_agent_rounds=rounds))


def _agent_turn(
    upstream: Upstream,
    message: Message,
    messages: Sequence[Message],
    toolbox: ClawToolbox,
    say: Callable[..., None],
) -> None:
    """One message of the agent, and the results of its calls as the one message that the benchmark makes of them."""
    calls = tool_calls_of(message)
    texts = [upstream.TextBlock(text=message["content"])] if message["content"] or not calls else []
    uses = [
        upstream.ToolUseBlock(id=c["id"], name=c["function"]["name"], input=_arguments(c["function"]["arguments"]))
        for c in calls
    ]  # fmt: skip
    say("assistant", [*texts, *uses], reasoning_content=message.get("reasoning_content"))
    if not calls:
        return
    refused = {m["tool_call_id"]: m["content"] for m in messages if m["role"] == "tool"}
    say(
        "user",
        [
            toolbox.results.get(use.id)
            or upstream.ToolResultBlock(
                tool_use_id=use.id, content=[upstream.TextBlock(text=refused.get(use.id, ""))], is_error=True
            )
            for use in uses
        ],
    )
    images = [image for use in uses for image in toolbox.media.get(use.id, ())]
    if images:
        say("user", [upstream.TextBlock(text=f"[{len(images)} images from tool results]"), *images])


def _audit(upstream: Upstream, service: Service, trace_id: str) -> Any:
    url = str(service.reset_endpoint).rsplit("/reset", 1)[0] + "/audit"
    try:
        data = httpx.get(url, timeout=5).json()
    except (httpx.HTTPError, ValueError) as error:
        raise ServiceError(f"service '{service.name}' gives no audit: {error}") from error
    return upstream.AuditSnapshot(
        trace_id=trace_id, service_name=service.name, audit_url=url, audit_data=data
    )


def _arguments(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
