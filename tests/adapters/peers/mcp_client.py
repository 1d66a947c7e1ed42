"""Plays tasks through `ise serve-env` with the official client; prints id, score and how ours ended."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from scripted import NUMBERS, SOURCE, agent_for, ours

from ise_gym.adapters.seat import Tasks
from ise_gym.messages import Message, system, tool_calls_of, tool_result, user
from ise_gym.trajectory.store import read_trajectories


def served(number: int, store: str, *more: str) -> list[str]:
    task = ["--source", SOURCE, "--task", str(number), "--out", store, "--agent-name", "mcp-client"]
    return ["-m", "ise_gym.cli", "serve-env", *task, *more]


async def play(session: ClientSession, tasks: Tasks, number: int) -> None:
    opened = await session.initialize()
    scenario = tasks.scenario(number)
    agent = agent_for(scenario, tasks.seed(scenario), number)
    listed = await session.list_tools()
    names = [tool.name for tool in listed.tools]
    assert {"exec", "reply_to_user", "read_request"} <= set(names), names
    again = await session.call_tool("read_request", {})
    assert opened.instructions.startswith(text_of(again)) and scenario.requests[0].text[1:] in text_of(again)
    messages: list[Message] = [system(""), user(text_of(again))]
    over = False
    while not over:
        said = agent.act(messages, [])
        messages.append(said)
        calls = tool_calls_of(said)
        if not calls:
            answer = await session.call_tool("reply_to_user", {"text": said["content"]})
            messages.append(user(text_of(answer)))
            over = answer.structured_content["over"]
        results = [
            (c, call(session, c)) for c in calls
        ]  # all at once: the server plays them one after the other
        for c, waiting in zip(calls, await asyncio.gather(*(w for _, w in results)), strict=True):
            function = c["function"]
            messages.append(
                tool_result(c["id"], function["name"], text_of(waiting), success=not waiting.is_error)
            )
    late = await session.call_tool("exec", {"command": "true"})
    assert late.is_error and "over" in text_of(late)


def call(session: ClientSession, c: Any) -> Any:
    return session.call_tool(c["function"]["name"], json.loads(c["function"]["arguments"]))


def text_of(result: Any) -> str:
    return "".join(part.text for part in result.content)


async def over_stdio(tasks: Tasks, store: str) -> None:
    for number in NUMBERS:
        parameters = StdioServerParameters(
            command=sys.executable, args=served(number, store), env={"PYTHONPATH": "."}
        )
        async with stdio_client(parameters) as streams, ClientSession(*streams) as session:
            await play(session, tasks, number)


async def over_http(tasks: Tasks, store: str, port: int) -> None:
    server = await asyncio.create_subprocess_exec(
        sys.executable, *served(NUMBERS[0], store, "--http", str(port)), stderr=asyncio.subprocess.PIPE
    )
    try:
        for _ in range(100):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            except OSError:
                await asyncio.sleep(0.2)
        url = f"http://127.0.0.1:{port}/mcp"
        async with streamable_http_client(url) as streams, ClientSession(*streams[:2]) as session:
            await play(session, tasks, NUMBERS[0])
    finally:
        server.terminate()
        await server.wait()


if __name__ == "__main__":
    where = Path(sys.argv[1])
    tasks = Tasks(SOURCE)
    asyncio.run(over_stdio(tasks, str(where / "stdio")))
    asyncio.run(over_http(tasks, str(where / "http"), int(sys.argv[2])))
    mine = ours(tasks)
    for transport in ("stdio", "http"):
        for record in read_trajectories(where / transport):
            own = mine[record.scenario_id]
            words = [m["content"] for m in record.messages if m["role"] != "assistant"]
            kept = words == [m["content"] for m in own.messages if m["role"] != "assistant"]
            print(
                json.dumps(
                    [
                        transport,
                        record.scenario_id,
                        record.outcome,
                        record.score,
                        own.outcome,
                        own.score,
                        kept,
                    ]
                )
            )
