"""Checks on what lies where: existence, sameness, permissions, file lists and archive members."""

from __future__ import annotations

import fnmatch
import io
import itertools
import posixpath
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ise_gym.checks.base import (
    MAX_BYTES,
    PASSED,
    BaseCheck,
    Unreadable,
    failed,
    judged,
    normal_path,
    read_bytes,
    shown,
)
from ise_gym.foreign.values import Json
from ise_gym.scenario import CheckResult
from ise_gym.workspace.base import SeedFile, Workspace

MAX_ENTRIES = 5000
MAX_UNPACKED = 64 * 1024 * 1024


@dataclass(frozen=True)
class ExistsCheck(BaseCheck):
    """Passes when a file, folder or link is there."""

    shorthand: ClassVar[bool] = True

    def look(self, workspace: Workspace, start: Mapping[str, SeedFile]) -> CheckResult:
        """See `BaseCheck.run`."""
        return PASSED if _stat(workspace, self.path) else failed(f"{self.path} does not exist")


@dataclass(frozen=True)
class AbsentCheck(BaseCheck):
    """Passes when nothing is there, not even a dangling link."""

    shorthand: ClassVar[bool] = True

    def look(self, workspace: Workspace, start: Mapping[str, SeedFile]) -> CheckResult:
        """See `BaseCheck.run`."""
        return failed(f"{self.path} still exists") if _stat(workspace, self.path) else PASSED


@dataclass(frozen=True)
class UnchangedCheck(BaseCheck):
    """Passes when a start file (or every start file below a folder) has its first bytes.

    With ``was`` it is about files that have moved: ``path`` is where they lie now, ``was`` where they lay; of a
    folder, those count that are there now.
    """

    was: str = ""
    shorthand: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.was:
            normal_path(self.was)

    def is_about(self, path: str) -> bool:
        """Return whether the file is the one that had to stay, or lies below it."""
        return bool(self.was) and (path == self.path or path.startswith(self.path.rstrip("/") + "/"))

    def look(self, workspace: Workspace, start: Mapping[str, SeedFile]) -> CheckResult:
        """See `BaseCheck.run`."""
        path = normal_path(self.path)
        was = normal_path(self.was) if self.was else path
        own = {name: file for name, file in start.items() if name == was or name.startswith(was + "/")}
        if not own:
            return failed(f"{was} is none of the files that existed at the start")
        for old, file in sorted(own.items()):
            name = path + old[len(was) :]
            if name != path and was != path and not _stat(workspace, name):
                continue
            if read_bytes(workspace, name, max(MAX_BYTES, len(file.content))) != file.content:
                return failed(f"{name} was changed")
        return PASSED


@dataclass(frozen=True)
class UntouchedCheck(BaseCheck):
    """Passes when a folder holds exactly the files that it held at the start, with the same bytes and permissions.

    ``ignore`` takes glob patterns of what looking leaves behind; Python's own caches are always ignored.
    """

    ignore: Any = ()
    shorthand: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        _texts([self.ignore] if isinstance(self.ignore, str) else self.ignore, "untouched.ignore")

    def look(self, workspace: Workspace, start: Mapping[str, SeedFile]) -> CheckResult:
        """See `BaseCheck.run`."""
        folder = normal_path(self.path)
        patterns = ["__pycache__", "*.pyc", *([self.ignore] if isinstance(self.ignore, str) else self.ignore)]
        own = {name: file for name, file in start.items() if folder == "." or name.startswith(folder + "/")}
        if not own:
            return failed(f"{folder} holds none of the files that existed at the start")
        wanted = sorted(name if folder == "." else name[len(folder) + 1 :] for name in own)
        found = [name for name in _files_below(workspace, folder) if not _ignored(name, patterns)]
        if found != wanted:
            return _same_names(folder, found, wanted)
        for name, file in sorted(own.items()):
            if read_bytes(workspace, name, max(MAX_BYTES, len(file.content))) != file.content:
                return failed(f"{name} was changed")
            if (seen := _stat(workspace, name)) and seen.mode & 0o777 != file.mode & 0o777:
                return failed(f"{name} has other permissions")
        return PASSED


@dataclass(frozen=True)
class ModeCheck(BaseCheck):
    """Passes when the permission bits are the given octal digits."""

    equals: Any

    def __post_init__(self) -> None:
        super().__post_init__()
        int(str(self.equals), 8)

    def look(self, workspace: Workspace, start: Mapping[str, SeedFile]) -> CheckResult:
        """See `BaseCheck.run`."""
        found = _stat(workspace, self.path)
        if not found:
            return failed(f"{self.path} does not exist")
        bits, wanted = found.mode & 0o7777, int(str(self.equals), 8)
        return PASSED if bits == wanted else failed(f"{self.path} has mode {bits:o} instead of {wanted:o}")


