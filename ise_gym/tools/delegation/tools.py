"""`sessions_spawn`, `sessions_send`, `sessions_yield`, and what shows the sessions there are."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Required, TypedDict

from ise_gym.foreign.values import Json
from ise_gym.messages import Message, tool_calls_of, user
from ise_gym.tools.base import Tool, ToolContext, ToolOutcome
from ise_gym.tools.delegation.subsessions import (
    MAIN,
    MESSAGE_MARK,
    MOST_SESSIONS,
    SubSession,
    book_of,
    first_messages,
)
from ise_gym.tools.output import failure
from ise_gym.tools.processes.process import registry
from ise_gym.tools.schema import function_tool

HISTORY = 50
_LONGEST = 2000


class SpawnArguments(TypedDict, total=False):
    """Arguments of `sessions_spawn`."""

    task: Required[str]
    label: str
    taskName: str
    sandbox: str
    context: str
    cleanup: str


class SendArguments(TypedDict, total=False):
    """Arguments of `sessions_send`: to a key or to a label."""

    message: Required[str]
    sessionKey: str
    label: str


class YieldArguments(TypedDict, total=False):
    """Arguments of `sessions_yield`."""

    message: str


class ListArguments(TypedDict, total=False):
    """Arguments of `sessions_list`."""

    kinds: list[str]
    search: str
    label: str
    limit: int
    includeLastMessage: bool


class HistoryArguments(TypedDict, total=False):
    """Arguments of `sessions_history`."""

    sessionKey: Required[str]
    includeTools: bool
    limit: int


def spawn(context: ToolContext, arguments: SpawnArguments) -> ToolOutcome:
    """Open a session for a task; what it answers is the call's outcome."""
    book = book_of(context)
    label = str(arguments.get("label") or arguments.get("taskName") or "").strip()
    if not arguments["task"].strip():
        return failure("sessions_spawn: the task is empty", "bad_arguments")
    if len(book.sessions) >= MOST_SESSIONS:
        return failure(f"sessions_spawn: {MOST_SESSIONS} sessions were opened already", "full")
    if label and any(session.label == label for session in book.visible()):
        return failure(
            f"sessions_spawn: there is a session '{label}' already; write to it with sessions_send",
            "bad_arguments",
        )
    sandbox = arguments.get("sandbox", "inherit")
    if sandbox == "require" and (problem := _running(context)):
        return failure(f"sessions_spawn: {problem}", "busy")
    kind = arguments.get("context", "isolated")
    messages, inherited = first_messages(kind, arguments["task"], context.transcript)
    session = SubSession(
        key=book.free_key(label),
        label=label,
        task=arguments["task"],
        context=kind,
        sandbox=sandbox,
        cleanup=arguments.get("cleanup", "keep"),
        messages=messages,
        inherited=inherited,
    )
    book.sessions[session.key] = session
    return _opened(session)


def send(context: ToolContext, arguments: SendArguments) -> ToolOutcome:
    """Write to a session that ended; what it answers then is the call's outcome."""
    key, label = arguments.get("sessionKey", ""), arguments.get("label", "")
    if bool(key) == bool(label):
        return failure("sessions_send: give either sessionKey or label", "bad_arguments")
    if key == MAIN:
        return failure("sessions_send: this is the main session; write to another", "bad_arguments")
    if not arguments["message"].strip():
        return failure("sessions_send: the message is empty", "bad_arguments")
    book = book_of(context)
    found = [s for s in book.visible() if (s.key == key if key else s.label == label)]
    if not found:
        return _unknown("sessions_send", key or label, context)
    if found[0].sandbox == "require" and (problem := _running(context)):
        return failure(f"sessions_send: {problem}", "busy")
    found[0].messages.append(user(MESSAGE_MARK + arguments["message"]))
    return _opened(found[0])


def hand_back(context: ToolContext, arguments: YieldArguments) -> ToolOutcome:
    """End the present sub-session; the main one has nothing to wait for."""
    session = book_of(context).speaking
    if session is None:
        return failure(
            "sessions_yield: nothing is pending: a sub-agent's answer is the result of sessions_spawn",
            "nothing_pending",
        )
    session.ended, session.answer = True, arguments.get("message", "")
    return ToolOutcome("The session ends here.", success=True)


def show_list(context: ToolContext, arguments: ListArguments) -> ToolOutcome:
    """List the sessions there are."""
    rows: list[dict[str, Any]] = [
        {"key": MAIN, "kind": "main", "label": "", "status": "running", **_counted(context.transcript)}
    ]
    for session in book_of(context).visible():
        own = session.own
        rows.append(
            {
                "key": session.key,
                "kind": "subagent",
                "label": session.label,
                "status": session.status,
                **_counted(own),
            }
        )
    kinds, words = arguments.get("kinds"), arguments.get("search", "").lower()
    if kinds is not None:
        rows = [row for row in rows if row["kind"] in kinds]
    if label := arguments.get("label"):
        rows = [row for row in rows if row["label"] == label]
    rows = [row for row in rows if words in f"{row['key']} {row['label']}".lower()]
    limit = int(arguments.get("limit", HISTORY))
    shown = [
        row if arguments.get("includeLastMessage") else {k: v for k, v in row.items() if k != "lastMessage"}
        for row in rows[:limit]
    ]
    more = len(rows) - len(shown)
    return _answer({"sessions": shown, **({"notShown": more} if more else {})})


