"""What all checks share: how they are made, and how they read the box without being flooded.

A check has two halves. `BaseCheck.look` asks the box for bytes and runs in the harness; what those bytes *say* is read
in a process with limits (`judged`), since an agent wrote them. Whatever goes wrong in either half is a failed check
with its reason, never an error of the harness: only `WorkspaceError`, the sandbox's own, passes through.
"""

from __future__ import annotations

import dataclasses
import posixpath
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

from ise_gym.checks.judging import POOL
from ise_gym.checks.verdicts import PASSED, Unreadable, failed, shown
from ise_gym.errors import WorkspaceError, nearest
from ise_gym.foreign.values import Json
from ise_gym.scenario import CheckResult
from ise_gym.workspace.base import SeedFile, Workspace

__all__ = [
    "MAX_BYTES",
    "PASSED",
    "BaseCheck",
    "Unreadable",
    "decode",
    "failed",
    "judged",
    "mentions",
    "normal_path",
    "plain",
    "read_bytes",
    "read_text",
    "shown",
]

MAX_BYTES = 8 * 1024 * 1024
"""The most that a check reads of one file; larger files fail with that reason."""


@dataclasses.dataclass(frozen=True)
class BaseCheck:
    """A check of one path. Subclasses are frozen dataclasses whose fields are the keys of the task file."""

    path: str
    shorthand: ClassVar[bool] = False
    """Whether a lone path may stand for the mapping."""
    dear: ClassVar[bool] = False
    """Whether it starts a process in the box; where one failed check is enough, others are asked first."""
    live: ClassVar[bool] = False
    """Whether the check talks to processes of the agent's, which are stopped while checks run (see `GoalBoard`)."""

    def __post_init__(self) -> None:
        normal_path(self.path)

    @classmethod
    def require_keys(cls, spec: Json, where: str) -> None:
        """Raise ValueError when the keys of an unrendered spec can't be right."""
        if cls.shorthand and isinstance(spec, str):
            return
        if not isinstance(spec, Mapping):
            raise ValueError(f"{where}: needs a mapping{' or a path' if cls.shorthand else ''}")
        known = {field.name: field for field in dataclasses.fields(cls)}
        for key in spec:
            if key not in known:
                raise ValueError(f"{where}: there is no key '{key}'.{nearest(str(key), known)}")
        for name, field in known.items():
            needed = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
            if needed and name not in spec:
                raise ValueError(f"{where}: the key '{name}' is missing")

    @classmethod
    def from_spec(cls, spec: Any) -> Self:
        """Make the check from its rendered spec."""
        cls.require_keys(spec, "check")
        return cls(spec) if isinstance(spec, str) else cls(**spec)

    def to_spec(self) -> dict[str, Any]:
        """Return the mapping that `from_spec` makes this check of: the keys that are not as they are by default."""
        return {
            field.name: value
            for field in dataclasses.fields(self)
            if (value := getattr(self, field.name)) is not field.default and value != field.default
        }

    def is_about(self, path: str) -> bool:
        """Return whether the check is about a file: whether it should notice when that file is damaged."""
        return posixpath.normpath(self.path) == path

    def run(self, workspace: Workspace, start: Mapping[str, SeedFile]) -> CheckResult:
        """Look at the workspace; ``start`` maps paths to the files that the episode began with."""
        try:
            return self.look(workspace, start)
        except Unreadable as problem:
            return failed(str(problem))
        except WorkspaceError:
            raise
        except (
            Exception
        ) as problem:  # provoked by what the agent left there: it fails the check, not the harness
            return failed(f"what was found can't be checked ({type(problem).__name__}: {problem})")

    def look(self, workspace: Workspace, start: Mapping[str, SeedFile]) -> CheckResult:
        """Do the work of `run`; may raise `Unreadable`."""
        raise NotImplementedError

    def judge(self, material: Any) -> CheckResult:
        """Say whether what `look` found is right, in a process with limits (`judged`); may raise `Unreadable`."""
        raise NotImplementedError


Material = bytes | Mapping[str, object] | tuple[Sequence[Mapping[str, object]], Mapping[str, bytes | str]]
"""What a check finds and sends to be judged: a file's bytes, a channel, or sent mails and the files they hold."""


def judged(check: BaseCheck, material: Material) -> CheckResult:
    """Run ``check.judge(material)`` where hostile content can neither take the harness's memory nor its time."""
    return POOL.judge(check, material)


def mentions(text: str, path: str) -> bool:
    """Return whether a text names a path, and not a longer one."""
    return re.search(rf"(?<![\w.-]){re.escape(path)}(?![\w-]|\.\w)", text) is not None


def normal_path(path: Json) -> str:
    """Return a workspace-relative path without ``.`` and doubled slashes.

    Raises:
        ValueError: not a text, empty, absolute, or leading out of the workspace.
    """
    if not isinstance(path, str) or not path.strip():
        raise ValueError(f"path {path!r} must be a text")
    normal = posixpath.normpath(path)
    if normal.startswith(("/", "..")):
        raise ValueError(f"path {path!r} must lie inside the workspace")
    return normal


def read_bytes(workspace: Workspace, path: str, limit: int = MAX_BYTES) -> bytes:
    """Read a whole regular file of at most ``limit`` bytes.

    Raises:
        Unreadable: missing, a folder, not permitted, too large, or otherwise unreadable.
    """
    try:
        data = workspace.read(path, 0, limit + 1)
    except FileNotFoundError:
        raise Unreadable(f"{path} does not exist") from None
    except IsADirectoryError:
        raise Unreadable(f"{path} is a folder") from None
    except OSError as error:
        raise Unreadable(f"{path} can't be read: {error.strerror or error}") from None
    if len(data) > limit:
        raise Unreadable(f"{path} is larger than {limit} bytes")
    return data


def read_text(workspace: Workspace, path: str) -> str:
    """Read a UTF-8 text; a byte-order mark is dropped and ``\\r\\n`` becomes ``\\n``.

    Raises:
        Unreadable: as `read_bytes`, or not UTF-8.
    """
    return plain(decode(read_bytes(workspace, path), path))


def decode(data: bytes, what: str) -> str:
    """Decode UTF-8 as it is.

    Raises:
        Unreadable: not UTF-8.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Unreadable(f"{what} is not UTF-8 text (byte {error.start})") from None


def plain(text: str) -> str:
    """Drop a byte-order mark and carriage returns at line ends: they are rarely what a task is about."""
    return text.removeprefix("\ufeff").replace("\r\n", "\n")
