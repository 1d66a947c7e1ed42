from __future__ import annotations

import difflib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ise_gym.tools.dispatch import Toolbox
from ise_gym.tools.files.patch import Hunk, apply_hunks, parse_patch
from ise_gym.tools.files.placing import PatchError
from ise_gym.workspace.base import Workspace
from tools.tool_fixtures import Caller


@pytest.fixture
def call(workspace: Workspace) -> Any:
    return Caller(Toolbox(["apply_patch", "exec"], workspace))


def patch(*lines: Any) -> Any:
    return "\n".join(["*** Begin Patch", *lines, "*** End Patch"])


def test_add_update_move_and_delete_at_once(call: Caller, workspace: Workspace) -> None:
    call(
        "exec",
        command="printf 'a\\nb\\nc\\n' > app.py; chmod 755 app.py; echo x > old.txt; echo k > keep.txt",
    )
    message = call(
        "apply_patch",
        input=patch(
            "*** Add File: new/dir/n.txt",
            "+one",
            "+",
            "*** Update File: app.py",
            "*** Move to: main.py",
            "@@",
            " a",
            "-b",
            "+B",
            "*** Delete File: old.txt",
            "*** Update File: keep.txt",
            "+more",
        ),
    )
    assert message["content"] == "Patch applied:\nA new/dir/n.txt\nR app.py -> main.py\nD old.txt\nM keep.txt"
    assert message["success"] is True
    assert workspace.read("new/dir/n.txt") == b"one\n\n"
    assert workspace.read("main.py") == b"a\nB\nc\n" and workspace.stat("main.py").mode == 0o755  # type: ignore[union-attr]
    assert workspace.stat("app.py") is None and workspace.stat("old.txt") is None
    assert workspace.read("keep.txt") == b"k\nmore\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the first line must be '*** Begin Patch'"),
        ("*** Begin Patch\n*** Add File: a\n+x", "the last line must be '*** End Patch'"),
        (patch(), "changes no file"),
        (patch("stray"), "line 2: expected"),
        (patch("*** Add File: "), "line 2: the path is missing"),
        (patch("*** Add File: a", "x"), "line 3: each line of a new file begins with '+'"),
        (patch("*** Delete File: f", "-x"), "line 3: nothing may follow"),
        (patch("*** Update File: f"), "'f' is updated without any change"),
        (patch("*** Update File: f", "@@"), "'f' is updated without any change"),
        (patch("*** Update File: f", "one"), "line 3: a line of a change begins with"),
        (
            patch("*** Update File: f", "-one", "*** Move to: g"),
            "line 4: '*** Move to: PATH' stands right after",
        ),
        (patch("*** Update File: f", "*** Move to:"), "line 3"),
        (patch("*** Update File: f", "*** End of File"), "line 3: '*** End of File' stands after a hunk"),
        (patch("*** Add File: n", "+x", "*** Delete File: ./../workspace/n"), "No such file"),
        (patch("*** Delete File: f", "*** Delete File: /workspace/f"), "'/workspace/f' appears twice"),
        (patch("*** Add File: f", "+x"), "'f' is already there; use Update File"),
        (patch("*** Update File: f", "*** Move to: g", "-one", "+1"), "'g' is already there"),
        (patch("*** Update File: none", "-one"), "none: No such file or directory"),
        (patch("*** Delete File: none"), "none: No such file or directory"),
        (patch("*** Update File: d", "-one"), "d: Is a directory"),
        (patch("*** Delete File: a\0b"), "NUL"),
        (
            patch("*** Update File: f", "-three"),
            "f: the hunk was not found in the file; its first line is 'three'",
        ),
        (patch("*** Update File: f", "-same", "+x"), "fits 2 places (lines 2, 3)"),
        (patch("*** Update File: f", "@@ nowhere", "-same"), "its @@ line was not found: 'nowhere'"),
        (patch("*** Update File: f", "-one", "@@", "-zero"), "hunk 2 was not found"),
        (patch("*** Add File: f/x", "+x"), "f/x: Not a directory"),
        (patch("*** Update File: f", "-one", "+1", "*** Add File: f/x", "+x"), "f/x: Not a directory"),
        (patch("*** Delete File: f", "*** Add File: g/x", "+x"), "g/x: Not a directory"),
        (
            patch("*** Add File: n/x", "+x", "*** Delete File: f", "*** Add File: g/x", "+x"),
            "g/x: Not a directory",
        ),
    ],
)
def test_what_does_not_fit_changes_nothing(call: Caller, workspace: Workspace, text: str, says: str) -> None:
    call("exec", command="printf 'one\\nsame\\nsame\\n' > f; chmod 640 f; echo g > g; mkdir d")
    before = {p: e for p, e in workspace.manifest().entries.items() if e[0] != "dir"}
    message = call("apply_patch", input=text)
    assert message["success"] is False and says in message["content"]
    assert message["content"].endswith("Nothing was changed.")
    assert {p: e for p, e in workspace.manifest().entries.items() if e[0] != "dir"} == before


