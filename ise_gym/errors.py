"""The errors a user can meet.

Every message says what was wrong, where, and what to do. The command `ise` prints a `UserError` as one line and exits
with code 2; anything else is a bug and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Bad input or a missing requirement: the user can fix it, so no traceback is shown."""


class WorkspaceError(RuntimeError):
    """The sandbox itself failed (not a command in it): an infrastructure failure, never a reward of 0."""


class WorkspaceUnusable(WorkspaceError):
    """What runs or lies in the sandbox made it unusable: during an episode, the agent's own doing, which ends it."""


class AgentError(RuntimeError):
    """The acting model's side failed, not the workspace.

    Attributes:
        infrastructure: True when the model never got to answer (endpoint down, rate limit, broken
            reply): recorded as an infrastructure failure. False when the model itself ran into a wall,
            such as its context length: recorded as the agent's own failure.
        kind: what it was, in the terms of `ise_gym.models.blame.Kind`; "" where nobody said.
    """

    def __init__(self, message: str, *, infrastructure: bool = True, kind: str = "") -> None:
        super().__init__(message)
        self.infrastructure = infrastructure
        self.kind = kind


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the closest known name, or an empty string.

    >>> nearest("bubblewarp", ["bubblewrap", "docker"])
    " Did you mean 'bubblewrap'?"
    >>> nearest("zzz", ["bubblewrap"])
    ''
    """
    found = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean '{found[0]}'?" if found else ""
