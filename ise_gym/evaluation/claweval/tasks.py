"""Reads a Claw-Eval checkout without importing any of it: which tasks there are and what each one needs.

What is read here decides what is played and how results are grouped; the tasks themselves are played by the
checkout's own code in a worker process.
"""

from __future__ import annotations

import ast
import fnmatch
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ise_gym.errors import UserError, nearest

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The C loader reads the same, ten times as fast."""

_LIVE = "liveclaw_500"
"""The package of Claw-Eval-Live, which grew out of this benchmark."""
SPLITS = {"T": "general", "C": "multi-turn", "M": "multimodal"}
"""First letter of a task's folder → what the benchmark calls it. Its own tags and filters select otherwise."""


class _Tolerant(BaseModel):
    model_config = ConfigDict(extra="allow")


class Prompt(_Tolerant):
    """What the user asks."""

    text: str = ""
    language: str = ""
    attachments: list[str] = Field(default_factory=list)


class Service(_Tolerant):
    """One mock service: how it is started and found."""

    name: str
    command: str
    port: int
    health_check: str = ""
    health_check_method: str = "POST"
    reset_endpoint: str | None = None
    env: dict[str, str] = Field(default_factory=dict)


KNOWN_ENVIRONMENT = frozenset(
    {"timeout_seconds", "max_turns", "mock_today", "fixtures", "env_snapshot_timeout", "sandbox_tools"}
    | {"enable_todo", "todo_nag_rounds", "enable_compact", "compact_keep_recent", "compact_min_chars"}
    | {"compact_threshold_pct", "compact_keep_recent_on_summary", "compact_protect_tokens"}
    | {"compact_max_auto_compacts"}
)
"""Keys of a task's environment up to 39b27dc. A newer one may change what a task means without anybody noticing, as
``mock_today`` did, so tasks with others are left out."""


class Environment(_Tolerant):
    """Limits of one task, and the day on which it plays.

    ``mock_today`` (YYYY-MM-DD, since April 2026): services shift no dates and count from this day, and the agent is
    told it.
    """

    timeout_seconds: int = 300
    max_turns: int = 20
    mock_today: str | None = None

    @property
    def unknown(self) -> list[str]:
        """Keys that this version does not know."""
        return sorted((self.model_extra or {}).keys() - KNOWN_ENVIRONMENT)


class UserAgent(_Tolerant):
    """The simulated user of multi-turn tasks."""

    enabled: bool = False
    persona: str = ""
    max_rounds: int = 3
    system_prompt_suffix: str = ""


class TaskFile(_Tolerant):
    """The part of a ``task.yaml`` that this project reads; everything else is kept and ignored."""

    task_id: str
    task_name: str = ""
    category: str = ""
    difficulty: str = ""
    tags: list[str] = Field(default_factory=list)
    prompt: Prompt = Field(default_factory=Prompt)
    services: list[Service] = Field(default_factory=list)
    environment: Environment = Field(default_factory=Environment)
    user_agent: UserAgent = Field(default_factory=UserAgent)
    env_snapshot_files: list[str] = Field(default_factory=list)
    env_snapshot_commands: list[str] = Field(default_factory=list)


@dataclass(frozen=True)
class ClawTask:
    """One task of a checkout.

    Attributes:
        folder: where it lives; ``file``: its task.yaml.
        needs_sandbox: it is graded on files or commands in a sandbox.
        live_web: one of its services goes to the real web.
    """

    folder: Path
    file: TaskFile

    @cached_property
    def uses_judge(self) -> bool:
        """Whether its grader, or one that it inherits from, may ask a judge model."""
        return uses_judge(self.folder)

    @property
    def id(self) -> str:
        """The folder's name, which is the task's id."""
        return self.folder.name

    @property
    def split(self) -> str:
        """T, C or M."""
        return self.id[:1]

    @property
    def needs_sandbox(self) -> bool:
        """Whether it is graded on what stands in a sandbox."""
        return bool(self.file.env_snapshot_files or self.file.env_snapshot_commands)

    @property
    def live_web(self) -> bool:
        """Whether one of its services goes to the real web."""
        return any("web_real" in service.command for service in self.file.services)

    def labels(self) -> dict[str, str]:
        """What results are grouped by."""
        found = {
            "split": SPLITS.get(self.split, self.split),
            "category": self.file.category,
            "difficulty": self.file.difficulty,
            "language": self.file.prompt.language,
        }
        return {name: value for name, value in found.items() if value}


@dataclass(frozen=True)
class Checkout:
    """A checkout of the benchmark.

    Attributes:
        root: its folder. ``commit``: "" when it is not a git work tree. ``dirty``: files differ from the commit.
    """

    root: Path
    commit: str
    dirty: bool

    @property
    def version(self) -> str:
        """Commit, marked when the work tree differs from it."""
        return (self.commit or "unknown") + ("+changes" if self.dirty else "")


