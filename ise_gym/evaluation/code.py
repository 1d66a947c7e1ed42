"""Which code played: the commit of a checkout, and a hash of the package's own files wherever it is installed from.

Two runs of one suite are only as comparable as the code that played them; a version number says nothing of the
working copy in which a check was just changed.
"""

from __future__ import annotations

import hashlib
import subprocess
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


@cache
def code_version() -> dict[str, str]:
    """Return ``code`` (16 hex digits over the package's Python files) and, in a git checkout, ``commit``."""
    found = {"code": files_sha256(_PACKAGE)[:16]}
    if commit := _commit(_PACKAGE):
        found["commit"] = commit
    return found


def files_sha256(package: Path) -> str:
    """Hash the Python files below a folder: names and contents, in order; the same from a checkout and from a wheel."""
    whole = hashlib.sha256()
    for file in sorted(package.rglob("*.py"), key=lambda path: path.relative_to(package).as_posix()):
        inside = file.relative_to(package)
        if inside.parts[0] == "_data":  # worlds and recipes: hashed as what they are
            continue
        whole.update(f"{inside.as_posix()}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()


def _commit(package: Path) -> str:
    """Return the commit, with ``+changes`` where the working copy differs; "" outside of a checkout of this project."""
    root = package.parent
    if not ((root / ".git").exists() and (root / "pyproject.toml").is_file()):
        return ""
    commit = _git(root, "rev-parse", "HEAD")
    return commit and commit + ("+changes" if _git(root, "status", "--porcelain") else "")


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
