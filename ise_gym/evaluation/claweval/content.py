"""What of a checkout decides a score: task by task, and what all tasks share, each part with a hash.

A commit names a version only as long as nobody edits the files: two work trees with "+changes", or two copies without
git, would pass for the same benchmark whatever was done to a grader. So the files themselves are hashed, in the two
parts of a task that `ise_gym.evaluation.content` has as well (what is asked, how it is judged), and in what is shared:
the mock services, and the benchmark's own code with its prompts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from ise_gym.evaluation.claweval.tasks import Checkout, ClawTask, graders_of
from ise_gym.evaluation.content import Content
from ise_gym.messages import sha256_of
from ise_gym.storage.digest import file_sha256

_MADE = frozenset({"__pycache__", ".git", ".pytest_cache"})
"""Folders that Python and git make; nobody's task."""


def claw_content(task: ClawTask) -> Content:
    """Return the parts of one task, each hashed: what is asked (definition and fixtures), and its graders' code."""
    graders = graders_of(task.folder)
    asked = [file for file in _files(task.folder) if file not in graders]
    return {"task": _sha256(asked, task.folder), "checks": _sha256(graders, task.folder.parent)}


def shared_claw_content(root: Path) -> Content:
    """Return what all tasks of a checkout share, each part hashed: its services and its own code."""
    return {
        "services": _sha256(_files(root / "mock_services"), root),
        "benchmark": _sha256(_files(root / "src"), root),
    }


def suite_sha256(source: Checkout, contents: Sequence[Content]) -> str:
    """Return the hash under which runs are compared: of the commit, and of the files where they are not the commit's.

    Args:
        source: the checkout. ``contents``: of the tasks that are played and of what they share.
    """
    if source.commit and not source.dirty:
        return sha256_of(source.version)
    return sha256_of([source.version, list(contents)])


def _files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not _MADE & set(path.relative_to(folder).parts) and path.suffix != ".pyc"
    )


def _sha256(files: Iterable[Path], base: Path) -> str:
    whole = hashlib.sha256()
    for file in files:
        whole.update(
            f"{file.relative_to(base).as_posix()}\0{_of_file(file, file.stat().st_mtime_ns)}\n".encode()
        )
    return whole.hexdigest()[:16]


@cache
def _of_file(file: Path, changed_ns: int) -> str:
    """Hash one file; a file that several tasks or runs look at is read once, until it is changed."""
    return file_sha256(file)
