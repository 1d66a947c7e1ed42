"""Sends a tool call to its service."""

import json

import httpx

from ..models.content import TextBlock, ToolResultBlock
from ..models.trace import ToolDispatch


class ToolDispatcher:
    def __init__(self, endpoints) -> None:
        self._endpoints = endpoints
        self._client = httpx.Client(timeout=5)

    def dispatch(self, tool_use, trace_id):
        where = self._endpoints.get(tool_use.name)
        try:
            if where is None:
                raise LookupError(f"no tool {tool_use.name}")
            reply = self._client.request(where.method, where.url, json=tool_use.input)
            status, body = reply.status_code, reply.json()
        except Exception as error:
            status, body = (500 if where else 404), {"error": str(error)}
        result = ToolResultBlock(
            tool_use_id=tool_use.id, content=[TextBlock(text=json.dumps(body))], is_error=status >= 400
        )
        event = ToolDispatch(
            trace_id=trace_id,
            tool_use_id=tool_use.id,
            tool_name=tool_use.name,
            request_body=tool_use.input,
            response_status=status,
            response_body=body,
        )
        return result, event

    def close(self) -> None:
        self._client.close()
