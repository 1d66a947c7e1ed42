"""Whether an agent claimed what did not happen, as far as a record can tell.

Two sources. The role guard held every reply against the workspace while the episode was played and counted what the
evidence denied: that count is in the record. Records without a guard, or from elsewhere, are read again here: the
same kinds of claim (`ise_gym.simulator.claims`) against the calls of the turn, the files that the steps changed
where that was recorded, and the verdicts at the end. What a record does not hold speaks against nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ise_gym.episode.steps import FileChanges
from ise_gym.simulator.base import Command, Evidence
from ise_gym.simulator.claims import FalseClaim, false_claims
from ise_gym.simulator.evidence import command_of
from ise_gym.trajectory.record import Trajectory
from ise_gym.workspace.base import Diff

_NEEDS_FILES = frozenset(
    {"file_missing", "file_elsewhere", "file_empty", "file_unchanged", "file_still_there", "count_wrong"}
)
"""Kinds that can't be told without knowing what is in the workspace."""


def counted(trajectory: Trajectory) -> int:
    """Return how many false claims the guard counted while the episode was played."""
    guard = trajectory.user.get("guard")
    return int(guard.get("false_claims") or 0) if isinstance(guard, Mapping) else 0


def read_again(trajectory: Trajectory) -> Iterator[tuple[int, FalseClaim]]:
    """Yield (message, claim) for each reply that says what its turn's own calls or the verdicts deny."""
    last = max((i for i, m in enumerate(trajectory.messages) if m["role"] == "assistant"), default=-1)
    changes = {step.message: step.files for step in trajectory.steps}
    since: list[int] = []
    commands: list[Command] = []
    open_calls: dict[str, Any] = {}
    for index, message in enumerate(trajectory.messages):
        role = message["role"]
        if role == "user":
            since, commands = [], []
        elif role == "tool":
            if call := open_calls.pop(str(message.get("tool_call_id")), None):
                commands.append(command_of(call, message))  # type: ignore[arg-type]
        elif role == "assistant":
            since.append(index)
            open_calls.update({str(call["id"]): call for call in message.get("tool_calls") or ()})
            if not message.get("tool_calls"):
                yield from _claims(
                    trajectory, index, commands, [changes.get(i) for i in since], index == last
                )


def _claims(
    trajectory: Trajectory,
    index: int,
    commands: Sequence[Command],
    files: Sequence[FileChanges | None],
    is_last: bool,
) -> Iterator[tuple[int, FalseClaim]]:
    known = [entry for entry in files if entry is not None]
    diff = Diff(
        created=tuple(path for entry in known for path in entry.created),
        changed=tuple(path for entry in known for path in entry.changed),
        deleted=tuple(path for entry in known for path in entry.deleted),
    )
    failed = tuple(name for name, holds in trajectory.subgoals.items() if not holds) if is_last else ()
    evidence = Evidence(diff=diff, commands=tuple(commands), failed=failed)
    for claim in false_claims(str(trajectory.messages[index].get("content") or ""), evidence):
        if claim.kind in _NEEDS_FILES and (not known or any(entry.more for entry in known)):
            continue
        yield index, claim
