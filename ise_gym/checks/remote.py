"""A check on a git remote: which files and which history somebody who clones it would get."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ise_gym.checks.base import PASSED, BaseCheck, Unreadable, decode, failed, shown
from ise_gym.checks.command import ENVIRONMENT
from ise_gym.checks.content import ABSENT, strings, text_problem, trimmed
from ise_gym.scenario import CheckResult
from ise_gym.services.git import repository
from ise_gym.services.host import services_of
from ise_gym.workspace.base import SeedFile, Workspace


@dataclass(frozen=True)
class RemoteCheck(BaseCheck):
    """Passes when a branch of a repository holds these files and this history.

    ``files`` maps paths to their text (trailing whitespace is ignored), ``contains`` paths to one or more texts;
    ``lacks`` names paths that must not be there. ``subject`` is the last commit's first line, ``commits`` how many
    commits the branch has, ``has_commit`` first lines that must occur in its history. ``branch_exists: false``:
    there must be no such branch.
    """

    path: str = "."
    host: str = ""
    repo: str = ""
    branch: str = "main"
    branch_exists: bool = True
    files: Any = ABSENT
    contains: Any = ABSENT
    lacks: Any = ()
    subject: Any = ABSENT
    commits: int = -1
    has_commit: Any = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.host or not self.repo:
            raise ValueError("remote needs `host` and `repo`")
        for name in ("files", "contains"):
            if getattr(self, name) is not ABSENT and not isinstance(getattr(self, name), Mapping):
                raise ValueError(f"remote: `{name}` maps paths to texts")

    def look(self, workspace: Workspace, start: Mapping[str, SeedFile]) -> CheckResult:
        """See `BaseCheck.run`."""
        host = services_of(workspace)
        served = [s for s in host.specs if s.kind == "git" and s.host == self.host] if host else []
        if not served:
            raise Unreadable(f"no git server answers to {self.host}")
        tip = self._git(workspace, "rev-parse", "--verify", "-q", f"refs/heads/{self.branch}")
        if (tip is None) == self.branch_exists:
            return failed(f"{self.repo} has {'no' if self.branch_exists else 'a'} branch {self.branch}")
        if tip is None:
            return PASSED
        branch = tip.strip()
        for path, text in ({} if self.files is ABSENT else self.files).items():
            found = self._git(workspace, "cat-file", "blob", f"{branch}:{path}")
            if found is None or trimmed(found) != trimmed(str(text)):
                return failed(f"{self.branch}:{path} is {shown(found)} instead of {shown(text)}")
        for path, texts in ({} if self.contains is ABSENT else self.contains).items():
            found = self._git(workspace, "cat-file", "blob", f"{branch}:{path}")
            problem = "is not there" if found is None else text_problem(found, contains=texts)
            if problem:
                return failed(f"{self.branch}:{path} {problem}")
        for path in strings(self.lacks, "lacks"):
            if self._git(workspace, "cat-file", "-e", f"{branch}:{path}") is not None:
                return failed(f"{self.branch}:{path} is there")
        history = (self._git(workspace, "log", "--format=%s", branch) or "").splitlines()
        if self.subject is not ABSENT and history[:1] != [str(self.subject).strip()]:
            return failed(f"the last commit of {self.branch} is {shown(history[:1])}")
        if self.commits >= 0 and len(history) != self.commits:
            return failed(f"{self.branch} has {len(history)} commits instead of {self.commits}")
        for wanted in strings(self.has_commit, "has_commit"):
            if wanted not in history:
                return failed(f"{self.branch} has no commit {shown(wanted)}: {shown(history)}")
        return PASSED

    def _git(self, workspace: Workspace, *arguments: str) -> str | None:
        """Run git on the bare repository, with none of the agent's settings; None when it fails."""
        folder = repository(self.host, self.repo)
        argv = ["/usr/bin/git", "--git-dir", folder, *arguments]
        result = workspace.exec(argv, env=ENVIRONMENT, timeout=30.0, merge=False, sweep=True)
        return decode(result.output, f"the output of git {arguments[0]}") if result.ok else None
