"""The ``unsafe-local`` backend: the same init, without a box around it.

Why: to debug a task with one's own tools, on a machine without any sandbox. Commands run with the rights of
whoever started the harness; nothing is limited but what rlimits limit. It is chosen by its full name only,
and warns.

There is no mount namespace, so file methods map `WORKDIR` and `HOME` to temporary folders, while commands
see those folders' real paths: they should use relative paths, ``$HOME`` or ``$WORKSPACE``.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path

from ise_gym.errors import WorkspaceError
from ise_gym.workspace import box
from ise_gym.workspace.client.channel import Channel
from ise_gym.workspace.client.remote import BoxWorkspace, init_config
from ise_gym.workspace.client.supply import Box
from ise_gym.workspace.isolation.environment import BOX_ENV
from ise_gym.workspace.snapshots.template import Template
from ise_gym.workspace.values import HOME, WORKDIR, Capabilities, Limits


class LocalBox(Box):
    """An init process in two temporary folders."""

    def __init__(self, limits: Limits, room_mb: int = 0) -> None:
        self._root = Path(tempfile.mkdtemp(prefix="ise-unsafe-"))
        roots = {}
        for place in (WORKDIR, HOME):
            folder = self._root / Path(place).name
            folder.mkdir()
            roots[place] = str(folder)
        ours, theirs = socket.socketpair()
        init = self._root / "init.py"
        init.write_bytes(box.source())
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(init), str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            env={"LANG": "C.UTF-8"},
            cwd="/",
            start_new_session=True,
        )
        theirs.close()
        self.channel = Channel(ours)
        env: Mapping[str, str] = {**BOX_ENV, "HOME": roots[HOME], "WORKSPACE": roots[WORKDIR]}
        rlimits = {
            "RLIMIT_FSIZE": (limits.disk_mb + room_mb) << 20,
            "RLIMIT_CORE": 0,
            "RLIMIT_NOFILE": limits.open_files,
        }
        try:
            self.channel.request("configure", **init_config(limits, rlimits, roots, env))
        except WorkspaceError:
            self.dispose()
            raise

    def kill(self) -> None:
        """Close the channel: the init then kills all its descendants and ends; wait for it."""
        self.channel.close()
        try:
            self._process.wait(10.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10.0)

    def dispose(self) -> None:
        """Delete the folders."""
        self.kill()
        if self._root.exists():
            for folder, names, _ in os.walk(self._root):
                for name in names:
                    child = Path(folder, name)
                    if not child.is_symlink():
                        child.chmod(0o700)
            shutil.rmtree(self._root)


class LocalWorkspace(BoxWorkspace):
    """`Workspace` without isolation, on this machine."""

    isolates = False
    warns = "backend 'unsafe-local' runs an agent's commands on this machine with your own rights: no isolation at all"

    def __init__(
        self, limits: Limits | None = None, box: Future[Box] | None = None, template: Template | None = None
    ) -> None:
        super().__init__(limits, box, template)  # no further folders: there is nothing to mount them in

    def _starter(self) -> Callable[[Template | None], Box]:
        limits, room = self.limits, self._room_mb
        return lambda _: LocalBox(limits, room)

    def _sibling(self, box: Future[Box]) -> LocalWorkspace:
        return LocalWorkspace(self.limits, box, self.template)

    def capabilities(self) -> Capabilities:
        """Say that next to nothing is enforced."""
        return Capabilities(
            backend="unsafe-local",
            enforced={
                "memory": False,
                "processes": False,
                "disk": "largest file only (RLIMIT_FSIZE)",
                "inodes": False,
                "open_files": "rlimit per process",
                "cpu": False,
                "network": False,
                "host_files": False,
                "host_processes": False,
                "separate_host_user": False,
                "syscall_filter": False,
                "dies_with_harness": "as far as its processes did not leave the agent's care",
                **self._template_word(),
            },
            notes=("No isolation: commands can read, change and delete whatever you can.",),
        )
