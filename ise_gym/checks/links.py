"""Links that would make a command read itself: its command line holds what a check looks for."""

from __future__ import annotations

from ise_gym.workspace.base import WORKDIR, Manifest, Workspace

_MOST = 2_000
_ALL = 'find . -type l -print0 | xargs -0 -r readlink -f -- | grep -m 1 "^/proc/"'


def leading_into_proc(workspace: Workspace, tree: Manifest) -> str:
    """Return why commands can't be judged: a link leads to what processes are; "" when none does."""
    links = [path for path, entry in tree.entries.items() if entry[0] == "symlink"]
    if not links:
        return ""
    if len(links) > _MOST:
        return f"the workspace holds more than {_MOST} links"
    found = workspace.exec(["/bin/bash", "-c", _ALL], cwd=WORKDIR, merge=False, timeout=10, sweep=True)
    if found.timed_out:
        return "the workspace's links can't be followed"
    place = found.output.decode("utf-8", "replace").strip()
    return f"a link in the workspace leads to {place}: commands would read about themselves" if place else ""
