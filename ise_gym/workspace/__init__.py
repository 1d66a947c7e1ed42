"""The E of ISE: a live, isolated OS workspace in which an agent's tool calls are really executed.

`open_workspace` starts one; `base` says what every backend can do. A box is entered once, by a small init
that runs inside it as PID 1 and does all work on files and processes there.
"""

from ise_gym.workspace.backends.choice import SelfCheck, available_backends, open_workspace, self_check
from ise_gym.workspace.base import (
    HOME,
    WORKDIR,
    Capabilities,
    Diff,
    ExecResult,
    FileStat,
    Hosted,
    Hosting,
    Limits,
    Manifest,
    ProcessStatus,
    SeedFile,
    Shell,
    Snapshot,
    Workspace,
    diff_manifests,
)

__all__ = [
    "HOME",
    "WORKDIR",
    "Capabilities",
    "Diff",
    "ExecResult",
    "FileStat",
    "Hosted",
    "Hosting",
    "Limits",
    "Manifest",
    "ProcessStatus",
    "SeedFile",
    "SelfCheck",
    "Shell",
    "Snapshot",
    "Workspace",
    "available_backends",
    "diff_manifests",
    "open_workspace",
    "self_check",
]
