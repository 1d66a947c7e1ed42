"""What a user could see by opening the folder: the bounded digest of what the agent's turn really did.

A user simulator that sees only the agent's words can only believe them. One that sees all tool output is not a user
any more. Between the two stands this digest: changed files with their size and first lines, commands that failed,
services, and which of the user's own wishes hold. Its size is bounded, whatever the agent did.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from ise_gym.messages import Message, ToolCall
from ise_gym.simulator.base import BackgroundProcess, Command, Evidence, FileNote
from ise_gym.workspace.base import Diff, Manifest, Workspace, diff_manifests

FILES_SHOWN = 8
LINES_SHOWN = 3
LINE_LENGTH = 120
COMMAND_LENGTH = 200
READ_BYTES = 64_000
DIGEST_LENGTH = 2_400
"""Most characters of a rendered digest."""


def command_of(call: ToolCall, result: Message) -> Command:
    """Return the short note of one tool call and its result."""
    name, arguments = call["function"]["name"], call["function"]["arguments"]
    try:
        values = json.loads(arguments)
    except (ValueError, RecursionError):
        values = None
    text = arguments
    if isinstance(values, dict):
        shown = values.get("command") or values.get("path") or values.get("file_path")
        text = shown if isinstance(shown, str) else " ".join(str(v) for v in values.values())
    return Command(name, text[:COMMAND_LENGTH], result.get("success") is not False, result.get("exit_code"))


def gather(
    workspace: Workspace,
    before: Manifest,
    after: Manifest,
    commands: Sequence[Command],
    processes: Sequence[BackgroundProcess],
    passed: Sequence[str],
    failed: Sequence[str],
) -> Evidence:
    """Collect the evidence of one agent turn.

    Args:
        workspace: where the changed files are read, through the agent in the box.
        before: the tree when the user last spoke.
        after: the tree now.
        commands: tool calls since then.
        processes: background processes.
        passed: sub-goals of the present request that hold; ``failed``: those that don't.

    Raises:
        WorkspaceError: the sandbox failed.
    """
    diff = diff_manifests(before, after)
    return Evidence(
        diff=diff,
        failed_commands=tuple((c.text, c.exit_code) for c in commands if not c.success),
        passed=tuple(passed),
        failed=tuple(failed),
        files=_notes(workspace, after, diff),
        commands=tuple(commands),
        processes=tuple(processes),
        present={path: entry[2] for path, entry in after.entries.items()},
    )


def _notes(workspace: Workspace, after: Manifest, diff: Diff) -> tuple[FileNote, ...]:
    notes: list[FileNote] = []
    for change, paths in (("created", diff.created), ("changed", diff.changed), ("deleted", diff.deleted)):
        for path in paths:
            if len(notes) == FILES_SHOWN:
                return tuple(notes)
            kind, _, size, _ = after.entries.get(path, ("", 0, 0, ""))
            if kind == "file":
                notes.append(_note(workspace, path, change, size))
            elif change == "deleted":
                notes.append(FileNote(path, change))
    return tuple(notes)


def _note(workspace: Workspace, path: str, change: str, size: int) -> FileNote:
    try:
        text = workspace.read(path, limit=READ_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError):  # unreadable for its owner, or binary: only name and size are seen
        return FileNote(path, change, size)
    if "\0" in text:
        return FileNote(path, change, size)
    lines = text.splitlines()
    head = tuple(line[:LINE_LENGTH] for line in lines[:LINES_SHOWN])
    return FileNote(path, change, size, head, len(lines) if size <= READ_BYTES else None)


def render(evidence: Evidence, limit: int = DIGEST_LENGTH) -> str:
    """Return the digest as plain text for a prompt, at most ``limit`` characters.

    What the user wished for comes first, so that a cut never hides a wish that is not fulfilled.
    """
    parts = [f"- holds: {name}" for name in evidence.passed]
    parts += [f"- DOES NOT HOLD: {name}" for name in evidence.failed]
    parts.sort(key=lambda part: not part.startswith("- DOES NOT"))
    shown = {note.path for note in evidence.files}
    for note in evidence.files:
        what = "deleted" if note.change == "deleted" else f"{note.change}, {note.size} bytes"
        parts.append(f"- {note.path}: {what}")
        parts += [f"    {line}" for line in note.lines]
    diff = evidence.diff
    unseen = [p for p in (*diff.created, *diff.changed, *diff.deleted) if p not in shown]
    if unseen:
        parts.append(f"- and {len(unseen)} more paths, such as {unseen[0]}")
    if not diff:
        parts.append("- no file was created, changed or deleted")
    for text, code in evidence.failed_commands[-3:]:
        line = text.splitlines()[0] if text else "a command"
        parts.append(f"- failed (exit {'none' if code is None else code}): {line[:LINE_LENGTH]}")
    for process in evidence.processes[:4]:
        state = "running" if process.running else f"ended (exit {process.exit_code})"
        parts.append(f"- {state}: {process.command[:LINE_LENGTH]}")
    text = "\n".join(parts)
    return text if len(text) <= limit else text[: limit - 1].rsplit("\n", 1)[0] + "\n…"