def history(context: ToolContext, arguments: HistoryArguments) -> ToolOutcome:
    """Show what was said in a session."""
    key = arguments["sessionKey"]
    if key == MAIN:
        messages = list(context.transcript)
    else:
        found = [s for s in book_of(context).visible() if s.key == key]
        if not found:
            return _unknown("sessions_history", key, context)
        messages = found[0].own
    tools = arguments.get("includeTools", False)
    rows = [_row(message, tools) for message in messages if message["role"] != "system"]
    kept = [row for row in rows if row is not None]
    limit = int(arguments.get("limit", HISTORY))
    cut = len(kept) - limit
    return _answer(
        {"sessionKey": key, "messages": kept[-limit:], **({"olderNotShown": cut} if cut > 0 else {})}
    )


def show_subagents(context: ToolContext, arguments: Mapping[str, Json]) -> ToolOutcome:
    """List what was delegated, with the answers."""
    rows = [
        {"sessionKey": s.key, "label": s.label, "task": _short(s.task), "status": s.status, "result": _short(s.answer)}
        for s in book_of(context).visible()
    ]  # fmt: skip
    return _answer({"subagents": rows})


def _opened(session: SubSession) -> ToolOutcome:
    return ToolOutcome("", success=True, session=session.key)


def _running(context: ToolContext) -> str:
    """Say what keeps a copy of the workspace from being made and dropped."""
    processes = registry(context)
    for process_id in processes.records:
        processes.refresh(context.workspace, process_id)
    running = [process_id for process_id, record in processes.records.items() if record.running]
    if not running:
        return ""
    return f"{', '.join(running)} would not survive a sandbox: end it first, or use sandbox 'inherit'"


def _unknown(tool: str, name: str, context: ToolContext) -> ToolOutcome:
    known = ", ".join(session.key for session in book_of(context).visible()) or "none"
    return failure(f"{tool}: no session '{name}'. Sub-sessions: {known}", "not_found")


def _counted(messages: Sequence[Message]) -> dict[str, Any]:
    said = [message["content"] for message in messages if message["role"] == "assistant"]
    return {"messages": len(messages), "lastMessage": _short(said[-1]) if said else ""}


def _row(message: Message, tools: bool) -> dict[str, Any] | None:
    if message["role"] == "tool":
        return (
            {"role": "tool", "name": message["name"], "content": _short(message["content"])}
            if tools
            else None
        )
    row: dict[str, Any] = {"role": message["role"], "content": _short(message["content"])}
    if tools and (calls := tool_calls_of(message)):
        row["toolCalls"] = [f"{c['function']['name']} {_short(c['function']['arguments'])}" for c in calls]
    elif not row["content"]:
        return None
    return row


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… [{len(text) - _LONGEST} characters cut]"


def _answer(value: Json) -> ToolOutcome:
    return ToolOutcome(json.dumps(value, ensure_ascii=False, indent=1), success=True)


_LIMIT = {"type": "integer", "minimum": 1}
SESSIONS_SPAWN = Tool(
    function_tool(
        "sessions_spawn",
        "Give a task to a sub-agent and get its answer. It knows only what the task says (context isolated) or "
        "this conversation too (fork), and works on the same files (sandbox inherit) or on a copy dropped afterwards.",
        {
            "task": {"type": "string"},
            "label": {"type": "string", "description": "Name to write to it later"},
            "taskName": {"type": "string", "description": "Same as label"},
            "runtime": {"type": "string", "enum": ["subagent"]},
            "mode": {"type": "string", "enum": ["run"]},
            "cleanup": {"type": "string", "enum": ["delete", "keep"]},
            "sandbox": {"type": "string", "enum": ["inherit", "require"]},
            "context": {"type": "string", "enum": ["isolated", "fork"]},
        },
        ["task"],
    ),
    spawn,
)
SESSIONS_SEND = Tool(
    function_tool(
        "sessions_send",
        "Write to a sub-agent that answered before, and get its next answer.",
        {"sessionKey": {"type": "string"}, "label": {"type": "string"}, "message": {"type": "string"}},
        ["message"],
    ),
    send,
)
SESSIONS_YIELD = Tool(
    function_tool(
        "sessions_yield",
        "As a sub-agent: stop here and hand back a message.",
        {"message": {"type": "string"}},
    ),
    hand_back,
)
SESSIONS_LIST = Tool(
    function_tool(
        "sessions_list",
        "List this session and its sub-agents.",
        {
            "kinds": {"type": "array", "items": {"type": "string", "enum": ["main", "subagent"]}},
            "limit": _LIMIT,
            "label": {"type": "string"},
            "search": {"type": "string"},
            "includeLastMessage": {"type": "boolean"},
        },
    ),
    show_list,
)
SESSIONS_HISTORY = Tool(
    function_tool(
        "sessions_history",
        "Show what was said in a session.",
        {"sessionKey": {"type": "string"}, "limit": _LIMIT, "includeTools": {"type": "boolean"}},
        ["sessionKey"],
    ),
    history,
)
SUBAGENTS = Tool(
    function_tool(
        "subagents",
        "List the tasks given to sub-agents and their answers.",
        {"action": {"type": "string", "enum": ["list"]}},
    ),
    show_subagents,
)
