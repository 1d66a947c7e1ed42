"""Leaves a workspace as wrong agents would have, and asks the checks: what do they let pass?

It runs right after the expert has done a request and its checks hold. Every file that the request is about is
damaged in each of the ways of `ise_gym.proving.mutants`, one at a time, and put back; sent messages and
calendars likewise (`ise_gym.proving.service_mutants`). Files that only the expert needed are left alone.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from ise_gym.checks.base import BaseCheck, mentions
from ise_gym.checks.heard import look_at
from ise_gym.proving.mutants import asks_for_order, content_mutants, is_program
from ise_gym.proving.service_mutants import damaged_services
from ise_gym.scenario import Check, Request
from ise_gym.services.host import services_of
from ise_gym.workspace.base import Diff, Manifest, SeedFile, Snapshot, Workspace, diff_manifests

MOST_BYTES = 1 << 20
_NEVER = re.compile(r"(?:^|/)(?:__pycache__|\.pytest_cache)(?:/|$)|\.pyc$")

_AMEND = """\
old=$(git rev-parse HEAD) &&
git -c user.name=Somebody -c user.email=somebody@else.example -c core.hooksPath=/dev/null \\
    commit --quiet --all --amend --no-edit --allow-empty &&
for tag in $(git tag --points-at "$old"); do git tag --force "$tag" > /dev/null; done
"""
"""Puts a damaged file into the last commit, and tags along with it."""


@dataclass
class Known:
    """What files held at some moment, by path; kept on the harness side so that it can be put back."""

    contents: dict[str, bytes] = field(default_factory=dict)

    def update(self, workspace: Workspace, manifest: Manifest, diff: Diff) -> None:
        """Read what was created or changed, and forget what is gone; git's own files are not read."""
        for path in diff.deleted:
            self.contents.pop(path, None)
        inside = _repositories(manifest)
        for path in (*diff.created, *diff.changed):
            kind, _, size, _ = manifest.entries[path]
            if kind == "file" and size <= MOST_BYTES and not _below(path, inside):
                self.contents[path] = workspace.read(path)


@dataclass(frozen=True)
class Outcome:
    """How many wrong answers were tried on a request, and which of them all checks let pass."""

    made: int
    survivors: tuple[str, ...]
    contents: Mapping[str, bytes]
    """What the files that were damaged hold when they are right, by their place among them."""


