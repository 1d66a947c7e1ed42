"""A workspace hosts what it knows nothing of: anything that serves on a port of the box."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from ise_gym.errors import WorkspaceError
from ise_gym.workspace import Hosting, Workspace, hosting, open_workspace
from ise_gym.workspace.backends.dummy import DummyWorkspace

PORT = 4242
ASK = f"exec 3<>/dev/tcp/127.0.0.1/{PORT}; cat <&3"


class Counter:
    """Tells each visitor how many came before."""

    def __init__(self, box: Hosting, visitors: int) -> None:
        self.visitors = visitors
        self._door = box.listen(PORT)
        threading.Thread(target=self._serve, daemon=True).start()
        box.set_env({"COUNTER": str(PORT)})
        box.services = self

    def _serve(self) -> None:
        while True:
            try:
                end, _ = self._door.accept()
            except OSError:
                return
            self.visitors += 1
            end.sendall(str(self.visitors).encode())
            end.close()

    def save(self) -> str:
        return str(self.visitors)

    def close(self) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()


@pytest.fixture
def box() -> Iterator[Workspace]:
    with open_workspace("bubblewrap") as made:  # type: ignore[attr-defined]
        yield made


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosting, "_resume", [lambda box, saved: Counter(box, int(saved))])


def said(box: Workspace) -> bytes:
    return box.exec(["/bin/bash", "-c", ASK]).output


def test_what_is_served_is_saved_forked_restored_and_ended_with_its_box(
    box: Workspace, counting: None
) -> None:
    assert isinstance(box, Hosting)
    Counter(box, 0)
    assert (said(box), said(box)) == (b"1", b"2")
    saved = box.snapshot()
    assert saved.services == "2"
    other = box.fork()
    assert (said(other), said(other), said(box)) == (b"3", b"4", b"3")
    other.close()
    box.restore(saved)
    assert said(box) == b"3"
    assert box.exec(["/bin/bash", "-c", "echo $COUNTER"]).output == b"4242\n"
    box.reset()
    assert box.services is None
    assert b"refused" in said(box)


def test_a_snapshot_with_services_that_nobody_can_run_is_refused(
    box: Workspace, counting: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(box, Hosting)
    Counter(box, 7)
    saved = box.snapshot()
    monkeypatch.setattr(hosting, "_resume", [])
    with pytest.raises(WorkspaceError, match=r"import ise_gym\.services first"):
        box.restore(saved)
    box.reset()
    assert said(box) != b"8"


def test_a_workspace_in_memory_hosts_nothing() -> None:
    assert not isinstance(DummyWorkspace(), Hosting)


def test_the_workspace_loads_no_services_and_services_say_how_to_resume() -> None:
    code = (
        "import sys, ise_gym.workspace, ise_gym.workspace.hosting as h\n"
        "assert not [m for m in sys.modules if m.startswith('ise_gym.services')], sys.modules\n"
        "assert h._resume == []\n"
        "import ise_gym.services\n"
        "assert len(h._resume) == 1\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
