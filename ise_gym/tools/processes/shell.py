"""`exec`: one shell command in the workspace.

Every call is a fresh ``bash -c`` in the workspace's root, as OpenClaw has it: neither the directory nor
variables live on between calls. Nothing moves to the background by the clock alone, since that would make
an episode depend on how busy the machine is; a model has to ask (``background``, ``yieldMs``).
"""

from __future__ import annotations

import hashlib
import math
import shlex
from collections.abc import Mapping
from typing import Required, TypedDict

from ise_gym.tools.base import Tool, ToolContext, ToolOutcome
from ise_gym.tools.output import failure, in_box_path, os_failure, output_text
from ise_gym.tools.processes.process import ENDED_GRACE_S, registry
from ise_gym.tools.schema import function_tool
from ise_gym.workspace.base import WORKDIR

_LONGEST_S = 1_000_000
_ARGUMENT_BYTES = 100_000
"""A longer command can't be an argument (Linux takes 128 KiB); it goes into the box as a file."""
MOST_BYTES = 2 << 20
"""Bytes of the longest command."""


class ExecArguments(TypedDict, total=False):
    """Arguments of `exec`; ``timeout`` in seconds, ``yieldMs`` in milliseconds."""

    command: Required[str]
    workdir: str
    env: dict[str, str]
    timeout: float
    background: bool
    yieldMs: float
    pty: bool


def command_outcome(text: str, exit_code: int | None) -> ToolOutcome:
    """Build the outcome of a command that ended: its output, and its exit status when that is not 0."""
    if exit_code == 0:
        return ToolOutcome(text or "(no output)", success=True, exit_code=0)
    last = f"(Command exited with code {exit_code})"
    return ToolOutcome(f"{text}\n{last}" if text else last, success=False, exit_code=exit_code, error="exit")


def _timeout_outcome(text: str, seconds: float) -> ToolOutcome:
    last = f"(Command timed out after {seconds:g} s)"
    return ToolOutcome(f"{text}\n{last}" if text else last, success=False, error="timeout")


def run(context: ToolContext, arguments: ExecArguments) -> ToolOutcome:
    """Run the tool."""
    command: str = arguments["command"]
    workdir = arguments.get("workdir") or WORKDIR
    env: dict[str, str] = dict(arguments.get("env", {}))
    if problem := _argument_problem(command, workdir, env):
        return failure(f"exec: {problem}", "bad_arguments")
    workdir = in_box_path(workdir)
    if arguments.get("workdir") and (problem := _folder_problem(context, workdir)):
        return failure(f"exec: {arguments['workdir']}: {problem}", "not_found")
    limit = context.workspace.limits.command_timeout_s
    timeout = float(min(arguments.get("timeout", limit), limit))  # in this order: any integer may come
    try:
        launched = _carried(context, command)
        if arguments.get("background") or arguments.get("yieldMs"):
            return _background(context, arguments, launched, workdir, env)
        if arguments.get("pty"):
            return _on_terminal(context, launched, workdir, env, timeout)
        result = context.workspace.exec(["bash", "-c", launched], cwd=workdir, env=env, timeout=timeout)
    except OSError as error:
        return os_failure("exec", arguments.get("workdir") or ".", error)
    text = output_text(result.output, result.dropped_bytes)
    if result.timed_out:
        return _timeout_outcome(text, timeout)
    return command_outcome(text, result.exit_code)


def _argument_problem(command: str, workdir: str, env: Mapping[str, str]) -> str:
    if not command.strip():
        return "the command is empty"
    if (size := len(command.encode())) > MOST_BYTES:
        return f"the command has {size:,} bytes, at most {MOST_BYTES:,} are run: write a script and run that"
    if "\0" in command or "\0" in workdir or any("\0" in key + value for key, value in env.items()):
        return "an argument contains a NUL character"
    for key in env:
        if not key or "=" in key:
            return f"'{key}' can't be the name of an environment variable"
    sizes = [len(f"{key}={value}".encode()) for key, value in env.items()]
    if max(sizes, default=0) > _ARGUMENT_BYTES or sum(sizes) > 5 * _ARGUMENT_BYTES:
        return f"env holds {sum(sizes):,} bytes, more than a command can be given: put them into a file"
    return ""


