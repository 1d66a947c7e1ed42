"""`process`: look after what `exec` left running in the background.

The workspace hands out a process's output once; this module keeps it, so that ``list`` can see who still
runs without swallowing output that a later ``poll`` or ``log`` should show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Required, TypedDict

from ise_gym.errors import nearest
from ise_gym.tools.base import Tool, ToolContext, ToolOutcome
from ise_gym.tools.output import failure, output_text
from ise_gym.tools.schema import function_tool
from ise_gym.workspace.base import Workspace

LOG_BYTES = 200_000
"""Output kept of one background process for ``log``; the oldest goes first."""

LOG_LINES = 200
"""Lines that ``log`` shows when no limit is given."""

ENDED_GRACE_S = 2.0
"""How long a killed process may take to be gone."""

KEYS: Mapping[str, bytes] = {
    "Enter": b"\r",
    "Tab": b"\t",
    "Escape": b"\x1b",
    "Space": b" ",
    "Backspace": b"\x7f",
    "Delete": b"\x1b[3~",
    "Up": b"\x1b[A",
    "Down": b"\x1b[B",
    "Right": b"\x1b[C",
    "Left": b"\x1b[D",
    "Home": b"\x1b[H",
    "End": b"\x1b[F",
    "PageUp": b"\x1b[5~",
    "PageDown": b"\x1b[6~",
}


class ProcessArguments(TypedDict, total=False):
    """Arguments of `process`: which of them an action needs, the action says; ``timeout`` in milliseconds."""

    action: Required[str]
    sessionId: str
    timeout: float
    limit: int
    offset: int
    data: str
    text: str
    eof: bool
    keys: list[str]


@dataclass
class Background:
    """What is known of one background process."""

    command: str
    pty: bool
    running: bool = True
    exit_code: int | None = None
    log: bytes = b""
    unread: bytes = b""
    log_dropped: int = 0
    unread_dropped: int = 0

    def take_unread(self) -> str:
        """Return the output that was not shown yet, and mark it as shown."""
        text = output_text(self.unread, self.unread_dropped)
        self.unread, self.unread_dropped = b"", 0
        return text


@dataclass
class Registry:
    """The background processes of one episode, by id."""

    records: dict[str, Background] = field(default_factory=dict)

    def add(self, process_id: str, command: str, pty: bool) -> Background:
        """Remember a process that was just started."""
        return self.records.setdefault(process_id, Background(command, pty))

    def refresh(self, workspace: Workspace, process_id: str, wait: float = 0.0) -> Background:
        """Fetch new output and state, waiting up to ``wait`` seconds for the process to end."""
        record = self.records[process_id]
        if not record.running:
            return record
        status = workspace.poll(process_id, timeout=wait)
        output = status.output.replace(b"\r\n", b"\n") if record.pty else status.output
        record.running, record.exit_code = status.running, status.exit_code
        record.log_dropped += status.dropped_bytes + max(0, len(record.log) + len(output) - LOG_BYTES)
        record.log = (record.log + output)[-LOG_BYTES:]
        record.unread_dropped += status.dropped_bytes + max(0, len(record.unread) + len(output) - LOG_BYTES)
        record.unread = (record.unread + output)[-LOG_BYTES:]
        return record

    def look(self, workspace: Workspace) -> bool:
        """Refresh all; returns whether one ran at the last look, though it may have ended since."""
        ran = any(record.running for record in self.records.values())
        for process_id in self.records:
            self.refresh(workspace, process_id)
        return ran


def registry(context: ToolContext) -> Registry:
    """Return the episode's process registry, made on first use."""
    found = context.state.setdefault("processes", Registry())
    assert isinstance(found, Registry)
    return found


def _state(record: Background) -> str:
    if record.running:
        return "running"
    return f"exited with code {record.exit_code}"


