"""Files of one box, opened by its init: never by a path on this side, whose symlinks were made inside."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable

from ise_gym.workspace.client.link import Link, naming
from ise_gym.workspace.client.trees import BATCH, PIECE
from ise_gym.workspace.isolation.environment import SEED_TIME
from ise_gym.workspace.values import WORKDIR, FileStat, SeedFile


class Files(Link):
    """The part of a workspace that reads and writes files."""

    def read(self, path: str, offset: int = 0, limit: int | None = None) -> bytes:
        """Read bytes of a regular file; see `Workspace.read`."""
        with naming(path):
            parts: list[bytes] = []
            while limit is None or limit > 0:
                want = PIECE if limit is None else min(limit, PIECE)
                piece = self.request("read", path=path, offset=offset, limit=want).body
                parts.append(piece)
                offset += len(piece)
                if limit is not None:
                    limit -= len(piece)
                if len(piece) < want:
                    break
            return b"".join(parts)

    def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Create or replace a file; see `Workspace.write`."""
        with naming(path):
            for at in range(0, max(1, len(data)), PIECE):
                self.request("write", data[at : at + PIECE], path=path, mode=mode, append=at > 0)

    def remove(self, path: str) -> None:
        """Delete one file or symlink."""
        with naming(path):
            self.request("remove", path=path)

    def list(self, path: str = WORKDIR) -> list[FileStat]:
        """Return the entries of a folder, sorted by name, with absolute paths."""
        with naming(path):
            reply = self.request("list", path=path)
        base = posixpath.join(WORKDIR, path).rstrip("/")
        return [
            FileStat(f"{base}/{name}", kind, int(size), int(mode), target)
            for name, kind, size, mode, target in reply.header["entries"]
        ]

    def stat(self, path: str) -> FileStat | None:
        """Describe a path without following a final symlink; None when there is nothing."""
        with naming(path):
            entry = self.request("stat", path=path).header["entry"]
        if entry is None:
            return None
        kind, size, mode, target = entry
        full = posixpath.join(WORKDIR, path)
        return FileStat(full.rstrip("/") or "/", kind, int(size), int(mode), target)

    def seed(self, files: Iterable[SeedFile]) -> None:
        """Write many files at once, with fixed times."""
        batch: list[SeedFile] = []
        size = 0

        def flush() -> None:
            self.request(
                "seed",
                b"".join(f.content for f in batch),
                files=[[f.path, f.mode, len(f.content)] for f in batch],
                mtime_ns=SEED_TIME * 10**9,
            )

        for file in files:
            batch.append(file)
            size += len(file.content)
            if size > BATCH:
                flush()
                batch, size = [], 0
        if batch:
            flush()