class Damage:
    """One request, done by the expert, in its workspace.

    Args:
        workspace: as the expert left it.
        start: the start files.
        request: what was asked; its checks hold.
        before, known: the tree and its contents before the request.
        earlier: the snapshot that belongs to ``before``.
        root: the folder of this instance.
        other: `Outcome.contents` of the same request in another instance, with its root.
        standing: checks of earlier requests, which have to hold on as well.
        said: what the expert said to the user.
    """

    def __init__(
        self,
        workspace: Workspace,
        start: Mapping[str, SeedFile],
        request: Request,
        root: str,
        before: Manifest,
        known: Known,
        earlier: Snapshot,
        other: tuple[str, Mapping[str, bytes]] = ("", {}),
        standing: Sequence[Check] = (),
        said: Sequence[str] = (),
    ) -> None:
        self.workspace, self.start, self.request, self.root = workspace, start, request, root
        self.before, self.known, self.earlier, self.other = before, known, earlier, other
        self.said = said
        self.after = workspace.manifest()
        self.diff = diff_manifests(before, self.after)
        self.checks = [check for goal in request.subgoals for check in goal.checks]
        # One check that fails is enough, so the cheap ones are asked first: a command starts a process each time.
        self.in_order = sorted(
            (*self.checks, *standing), key=lambda check: bool(getattr(check, "dear", False))
        )
        self.wordings = [text for texts in request.wordings.values() for text in texts]
        self.repositories = _repositories(self.after)
        touched = (*self.diff.created, *self.diff.changed, *self.diff.deleted)
        self.moved = [folder for folder in self.repositories if _holds_ref(folder, touched)]
        self.made = 0
        self.survivors: list[str] = []

    def assess(self) -> Outcome:
        """Try every wrong answer; the workspace's files are as before afterwards."""
        final = Known(dict(self.known.contents))
        final.update(self.workspace, self.after, self.diff)
        outputs = self._outputs(final)
        ordered = asks_for_order(self.wordings)
        for place, path in outputs.items():
            self._damage_file(place, path, final.contents[path], ordered)
        self._unnamed_changes(final, set(outputs.values()))
        self._kept_files()
        host = services_of(self.workspace)
        if host is not None:
            for what in damaged_services(host, self.earlier.services):
                self._try(what)
        self._unrecorded_work(final)
        contents = {place: final.contents[path] for place, path in outputs.items()}
        return Outcome(self.made, tuple(self.survivors), contents)

    def _outputs(self, final: Known) -> dict[str, str]:
        """Return the files that were made or changed and that checks or all wordings name: place → path."""
        found = []
        for path in (*self.diff.created, *self.diff.changed):
            named = any(is_about(check, path) for check in self.checks)
            asked = all(path in text for text in self.wordings)
            same = path in self.before.entries and self.before.entries[path][3] == self.after.entries[path][3]
            if path in final.contents and not same and not _NEVER.search(path) and (named or asked):
                found.append(path)
        return {f"{self.request.name.rsplit('/', 1)[-1]}:{n}": path for n, path in enumerate(sorted(found))}

    def _damage_file(self, place: str, path: str, final: bytes, ordered: bool) -> None:
        mode = self.after.entries[path][1]
        repository = next((folder for folder in self.moved if _tracks(folder, path)), "")
        done = self.workspace.snapshot() if repository else None
        self.workspace.remove(path)
        self._try(f"{path} is not there", repository)
        if not repository:
            beside = _neighbour(path)
            self.workspace.write(beside, final, mode)
            self._try(f"{path} is called {posixpath.basename(beside)}")
            self.workspace.remove(beside)
        first = self.known.contents.get(path)
        theirs = self.other[1].get(place)
        if theirs is not None:
            theirs = theirs.replace(self.other[0].encode(), self.root.encode())
        for mutant in content_mutants(path, final, first, theirs, ordered):
            self._put(path, mutant.content, mode)
            self._try(f"{path} {mutant.what}", repository)
        if done is not None:
            self.workspace.restore(done)
        self._put(path, final, mode)
        if mode & 0o111 and is_program(path, final) and self._asks_to_be_executable(path):
            self._set_mode(path, mode & ~0o111)
            self._try(f"{path} is not executable")
            self._set_mode(path, mode)

    def _asks_to_be_executable(self, path: str) -> bool:
        return all(re.search(r"\bexecutable|\bchmod|\+x\b", text) for text in self.wordings)

    def _unnamed_changes(self, final: Known, done: set[str]) -> None:
        """Undo each change of a start file that was asked for but no check names, and each change of permissions."""
        for path in self.diff.changed:
            old, new = self.before.entries[path], self.after.entries[path]
            if old[0] != "file" or new[0] != "file" or _below(path, self.repositories):
                continue
            asked = path not in done and path in final.contents and self._asked_for(path)
            if old[3] != new[3] and asked and not self._tracked(path):
                self._put(path, self.known.contents[path], new[1])
                self._try(f"{path} is as it was before")
                self._put(path, final.contents[path], new[1])
            if old[1] != new[1]:
                self._set_mode(path, old[1])
                self._try(f"{path} has its old mode {old[1]:o}")
                self._set_mode(path, new[1])

    def _asked_for(self, path: str) -> bool:
        """Whether every wording names the file or a folder that it lies in (the instance's own apart)."""
        places = [path]
        while "/" in posixpath.dirname(places[-1]):
            places.append(posixpath.dirname(places[-1]))
        return all(any(mentions(text, place) for place in places) for text in self.wordings)

    def _kept_files(self) -> None:
        """Bring back each file that was deleted or moved away."""
        for path in self.diff.deleted:
            content = self.known.contents.get(path)
            if content is None or _NEVER.search(path) or self._tracked(path):
                continue
            parents = self._missing_parents(path)
            self.workspace.write(path, content, self.before.entries[path][1])
            self._try(f"{path} is still there")
            self.workspace.remove(path)
            if parents:
                self.workspace.exec(["rmdir", "-p", "--", parents[-1]], cwd=f"/workspace/{parents[0]}")

    def _missing_parents(self, path: str) -> tuple[str, str] | None:
        """Return (folder that exists, path from there to the file's folder) where folders have to be made."""
        folder = posixpath.dirname(path)
        existing = folder
        while existing and existing not in self.after.entries:
            existing = posixpath.dirname(existing)
        return None if existing == folder else (existing, posixpath.relpath(folder, existing or "."))

    def _unrecorded_work(self, final: Known) -> None:
        """Where branches or tags moved: the files as they are, their repositories as before (nothing committed)."""
        if not self.moved:
            return
        done = self.workspace.snapshot()
        self.workspace.restore(self.earlier)
        for path in self.diff.deleted:
            if path in self.known.contents:
                self.workspace.remove(path)
        for path in (*self.diff.created, *self.diff.changed):
            if path in final.contents:
                self._put(path, final.contents[path], self.after.entries[path][1])
        self._try("the files are right but nothing was committed")
        self.workspace.restore(done)

    def _tracked(self, path: str) -> bool:
        """Whether a file lies in a work tree, where the commits count and not the files."""
        return any(_tracks(folder, path) for folder in self.repositories)

    def _put(self, path: str, content: bytes, mode: int) -> None:
        """Write a file anew: one that may not be written can still be replaced."""
        with suppress(FileNotFoundError):
            self.workspace.remove(path)
        self.workspace.write(path, content, mode)

    def _set_mode(self, path: str, mode: int) -> None:
        self.workspace.exec(["chmod", f"{mode:o}", "--", path])

    def _try(self, what: str, repository: str = "") -> None:
        """Count a wrong answer, and note it when every check holds; with a repository it is committed first."""
        self.made += 1
        if repository:
            self.workspace.exec(["bash", "-c", _AMEND], cwd=f"/workspace/{posixpath.dirname(repository)}")
        if all(look_at(check, self.workspace, self.start, self.said).passed for check in self.in_order):
            self.survivors.append(f"{self.request.name}: every check holds although {what}")


