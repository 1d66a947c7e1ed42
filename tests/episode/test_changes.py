"""What a step did to the files is named and shown, bounded, and true."""

from __future__ import annotations

import difflib
from typing import Any

import pytest

from ise_gym.episode.changes import (
    CONTEXT,
    DIFF_BYTES,
    FILE_BYTES,
    LINES_MATCHED,
    PATHS_KEPT,
    Contents,
    changes,
    described,
    diff_of,
    flipped,
    held_at_start,
)
from ise_gym.workspace import open_workspace
from ise_gym.workspace.base import Manifest, SeedFile, Workspace


@pytest.fixture
def workspace() -> Any:
    opened = open_workspace("dummy")
    yield opened
    opened.close()


def tree(*paths: str, size: int = 1) -> Manifest:
    return Manifest(dict.fromkeys(paths, ("file", 420, size, "0" * 64)))


def test_created_changed_and_deleted_are_told_apart(workspace: Workspace) -> None:
    start = (SeedFile("a.txt", b"one\ntwo\n"), SeedFile("gone.txt", b"x\n"))
    workspace.seed(start)
    before = workspace.manifest()
    workspace.write("a.txt", b"one\n2\n")
    workspace.write("new/b.bin", b"\0\xff")
    workspace.remove("gone.txt")
    contents = Contents(held_at_start(start))
    found = described(contents, workspace, before, workspace.manifest())
    assert (found.changed, found.deleted) == (["a.txt"], ["gone.txt"])
    assert "new/b.bin" in found.created and found.more is None
    assert found.diffs == {
        "a.txt": "@@ -1,2 +1,2 @@\n one\n-two\n+2",
        "new/b.bin": "binary, 0 → 2 bytes",
    }
    assert set(contents.texts) == {"a.txt", "new/b.bin"}


def test_the_next_diff_is_against_what_the_last_step_left(workspace: Workspace) -> None:
    contents = Contents({})
    trees = [workspace.manifest()]
    shown = []
    for text in (b"1\n", b"1\n2\n", b"2\n"):
        workspace.write("n.txt", text)
        trees.append(workspace.manifest())
        shown.append(described(contents, workspace, trees[-2], trees[-1]).diffs["n.txt"])
    assert shown == ["@@ -0,0 +1 @@\n+1", "@@ -1 +1,2 @@\n 1\n+2", "@@ -1,2 +1 @@\n-1\n 2"]


def test_what_is_not_what_the_manifest_told_of_is_not_shown(workspace: Workspace) -> None:
    before = workspace.manifest()
    workspace.write("log", b"1\n")
    then = workspace.manifest()
    workspace.write("log", b"2\n")  # a background process went on
    assert described(Contents({}), workspace, before, then).diffs == {}
    assert described(None, workspace, before, then).created == ["log"]


def test_a_file_whose_old_content_was_never_seen_is_named_without_a_diff(workspace: Workspace) -> None:
    workspace.write("big", b"x" * (FILE_BYTES + 1))
    before = workspace.manifest()
    workspace.write("big", b"small\n")
    found = described(Contents({}), workspace, before, workspace.manifest())
    assert (found.changed, found.diffs) == (["big"], {})


def test_a_repository_s_own_files_are_one_path() -> None:
    before = tree("r/.git", "r/.git/HEAD", "r/a", "r/.git/objects/aa/1")
    after = tree("r/.git", "r/.git/HEAD", "r/a", "r/.git/objects/bb/2", "new/.git", "new/.git/HEAD")
    found = changes(before, after)
    assert (found.created, found.changed, found.deleted) == (["new/.git"], ["r/.git"], [])


def test_many_paths_are_counted_and_a_step_s_diffs_are_bounded(workspace: Workspace) -> None:
    found = changes(tree(), tree(*(f"f{n:03}" for n in range(PATHS_KEPT + 7))))
    assert (len(found.created), found.more) == (PATHS_KEPT, 7)
    before = workspace.manifest()
    for n in range(9):
        workspace.write(f"t{n}", b"word\n" * 900)
    diffs = described(Contents({}), workspace, before, workspace.manifest()).diffs
    assert sum(map(len, diffs.values())) == DIFF_BYTES


def test_separate_edits_are_separate_hunks_and_long_changes_are_one() -> None:
    lines = [f"{n}\n" for n in range(40)]
    edited = [*lines]
    edited[4], edited[30] = "four\n", "thirty\n"
    text = diff_of("".join(lines).encode(), "".join(edited).encode())
    assert [line for line in text.split("\n") if line.startswith("@@")] == [
        "@@ -2,7 +2,7 @@",
        "@@ -28,7 +28,7 @@",
    ]
    assert [line for line in text.split("\n") if line[0] in "+-"] == ["-4", "+four", "-30", "+thirty"]
    long = diff_of(b"a\n" + b"x\n" * 200 + b"z\n", b"a\n" + b"y\n" * 100 + b"z\n")
    assert long.startswith("@@ -1,202 +1,102 @@\n a\n-x\n") and long.endswith("+y\n z")
    assert diff_of(b"same\n", b"same\n") == ""
    assert diff_of(b"a", b"a\n") == "@@ -1 +1 @@\n-a (no newline at the end)\n+a"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"a\nb\n" * 8000, b"b\na\n" * 8000),
        (b"a\n" * 59, b"b\n" * 59),
        (b"\n" * FILE_BYTES, b"x\n\n" * 10_000),
        (b"ab" * 16_000, b"ba" * 16_000),
    ],
)
def test_no_content_is_matched_line_by_line_at_length(
    old: bytes, new: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    class Watched(difflib.SequenceMatcher):  # type: ignore[type-arg]
        def __init__(self, isjunk: Any, a: Any, b: Any, autojunk: bool = True) -> None:
            sizes.extend((len(a), len(b)))
            super().__init__(isjunk, a, b, autojunk)

    monkeypatch.setattr(difflib, "SequenceMatcher", Watched)
    assert diff_of(old, new)
    assert all(size <= LINES_MATCHED + 2 * CONTEXT for size in sizes)  # its time is their square, or worse


def test_flips_name_what_a_goal_is_now() -> None:
    before = {"a": True, "b": False, "c": True, "dropped": False}
    assert flipped(before, {"a": False, "b": True, "c": True}) == {"a": False, "b": True}
