"""Snapshots on disk: stored once, read back equal, refused when damaged, collected when nobody needs them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ise_gym.errors import UserError, WorkspaceError
from ise_gym.workspace import SeedFile, Workspace
from ise_gym.workspace.base import Snapshot
from ise_gym.workspace.snapshots.store import SnapshotStore
from ise_gym.workspace.snapshots.trees import Entry, Tree, save

ROOT = "/workspace"


def snapshot(**files: bytes) -> Snapshot:
    """A snapshot without a sandbox."""
    entries = tuple(
        Entry(name, "file", 0o644, len(data), hashlib.sha256(data).hexdigest(), 0, 0)
        for name, data in files.items()
    )
    return save(
        [Tree(ROOT, 0o755, 0, entries)], lambda paths, size: [files[path[len(ROOT) + 1 :]] for path in paths]
    )


def objects(folder: Path) -> list[Path]:
    return sorted((folder / "objects").glob("*/*"))


def test_a_real_workspace_goes_to_disk_and_back(jail: Workspace, tmp_path: Path) -> None:
    jail.seed([SeedFile("d/a.txt", b"one"), SeedFile("b.bin", b"\xff" * 300_000), SeedFile("empty", b"")])
    jail.exec(["/bin/bash", "-c", "ln -s d l; chmod 750 d; echo home > ~/h"])
    saved, digest = jail.snapshot(), jail.digest()
    key = SnapshotStore(tmp_path / "store").put(saved)
    jail.exec(["/bin/bash", "-c", "rm -rf *"])
    found = SnapshotStore(tmp_path / "store").get(key)
    assert found == saved
    jail.restore(found)
    assert jail.digest() == digest and jail.read("/home/user/h") == b"home\n"


def test_equal_contents_are_stored_once(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    first = store.put(snapshot(a=b"same", b=b"same", c=b"other"))
    assert len(objects(tmp_path)) == 2
    assert store.put(snapshot(a=b"same", b=b"same", c=b"other")) == first
    second = store.put(snapshot(a=b"same", d=b"third"))
    assert len(objects(tmp_path)) == 3
    assert store.keys() == sorted([first, second])


def test_services_travel_along(tmp_path: Path) -> None:
    plain = snapshot(a=b"1")
    saved = Snapshot(plain.digest, plain.payload, '{"specs": []}')
    store = SnapshotStore(tmp_path)
    assert store.get(store.put(saved)) == saved
    assert store.put(plain) != store.put(saved)


@pytest.mark.parametrize("harm", ["flip", "cut", "lose"])
@pytest.mark.parametrize("place", ["objects", "snapshots"])
def test_damage_is_refused_and_named(tmp_path: Path, harm: str, place: str) -> None:
    store = SnapshotStore(tmp_path)
    key = store.put(snapshot(a=b"some content"))
    path = objects(tmp_path)[0] if place == "objects" else tmp_path / "snapshots" / key
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    if harm == "lose":
        path.unlink()
    else:
        path.write_bytes(data if harm == "flip" else data[:-2])
    expected = KeyError if (place, harm) == ("snapshots", "lose") else WorkspaceError
    with pytest.raises(expected, match=path.name):
        store.get(key)


def test_a_damaged_snapshot_is_not_stored(tmp_path: Path) -> None:
    saved = snapshot(a=b"some content")
    store = SnapshotStore(tmp_path)
    with pytest.raises(WorkspaceError):
        store.put(Snapshot(saved.digest, saved.payload[:-1] + b"?"))
    assert store.keys() == [] and objects(tmp_path) == []


def test_garbage_is_what_no_snapshot_names(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    kept = store.put(snapshot(a=b"shared", b=b"mine"))
    gone = store.put(snapshot(a=b"shared", c=b"theirs"))
    (objects(tmp_path)[0].parent / ".new-torn").write_bytes(b"half")
    assert store.collect_garbage() == (1, 4)
    store.remove(gone)
    with pytest.raises(KeyError):
        store.get(gone)
    assert store.collect_garbage() == (1, len(b"theirs"))
    assert store.collect_garbage() == (0, 0)
    assert store.get(kept) == snapshot(a=b"shared", b=b"mine")


def test_writers_and_collectors_do_not_harm_each_other(tmp_path: Path) -> None:
    problems: list[BaseException] = []

    def write(number: int) -> None:
        try:
            store = SnapshotStore(tmp_path)
            for round_ in range(8):
                key = store.put(snapshot(a=b"shared", b=b"%d" % round_, c=b"%d" % number))
                store.get(key)
                if round_ % 2:
                    store.remove(key)
                    store.collect_garbage()
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    store = SnapshotStore(tmp_path)
    left = store.keys()
    assert len([store.get(key) for key in left]) == 16


def test_the_command_collects(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path / "store")
    store.remove(store.put(snapshot(a=b"12345")))
    command = [sys.executable, "-m", "ise_gym.cli", "gc", "--json", "--snapshots"]
    done = subprocess.run([*command, str(tmp_path / "store")], capture_output=True, check=True)
    assert json.loads(done.stdout) == {"files": 1, "bytes": 5}
    wrong = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True)
    assert wrong.returncode == 2 and "not a snapshot store" in wrong.stderr


def test_a_folder_that_can_not_be_made_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match=os.fspath(tmp_path / "file")):
        SnapshotStore(tmp_path / "file")
