"""The agent loop."""

import json
from pathlib import Path
from uuid import uuid4

import httpx


def run_task(
    task, provider, trace_dir, *, sandbox_tools=False, sandbox_url=None, prompt_cfg=None, model_cfg=None,
    media_cfg=None, user_agent=None,
):  # fmt: skip
    system = {"role": "system", "content": prompt_cfg.greeting}
    wire = [system, {"role": "user", "content": task.text}]
    said = [{"role": "user", "text": task.text}]
    dispatches = []
    turns = 0
    endpoints = {e["tool_name"]: e for e in task.tool_endpoints}
    tools = [
        {
            "type": "function",
            "function": {"name": t["name"], "description": "", "parameters": t["input_schema"]},
        }
        for t in task.tools
    ]
    with httpx.Client(timeout=5) as client:
        while turns < task.max_turns:
            answer = provider.chat(wire, tools)
            turns += 1
            said.append({"role": "assistant", **answer})
            if not answer["calls"]:
                reply = user_agent.generate_response(said) if user_agent else None
                if reply is None:
                    break
                wire.append({"role": "assistant", "content": answer["text"]})
                wire.append({"role": "user", "content": reply})
                said.append({"role": "user", "text": reply})
                continue
            wire.append(
                {
                    "role": "assistant",
                    "content": answer["text"],
                    "tool_calls": [
                        {
                            "id": c["id"],
                            "type": "function",
                            "function": {"name": c["name"], "arguments": json.dumps(c["input"])},
                        }
                        for c in answer["calls"]
                    ],
                }
            )
            for call in answer["calls"]:
                where = endpoints.get(call["name"])
                try:
                    reply = client.post(where["url"], json=call["input"])
                    status, body = reply.status_code, reply.json()
                except Exception as error:
                    status, body = (500 if where else 404), {"error": str(error)}
                dispatches.append(
                    {"tool_name": call["name"], "response_status": status, "response_body": body}
                )
                wire.append({"role": "tool", "tool_call_id": call["id"], "content": json.dumps(body)})
                said.append({"role": "tool", "text": json.dumps(body), "result_of": call["id"]})
    audit = {}
    for service in task.services:
        audit[service.name] = httpx.get(service.reset_endpoint.replace("/reset", "/audit")).json()
    path = Path(trace_dir) / f"{task.task_id}_{uuid4().hex[:8]}.json"
    end = {"total_turns": turns}
    value = {"messages": said, "dispatches": dispatches, "audit": audit, "end": end}
    path.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    return path