@dataclass(frozen=True)
class TreeCheck(BaseCheck):
    """Passes when exactly the given files (and links) lie below a folder; ``ignore`` takes glob patterns."""

    equals: Any
    ignore: Any = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        _texts(self.equals, "tree.equals")
        _texts([self.ignore] if isinstance(self.ignore, str) else self.ignore, "tree.ignore")

    def is_about(self, path: str) -> bool:
        """Return whether the file is one of the tree's."""
        return (
            path.startswith(self.path.rstrip("/") + "/") and posixpath.relpath(path, self.path) in self.equals
        )

    def look(self, workspace: Workspace, start: Mapping[str, SeedFile]) -> CheckResult:
        """See `BaseCheck.run`."""
        patterns = [self.ignore] if isinstance(self.ignore, str) else list(self.ignore)
        found = [name for name in _files_below(workspace, self.path) if not _ignored(name, patterns)]
        return _same_names(self.path, found, sorted(self.equals))


@dataclass(frozen=True)
class ArchiveCheck(BaseCheck):
    """Passes when a tar (plain or compressed) or zip archive has exactly the given files as members.

    Folders among the members and a leading ``./`` don't count. Links count by their own name.
    """

    equals: Any

    def __post_init__(self) -> None:
        super().__post_init__()
        _texts(self.equals, "archive.equals")

    def look(self, workspace: Workspace, start: Mapping[str, SeedFile]) -> CheckResult:
        """See `BaseCheck.run`."""
        return judged(self, read_bytes(workspace, self.path))

    def judge(self, material: bytes) -> CheckResult:
        """Judge the archive's bytes."""
        found = sorted(member_names(material, self.path))
        return _same_names(self.path, found, sorted(self.equals))


def member_names(data: bytes, what: str) -> list[str]:
    """List an untrusted archive's file members without unpacking more than `MAX_UNPACKED` bytes.

    Raises:
        Unreadable: no archive, damaged, or too large when unpacked.
    """
    try:
        if data[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                _refuse_bombs(archive, what)
                if archive.testzip():
                    raise Unreadable(f"{what} is a damaged zip archive")
                names = [info.filename for info in archive.infolist() if not info.is_dir()]
        else:
            if data[:2] == b"\x1f\x8b":
                data = _gunzip(data, what)
            with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
                members = list(itertools.islice(tar, MAX_ENTRIES + 1))
            if len(members) > MAX_ENTRIES:
                raise Unreadable(f"{what} holds more than {MAX_ENTRIES} members")
            names = [member.name for member in members if not member.isdir()]
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError,
            RuntimeError, OSError) as error:  # fmt: skip
        raise Unreadable(f"{what} is no readable tar, tar.gz or zip archive ({error})") from None
    return [name.removeprefix("./") for name in names]


def _refuse_bombs(archive: zipfile.ZipFile, what: str) -> None:
    """Raise `Unreadable` for what unpacks to too much; bzip2 and LZMA members do so whatever size they claim."""
    members = archive.infolist()
    if len(members) > MAX_ENTRIES:
        raise Unreadable(f"{what} holds more than {MAX_ENTRIES} members")
    if sum(info.file_size for info in members) > MAX_UNPACKED:
        raise Unreadable(f"{what} unpacks to more than {MAX_UNPACKED} bytes")
    for info in members:
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Unreadable(
                f"{what} has a member compressed by another method than deflate, which is not read"
            )


def _gunzip(data: bytes, what: str) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    plain = unpacker.decompress(data, MAX_UNPACKED)
    if unpacker.unconsumed_tail:
        raise Unreadable(f"{what} unpacks to more than {MAX_UNPACKED} bytes")
    if not unpacker.eof:
        raise Unreadable(f"{what} is a truncated gzip file")
    return plain


def _stat(workspace: Workspace, path: str) -> Any:
    try:
        return workspace.stat(path)
    except OSError as error:
        raise Unreadable(f"{path} can't be looked at: {error.strerror or error}") from None


def _files_below(workspace: Workspace, path: str) -> list[str]:
    """Return the relative names of all files and links below a folder, sorted; links are not followed."""
    found: list[str] = []
    folders = [""]
    seen = 0
    while folders:
        folder = folders.pop()
        try:
            entries = workspace.list(f"{path}/{folder}" if folder else path)
        except FileNotFoundError:
            raise Unreadable(f"{path} does not exist") from None
        except OSError as error:
            raise Unreadable(f"{path}/{folder} can't be listed: {error.strerror or error}") from None
        for entry in entries:
            seen += 1
            if seen > MAX_ENTRIES:
                raise Unreadable(f"{path} holds more than {MAX_ENTRIES} entries")
            base = entry.path.rstrip("/").rsplit("/", 1)[-1]
            name = f"{folder}/{base}" if folder else base
            (folders if entry.kind == "dir" else found).append(name)
    return sorted(found)


def _ignored(name: str, patterns: list[str]) -> bool:
    return any(
        fnmatch.fnmatch(name, p) or any(fnmatch.fnmatch(x, p) for x in name.split("/")) for p in patterns
    )


def _same_names(path: str, found: list[str], wanted: list[str]) -> CheckResult:
    if found == wanted:
        return PASSED
    if missing := [name for name in wanted if name not in found]:
        return failed(f"{path} lacks {shown(missing[0])} (holds {shown(found)})")
    if extra := [name for name in found if name not in wanted]:
        return failed(f"{path} should not hold {shown(extra[0])}")
    return failed(f"{path} holds {shown(found)} instead of {shown(wanted)}")


def _texts(value: Json, what: str) -> None:
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{what} needs a list of texts, not {shown(value)}")
