"""What a user simulator sees and says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from ise_gym.messages import Message
from ise_gym.scenario import Scenario
from ise_gym.workspace.base import Diff


@dataclass(frozen=True)
class FileNote:
    """One changed file as its owner would find it on opening the folder.

    Attributes:
        path: relative to the workspace.
        change: "created", "changed" or "deleted".
        size: bytes; 0 when deleted.
        lines: the first few lines, shortened; empty for folders, binary and deleted files.
        line_count: lines of a text file that was small enough to be read whole, else None.
    """

    path: str
    change: str
    size: int = 0
    lines: tuple[str, ...] = ()
    line_count: int | None = None


@dataclass(frozen=True)
class Command:
    """One tool call of the agent: what was run, shortened, and whether it succeeded."""

    tool: str
    text: str
    success: bool
    exit_code: int | None = None


@dataclass(frozen=True)
class BackgroundProcess:
    """A background process as the agent last saw it."""

    command: str
    running: bool
    exit_code: int | None = None


class PathIndex:
    """Paths to look others up in, as people shorten them; a look-up costs the same among ten and among a million."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._by_name: dict[str, list[str]] = {}
        self._folders: set[str] = set()
        for path in paths:
            self._by_name.setdefault(path.rpartition("/")[2], []).append(path)
            above = path.rpartition("/")[0]
            while above and above not in self._folders:
                self._folders.add(above)
                above = above.rpartition("/")[0]

    def __contains__(self, path: str) -> bool:
        """Whether a path, any that ends with it, or anything below it is there."""
        if path in self._folders:
            return True
        alike = self._by_name.get(path.rpartition("/")[2], ())
        return bool(alike) and (
            "/" not in path or any(p == path or p.endswith("/" + path) for p in alike[:1_000])
        )


@dataclass(frozen=True)
class Evidence:
    """What really happened since the user last spoke; the simulator's only view of the box.

    Attributes:
        diff: files created, changed, deleted.
        failed_commands: (command, exit code) of calls that failed.
        passed: sub-goals of the present request that hold now; ``failed``: those that don't.
        files: what the user would see in the changed files; at most a few, see `ise_gym.simulator.evidence`.
        commands: the calls made, in order; for checking claims, not for a prompt.
        processes: background processes.
        present: every path that exists now → its size; None where nobody looked.
    """

    diff: Diff = field(default_factory=Diff)
    failed_commands: tuple[tuple[str, int | None], ...] = ()
    passed: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    files: tuple[FileNote, ...] = ()
    commands: tuple[Command, ...] = ()
    processes: tuple[BackgroundProcess, ...] = ()
    present: Mapping[str, int] | None = None

    @cached_property
    def readings(self) -> dict[str, Any]:
        """What was read out of a reply with this evidence: guard, shadow and user all read the same reply."""
        return {}

    @cached_property
    def tree(self) -> PathIndex:
        """The paths of ``present``, to look shortened ones up in."""
        return PathIndex(self.present or ())

    @cached_property
    def touched(self) -> PathIndex:
        """The paths of ``diff``."""
        return PathIndex((*self.diff.created, *self.diff.changed, *self.diff.deleted))


@dataclass(frozen=True)
class UserView:
    """The conversation from the user's own side: roles flipped, no tool calls, no tool output.

    In ``history`` the user's own words have role "assistant" and the agent's have role "user".

    Attributes:
        turn: user turns so far.
        request: name of the request that is current; "" when that is not known.
        remaining: how many requests the user has not made yet.
    """

    history: tuple[Message, ...]
    evidence: Evidence
    turn: int
    request: str = ""
    remaining: int = 0


@dataclass(frozen=True)
class UserTurn:
    """What the user does: speak (``text``), or end the episode.

    Attributes:
        text: the message; "" only when the episode ends silently.
        request: name of the request that is now current; "" while none has been made.
        meant: name of a request that the user meant to make and did not say; "" when it said what it meant.
        done: the user is satisfied and leaves; ``gave_up``: leaves unsatisfied.
        events: role-guard events of this turn, JSON.
    """

    text: str
    request: str = ""
    done: bool = False
    gave_up: bool = False
    events: tuple[Mapping[str, Any], ...] = ()
    meant: str = ""


class UserSimulator(Protocol):
    """A user of one episode at a time."""

    name: str

    def reset(self, scenario: Scenario, seed: int) -> UserTurn:
        """Start an episode and return the opening turn."""
        ...

    def respond(self, view: UserView, feedback: str = "") -> UserTurn:
        """Answer the agent's finished turn; ``feedback`` says why an earlier attempt at this turn was refused."""
        ...

    def state(self) -> Any:
        """Return picklable state, for snapshot and fork."""
        ...

    def set_state(self, state: Any) -> None:
        """Take back what `state` returned."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return what goes into the trajectory: name, parameters, for models also prompt hash and sampling."""
        ...
