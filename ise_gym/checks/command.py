"""The check that runs something: for behaviour that no file shows, such as a program that must work.

The process is fresh, its environment is the box's clean one, and a program named without a slash is looked
up in the system's own folders, which the agent can't write. So neither PATH, aliases nor start-up files
that the agent left behind decide what runs. The agent's own processes are stopped meanwhile (`GoalBoard`), what the
command leaves running is killed, ``python3 -c`` finds no module in the working folder, and git reads the repository
without what its settings, attributes and replacement refs could run or show instead (`repository`). Expected values
never enter the box; arguments do, for the time that the command runs.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from ise_gym.checks.base import (
    PASSED,
    BaseCheck,
    Unreadable,
    decode,
    failed,
    judged,
    mentions,
    normal_path,
    shown,
)
from ise_gym.checks.compare import TOLERANCE, difference
from ise_gym.checks.content import ABSENT, parse_json, strings, text_problem
from ise_gym.checks.repository import GIT_ENVIRONMENT, undisguised
from ise_gym.foreign.values import Json
from ise_gym.scenario import CheckResult
from ise_gym.workspace.base import SeedFile, Workspace

SYSTEM_FOLDERS = ("/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin", "/sbin")


ENVIRONMENT = {
    "PATH": ":".join(SYSTEM_FOLDERS),
    "HOME": "/nonexistent",
    "LC_ALL": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONNOUSERSITE": "1",
    "PYTHONHASHSEED": "0",
    **GIT_ENVIRONMENT,
}
"""Nothing of the agent's home is read."""

_PROGRAMS: WeakKeyDictionary[Workspace, dict[str, str]] = WeakKeyDictionary()
"""Where a workspace's programs are: nothing in a box can write into these folders, and they outlive its resets."""

_SAFE_PATH = "import sys; sys.path[:] = [p for p in sys.path if p not in ('', '.')]\n"
"""Before a program given by ``python3 -c``: it must not import ``json`` from the working folder. (``-P`` does the same
from Python 3.11 on; the box has whatever the host has.)"""


@dataclass(frozen=True)
class CommandCheck(BaseCheck):
    """Passes when a fresh process ends with the given exit code and its output (stdout) meets every given key.

    ``live: true`` lets the agent's processes run meanwhile, for a command that talks to a server of the agent's.
    """

    path: str = "."
    argv: Any = ()
    stdin: str = ""
    exit_code: int = 0
    equals: Any = ABSENT
    contains: Any = ()
    excludes: Any = ()
    matches: Any = ()
    json: Any = ABSENT
    approx: Any = TOLERANCE
    timeout: float = 30.0
    dear: ClassVar[bool] = True
    live: bool = False  # type: ignore[misc]  # a key of the task file here

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.argv, (list, tuple)) or not self.argv or not str(self.argv[0]):
            raise ValueError("command needs argv: a list of the program and its arguments (no shell runs it)")
        text_problem("", ABSENT, (), self.excludes)
        strings(self.contains, "contains")
        strings(self.matches, "matches")

    @classmethod
    def require_keys(cls, spec: Json, where: str) -> None:
        """As `BaseCheck.require_keys`; ``argv`` is needed and ``path`` is the folder to run in."""
        super().require_keys(spec, where)
        if not isinstance(spec, Mapping) or "argv" not in spec:
            raise ValueError(f"{where}: the key 'argv' is missing")

    def is_about(self, path: str) -> bool:
        """Return whether the command names the file, whole, by its last part, or from where it runs."""
        said = "\n".join([*map(str, self.argv), self.stdin])
        forms = {path, posixpath.basename(path)}
        if self.path not in ("", "."):
            forms.add(posixpath.relpath(path, self.path))
        return any(mentions(said, form) for form in forms)

    def look(self, workspace: Workspace, start: Mapping[str, SeedFile]) -> CheckResult:
        """See `BaseCheck.run`."""
        argv = [str(item) for item in self.argv]
        shown_command = shown(" ".join(argv))
        argv[0] = _program(workspace, argv[0])
        argv = without_working_folder(argv)
        folder = f"/workspace/{normal_path(self.path)}"
        index = undisguised(workspace, argv, folder, ENVIRONMENT, self.timeout)
        result = workspace.exec(
            argv,
            stdin=self.stdin.encode(),
            cwd=folder,
            env={**ENVIRONMENT, **index},
            timeout=self.timeout,
            merge=False,
            sweep=True,
        )
        for path in index.values():
            workspace.remove(path)
        if result.timed_out:
            return failed(f"{shown_command} did not end within {self.timeout:g} s")
        if result.exit_code != self.exit_code:
            tail = result.stderr[-200:].decode("utf-8", "replace").strip() or result.output[-200:].decode(
                "utf-8", "replace"
            )
            return failed(
                f"{shown_command} ended with {result.exit_code} instead of {self.exit_code}: {tail}"
            )
        wants_output = self.equals is not ABSENT or self.json is not ABSENT
        if result.dropped_bytes and (wants_output or self.contains or self.excludes or self.matches):
            return failed(f"{shown_command} printed too much to be compared")
        return judged(self, result.output)

    def judge(self, material: bytes) -> CheckResult:
        """Judge the command's output."""
        shown_command = shown(" ".join(str(item) for item in self.argv))
        text = decode(material, f"the output of {shown_command}")
        if problem := text_problem(text, self.equals, self.contains, self.excludes, self.matches):
            return failed(f"the output of {shown_command} {problem}")
        if self.json is not ABSENT:
            found = parse_json(text, f"the output of {shown_command}")
            if problem := difference(found, self.json, self.approx):
                return failed(f"the output of {shown_command} {problem}")
        return PASSED


def without_working_folder(argv: list[str]) -> list[str]:
    """Keep ``python3 … -c program`` from importing modules of the folder that it runs in."""
    names = [word.rpartition("/")[2] for word in argv]
    start = names.index("python3") if "python3" in names else len(names)
    for at, word in enumerate(argv[start + 1 : -1], start + 1):
        if word == "-c":
            return [*argv[: at + 1], _SAFE_PATH + argv[at + 1], *argv[at + 2 :]]
        if not word.startswith("-"):
            break  # a script, which finds its own folder's modules: all of that is the agent's program
    return argv


def _program(workspace: Workspace, name: str) -> str:
    """Return the absolute path of a program; a name with a slash is one of the workspace's own files."""
    if name.startswith("/"):
        return name
    if "/" in name:
        return f"/workspace/{normal_path(name)}"
    known = _PROGRAMS.setdefault(workspace, {})
    if name in known:
        return known[name]
    for folder in SYSTEM_FOLDERS:
        try:
            if workspace.stat(f"{folder}/{name}") is not None:
                return known.setdefault(name, f"{folder}/{name}")
        except OSError:
            continue
    raise Unreadable(f"the box has no program named {name}")
