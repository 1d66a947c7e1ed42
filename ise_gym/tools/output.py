"""How results become text: decoding, cutting, and short messages for what the operating system refused.

Long output keeps its head *and* its tail, because errors are at the end, and says how much is missing.
"""

from __future__ import annotations

import os
import posixpath

from ise_gym.tools.base import ToolOutcome
from ise_gym.workspace.base import HOME, WORKDIR

OUTPUT_BYTES = 16_000
"""Most bytes of a command's output that a model is shown: half from the head, half from the tail."""


def output_text(output: bytes, dropped: int = 0, limit: int = OUTPUT_BYTES) -> str:
    """Decode a command's output, cutting the middle to ``limit`` bytes and saying so.

    Args:
        output: head and tail as the workspace kept them.
        dropped: bytes the workspace already cut from the middle of ``output``.
        limit: most bytes kept.

    Returns:
        The text without trailing newlines; undecodable bytes show as U+FFFD.

    >>> print(output_text(b"0123456789", limit=4))
    01
    [6 bytes cut from the middle]
    89
    """
    if not dropped and len(output) <= limit:
        return output.decode("utf-8", "replace").rstrip("\n")
    half = min(limit, len(output)) // 2
    head, tail = output[:half], output[len(output) - half :]
    missing = dropped + len(output) - 2 * half
    head_text = _whole_characters_head(head).decode("utf-8", "replace")
    tail_text = _whole_characters_tail(tail).decode("utf-8", "replace").rstrip("\n")
    return f"{head_text}\n[{missing} bytes cut from the middle]\n{tail_text}"


def _whole_characters_head(data: bytes) -> bytes:
    """Drop a UTF-8 sequence that the cut left without its end."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        length = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        return data[:-back] if length > back else data
    return data


def _whole_characters_tail(data: bytes) -> bytes:
    """Drop continuation bytes whose start the cut took away."""
    skip = 0
    while skip < min(3, len(data)) and data[skip] & 0xC0 == 0x80:
        skip += 1
    return data[skip:]


def in_box_path(path: str) -> str:
    """Turn what a model writes as a path into an absolute in-box path: ``~`` and relative paths resolved.

    >>> in_box_path("notes/../a.txt"), in_box_path("~/x"), in_box_path("/etc/hosts")
    ('/workspace/notes/../a.txt', '/home/user/x', '/etc/hosts')
    """
    if path == "~" or path.startswith("~/"):
        path = HOME + path[1:]
    return posixpath.join(WORKDIR, path)


def path_problem(path: str) -> str:
    """Say why a string can't be a path, or return an empty string."""
    if not path:
        return "the path is empty"
    if "\0" in path:
        return "a path can't contain a NUL character"
    return ""


def os_failure(action: str, path: str, error: OSError) -> ToolOutcome:
    """Describe a refused file operation as a shell tool would, without any path but the model's own.

    >>> os_failure("read", "a.txt", FileNotFoundError(2, "No such file or directory")).content
    'read: a.txt: No such file or directory'
    """
    kinds: tuple[tuple[type[OSError], str, str], ...] = (
        (FileNotFoundError, "not_found", "No such file or directory"),
        (IsADirectoryError, "is_directory", "Is a directory"),
        (NotADirectoryError, "not_directory", "Not a directory"),
        (PermissionError, "permission", "Permission denied"),
    )
    kind, words = "os_error", "Input/output error"
    for cls, name, text in kinds:
        if isinstance(error, cls):
            kind, words = name, text
            break
    if isinstance(error, FileExistsError):  # a folder was to be made where a file is
        kind, words = "not_directory", "Not a directory"
    elif error.errno is not None:
        words = os.strerror(error.errno)
    return ToolOutcome(f"{action}: {path}: {words}", success=False, error=kind)


def failure(content: str, error: str) -> ToolOutcome:
    """Build the outcome of a call that did not do what was asked."""
    return ToolOutcome(content, success=False, error=error)
