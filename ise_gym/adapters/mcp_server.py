"""`ise serve-env`: one episode as an MCP server, for agents that people have.

An agent of any kind works in the box through our tools, under their own schemas, while our user talks to it. MCP has no
"my turn is over": a tool `reply_to_user` says the agent's words and blocks until the user has answered. What a client
sends at the same time is played one after the other. MCP carries no words beside a call, so the record has none.

Source: the MCP specification of 2025-11-25, sections Tools and Lifecycle (``instructions``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from ise_gym.adapters.peers import interface_of
from ise_gym.adapters.seat import Seat
from ise_gym.messages import Message, assistant, tool_call

with interface_of("mcp"):
    import mcp_types as types
    import uvicorn
    from mcp.server import Server
    from mcp.server.stdio import stdio_server

REPLY, REQUEST = "reply_to_user", "read_request"
OVER = "(The conversation is over.)"
HOW = (
    f"When you have done what the user asked, or have a question, call {REPLY}: it returns the user's answer."
)


class EpisodeServer:
    """An MCP server around one episode.

    Args:
        seat: the episode; it begins here, and is recorded as soon as it is over.
    """

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        self._lock = asyncio.Lock()
        self._opening = "\n\n".join(_said(message) for message in seat.start())
        self.server: Any = Server(
            "ise-gym",
            instructions=f"{self._opening}\n\n{HOW}",
            on_list_tools=self._list,
            on_call_tool=self._call,
        )

    async def stdio(self) -> None:
        """Serve on standard input and output until the client closes them."""
        async with stdio_server() as (incoming, outgoing):
            await self.server.run(incoming, outgoing, self.server.create_initialization_options())

    async def http(self, host: str, port: int) -> None:
        """Serve at ``http://HOST:PORT/mcp`` until the process is told to end."""
        app = self.server.streamable_http_app(host=host)
        await uvicorn.Server(uvicorn.Config(app, host=host, port=port, log_level="warning")).serve()

    async def _list(self, context: object, parameters: object) -> Any:
        offered = [tool["function"] for tool in self.seat.env.tool_schemas]
        tools = [
            types.Tool(name=f["name"], description=f["description"], input_schema=f["parameters"])
            for f in offered
        ]
        return types.ListToolsResult(tools=[*tools, _reply_tool(), _request_tool()])

    async def _call(self, context: object, parameters: Any) -> Any:
        name, arguments = parameters.name, parameters.arguments or {}
        async with self._lock:
            if name == REQUEST:
                return _result(self._opening)
            if self.seat.over:
                return _result(OVER, error=True)
            if name != REPLY:
                return await self._play(assistant("", [tool_call(name, arguments)]))
            text = arguments.get("text")
            if not isinstance(text, str):
                return _result(f'{REPLY} needs {{"text": "…"}}.', error=True)
            return await self._play(assistant(text))

    async def _play(self, message: Message) -> Any:
        added = await asyncio.to_thread(self._step, message)
        if self.seat.broken:
            return _result(f"The environment broke: {self.seat.broken}", error=True)
        text = "\n\n".join(_said(one) for one in added)
        failed = any(one["role"] == "tool" and not one.get("success") for one in added)
        return _result(f"{text}\n{OVER}".strip() if self.seat.over else text, failed, over=self.seat.over)

    def _step(self, message: Message) -> Sequence[Message]:
        added = self.seat.say(message)
        if self.seat.over:
            self.seat.record()
        return added


def _said(message: Message) -> str:
    return f"The user says:\n{message['content']}" if message["role"] == "user" else message["content"]


def _result(text: str, error: bool = False, **structured: Any) -> Any:
    content = [types.TextContent(type="text", text=text)]
    return types.CallToolResult(content=content, is_error=error, structured_content=structured or None)


def _reply_tool() -> Any:
    return _tool(
        REPLY,
        "Say this to the user and end your turn. Returns the user's next message, or that the conversation is over.",
        {"text": {"type": "string", "description": "What you say to the user."}},
    )


def _request_tool() -> Any:
    return _tool(REQUEST, "Return what you are told at the start, and the user's first request.", {})


def _tool(name: str, description: str, properties: Mapping[str, object]) -> Any:
    schema = {"type": "object", "properties": dict(properties), "required": list(properties)}
    return types.Tool(name=name, description=description, input_schema=schema)