def apply(text: str, *lines: Any) -> Any:
    (change,) = parse_patch(patch("*** Update File: f", *lines))
    return apply_hunks(text, change.hunks)


def test_an_anchor_chooses_among_equal_places() -> None:
    text = "def a():\n    pass\ndef b():\n    pass\n"
    changed = "def a():\n    pass\ndef b():\n    return\n"
    assert apply(text, "@@ def b():", "-    pass", "+    return") == changed
    assert apply(text, "@@ -3,2 +3,2 @@ def b():", "-    pass", "+    return") == changed
    assert apply(text, "@@ def b():", " def b():", "-    pass", "+    return") == changed
    assert apply(text, "@@ def b():", "+    # new") == "def a():\n    pass\ndef b():\n    # new\n    pass\n"


def test_end_of_file_chooses_the_last_place() -> None:
    assert apply("x\nx\n", "-x", "+y", "*** End of File") == "x\ny\n"
    with pytest.raises(PatchError):
        apply("x\ny\n", "-x", "*** End of File")


def test_hunks_follow_each_other() -> None:
    assert apply("a\nx\nb\nx\n", "@@", "-a", "+A", " x", "@@", "-x", "+X") == "A\nx\nb\nX\n"


def test_blank_lines_and_trailing_blanks_are_forgiven() -> None:
    assert apply("a\n\nb  \n", " a", "", "-b", "+c") == "a\n\nc\n"


def test_line_ends_stay() -> None:
    assert apply("a\r\nb\r\n", " a", "-b", "+c", "+d") == "a\r\nc\r\nd\r\n"
    assert apply("a\nb", " a", "+x", " b") == "a\nx\nb"
    assert apply("a\nb", " b", "+c") == "a\nb\nc\n"
    assert apply("a\x0cb\nc\n", "-c", "+d") == "a\x0cb\nd\n"


def test_an_empty_file_can_be_filled() -> None:
    assert apply("", "+a", "+b") == "a\nb\n"


def hunks_between(old: str, new: str, context: Any) -> Any:
    """Hunks as a careful author would write them, from difflib's grouping."""
    found = []
    for group in difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(context):
        lines = []
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                lines += [" " + line for line in old[i1:i2]]
            else:
                lines += ["-" + line for line in old[i1:i2]] + ["+" + line for line in new[j1:j2]]
        found.append(["@@", *lines])
    return found


new_lines = st.text(alphabet="xyz +-@*", max_size=4)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_patch_between_two_texts_turns_one_into_the_other(data: Any) -> None:
    old = [
        f"line {n}" for n in range(data.draw(st.integers(1, 25)))
    ]  # distinct, so that every place is unique
    new = list(old)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(new)))
        new[at : at + data.draw(st.integers(0, 3))] = data.draw(st.lists(new_lines, max_size=3))
    hunks = hunks_between(old, new, 1)  # type: ignore[arg-type]
    if not hunks:
        return
    newline = data.draw(st.sampled_from(["\n", "\r\n"])) if len(old) > 1 else "\n"
    text = "".join(line + newline for line in old)
    expected = "".join(line + newline for line in new)
    assert apply(text, *(line for hunk in hunks for line in hunk)) == expected


@settings(deadline=None)
@given(st.text(alphabet="*@ +-abc\n", max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for candidate in (text, patch(text), patch("*** Update File: f", text)):
        try:
            changes = parse_patch(candidate)
            for change in changes:
                apply_hunks("a\nb\nc\n", change.hunks)
        except PatchError as error:
            assert str(error) and error.kind in ("bad_patch", "no_match", "many_matches")


def test_hunk_without_lines_changes_nothing() -> None:
    assert apply_hunks("a\n", [Hunk()]) == "a\n"
