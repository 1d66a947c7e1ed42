"""Choosing a backend by name, and proving that it works here before anything relies on it."""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from ise_gym.errors import UserError, WorkspaceError, nearest
from ise_gym.registry import Registered
from ise_gym.workspace.base import Workspace
from ise_gym.workspace.snapshots.template import read_template
from ise_gym.workspace.values import Capabilities, Limits, extra_folders

AUTO_ORDER = ("bubblewrap", "docker")


@dataclass(frozen=True)
class SelfCheck:
    """Whether a backend works on this host.

    Attributes:
        ok: a workspace was started, used and ended.
        message: what works, or what is missing and what to do about it; one line.
        capabilities: what it enforces here; None unless ok.
        isolates: whether it keeps what an agent does apart from this machine at all, where it works.
    """

    ok: bool
    message: str
    capabilities: Capabilities | None = None
    isolates: bool = True


Backend = Callable[..., Workspace]
"""What a backend is: ``backend(limits, template=template)`` starts a workspace under limits, from a template or empty.

A class attribute ``isolates`` that is False says that nothing is kept apart; ``warns`` is said when one is opened.
"""

BACKENDS: Registered[Backend] = Registered("backend")
"""Backends by their full names; see `ise_gym.registry`."""


def available_backends() -> tuple[str, ...]:
    """Return every backend's full name; `self_check` says which of them work here."""
    return tuple(BACKENDS)


def open_workspace(
    backend: str = "auto",
    limits: Limits | None = None,
    template: str | os.PathLike[str] | None = None,
    folders: Sequence[str] = (),
) -> Workspace:
    """Start a workspace.

    Args:
        backend: a name of `available_backends`, or ``auto``: the first of bubblewrap and docker that works here.
        limits: resource limits; `Limits()` when not given.
        template: a folder of this machine whose contents `/workspace` starts from and goes back to at each reset; a
            relative path is one of the present directory. Empty when not given. The folder itself is never changed.
        folders: absolute in-box paths that are writable beside `/workspace`, the home folder and `/tmp`, for programs
            that expect theirs (``/logs``). Empty after each reset; no part of digests and snapshots.

    Raises:
        UserError: unknown name, a backend that can't run here, with what to install, a template that is not a folder
            or can't be read, or ``folders`` that the box has already or the backend can't make.
        WorkspaceError: the sandbox failed to start although its requirements are there.
    """
    if backend == "auto":
        backend = first_working()
    if backend not in BACKENDS:
        known = ", ".join(["auto", *BACKENDS])
        raise UserError(
            f"unknown workspace backend '{backend}': choose one of {known}.{nearest(backend, ['auto', *BACKENDS])}"
        )
    start = BACKENDS[backend]
    if said := getattr(start, "warns", ""):
        warnings.warn(said, stacklevel=2)
    more: dict[str, Any] = {"folders": extra_folders(folders)} if folders else {}
    if more and "folders" not in inspect.signature(start).parameters:
        raise UserError(
            f"the workspace backend '{backend}' has no folders beside its own: use bubblewrap or docker"
        )
    try:
        return start(
            limits or Limits(), template=None if template is None else read_template(template), **more
        )
    except WorkspaceError as error:
        if advice := hint(str(error)):
            raise UserError(f"{error}{advice}") from error
        raise


@cache
def first_working() -> str:
    """Return the first backend of `AUTO_ORDER` that works here; UserError with each one's reason where none does."""
    reasons = []
    for name in AUTO_ORDER:
        check = self_check(name)
        if check.ok:
            return name
        reasons.append(f"{name}: {check.message}")
    raise UserError("no workspace backend works on this machine. " + " | ".join(reasons))


def self_check(backend: str) -> SelfCheck:
    """Start a workspace, run a command, touch a file, and end it.

    Never raises for a backend that does not work here, nor for a plug-in that can't be loaded; an unknown name is a
    `UserError`.
    """
    if backend not in BACKENDS:
        raise UserError(f"unknown workspace backend '{backend}'.{nearest(backend, BACKENDS)}")
    try:
        start = BACKENDS[backend]
    except UserError as error:
        return SelfCheck(False, str(error))
    return replace(_probed(start), isolates=bool(getattr(start, "isolates", True)))


def _probed(start: Backend) -> SelfCheck:
    try:
        workspace = start(Limits(), template=None)
    except UserError as error:
        return SelfCheck(False, str(error))
    except (WorkspaceError, OSError, ImportError) as error:
        return SelfCheck(False, f"{error}{hint(str(error))}")
    try:
        workspace.write("probe.txt", b"probe")
        result = workspace.exec(["cat", "probe.txt"], timeout=10.0)
        if result.exit_code != 0 or result.output != b"probe":
            return SelfCheck(False, f"a probe command gave {result.exit_code}: {result.output[:200]!r}")
        return SelfCheck(True, "works", workspace.capabilities())
    except (WorkspaceError, OSError) as error:
        return SelfCheck(False, str(error))
    finally:
        workspace.close()


_ADVICE = (
    (
        ("Unknown option", "unrecognized option"),
        "this bubblewrap is too old: version 0.8 or newer is needed (bwrap --version); take it from a newer release of "
        "your distribution, or use backend='docker'",
    ),
    (
        ("setuid", "Unexpected capabilities but not setuid"),
        "this bubblewrap is installed setuid or with capabilities, which rules out the options that are needed: remove "
        "them with chmod u-s $(command -v bwrap) and setcap -r $(command -v bwrap), and allow unprivileged user "
        "namespaces with sysctl kernel.unprivileged_userns_clone=1",
    ),
    (
        ("RTM_NEWADDR", "loopback:", "setting up uid map: Permission denied"),
        "AppArmor seems to keep bubblewrap from using its user namespace: give it a profile that allows 'userns', or "
        "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    (
        (
            "setting up uid map",
            "No permissions to create",
            "Operation not permitted",
            "Creating new namespace failed",
        ),
        "unprivileged user namespaces seem to be off: allow them with sysctl kernel.unprivileged_userns_clone=1 or "
        "kernel.apparmor_restrict_unprivileged_userns=0; inside a container, run it with --security-opt "
        "seccomp=unconfined --security-opt systempaths=unconfined",
    ),
)
"""Words of bwrap's error → what usually helps; the first that fits."""


def hint(text: str) -> str:
    """Return what usually helps for an error of bubblewrap's, in parentheses; "" when nothing is known.

    >>> "too old" in hint("bwrap: Unknown option --disable-userns")
    True
    >>> hint("no such thing")
    ''
    """
    if "bubblewrap" not in text and "bwrap" not in text:
        return ""
    return next((f" ({advice})" for words, advice in _ADVICE if any(word in text for word in words)), "")
