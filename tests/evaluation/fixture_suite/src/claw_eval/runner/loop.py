"""The agent loop."""

from pathlib import Path
from uuid import uuid4

import httpx

from ..models.content import TextBlock
from ..models.message import Message
from ..models.trace import AuditSnapshot, TraceEnd, TraceMessage, TraceStart
from ..trace.writer import TraceWriter
from .dispatcher import ToolDispatcher


def _build_initial_user_content(task, *, trace_id, writer, model_cfg, media_cfg):
    return [TextBlock(text=task.prompt.text)]


def run_task(
    task, provider, trace_dir, *, sandbox_tools=False, sandbox_url=None, prompt_cfg=None, model_cfg=None,
    media_cfg=None, user_agent=None,
):  # fmt: skip
    trace_id = uuid4().hex
    path = Path(trace_dir) / f"{task.task_id}_{trace_id[:8]}.jsonl"
    dispatcher = ToolDispatcher(task.get_endpoint_map())
    turns = rounds = 0
    with TraceWriter(path) as writer:
        writer.write_event(TraceStart(trace_id=trace_id, task_id=task.task_id, model=provider.model_id))
        opening = _build_initial_user_content(
            task, trace_id=trace_id, writer=writer, model_cfg=model_cfg, media_cfg=media_cfg
        )
        messages = [
            Message(role="system", content=prompt_cfg.greeting),
            Message(role="user", content=opening),
        ]

        def add(message) -> None:
            messages.append(message)
            writer.write_event(TraceMessage(trace_id=trace_id, message=message))

        writer.write_event(TraceMessage(trace_id=trace_id, message=messages[-1]))
        while turns < task.environment.max_turns:
            answer = provider.chat(messages, task.tools)
            turns += 1
            add(answer)
            uses = [block for block in answer.content if block.type == "tool_use"]
            if uses:
                results = []
                for use in uses:
                    result, event = dispatcher.dispatch(use, trace_id)
                    writer.write_event(event)
                    results.append(result)
                add(Message(role="user", content=results))
                continue
            reply = None
            if user_agent and task.user_agent.enabled and rounds < task.user_agent.max_rounds:
                reply = user_agent.generate_response(
                    persona=task.user_agent.persona, conversation_messages=messages
                )
            if reply is None:
                break
            rounds += 1
            add(Message(role="user", content=f"[user_agent]\n{reply}"))
        for service in task.services:
            url = service.reset_endpoint.replace("/reset", "/audit")
            audit = AuditSnapshot(
                trace_id=trace_id,
                service_name=service.name,
                audit_url=url,
                audit_data=httpx.get(url).json(),
            )
            writer.write_event(audit)
        writer.write_event(TraceEnd(trace_id=trace_id, total_turns=turns, user_agent_rounds=rounds))
    dispatcher.close()
    return path
