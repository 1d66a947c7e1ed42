"""`apply_patch`: changes to several files at once, all of them or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from ise_gym.tools.base import Tool, ToolContext, ToolOutcome
from ise_gym.tools.files.encoded import TooLargeError, editable_text, encoding_problem
from ise_gym.tools.files.patch import FileChange, apply_hunks, parse_patch
from ise_gym.tools.files.placing import PatchError
from ise_gym.tools.output import failure, in_box_path, os_failure, path_problem
from ise_gym.tools.schema import function_tool
from ise_gym.workspace.base import Workspace


class PatchArguments(TypedDict):
    """Arguments of `apply_patch`."""

    input: str


@dataclass(frozen=True)
class _Write:
    """One file operation: the new content (None deletes), and what stood there (None: nothing)."""

    path: str
    new: bytes | None
    old: bytes | None
    mode: int


class _Refused(Exception):
    """A path at which the system refused the operation."""

    def __init__(self, path: str, error: OSError) -> None:
        super().__init__(path)
        self.path, self.error = path, error


def run(context: ToolContext, arguments: PatchArguments) -> ToolOutcome:
    """Run the tool: work out every file's new content first, then write; a failed write is rolled back."""
    workspace = context.workspace
    try:
        changes = parse_patch(arguments["input"])
        _check_paths(changes)
        writes = [write for change in changes for write in _plan(workspace, change)]
        _carry_out(workspace, writes)
    except PatchError as error:
        return failure(f"apply_patch: {error}. Nothing was changed.", error.kind)
    except _Refused as refused:
        outcome = os_failure("apply_patch", refused.path, refused.error)
        return failure(f"{outcome.content}. Nothing was changed.", outcome.error)
    return ToolOutcome("\n".join(["Patch applied:", *map(_summary, changes)]), success=True)


def _check_paths(changes: list[FileChange]) -> None:
    seen: set[str] = set()
    for change in changes:
        for path in filter(None, (change.path, change.move_to)):
            if problem := path_problem(path):
                raise PatchError(problem)
            if in_box_path(path) in seen:
                raise PatchError(f"'{path}' appears twice")
            seen.add(in_box_path(path))


def _plan(workspace: Workspace, change: FileChange) -> list[_Write]:
    path = change.path
    stat = workspace.stat(in_box_path(path))
    if change.action == "add":
        if stat is not None:
            raise PatchError(f"'{path}' is already there; use Update File")
        text = "".join(line + "\n" for line in change.content)
        return [_Write(path, text.encode("utf-8"), None, 0o644)]
    try:
        before = editable_text(workspace, path)
    except OSError as error:
        raise _Refused(path, error) from error
    except TooLargeError as error:
        raise PatchError(f"{path}: {error}", "too_large") from error
    old = before.encode("utf-8", "surrogateescape")
    mode = stat.mode & 0o777 if stat is not None and stat.kind == "file" else 0o644
    if change.action == "delete":
        return [_Write(path, None, old, mode)]
    for added in (text for hunk in change.hunks for mark, text in hunk.lines if mark == "+"):
        if problem := encoding_problem(before, added):
            raise PatchError(f"{path}: {problem.removesuffix('.')}", "encoding")
    try:
        text = apply_hunks(before, change.hunks)
    except PatchError as error:
        raise PatchError(f"{path}: {error}", error.kind) from error
    new = text.encode("utf-8", "surrogateescape")
    if not change.move_to:
        return [_Write(path, new, old, mode)]
    if workspace.stat(in_box_path(change.move_to)) is not None:
        raise PatchError(f"'{change.move_to}' is already there; it would be overwritten by the move")
    return [_Write(change.move_to, new, None, mode), _Write(path, None, old, mode)]


def _carry_out(workspace: Workspace, writes: list[_Write]) -> None:
    done: list[_Write] = []
    for write in writes:
        try:
            done.append(write)
            _put(workspace, write.path, write.new, write.mode)
        except OSError as error:
            for undo in reversed(done):
                if undo.old is not None or workspace.stat(in_box_path(undo.path)) is not None:
                    _put(workspace, undo.path, undo.old, undo.mode)
            raise _Refused(write.path, error) from error


def _put(workspace: Workspace, path: str, content: bytes | None, mode: int) -> None:
    if content is None:
        workspace.remove(in_box_path(path))
    else:
        workspace.write(in_box_path(path), content, mode)


def _summary(change: FileChange) -> str:
    if change.move_to:
        return f"R {change.path} -> {change.move_to}"
    return f"{ {'add': 'A', 'update': 'M', 'delete': 'D'}[change.action] } {change.path}"


APPLY_PATCH = Tool(
    function_tool(
        "apply_patch",
        "Change several files at once. Format: '*** Begin Patch', then sections '*** Add File: PATH' (lines with +), "
        "'*** Update File: PATH' (optional '*** Move to: PATH'; hunks after '@@', lines with ' ', - or +) or "
        "'*** Delete File: PATH', then '*** End Patch'.",
        {"input": {"type": "string", "description": "The whole patch"}},
        ["input"],
    ),
    run,
    {"input": "*** Begin Patch\n*** Update File: notes.txt\n@@\n-tea\n+coffee\n*** End Patch"},
)