def is_about(check: Check, path: str) -> bool:
    """Return what a check says of itself; one that is no `BaseCheck` is asked nothing."""
    return isinstance(check, BaseCheck) and check.is_about(path)


def _neighbour(path: str) -> str:
    """Return a name that somebody could have chosen instead.

    >>> _neighbour("a/report.md"), _neighbour("a/.env")
    ('a/report-1.md', 'a/.env-1')
    """
    stem, suffix = posixpath.splitext(path)
    return f"{stem}-1{suffix}"


def _repositories(manifest: Manifest) -> list[str]:
    """Return the folders that hold a git repository's own files (``x/.git``, or a bare one)."""
    paths = manifest.entries
    heads = (path[: -len("/HEAD")] for path in paths if path.endswith("/HEAD"))
    return [folder for folder in heads if f"{folder}/objects" in paths and f"{folder}/refs" in paths]


def _tracks(repository: str, path: str) -> bool:
    """Return whether a file lies in the work tree of a repository that is no bare one."""
    tree, name = posixpath.split(repository)
    return name == ".git" and path.startswith(tree + "/")


def _holds_ref(repository: str, paths: tuple[str, ...]) -> bool:
    kept = (f"{repository}/HEAD", f"{repository}/packed-refs")
    return any(path in kept or path.startswith(f"{repository}/refs/") for path in paths)


def _below(path: str, folders: list[str]) -> bool:
    return any(path.startswith(folder + "/") for folder in folders)