def open_checkout(path: str | Path) -> Checkout:
    """Check that a folder is a checkout of the benchmark.

    Raises:
        UserError: it is not; says what is missing.
    """
    root = Path(path).expanduser().resolve()
    if (root / "src" / _LIVE).is_dir():
        raise UserError(
            f"{path} is a checkout of Claw-Eval-Live. Its tasks are laid out like Claw-Eval's, but their graders "
            f"need its own package, {_LIVE}, and score in another way (completion alone); only Claw-Eval is played."
        )
    missing = [part for part in ("src/claw_eval", "tasks") if not (root / part).is_dir()]
    if missing:
        raise UserError(
            f"{path} is not a checkout of Claw-Eval: {' and '.join(missing)} missing. Clone "
            "github.com/claw-eval/claw-eval and give its folder. (The PyPI package named claw-eval is a "
            "different project.)"
        )
    commit = _git(root, "rev-parse", "HEAD")
    # Deleted files are not edits: large fixtures are often left out of a checkout.
    changed = [
        line
        for line in _git(root, "status", "--porcelain").splitlines()
        if line[:2].strip() not in ("D", "??")
    ]
    return Checkout(root, commit, bool(changed))


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    # A checkout inside another repository has no commit of its own.
    top = root / ".git"
    return done.stdout.strip() if done.returncode == 0 and top.exists() else ""


def load_tasks(root: Path) -> list[ClawTask]:
    """Read every task folder of a checkout, by id.

    Raises:
        UserError: a task.yaml that can't be read, naming file and field, or a folder without a grader.
    """
    folders = sorted(p.parent for p in (root / "tasks").glob("*/task.yaml"))
    if not folders:
        raise UserError(f"{root / 'tasks'}: there are no task folders.")
    tasks = [ClawTask(folder, _read(folder / "task.yaml")) for folder in folders]
    for folder in folders:
        if not (folder / "grader.py").is_file():
            raise UserError(f"{folder}: it has a task.yaml but no grader.py; a Claw-Eval task has both.")
    return tasks


def _read(file: Path) -> TaskFile:
    try:
        return TaskFile.model_validate(yaml.load(file.read_text(encoding="utf-8"), Loader=_LOADER))
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{file}: {'.'.join(str(p) for p in first['loc'])}: {first['msg']}.") from error
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{file}: can't be read ({error}).") from error


_PEER = re.compile(r"load_peer_grader\(\s*[\"']([^\"']+)[\"']")


def uses_judge(folder: Path) -> bool:
    """Tell from a grader's source whether it may ask a judge, following graders that it inherits from.

    Handing the judge on to ``super().grade`` is no use of it; handing it to anything else counts.
    """
    return any(
        _touches_judge(node)
        for grader in graders_of(folder)
        for node in ast.walk(ast.parse(grader.read_text(encoding="utf-8")))
    )


def graders_of(folder: Path) -> list[Path]:
    """Return a task's grader and those that it inherits from, as files, its own first."""
    found: dict[Path, None] = {}
    waiting = [folder / "grader.py"]
    while waiting:
        file = waiting.pop(0)
        if file not in found and file.is_file():
            found[file] = None
            peers = _PEER.findall(file.read_text(encoding="utf-8"))
            waiting += [folder.parent / peer / "grader.py" for peer in peers]
    return list(found)


def _touches_judge(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return isinstance(node.value, ast.Name) and node.value.id == "judge"
    if isinstance(node, ast.Call) and ast.unparse(node.func) != "super().grade":
        handed = [*node.args, *(keyword.value for keyword in node.keywords)]
        return any(isinstance(value, ast.Name) and value.id == "judge" for value in handed)
    return False


def _short(task_id: str) -> set[str]:
    """Return what an id is called for short: T039zh_onboarding → T039 and T039zh."""
    match = re.match(r"[A-Z]\d+", task_id)
    return {task_id.partition("_")[0], match[0] if match else task_id}


def select(tasks: Sequence[ClawTask], selection: str) -> list[ClawTask]:
    """Choose tasks.

    Args:
        tasks: all of them.
        selection: a split (T, C, M), a tag (general), a file with one id a line, a glob over ids, or ids and
            globs joined by commas.

    Raises:
        UserError: nothing is chosen, or an id is unknown (with the nearest).
    """
    if selection in SPLITS:
        return [task for task in tasks if task.split == selection]
    tags = {tag for task in tasks for tag in task.file.tags}
    if selection in tags:
        return [task for task in tasks if selection in task.file.tags]
    file = Path(selection)
    if "," not in selection and file.is_file():  # a long list of ids is not a file's name
        lines = (line.partition("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines())
        patterns = [line for line in lines if line]
    else:
        patterns = [part.strip() for part in selection.split(",") if part.strip()]
    known = {task.id: task for task in tasks}
    chosen: dict[str, ClawTask] = {}
    for pattern in patterns:
        found = fnmatch.filter(known, pattern) or [id_ for id_ in known if pattern in _short(id_)]
        if not found:
            hint = nearest(pattern, [*known, *SPLITS, *tags])
            raise UserError(f"no task matches '{pattern}'.{hint} Give T, C, M, a tag, a file, ids or a glob.")
        chosen.update((id_, known[id_]) for id_ in found)
    if not chosen:
        raise UserError(f"'{selection}' selects no task.")
    return list(chosen.values())
