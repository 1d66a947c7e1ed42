"""Git remotes: bare repositories in the box, cloned and pushed to under an ordinary ``http://`` address.

They lie below the home folder and git is told (``insteadOf``) to reach the address there. So git itself does all the
work, everything is saved with the box, and no server has to parse packs that an agent made. Histories are imported
with fixed names and dates: the same data give the same commit ids.
"""

from __future__ import annotations

import time
from calendar import timegm
from collections.abc import Mapping, Sequence
from typing import Annotated, Protocol

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ise_gym.errors import WorkspaceError
from ise_gym.foreign.values import Json
from ise_gym.services.models import Host, Slug
from ise_gym.workspace.base import HOME, WORKDIR, ExecResult

SERVER = f"{HOME}/.git-server"
"""Where the bare repositories lie: ``HOST/NAME.git``."""

Branch = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")]

_HOOK = """#!/bin/sh
# Refuses the first pushes while the server is "busy", and every direct push to a protected branch.
left=$(cat busy 2>/dev/null || echo 0)
if [ "$left" -gt 0 ]; then
  echo $((left - 1)) > busy
  echo "The server is busy: try again." >&2
  exit 1
fi
while read -r old new ref; do
  if grep -qxF "${ref#refs/heads/}" protected; then
    echo "${ref#refs/heads/} is protected: push a branch and ask for a review." >&2
    exit 1
  fi
done
"""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ChangeModel(_Model):
    """One file of a commit: its new text, or ``delete``."""

    path: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.][^\n\"\\]*$")]
    text: str | None = None
    delete: bool = False

    @model_validator(mode="after")
    def _either(self) -> ChangeModel:
        if (self.text is None) != self.delete:
            raise ValueError(f"{self.path}: give either text or delete")
        return self


class CommitModel(_Model):
    """One commit, on top of the one before it on its ``branch`` (a new branch starts from ``onto``)."""

    summary: str
    author: str = "Sam Hill"
    email: str = "sam.hill@team.example"
    date: Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d$")]
    branch: Branch | None = None
    onto: Branch | None = None
    files: list[ChangeModel] = Field(min_length=1)


class CloneModel(_Model):
    """A clone that is there at the start; ``behind`` so many commits of the remote, which then conflict or not."""

    path: str
    behind: Annotated[int, Field(ge=0)] = 0


class RepoModel(_Model):
    """One repository; pushes to ``protected`` branches are refused, and the first ``busy`` pushes whatever they are."""

    name: Slug
    branch: Branch = "main"
    commits: list[CommitModel] = Field(min_length=1)
    protected: list[Branch] = Field(default_factory=list)
    busy: Annotated[int, Field(ge=0)] = 0
    clone: CloneModel | None = None

    @model_validator(mode="after")
    def _enough(self) -> RepoModel:
        if self.clone is not None and self.clone.behind >= len(self.commits):
            raise ValueError(f"{self.name}: the clone can't be behind all {len(self.commits)} commits")
        return self


class GitModel(_Model):
    """A git server under one host name."""

    host: Host
    repos: list[RepoModel] = Field(min_length=1)


class Box(Protocol):
    """What is needed of a workspace."""

    def exec(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        cwd: str = WORKDIR,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
        merge: bool = True,
    ) -> ExecResult:
        """Run a process inside."""
        ...

    def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Write a file inside."""
        ...


def repository(host: str, name: str) -> str:
    """Return where a repository lies in the box."""
    return f"{SERVER}/{host}/{name.removesuffix('.git')}.git"


def install(box: Box, data: Mapping[str, Json]) -> None:
    """Make a server's repositories and clones in a fresh box.

    Raises:
        WorkspaceError: git is missing there, or failed.
    """
    server = GitModel.model_validate(data)
    base = f"{SERVER}/{server.host}/"
    _git(box, "config", "--global", f"url.{base}.insteadOf", f"http://{server.host}/")
    for repo in server.repos:
        folder = repository(server.host, repo.name)
        _git(box, "init", "-q", "--bare", "-b", repo.branch, folder)
        behind = repo.clone.behind if repo.clone else 0
        known: set[str] = set()
        early = repo.commits[: len(repo.commits) - behind]
        _git(box, "-C", folder, "fast-import", "--quiet", stdin=import_stream(repo, early, known))
        if repo.clone is not None:
            _git(box, "clone", "-q", f"http://{server.host}/{repo.name}.git", repo.clone.path)
        if late := repo.commits[len(early) :]:
            _git(box, "-C", folder, "fast-import", "--quiet", stdin=import_stream(repo, late, known))
        box.write(f"{folder}/protected", "".join(f"{name}\n" for name in repo.protected).encode())
        if repo.busy:
            box.write(f"{folder}/busy", f"{repo.busy}\n".encode())
        box.write(f"{folder}/hooks/pre-receive", _HOOK.encode(), 0o755)


def import_stream(repo: RepoModel, commits: Sequence[CommitModel], known: set[str]) -> bytes:
    """Write commits as git-fast-import(1) reads them; ``known`` holds the branches there are, and is added to."""
    parts: list[bytes] = []
    here: set[str] = set()  # branches that this very stream made: git looks elsewhere for a name with ^0
    for commit in commits:
        branch = commit.branch or repo.branch
        seconds = timegm(time.strptime(commit.date, "%Y-%m-%dT%H:%M"))
        who = f"{commit.author} <{commit.email}> {seconds} +0000"
        parts.append(f"commit refs/heads/{branch}\nauthor {who}\ncommitter {who}\n".encode())
        parts.append(_data(commit.summary + "\n"))
        base = branch if branch in known else (commit.onto or repo.branch) if known else ""
        if base and (base != branch or branch not in here):
            parts.append(f"from refs/heads/{base}{'' if base in here else '^0'}\n".encode())
        known.add(branch)
        here.add(branch)
        for change in commit.files:
            if change.text is None:
                parts.append(f"D {change.path}\n".encode())
            else:
                parts.append(f"M 100644 inline {change.path}\n".encode() + _data(change.text))
        parts.append(b"\n")
    return b"".join(parts)


def _data(text: str) -> bytes:
    raw = text.encode()
    return b"data %d\n%s\n" % (len(raw), raw)


def _git(box: Box, *arguments: str, stdin: bytes = b"") -> None:
    result = box.exec(["git", *arguments], stdin=stdin, timeout=60.0)
    if not result.ok:
        raise WorkspaceError(
            f"git {' '.join(arguments)[:120]} failed in the box: {result.output[-300:].decode('utf-8', 'replace')}"
        )
