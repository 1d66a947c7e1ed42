"""How what was served into a box comes to life in the next one.

Why here: a restore and a fork have to go on with the services that a snapshot holds, while a workspace knows nothing
of services. So whoever can run them says so once, when it is imported.
"""

from __future__ import annotations

from collections.abc import Callable

from ise_gym.errors import WorkspaceError
from ise_gym.workspace.base import Hosting

Resume = Callable[[Hosting, str], None]
"""Goes on, in a fresh box, where `Hosted.save` stood; sets `Hosting.services`."""

_resume: list[Resume] = []


def resume_with(function: Resume) -> None:
    """Have ``function`` bring back whatever snapshots hold from now on."""
    _resume[:] = [function]


def resume(workspace: Hosting, saved: str) -> None:
    """Bring back what a snapshot holds.

    Raises:
        WorkspaceError: nobody said how; `ise_gym.services` does when it is imported.
    """
    if not _resume:
        raise WorkspaceError(
            "the snapshot holds services, and nothing is loaded that can run them: import ise_gym.services first"
        )
    _resume[0](workspace, saved)
