"""The docker backend: the same init as PID 1 of a locked-down container.

Why it is not ``docker exec`` per command: that costs fifty milliseconds per call, and killing its client
leaves the process running. Here the container's main process is the box's init, so all that
`BoxWorkspace` does works unchanged. The init's source comes over its standard input; from then on it
speaks through a Unix socket in a folder that is bind-mounted for the start, accepts one connection, and is
then deleted. That needs a daemon on the same machine.

Locked down: read-only root, tmpfs for every writable place, no network, no capabilities, no new privileges,
limits on processes and memory, and a system-call filter with the same rules as bubblewrap's. ``runtime``
chooses another one, such as gVisor's ``runsc``, for a kernel of its own.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ise_gym.errors import UserError, WorkspaceError
from ise_gym.workspace import box
from ise_gym.workspace.client.channel import Channel
from ise_gym.workspace.client.remote import BoxWorkspace, init_config
from ise_gym.workspace.client.supply import Box
from ise_gym.workspace.isolation import seccomp
from ise_gym.workspace.isolation.environment import BOX_ENV, HOSTNAME, UID
from ise_gym.workspace.isolation.parts import box_rlimits, memory_cap, scratch_sizes
from ise_gym.workspace.snapshots.template import Template
from ise_gym.workspace.values import Capabilities, Limits

if TYPE_CHECKING:
    from docker import DockerClient

IMAGE = "ise-gym-os"
LABEL = "ise-gym"
_SOCKET_DIR = "/run/ise"
_START_TIMEOUT_S = 60.0
_INODES = 200_000
# Its words can be read inside, by ``ps``: they stay as they are, so that records stay equal.
_BOOT = (
    "import sys,_socket;n=int(sys.argv[1]);b=sys.stdin.buffer.read(n);"
    "s=_socket.socket(_socket.AF_UNIX,_socket.SOCK_STREAM);s.connect(sys.argv[2]);"
    "sys.argv=['agent',str(s.detach())];exec(compile(b,'agent','exec'),{'__name__':'__main__'})"
)


def connect() -> Any:
    """Return a client of the daemon.

    Raises:
        UserError: the SDK is missing, or no daemon answers.
    """
    try:
        import docker
        from docker.errors import DockerException
    except ImportError as error:
        raise UserError(
            "the docker backend needs the docker SDK: install it with pip install 'ise-gym[docker]'"
        ) from error
    try:
        client = docker.from_env(timeout=60)
        client.ping()
    except DockerException as error:
        raise UserError(
            f"no docker daemon answers ({str(error)[:200]}): start one, or point DOCKER_HOST at it"
        ) from error
    return client


def ensure_image(client: DockerClient, image: str = IMAGE) -> str:
    """Return the image's name, or say how to build it."""
    from docker.errors import ImageNotFound

    try:
        client.images.get(image)
    except ImageNotFound as error:
        raise UserError(
            f"the docker image '{image}' does not exist here: build it with docker build -t {image} envs/os"
        ) from error
    return image


def collect_garbage(client: DockerClient | None = None) -> list[str]:
    """Remove containers whose harness on this host is gone; return their names. `ise gc` calls it."""
    client = client or connect()  # first, since it says what to install
    from docker.errors import NotFound

    removed = []
    for row in client.api.containers(all=True, filters={"label": LABEL}):
        labels = row.get("Labels") or {}
        pid = labels.get(f"{LABEL}.pid", "")
        same_host = labels.get(f"{LABEL}.host") == socket.gethostname()
        if same_host and pid.isdigit() and not Path("/proc", pid).exists():
            try:
                client.api.remove_container(row["Id"], force=True)
            except NotFound:
                continue  # it ended by itself meanwhile
            removed.append(row["Names"][0].lstrip("/"))
    return removed


