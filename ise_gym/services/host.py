"""Runs the services of one scenario for one box, and keeps their state.

The box's init opens the ports inside and hands the listening sockets out; threads of this process accept on them.
All state is JSON on this side: it travels with the workspace's snapshot, forks with it, and can be touched from
inside only by asking the service.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ise_gym.errors import UserError
from ise_gym.resources import read_text
from ise_gym.services import git
from ise_gym.services.http import front_for
from ise_gym.services.mail import MailServer, converse
from ise_gym.services.packages import pip_environment
from ise_gym.services.scheduler import Scheduler
from ise_gym.services.site import Request, Response, Site
from ise_gym.services.spec import KINDS, ServiceSpec, make_spec
from ise_gym.workspace.base import Hosting, Workspace
from ise_gym.workspace.hosting import resume_with

HTTP_PORT = 3128
MAIL_PORT = 2525
COMMANDS = "/home/user/.local/bin"
"""Where the box's ``sendmail`` and ``mail`` are put."""

_MOST_CONNECTIONS = 32
_PATIENCE_S = 30.0


class ServiceHost:
    """The running services of one box.

    Args:
        specs: what to run; two services of one kind can't answer to the same name.
        state: what `save` gave, to go on from there.

    Raises:
        UserError: two sites have the same host name.
    """

    def __init__(self, specs: Sequence[ServiceSpec], state: Mapping[str, Any] | None = None) -> None:
        self.specs = tuple(specs)
        known = dict(state or {})
        self.sites: dict[str, Site] = {}
        for spec in self.specs:
            if KINDS[spec.kind].site:
                if spec.host in self.sites:
                    raise UserError(f"two services of the scenario have the host name {spec.host}")
                self.sites[spec.host] = KINDS[spec.kind].open(spec.data, known.get(spec.host))
        mail = [spec.data for spec in self.specs if spec.kind == "mail"]
        self.mail = MailServer(mail, known.get("mail:")) if mail else None
        self.scheduler = Scheduler(
            [spec.data for spec in self.specs if spec.kind == "cron"], known.get("cron:")
        )
        self._lock = threading.Lock()
        self._doors: list[_Door] = []

    def start(self, box: Hosting) -> None:
        """Open the ports in a box and tell its commands where they are."""
        variables: dict[str, str] = {}
        if self.sites:
            address = f"http://127.0.0.1:{HTTP_PORT}"
            front = front_for(self.answer)
            self._doors.append(_Door(box.listen(HTTP_PORT), lambda end, peer: front(end, peer, None)))  # type: ignore[arg-type]
            variables |= {"http_proxy": address, "no_proxy": "localhost,127.0.0.1"}
            if indexes := [spec.host for spec in self.specs if spec.kind == "packages"]:
                variables |= pip_environment(indexes, HTTP_PORT)
        if self.mail is not None:
            self._doors.append(_Door(box.listen(MAIL_PORT), self._talk_mail))
            for name in ("sendmail", "mail"):
                box.write(f"{COMMANDS}/{name}", read_text(f"os/services/bin/{name}").encode(), 0o755)
            variables |= {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(MAIL_PORT)}
            variables["PATH"] = f"{COMMANDS}:/usr/local/bin:/usr/bin:/bin"
        if variables:
            box.set_env(variables)

    def furnish(self, box: Hosting) -> None:
        """Put into a fresh box what belongs to services but is kept there: git repositories and clones of them."""
        for spec in self.specs:
            if spec.kind == "git":
                git.install(box, spec.data)

    def answer(self, request: Request) -> Response:
        """Answer one HTTP request: one at a time, so that counts never race."""
        site = self.sites.get(request.host.lower())
        if site is None:
            return Response(502, f"No host named {request.host or '(none)'} can be reached.\n".encode())
        with self._lock:
            return site.answer(request)

    def _talk_mail(self, end: socket.socket, peer: object) -> None:
        server = self.mail
        assert server is not None
        with end.makefile("rb") as lines:
            converse(_Locked(server, self._lock), lines, lambda text: end.sendall(text.encode() + b"\r\n"))

    def save(self) -> str:
        """Return specs and state as JSON, for `resume_services`."""
        with self._lock:
            state: dict[str, object] = {host: site.state for host, site in self.sites.items()}
            if self.mail is not None:
                state["mail:"] = self.mail.state
            state["cron:"] = self.scheduler.state
            specs = [[spec.kind, spec.data] for spec in self.specs]
            return json.dumps({"specs": specs, "state": state}, ensure_ascii=False)

    def close(self) -> None:
        """Stop serving; idempotent."""
        while self._doors:
            self._doors.pop().close()


class _Locked(MailServer):
    """A mail server that is asked by one conversation at a time."""

    def __init__(self, inner: MailServer, lock: threading.Lock) -> None:
        self._inner, self._lock = inner, lock

    def recipient(self, address: str) -> str:
        """See `MailServer.recipient`."""
        with self._lock:
            return self._inner.recipient(address)

    def accept(self, sender: str, recipients: list[str], data: bytes) -> str:
        """See `MailServer.accept`."""
        with self._lock:
            return self._inner.accept(sender, recipients, data)


class _Door:
    """One listening socket and the thread that accepts on it."""

    def __init__(self, listening: socket.socket, serve: Callable[[socket.socket, object], object]) -> None:
        self._listening = listening
        self._serve = serve
        self._open = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        threading.Thread(target=self._accept, name="ise-service", daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                end, peer = self._listening.accept()
            except OSError:
                return  # closed
            if not self._open.acquire(blocking=False):
                end.close()
                continue
            threading.Thread(target=self._hold, args=(end, peer), name="ise-connection", daemon=True).start()

    def _hold(self, end: socket.socket, peer: object) -> None:
        try:
            end.settimeout(_PATIENCE_S)
            # a client that leaves in mid-sentence is its own affair
            with end, contextlib.suppress(ConnectionError, TimeoutError):
                self._serve(end, peer)
        finally:
            self._open.release()

    def close(self) -> None:
        """Wake the accepting thread and let it end."""
        with contextlib.suppress(OSError):  # the box may be gone already
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()


def start_services(workspace: Workspace, specs: Sequence[ServiceSpec]) -> None:
    """Start a scenario's services in a freshly reset workspace; without any, nothing happens.

    Raises:
        UserError: this kind of workspace can't hold services.
        WorkspaceError: the box has no network of its own, or broke.
    """
    if specs:
        host = ServiceHost(specs)
        host.furnish(_run(workspace, host))


def resume_services(workspace: Workspace, saved: str) -> None:
    """Go on where `ServiceHost.save` stood, in another box."""
    document = json.loads(saved)
    _run(
        workspace, ServiceHost([make_spec(kind, data) for kind, data in document["specs"]], document["state"])
    )


resume_with(resume_services)


def services_of(workspace: object) -> ServiceHost | None:
    """Return the services that run for a workspace."""
    host = getattr(workspace, "services", None)
    return host if isinstance(host, ServiceHost) else None


def _run(workspace: Workspace, host: ServiceHost) -> Hosting:
    if not isinstance(workspace, Hosting):
        raise UserError(
            f"the scenario needs services ({', '.join(sorted({s.kind for s in host.specs}))}), which a "
            f"{type(workspace).__name__} can't hold: use the bubblewrap or docker backend"
        )
    host.start(workspace)
    workspace.services = host
    return workspace
