"""Snapshots on disk, shared: equal contents are stored once, whatever the number of snapshots that hold them.

Why: a tree search or a group of rollouts saves the same workspace hundreds of times with small changes. Here
each file's content is an object named by its SHA-256; a snapshot is a small document that names its objects,
and is itself named by its hash. Nothing is ever changed in place, so readers and writers need no order among
each other; only the collector excludes them.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ise_gym.errors import UserError, WorkspaceError
from ise_gym.workspace.snapshots import trees as snapshots
from ise_gym.workspace.values import Snapshot

_KEY = re.compile(r"[0-9a-f]{64}")


class SnapshotStore:
    """A folder of snapshots; safe for several processes at once.

    Args:
        folder: made when missing.

    Examples:
        >>> import tempfile
        >>> from ise_gym.workspace.snapshots.trees import save
        >>> from ise_gym.workspace.snapshots.trees import Tree
        >>> empty = save([Tree("/workspace", 0o755, 0, ())], lambda paths, size: [])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = SnapshotStore(folder)
        ...     store.get(store.put(empty)) == empty
        True
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._objects = self.folder / "objects"
        self._documents = self.folder / "snapshots"
        try:
            for place in (self._objects, self._documents):
                place.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{folder}: can't hold a snapshot store ({error.strerror})") from None

    def put(self, snapshot: Snapshot) -> str:
        """Store a snapshot and return its key; what is there already is not written again.

        Raises:
            WorkspaceError: the snapshot is damaged.
        """
        head, blobs = snapshots.take_apart(snapshot)
        about = json.dumps({"digest": snapshot.digest, "services": snapshot.services}).encode()
        document = about + b"\n" + head
        key = hashlib.sha256(document).hexdigest()
        with self._locked(fcntl.LOCK_SH):
            for name, data in blobs.items():
                self._write(self._object(name), data)
            self._write(self._documents / key, document)
        return key

    def get(self, key: str) -> Snapshot:
        """Read a snapshot back.

        Raises:
            KeyError: there is no such snapshot.
            WorkspaceError: a file of it is damaged or missing; names the file.
        """
        contents = []
        with self._locked(fcntl.LOCK_SH):
            head, about = self._document(key)
            for name, size in snapshots.contents(head):
                contents.append(self._checked(self._object(name), name))
                if len(contents[-1]) != size:
                    raise WorkspaceError(f"{self._object(name)}: the snapshot's index names another size")
        payload = snapshots.put_together(head, contents)
        return Snapshot(str(about["digest"]), payload, str(about["services"]))

    def keys(self) -> list[str]:
        """Return the keys of all snapshots, sorted."""
        return sorted(path.name for path in self._documents.iterdir() if _KEY.fullmatch(path.name))

    def remove(self, key: str) -> None:
        """Forget a snapshot; its objects go at the next `collect_garbage`. Unknown key: KeyError."""
        with self._locked(fcntl.LOCK_SH):  # the collector counts on the documents that it has listed
            try:
                (self._documents / key).unlink()
            except FileNotFoundError:
                raise KeyError(key) from None

    def collect_garbage(self) -> tuple[int, int]:
        """Delete objects that no snapshot names, and what killed writers left; return (files, bytes).

        Waits for writers, and they for it. Nothing is deleted while a snapshot's document is damaged, since it
        can't be known what it names.

        Raises:
            WorkspaceError: such a document; remove it first.
        """
        files = size = 0
        with self._locked(fcntl.LOCK_EX):
            used = {name for key in self.keys() for name, _ in snapshots.contents(self._document(key)[0])}
            for path in [*self._objects.glob("*/*"), *self._documents.iterdir()]:
                wanted = (
                    path.name in used if path.parent.parent == self._objects else _KEY.fullmatch(path.name)
                )
                if not wanted:
                    files, size = files + 1, size + path.stat().st_size
                    path.unlink()
        return files, size

    def _document(self, key: str) -> tuple[bytes, dict[str, str]]:
        path = self._documents / key
        if not _KEY.fullmatch(key) or not path.exists():
            raise KeyError(key)
        about, _, head = self._checked(path, key).partition(b"\n")
        return head, json.loads(about)

    def _object(self, name: str) -> Path:
        return self._objects / name[:2] / name

    def _checked(self, path: Path, name: str) -> bytes:
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise WorkspaceError(f"{path}: is missing, so snapshots that hold it can't be used") from None
        if hashlib.sha256(data).hexdigest() != name:
            raise WorkspaceError(f"{path}: is damaged, so snapshots that hold it can't be used")
        return data

    def _write(self, path: Path, data: bytes | memoryview) -> None:
        """Let a file appear whole or not at all."""
        if path.exists():
            return
        path.parent.mkdir(exist_ok=True)
        fd, temporary = tempfile.mkstemp(prefix=".new-", dir=path.parent)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(data)
                file.flush()
                os.fdatasync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink()
            raise

    @contextlib.contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        with (self.folder / ".lock").open("a") as file:
            fcntl.flock(file, kind)
            yield
