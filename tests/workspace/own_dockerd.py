"""A dockerd for one test run or benchmark, with an image made from this machine's packages.

It has its own folders and socket, and touches neither firewall nor interfaces.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

START_S = 60.0
OPTIONS = ("--iptables=false", "--ip6tables=false", "--bridge=none", "--ip-forward=false", "--ip-masq=false")


class NoDaemon(RuntimeError):
    """Says why no dockerd can run here."""


class Daemon:
    """A running dockerd; DOCKER_HOST points at it until `stop`.

    Raises:
        NoDaemon: not root, not installed, or it does not come up.
    """

    def __init__(self) -> None:
        if os.geteuid() != 0:
            raise NoDaemon("starting a dockerd takes root")
        if not shutil.which("dockerd"):
            raise NoDaemon("dockerd is not installed (Debian, Ubuntu: apt-get install docker.io)")
        try:
            import docker
        except ImportError:
            raise NoDaemon("the docker SDK is not installed (pip install 'ise-gym[docker]')") from None
        self.folder = Path(tempfile.mkdtemp(prefix="ise-dockerd-"))
        self.address = f"unix://{self.folder}/docker.sock"
        places = ["-H", self.address, "--pidfile", str(self.folder / "pid")]
        places += ["--data-root", str(self.folder / "data"), "--exec-root", str(self.folder / "exec")]
        self.before = os.environ.get("DOCKER_HOST")
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                ["dockerd", *OPTIONS, *places], stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            self._wait()
            client = docker.DockerClient(base_url=self.address, timeout=120)
            self._import_image(client)
            client.close()
        except BaseException:
            self.stop()
            raise
        os.environ["DOCKER_HOST"] = self.address

    def _wait(self) -> None:
        import docker
        from docker.errors import DockerException

        deadline = time.monotonic() + START_S
        while True:
            try:
                client = docker.DockerClient(base_url=self.address)
                client.ping()
                client.close()
                return
            except DockerException:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    lines = (self.folder / "log").read_text(errors="replace").strip().splitlines()
                    raise NoDaemon(
                        f"dockerd does not come up here: {lines[-1][-300:] if lines else ''}"
                    ) from None
            time.sleep(0.2)

    def _import_image(self, client: object) -> None:
        maker = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("host_image.py"))], stdout=subprocess.PIPE
        )
        with maker:
            client.api.import_image_from_stream(maker.stdout, repository="ise-gym-os", tag="latest")  # type: ignore[attr-defined]
        if maker.returncode != 0:
            raise NoDaemon("no image could be made from this machine's packages")

    def stop(self) -> None:
        """End it and delete all it had."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if os.environ.get("DOCKER_HOST") == self.address:
            os.environ.pop("DOCKER_HOST")
            if self.before is not None:
                os.environ["DOCKER_HOST"] = self.before
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            if line.split()[4].startswith(f"{self.folder}/"):
                subprocess.run(["umount", "--lazy", line.split()[4]], check=True)
        shutil.rmtree(self.folder)