class ContainerBox(Box):
    """One container; ``room_mb`` for a copy of a template comes on top of its disk limit."""

    def __init__(
        self,
        client: DockerClient,
        image: str,
        limits: Limits,
        runtime: str | None,
        room_mb: int = 0,
        folders: Sequence[str] = (),
    ) -> None:
        self._client = client
        self._container: Any = None
        self._folder = Path(tempfile.mkdtemp(prefix="ise-docker-"))
        self._folder.chmod(0o711)
        listener = socket.socket(socket.AF_UNIX)
        try:
            path = self._folder / "agent"
            listener.bind(str(path))
            path.chmod(0o666)
            listener.listen(1)
            listener.settimeout(_START_TIMEOUT_S)
            self._start(image, limits, runtime, room_mb, folders)
            self.channel = Channel(self._accept(listener))
            rlimits = box_rlimits(limits, True, room_mb, user_shared=bool(client.info().get("PidsLimit")))
            config = init_config(limits, rlimits, {}, BOX_ENV)
            self.channel.request("configure", timeout=_START_TIMEOUT_S, **config)
        except BaseException:
            self._remove()
            raise
        finally:
            listener.close()
            shutil.rmtree(self._folder)

    def _start(
        self, image: str, limits: Limits, runtime: str | None, room_mb: int, folders: Sequence[str]
    ) -> None:
        source = box.source()
        low = self._client.api
        tmpfs = {}
        for path, size in scratch_sizes(limits, room_mb, folders).items():
            mode = "1777" if path in ("/tmp", "/dev/shm") else "0755"
            tmpfs[path] = (
                f"rw,exec,nosuid,nodev,size={size},nr_inodes={_INODES},mode={mode},uid={UID},gid={UID}"
            )
        shm = tmpfs.pop("/dev/shm")
        host = low.create_host_config(
            read_only=True,
            tmpfs=tmpfs,
            shm_size=int(shm.partition("size=")[2].partition(",")[0]),
            network_mode="none",
            cap_drop=["ALL"],
            security_opt=["no-new-privileges", f"seccomp={json.dumps(seccomp_profile())}"],
            pids_limit=limits.processes + 1,  # the init
            mem_limit=memory_cap(limits, room_mb, folders),
            memswap_limit=memory_cap(limits, room_mb, folders),
            ipc_mode="private",
            auto_remove=True,
            runtime=runtime,
            log_config={"type": "none"},
            binds={str(self._folder): {"bind": _SOCKET_DIR, "mode": "ro"}},
        )
        made = low.create_container(
            image,
            command=["/usr/bin/python3", "-I", "-S", "-c", _BOOT, str(len(source)), f"{_SOCKET_DIR}/agent"],
            entrypoint=[],
            user=f"{UID}:{UID}",
            hostname=HOSTNAME,
            working_dir="/",
            environment={"LANG": "C.UTF-8"},
            stdin_open=True,
            host_config=host,
            labels={
                LABEL: "workspace",
                f"{LABEL}.pid": str(os.getpid()),
                f"{LABEL}.host": socket.gethostname(),
                f"{LABEL}.started": str(int(time.time())),
            },
        )
        self._container = made["Id"]
        stream = low.attach_socket(self._container, {"stdin": 1, "stream": 1})
        low.start(self._container)
        raw = getattr(stream, "_sock", stream)
        raw.sendall(source)
        # The hijacked connection keeps its response alive; closing both frees the descriptor.
        raw.close()
        stream.close()

    def _accept(self, listener: socket.socket) -> socket.socket:
        try:
            return listener.accept()[0]
        except TimeoutError as error:
            raise WorkspaceError(
                "the container's agent did not connect: the daemon must run on this machine, and its image must have "
                "/usr/bin/python3"
            ) from error

    def kill(self) -> None:
        """Kill PID 1 of the container, and with it every process inside."""
        from docker.errors import APIError

        self.channel.close()
        try:
            self._client.api.kill(self._container)
        except APIError as error:
            if error.response is None or error.response.status_code not in (404, 409):
                raise

    def dispose(self) -> None:
        """Wait until the daemon has removed the container."""
        self._remove()

    def _remove(self) -> None:
        from docker.errors import APIError

        if hasattr(self, "channel"):
            self.channel.close()
        if self._container is None:
            return
        deadline = time.monotonic() + 20.0
        while time.monotonic() < deadline:
            try:
                self._client.api.remove_container(self._container, force=True)
            except APIError as error:
                status = None if error.response is None else error.response.status_code
                if status == 404:
                    break
                if status != 409:  # 409: its removal is in progress
                    raise
                time.sleep(0.02)
        self._container = None


