"""Patches and edits: placed where they say, refused where that is unclear, and never slow."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made.shapes import SHAPES, filled

from ise_gym.tools.files.edit import EditError, Replacement, apply_edits
from ise_gym.tools.files.encoded import encoding_problem
from ise_gym.tools.files.patch import apply_hunks, parse_patch
from ise_gym.tools.files.placing import PatchError

PATCH_S = 1.0
KITCHEN = """class Kettle:
    def run(self):
        start()
        return 1

    def stop(self):
        return 0


class Toaster:
    def run(self):
        start()
        return 1

    def stop(self):
        return 0
"""


def patched(text: str, *lines: str) -> str:
    source = "\n".join(["*** Begin Patch", "*** Update File: f", *lines, "*** End Patch"])
    (change,) = parse_patch(source)
    return apply_hunks(text, change.hunks)


def changed_lines(text: str, *lines: str) -> list[int]:
    made = patched(text, *lines).split("\n")
    return [n for n, (a, b) in enumerate(zip(text.split("\n"), made, strict=False), 1) if a != b]


@pytest.mark.parametrize(
    ("lines", "where"),
    [
        (
            (
                "@@ class Toaster:",
                "@@     def run(self):",
                "         start()",
                "-        return 1",
                "+        return 2",
            ),
            [13],
        ),
        (("@@ class Toaster:", "@@ def run(self):", "-        return 1", "+        return 2"), [13]),
        (("@@ class Kettle:", "@@     def run(self):", "-        return 1", "+        return 2"), [4]),
        (("@@ class Kettle:", "@@     def stop(self):", "-        return 0", "+        return 9"), [7]),
        (("@@ class Toaster:", "-        return 1", "+        return 2"), [13]),
        (("@@ class Kettle:", "-        return 1", "+        return 2"), [4]),
        (("@@ class Toaster:", "     def run(self):", "-        start()", "+        begin()"), [12]),
        (
            (
                "@@ class Toaster:",
                " class Toaster:",
                "     def run(self):",
                "-        start()",
                "+        begin()",
            ),
            [12],
        ),
        (
            (
                "@@ class Kettle:",
                "@@     def run(self):",
                "-        return 1",
                "+        return 2",
                "@@ class Toaster:",
                "@@     def run(self):",
                "-        return 1",
                "+        return 3",
            ),
            [4, 13],
        ),
        (("@@ -12,2 +12,2 @@ class Toaster:", "-        return 1", "+        return 2"), [13]),
    ],
)
def test_anchors_narrow(lines: tuple[str, ...], where: list[int]) -> None:
    assert changed_lines(KITCHEN, *lines) == where


@pytest.mark.parametrize(
    "lines",
    [
        ("@@     def run(self):", "-        return 1", "+        return 2"),
        ("@@ def run(self):", "         start()", "-        return 1", "+        return 2"),
        ("-        return 1", "+        return 2"),
        ("@@", "-        return 1", "+        return 2"),
        ("@@     def run(self):", "+        pass"),
        ("@@ -3,1 +3,1 @@ def run(self):", "-        return 1", "+        return 2"),
    ],
)
def test_what_fits_several_places_is_refused_and_says_what_to_add(lines: tuple[str, ...]) -> None:
    with pytest.raises(PatchError, match=r"fits 2 places \(lines \d+, \d+\)\. Add .*@@ line") as told:
        patched(KITCHEN, *lines)
    assert told.value.kind == "many_matches"


@pytest.mark.parametrize(
    "lines",
    [
        ("@@ class Oven:", "-        return 1", "+        return 2"),
        ("@@ class Toaster:", "@@     def bake(self):", "-        return 1", "+        return 2"),
        ("@@ class Toaster:", "-        return 7", "+        return 2"),
        ("-nowhere", "+here"),
    ],
)
def test_what_fits_nowhere_is_told(lines: tuple[str, ...]) -> None:
    with pytest.raises(PatchError) as told:
        patched(KITCHEN, *lines)
    assert told.value.kind == "no_match"


def test_one_anchor_whose_context_stands_after_one_of_them_only_is_no_riddle() -> None:
    text = "## A\nx\n## A\ny\n"
    assert patched(text, "@@ ## A", "-y", "+z") == "## A\nx\n## A\nz\n"


def test_flat_text_has_sections_too() -> None:
    text = "# One\n## Tea\nhot\n# Two\n## Tea\nhot\n"
    assert (
        patched(text, "@@ # Two", "@@ ## Tea", "-hot", "+cold") == "# One\n## Tea\nhot\n# Two\n## Tea\ncold\n"
    )


def test_the_same_line_twice_in_one_block_is_refused() -> None:
    text = "def f():\n    a()\n    b()\n    a()\n"
    with pytest.raises(PatchError, match="fits 2 places"):
        patched(text, "@@ def f():", "-    a()", "+    c()")
    assert patched(text, "@@ def f():", "     b()", "-    a()", "+    c()") == text.replace(
        "b()\n    a()", "b()\n    c()"
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_any_patch_is_placed_or_refused_in_time(shape: str) -> None:
    words = filled(SHAPES[shape], 60_000).replace("\r", "")
    source = (
        f"*** Begin Patch\n*** Update File: f\n@@ {words[:500]}\n-{words[:2000]}\n+{words}\n*** End Patch"
    )
    begun = time.process_time()
    for text in (words, "x\n" + words):
        with contextlib.suppress(PatchError):
            parse_patch(text)
        try:
            (change,) = parse_patch(source)
            apply_hunks(words, change.hunks)
        except (PatchError, ValueError):
            pass
        with contextlib.suppress(EditError):
            apply_edits(words, [Replacement(words[:50] + "?", "y"), Replacement(words[:20], "z")])
    assert time.process_time() - begun < PATCH_S


@pytest.mark.parametrize("line", ["a", "", " ", "    x = 1"])
def test_many_equal_lines_cost_a_moment(line: str) -> None:
    text = (line + "\n") * 50_000
    begun = time.process_time()
    for lines in ((f"-{line}", "+y"), (f"@@ {line}", f"-{line}", "+y"), *[(f" {line}",) * 300 + ("+y",)]):
        with pytest.raises(PatchError):
            patched(text, *lines)
    with pytest.raises(EditError):
        apply_edits(text, [Replacement(text[: len(text) // 2], "y")])
    with pytest.raises(EditError):
        apply_edits(text, [Replacement(line + "?", "y")])
    assert time.process_time() - begun < 2 * PATCH_S


@given(st.lists(st.sampled_from(["a", "b", "  a", "  b", ""]), max_size=14), st.data())
@settings(max_examples=150)
def test_a_patch_changes_the_line_that_it_names_or_none(lines: list[str], data: st.DataObject) -> None:
    text = "".join(line + "\n" for line in lines)
    anchor, old = data.draw(st.sampled_from(["a", "b"])), data.draw(st.sampled_from(["a", "b", "  a", "  b"]))
    try:
        made = patched(text, f"@@ {anchor}", f"-{old}", "+new")
    except PatchError as error:
        assert error.kind in ("no_match", "many_matches")
        return
    (at,) = [n for n, (a, b) in enumerate(zip(lines, made.split("\n"), strict=False)) if a != b]
    assert lines[at].rstrip() == old.rstrip() and any(
        line.strip() == anchor for line in [*lines[:at], lines[at]]
    )


@pytest.mark.parametrize(
    ("text", "new", "fine"),
    [
        ("plain", "é", True),
        ("é", "茶", True),
        ("caf\udce9", "ascii", True),
        ("caf\udce9", "é", False),
        ("\udcb2\udce8", "茶", False),
    ],
)
def test_one_file_has_one_encoding(text: str, new: str, fine: bool) -> None:
    assert (encoding_problem(text, new) == "") is fine