def _list(context: ToolContext) -> ToolOutcome:
    processes = registry(context)
    if not processes.records:
        return ToolOutcome("(no background processes)", success=True)
    processes.look(context.workspace)
    lines = [f"{key}  {_state(record)}  {record.command}" for key, record in processes.records.items()]
    return ToolOutcome("\n".join(lines), success=True)


def _poll(context: ToolContext, process_id: str, arguments: ProcessArguments) -> ToolOutcome:
    wait = min(arguments.get("timeout", 0), context.workspace.limits.command_timeout_s * 1000) / 1000
    record = registry(context).refresh(context.workspace, process_id, wait)
    text = record.take_unread()
    if record.running:
        text = text or "(no new output)"
        return ToolOutcome(f"{text}\n({process_id} is still running)", success=True)
    last = f"(Command exited with code {record.exit_code})"
    return ToolOutcome(
        f"{text}\n{last}" if text else last,
        success=record.exit_code == 0,
        exit_code=record.exit_code,
        error="" if record.exit_code == 0 else "exit",
    )


def _log(context: ToolContext, process_id: str, arguments: ProcessArguments) -> ToolOutcome:
    record = registry(context).refresh(context.workspace, process_id)
    lines = record.log.decode("utf-8", "replace").splitlines()
    limit = int(arguments.get("limit", LOG_LINES))
    first = int(arguments.get("offset", max(1, len(lines) - limit + 1)))
    chosen = lines[first - 1 : first - 1 + limit]
    if not chosen and lines:
        return failure(
            f"process: offset {first} is beyond the end of the log ({len(lines)} lines)", "beyond_end"
        )
    text = output_text("\n".join(chosen).encode("utf-8"))
    notes = [f"({process_id} {'is ' if record.running else ''}{_state(record)})"]
    if record.log_dropped:
        notes.insert(0, f"[{record.log_dropped} bytes of the log were dropped]")
    if lines and len(chosen) < len(lines):
        notes.insert(0, f"[Lines {first}-{first + len(chosen) - 1} of {len(lines)}]")
    return ToolOutcome("\n".join([text or "(no output)", *notes]), success=True)


def _send(context: ToolContext, process_id: str, data: bytes, eof: bool = False) -> ToolOutcome:
    record = registry(context).refresh(context.workspace, process_id)
    if not record.running:
        return failure(f"process: {process_id} has {_state(record)}; nothing was sent", "ended")
    try:
        context.workspace.write_stdin(process_id, data, eof)
    except OSError as error:
        return failure(f"process: {process_id} takes no input: {error.strerror or 'closed'}", "closed")
    closed = " and closed its input" if eof else ""
    return ToolOutcome(f"Sent {len(data)} bytes to {process_id}{closed}", success=True)


def _write(context: ToolContext, process_id: str, arguments: ProcessArguments) -> ToolOutcome:
    data, eof = arguments.get("data", arguments.get("text", "")), bool(arguments.get("eof"))
    if not data and not eof:
        return failure("process: write needs data, or eof: true", "bad_arguments")
    return _send(context, process_id, data.encode("utf-8"), eof)


def _submit(context: ToolContext, process_id: str, arguments: ProcessArguments) -> ToolOutcome:
    text = arguments.get("text", arguments.get("data", ""))
    enter = "\r" if registry(context).records[process_id].pty else "\n"
    return _send(context, process_id, (text + enter).encode("utf-8"))


def _paste(context: ToolContext, process_id: str, arguments: ProcessArguments) -> ToolOutcome:
    text = arguments.get("text", arguments.get("data", ""))
    if not text:
        return failure("process: paste needs text", "bad_arguments")
    return _send(context, process_id, text.encode("utf-8"))


