"""Tools that a task offers and that can't work: no route behind them, or one that wants what the tool can't say.

A model that calls such a tool is refused whatever it does. The tasks are played as they are, since that is the
benchmark; the report names the tools, so that nobody reads a model's fault into them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from ise_gym.foreign.values import Json


class ToolSpec(Protocol):
    """A tool that a task offers."""

    name: str
    description: str
    input_schema: dict[str, Json] | None


class Endpoint(Protocol):
    """Where a tool's calls go."""

    tool_name: str
    url: str
    method: str


class Offering(Protocol):
    """The part of a task's definition that is looked at here."""

    tools: Sequence[ToolSpec]
    tool_endpoints: Sequence[Endpoint]


@dataclass(frozen=True)
class BrokenTool:
    """A tool that can only fail, and why."""

    tool: str
    why: str

    def note(self) -> dict[str, Any]:
        """As it stands in a trial's notes."""
        return {"broken_tool": self.tool, "why": self.why}


def broken_tools(task: Offering, app_on: Callable[[int], object]) -> list[BrokenTool]:
    """Look at every tool of a task whose service is a FastAPI app in this process.

    Args:
        task: the benchmark's definition, with ``tools`` and ``tool_endpoints``.
        app_on: port → app, None when nothing is served there.
    """
    offered = {tool.name: _properties(tool.input_schema) for tool in task.tools}
    found = []
    for endpoint in task.tool_endpoints:
        if endpoint.tool_name in offered:
            why = _problem(endpoint, offered[endpoint.tool_name], app_on)
            if why:
                found.append(BrokenTool(endpoint.tool_name, why))
    return found


def _properties(schema: Mapping[str, Json] | None) -> Mapping[str, Json]:
    properties = (schema or {}).get("properties")
    return properties if isinstance(properties, Mapping) else {}


def _problem(endpoint: Endpoint, properties: Mapping[str, Json], app_on: Callable[[int], object]) -> str:
    url = httpx.URL(endpoint.url)
    app = app_on(url.port or 80)
    if app is None:
        return ""  # the network's
    if not callable(describe := getattr(app, "openapi", None)):
        return ""  # an app that doesn't describe itself
    method, description = endpoint.method.lower(), describe()
    operations = _operations(description, url.path)
    if operations is None:
        return f"404: the service has no route {url.path}"
    if method not in operations:
        return f"405: {url.path} does not take {endpoint.method}"
    missing = [name for name in _required(description, operations[method]) if name not in properties]
    if missing:
        return f"422: {url.path} needs {', '.join(missing)}, which the tool has no argument for"
    return ""


def _operations(description: Mapping[str, Any], path: str) -> Mapping[str, Any] | None:
    paths: Mapping[str, Any] = description.get("paths", {})
    if path in paths:
        return paths[path]  # type: ignore[no-any-return]
    parts = path.split("/")
    for pattern, operations in paths.items():
        wanted = pattern.split("/")
        if len(wanted) == len(parts) and all(
            w == p or (w.startswith("{") and p) for w, p in zip(wanted, parts, strict=True)
        ):
            return operations  # type: ignore[no-any-return]
    return None


def _required(description: Mapping[str, Any], operation: Mapping[str, Any]) -> list[str]:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    schema = content.get("schema", {})
    for choice in schema.get("anyOf", ()):  # a body may be optional, but a call always sends one
        if choice.get("type") != "null":
            schema = choice
    if "$ref" in schema:
        schema = description["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    queries = [p["name"] for p in operation.get("parameters", ()) if p.get("required") and p["in"] == "query"]
    return [*schema.get("required", ()), *queries]