def _carried(context: ToolContext, command: str) -> str:
    """Return what runs a command: itself, or, where it is too long for an argument, what reads it from a file."""
    data = command.encode()
    if len(data) <= _ARGUMENT_BYTES:
        return command
    path = f"/tmp/.command-{hashlib.sha256(data).hexdigest()[:16]}"
    context.workspace.write(path, data)
    return f'eval "$(cat {path}; rm -f {path})"'


def _folder_problem(context: ToolContext, path: str) -> str:
    """Say why a command can't start there; a link is left for the system to follow."""
    stat = context.workspace.stat(path)
    if stat is None:
        return "No such file or directory"
    return "" if stat.kind in ("dir", "symlink") else "Not a directory"


def _background(
    context: ToolContext, arguments: ExecArguments, launched: str, workdir: str, env: Mapping[str, str]
) -> ToolOutcome:
    command = arguments["command"]
    pty = bool(arguments.get("pty"))
    if "timeout" in arguments:
        # the workspace has no deadline for background processes; `timeout` takes the process group with it
        seconds = math.ceil(min(arguments["timeout"], _LONGEST_S))
        launched = f"exec timeout -s KILL {seconds} bash -c {shlex.quote(launched)}"
    processes = registry(context)
    process_id = context.workspace.spawn(launched, cwd=workdir, env=env, pty=pty)
    record = processes.add(process_id, command, pty)
    if not arguments.get("background"):  # which asks for no waiting at all, and so wins over yieldMs
        longest = context.workspace.limits.command_timeout_s
        processes.refresh(context.workspace, process_id, min(arguments["yieldMs"], longest * 1000) / 1000)
    text = record.take_unread()
    if not record.running:
        return command_outcome(text, record.exit_code)
    state = f"(Still running as {process_id}; use process with this sessionId to poll, write to or kill it)"
    return ToolOutcome(f"{text}\n{state}" if text else state, success=True)


def _on_terminal(
    context: ToolContext, command: str, workdir: str, env: Mapping[str, str], timeout: float
) -> ToolOutcome:
    """Run in the foreground on a terminal of its own, for programs that refuse to work without one."""
    workspace = context.workspace
    process_id = workspace.spawn(command, cwd=workdir, env=env, pty=True)
    status = workspace.poll(process_id, timeout=timeout)
    if not status.running:
        text = output_text(status.output.replace(b"\r\n", b"\n"), status.dropped_bytes)
        return command_outcome(text, status.exit_code)
    workspace.kill(process_id)
    last = workspace.poll(process_id, timeout=ENDED_GRACE_S)
    output = (status.output + last.output).replace(b"\r\n", b"\n")
    return _timeout_outcome(output_text(output, status.dropped_bytes + last.dropped_bytes), timeout)


EXEC = Tool(
    function_tool(
        "exec",
        "Run a bash command. Each call is a new shell that starts in the workspace root; "
        "directory and variables do not persist.",
        {
            "command": {"type": "string"},
            "workdir": {"type": "string", "description": "Folder to start in"},
            "env": {"type": "object", "additionalProperties": {"type": "string"}},
            "timeout": {"type": "number", "exclusiveMinimum": 0, "description": "Seconds"},
            "background": {"type": "boolean", "description": "Start it and return at once"},
            "yieldMs": {
                "type": "number",
                "minimum": 0,
                "description": "Wait this many ms, then leave it in the background",
            },
            "pty": {"type": "boolean", "description": "Give it a terminal"},
        },
        ["command"],
    ),
    run,
    {"command": "ls -la"},
)