def key_bytes(key: str) -> bytes | None:
    """Return what a terminal sends for a key: a name of `KEYS`, ``C-x``, ``M-x`` or one character.

    >>> key_bytes("C-c"), key_bytes("Enter"), key_bytes("M-x"), key_bytes("é"), key_bytes("Entr")
    (b'\\x03', b'\\r', b'\\x1bx', b'\\xc3\\xa9', None)
    """
    by_name = {name.lower(): code for name, code in KEYS.items()}
    if key.lower() in by_name:
        return by_name[key.lower()]
    if len(key) == 1:
        return key.encode("utf-8")
    if len(key) == 3 and key[:2] in ("C-", "c-") and key[2].upper() in "@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_":
        return bytes([ord(key[2].upper()) & 0x1F])
    if len(key) == 3 and key[:2] in ("M-", "m-"):
        return b"\x1b" + key[2].encode("utf-8")
    return None


def _send_keys(context: ToolContext, process_id: str, arguments: ProcessArguments) -> ToolOutcome:
    keys = arguments.get("keys", [])
    if not keys:
        return failure("process: send-keys needs keys", "bad_arguments")
    if not registry(context).records[process_id].pty:
        return failure(
            f"process: {process_id} has no terminal, so keys mean nothing to it; "
            "use write or submit, or start it with pty: true",
            "no_terminal",
        )
    codes = [key_bytes(key) for key in keys]
    for key, code in zip(keys, codes, strict=True):
        if code is None:
            names = ", ".join(KEYS)
            return failure(
                f"process: unknown key '{key}'.{nearest(key, KEYS)} Keys: {names}, C-x, M-x, one character",
                "bad_arguments",
            )
    return _send(context, process_id, b"".join(code for code in codes if code is not None))


def _kill(context: ToolContext, process_id: str, arguments: ProcessArguments) -> ToolOutcome:
    processes = registry(context)
    record = processes.refresh(context.workspace, process_id)
    if not record.running:
        return failure(f"process: {process_id} has already {_state(record)}", "ended")
    context.workspace.kill(process_id)
    processes.refresh(context.workspace, process_id, ENDED_GRACE_S)
    if record.running:
        return failure(f"process: {process_id} did not end within {ENDED_GRACE_S:g} s", "still_running")
    return ToolOutcome(f"Killed {process_id}", success=True)


_ACTIONS: Mapping[str, Callable[[ToolContext, str, ProcessArguments], ToolOutcome]] = {
    "poll": _poll,
    "log": _log,
    "write": _write,
    "send-keys": _send_keys,
    "submit": _submit,
    "paste": _paste,
    "kill": _kill,
}


def process(context: ToolContext, arguments: ProcessArguments) -> ToolOutcome:
    """Run the tool."""
    action = arguments["action"]
    if action == "list":
        return _list(context)
    process_id = arguments.get("sessionId", "")
    records = registry(context).records
    if not process_id:
        return failure(f"process: {action} needs sessionId", "bad_arguments")
    if process_id not in records:
        known = f"Known: {', '.join(records)}" if records else "There are none"
        return failure(f"process: no background process '{process_id}'. {known}", "not_found")
    return _ACTIONS[action](context, process_id, arguments)


PROCESS = Tool(
    function_tool(
        "process",
        "Manage background processes started by exec.",
        {
            "action": {"type": "string", "enum": ["list", *_ACTIONS]},
            "sessionId": {"type": "string", "description": "Which process; all actions but list need it"},
            "data": {"type": "string", "description": "write: bytes for its input"},
            "keys": {
                "type": "array",
                "items": {"type": "string"},
                "description": "send-keys: e.g. C-c, Enter, Up",
            },
            "text": {"type": "string", "description": "submit (adds Enter), paste"},
            "eof": {"type": "boolean", "description": "write: close its input"},
            "offset": {"type": "integer", "minimum": 1, "description": "log: first line"},
            "limit": {"type": "integer", "minimum": 1, "description": "log: number of lines"},
            "timeout": {"type": "number", "minimum": 0, "description": "poll: ms to wait for the end"},
        },
        ["action"],
    ),
    process,
    {"action": "poll", "sessionId": "…", "timeout": 5000},
)
