"""The benchmark's own sandbox server, in a bubblewrap box instead of its container, whose image comes from a registry.

What the benchmark's runner does with a container (inject files, call its routes, collect what is graded) stays its own.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

READY_S = 120.0


class Boxed:
    """A running server; has what the benchmark's runner asks of a container.

    Args:
        server: folder of the benchmark's ``server.py``.
        port: to listen on.
    """

    def __init__(self, server: Path, port: int) -> None:
        self._workspace = tempfile.mkdtemp(prefix="boxed-")
        command = [
            "bwrap",
            "--die-with-parent",
            "--unshare-pid",
            "--unshare-ipc",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
        ]
        for path in ("/usr", "/etc"):
            command += ["--ro-bind", path, path]
        for name in ("bin", "sbin", "lib", "lib64"):
            command += ["--symlink", f"usr/{name}", f"/{name}"]
        command += [
            "--tmpfs",
            "/tmp",
            "--bind",
            self._workspace,
            "/workspace",
            "--ro-bind",
            str(server),
            "/opt/sandbox",
        ]
        for prefix in {sys.prefix, sys.base_prefix}:
            command += ["--ro-bind", prefix, prefix]
        python = f"{sys.prefix}/bin/python"
        command += [
            "--chdir",
            "/workspace",
            python,
            "/opt/sandbox/server.py",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        path = f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin"
        self.process = subprocess.Popen(command, env={"PATH": path, "LANG": "C.UTF-8"})

    def remove(self, force: bool = True) -> None:
        """End it and forget its files."""
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self._workspace)


def boxed_runner(runner: Any) -> type[Any]:
    """Derive from the benchmark's ``sandbox_runner`` module a runner that starts boxes."""

    class Runner(runner.SandboxRunner):  # type: ignore[misc]
        def __init__(self, config: Any, *, image: str | None = None) -> None:
            self._config, self._image = config, image

        def start_container(self, *, run_id: str) -> Any:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            box = Boxed(Path(runner.__file__).parents[1] / "sandbox", port)
            url = f"http://localhost:{port}"
            wait_for(f"{url}/health", box.process)
            return runner.ContainerHandle(container=box, host_port=port, run_id=run_id, sandbox_url=url)

    return Runner


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers; raises when it ended or takes longer than `READY_S`."""
    deadline = time.monotonic() + READY_S
    while True:
        try:
            httpx.get(url, timeout=5).raise_for_status()
            return
        except httpx.HTTPError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    f"the benchmark's sandbox server did not start ({process.poll()})"
                ) from None
        time.sleep(0.05)
