"""The version of a checkout: whatever decides a score moves its hash, whether or not git knows of the change."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pad_service import SUITE

from ise_gym.errors import UserError
from ise_gym.evaluation.claweval.content import claw_content, shared_claw_content, suite_sha256
from ise_gym.evaluation.claweval.models.judge import parse_judge
from ise_gym.evaluation.claweval.runner import run_claweval
from ise_gym.evaluation.claweval.tasks import load_tasks, open_checkout
from ise_gym.evaluation.content import Content, differing
from ise_gym.evaluation.results.compare import compare
from ise_gym.evaluation.run import load_run

JUDGED = ("T901_file_a_note", "T902zh_judged_note", "T906_inherits", "C901_two_turns")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copytree(SUITE, tmp_path / "bench", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "bench"


def contents(root: Path) -> dict[str, Content]:
    found = {task.id: claw_content(task) for task in load_tasks(root)}
    return {**found, "shared": shared_claw_content(root)}


def version(root: Path) -> str:
    return suite_sha256(open_checkout(root), list(contents(root).values()))


def moved(before: dict[str, Content], after: dict[str, Content]) -> set[tuple[str, str]]:
    return {(name, part) for name in before for part in differing(before[name], after[name])}


def write(file: Path, text: str) -> None:
    """Write a file; its time moves on even where the file system's clock has not."""
    moment = max(file.stat().st_mtime_ns + 1_000_000, time.time_ns())
    file.write_text(text, encoding="utf-8")
    os.utime(file, ns=(moment, moment))


def leaves(inner: Any) -> Iterator[tuple[Any, Any]]:
    """Yield where every plain value of a document stands: a mapping or list, and the key in it."""
    for key in list(inner) if isinstance(inner, dict) else range(len(inner)):
        if isinstance(inner[key], dict | list):
            yield from leaves(inner[key])
        else:
            yield inner, key


def other(value: Any) -> Any:
    """Another value of the same type."""
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int | float) else f"{value}!"


@pytest.mark.parametrize("task", JUDGED)
def test_every_value_of_a_task_counts(checkout: Path, task: str) -> None:
    """Request, tool names, descriptions and schemas, routes, services, limits, persona, patience."""
    file = checkout / "tasks" / task / "task.yaml"
    before, document = contents(checkout), yaml.safe_load(file.read_text())
    seen = 0
    for holder, key in leaves(document):
        old = holder[key]
        if old == task:
            continue  # a task is called as its folder
        holder[key] = other(old)
        write(file, yaml.safe_dump(document, allow_unicode=True, sort_keys=False))
        assert moved(before, {**before, **_of(checkout, task)}) == {(task, "task")}, old
        holder[key] = old
        seen += 1
    assert seen > 25


def _of(root: Path, task: str) -> dict[str, Content]:
    (found,) = (one for one in load_tasks(root) if one.folder.name == task)
    return {task: claw_content(found)}


@pytest.mark.parametrize("task", ["T901_file_a_note", "T902zh_judged_note"])
def test_every_constant_of_a_grader_counts_for_those_that_inherit_it_too(checkout: Path, task: str) -> None:
    file = checkout / "tasks" / task / "grader.py"
    tree = ast.parse(file.read_text())
    before = contents(checkout)
    heirs = {("T906_inherits", "checks")} if task == "T901_file_a_note" else set()
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert len(constants) >= 4
    for node in constants:
        old = node.value
        node.value = other(old)
        write(file, ast.unparse(tree))
        assert moved(before, contents(checkout)) == {(task, "checks"), *heirs}, old
        node.value = old


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("tasks/T906_inherits/expected.txt", ("T906_inherits", "task")),
        ("mock_services/pad/server.py", ("shared", "services")),
        ("mock_services/pad/notes.json", ("shared", "services")),
        ("src/claw_eval/graders/llm_judge.py", ("shared", "benchmark")),
        ("src/claw_eval/runner/user_agent.py", ("shared", "benchmark")),
        ("src/claw_eval/models/scoring.py", ("shared", "benchmark")),
    ],
)
def test_fixtures_services_prompts_and_scoring_count(
    checkout: Path, name: str, part: tuple[str, str]
) -> None:
    before, was = contents(checkout), version(checkout)
    write(checkout / name, (checkout / name).read_text() + "\n")
    assert moved(before, contents(checkout)) == {part}
    assert version(checkout) != was
    write(checkout / name, (checkout / name).read_text()[:-1])
    assert version(checkout) == was


def test_what_python_leaves_behind_counts_for_nothing(checkout: Path) -> None:
    was = version(checkout)
    for folder in ("src/claw_eval", "mock_services/pad", "tasks/T901_file_a_note"):
        (checkout / folder / "__pycache__").mkdir()
        (checkout / folder / "__pycache__" / "x.cpython-311.pyc").write_bytes(b"1")
    assert version(checkout) == was


def git(root: Path, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(root), *who, *arguments], check=True, capture_output=True)


def test_two_edits_of_one_commit_are_two_versions(checkout: Path) -> None:
    git(checkout, "init", "-q")
    git(checkout, "add", "-A")
    git(checkout, "commit", "-q", "-m", "all")
    seen = {version(checkout)}
    grader = checkout / "tasks" / "T901_file_a_note" / "grader.py"
    whole = grader.read_text()
    for threshold in ("0.75", "0.8"):
        write(grader, whole.replace("0.5 *", f"{threshold} *"))
        assert open_checkout(checkout).version.endswith("+changes")
        seen.add(version(checkout))
    write(grader, whole)
    seen.add(version(checkout))
    assert len(seen) == 3


def test_a_run_of_an_edited_checkout_is_neither_resumed_nor_compared(checkout: Path, tmp_path: Path) -> None:
    def play(out: str) -> None:
        run_claweval(checkout, "explorer", tmp_path / out, tasks="T901", judge=parse_judge("none"))

    play("a")
    assert load_run(tmp_path / "a").card.tasks[0].content
    play("a")
    grader = checkout / "tasks" / "T901_file_a_note" / "grader.py"
    write(grader, grader.read_text().replace("0.5 *", "0.9 *"))
    with pytest.raises(UserError, match="1 tasks are no longer what they were, for example T901_file_a_note"):
        play("a")
    play("b")
    with pytest.raises(UserError, match="different versions"):
        compare(tmp_path / "a", tmp_path / "b")