def seccomp_profile(machine: str = "") -> dict[str, Any]:
    """Return the rules of `seccomp.build_filter` as a docker profile."""
    machine = machine or platform.machine()
    low = 0xFFFFFFFF

    def rule(names: list[str], errno: int, *args: tuple[int, int, int, str]) -> dict[str, Any]:
        return {
            "names": names,
            "action": "SCMP_ACT_ERRNO",
            "errnoRet": errno,
            "args": [{"index": i, "value": v, "valueTwo": w, "op": op} for i, v, w, op in args],
        }

    rules = [rule(sorted(seccomp.REFUSED), 1), rule(["clone3"], 38)]
    for bit in (1 << n for n in range(32)):
        if seccomp.NAMESPACE_FLAGS & bit:
            rules.append(rule(["clone"], 1, (0, bit, bit, "SCMP_CMP_MASKED_EQ")))
    for request in seccomp.TTY_INJECTION:
        rules.append(rule(["ioctl"], 1, (1, low, request, "SCMP_CMP_MASKED_EQ")))
    for name, (_, _, index) in seccomp.NOT_ON_PID_1.items():
        rules.append(rule([name], 1, (index, low, 1, "SCMP_CMP_MASKED_EQ")))
    families = seccomp.SOCKET_FAMILIES
    sockets = ["socket", "socketpair"]
    for family in range(max(families) + 1):
        if family not in families:
            rules.append(rule(sockets, 97, (0, low, family, "SCMP_CMP_MASKED_EQ")))
        elif (protocol := families[family]) is not None:
            rules.append(rule(sockets, 97, (0, family, 0, "SCMP_CMP_EQ"), (2, protocol, 0, "SCMP_CMP_NE")))
    rules.append(rule(sockets, 97, (0, max(families), 0, "SCMP_CMP_GT")))
    architecture = {"x86_64": "SCMP_ARCH_X86_64", "aarch64": "SCMP_ARCH_AARCH64"}[machine]
    return {"defaultAction": "SCMP_ACT_ALLOW", "architectures": [architecture], "syscalls": rules}


class DockerWorkspace(BoxWorkspace):
    """`Workspace` in a docker container.

    Args:
        limits: resource limits.
        image: an image with bash and /usr/bin/python3, and a user 1000.
        runtime: another OCI runtime that the daemon knows, such as ``runsc``.
        box: a container that starts already; `fork` hands it in.
        template: what `reset` goes back to; it is copied into each container.
        folders: further writable folders.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        image: str = IMAGE,
        runtime: str | None = None,
        box: Future[Box] | None = None,
        template: Template | None = None,
        folders: Sequence[str] = (),
    ) -> None:
        self._client = connect()
        self._image = ensure_image(self._client, image)
        self._runtime = runtime
        super().__init__(limits, box, template, folders)

    def _starter(self) -> Callable[[Template | None], Box]:
        client, image, limits, runtime, room, folders = (
            self._client,
            self._image,
            self.limits,
            self._runtime,
            self._room_mb,
            self.folders,
        )
        return lambda _: ContainerBox(client, image, limits, runtime, room, folders)

    def _sibling(self, box: Future[Box]) -> DockerWorkspace:
        return DockerWorkspace(self.limits, self._image, self._runtime, box, self.template, self.folders)

    def close(self) -> None:
        """End the container; idempotent."""
        super().close()
        self._client.close()

    def capabilities(self) -> Capabilities:
        """Say what is really enforced, as far as the daemon tells."""
        info = self._client.info()
        memory, pids = bool(info.get("MemoryLimit")), bool(info.get("PidsLimit"))
        version = info.get("CgroupVersion", "1")
        filtered = any("seccomp" in option for option in info.get("SecurityOptions") or ())
        scratch = {path: size >> 20 for path, size in scratch_sizes(self.limits, 0, self.folders).items()}
        notes = [
            f"The container runs as host user {UID} without capabilities, in no user namespace of its own."
        ]
        if not memory:
            notes.append("The daemon can't limit memory on this host.")
        return Capabilities(
            backend="docker",
            enforced={
                "memory": f"cgroup v{version}" if memory else False,
                "processes": f"cgroup v{version}" if pids else "rlimit per user",
                "disk": "tmpfs sizes (MB): " + ", ".join(f"{path} {mb}" for path, mb in scratch.items()),
                "inodes": f"{_INODES} a file system",
                "open_files": "rlimit per process",
                "cpu": False,
                "network": "no interface but the container's own loopback",
                "host_files": "none: an image of its own, read-only",
                "host_processes": "own pid namespace",
                "separate_host_user": False,
                "syscall_filter": "seccomp" if filtered else False,
                "dies_with_harness": True,
                **self._template_word(),
            },
            notes=tuple(notes),
        )
