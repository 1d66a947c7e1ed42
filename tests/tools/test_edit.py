from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ise_gym.tools.files.edit import EditError, Replacement, apply_edits
from ise_gym.workspace.base import Workspace
from tools.tool_fixtures import Caller


def test_flat_form(call: Caller, workspace: Workspace) -> None:
    workspace.write("a.py", b"x = 1\ny = 2\n")
    message = call("edit", path="a.py", oldText="y = 2", newText="y = 3")
    assert message["content"] == "Edited a.py at line 2" and message["success"] is True
    assert workspace.read("a.py") == b"x = 1\ny = 3\n"


def test_list_form_matches_against_the_original(call: Caller, workspace: Workspace) -> None:
    workspace.write("a.txt", b"one two three")
    edits = [{"oldText": "three", "newText": "one"}, {"oldText": "one", "newText": "two two"}]
    message = call("edit", path="a.txt", edits=edits)
    assert message["content"] == "Edited a.txt at lines 1, 1"
    assert workspace.read("a.txt") == b"two two two one"


def test_deleting_text(call: Caller, workspace: Workspace) -> None:
    workspace.write("a.txt", b"keep drop keep")
    call("edit", path="a.txt", oldText=" drop", newText="")
    assert workspace.read("a.txt") == b"keep keep"


@pytest.mark.parametrize(
    ("arguments", "says", "kind"),
    [
        ({"oldText": "gamma", "newText": "x"}, "oldText was not found.", "no_match"),
        ({"oldText": "  alpha", "newText": "x"}, "Line 1 differs only in whitespace: 'alpha'", "no_match"),
        ({"oldText": "alpha bets", "newText": "x"}, "The nearest is line 2: 'alpha beta'", "no_match"),
        ({"oldText": "alpha beta\nxyz", "newText": "x"}, "first line stands at line 2, but", "no_match"),
        (
            {"oldText": "alpha", "newText": "x"},
            "found 3 times (lines 1, 2, 3); it must be unique",
            "many_matches",
        ),
        ({"oldText": "", "newText": "x"}, "oldText is empty", "bad_arguments"),
        ({"oldText": "beta", "newText": "beta"}, "are the same", "bad_arguments"),
        ({"oldText": "beta"}, "newText is missing: send", "bad_arguments"),
        ({}, "oldText is missing: send", "bad_arguments"),
        (
            {"oldText": "alpha", "newText": "b", "edits": [{"oldText": "beta", "newText": "b"}]},
            "say different things: send",
            "bad_arguments",
        ),
        (
            {"edits": [{"oldText": "beta", "newText": "x"}, {"oldText": "alpha b", "newText": "y"}]},
            "edits 2 and 1 overlap",
            "overlap",
        ),
        (
            {"edits": [{"oldText": "beta", "newText": "x"}, {"oldText": "nope", "newText": "y"}]},
            "edit 2: oldText was not found",
            "no_match",
        ),
    ],
)
def test_an_edit_that_does_not_fit_changes_nothing(
    call: Caller, workspace: Workspace, arguments: Any, says: str, kind: str
) -> None:
    before = b"alpha\nalpha beta\nalpha\n"
    workspace.write("a.txt", before)
    message = call("edit", path="a.txt", **arguments)
    assert message["success"] is False and says in message["content"]
    assert call.error("edit", path="a.txt", **arguments) == kind
    assert workspace.read("a.txt") == before


@pytest.mark.parametrize(
    ("path", "says"),
    [("none", "No such file"), ("d", "Is a directory"), ("", "the path is empty"), ("a\0", "NUL")],
)
def test_what_the_system_refuses(call: Caller, path: str, says: str) -> None:
    call("exec", command="mkdir d")
    message = call("edit", path=path, oldText="a", newText="b")
    assert message["success"] is False and says in message["content"]


def test_overlapping_occurrences_count() -> None:
    with pytest.raises(EditError, match="found 2 times"):
        apply_edits("aaa", [Replacement("aa", "b")])


def test_windows_line_ends_and_byte_order_mark_stay(call: Caller, workspace: Workspace) -> None:
    workspace.write("w.txt", b"\xef\xbb\xbfone\r\ntwo\r\nthree\r\n")
    assert call("edit", path="w.txt", oldText="one\ntwo\n", newText="1\n2\n2b\n")["success"] is True
    assert workspace.read("w.txt") == b"\xef\xbb\xbf1\r\n2\r\n2b\r\nthree\r\n"


def test_mixed_line_ends_outside_the_edit_stay() -> None:
    text, lines = apply_edits("a\r\nb\nc\r\nd\r\n", [Replacement("c\nd", "C\nD")])
    assert (text, lines) == ("a\r\nb\nC\r\nD\r\n", [3])
    text, _ = apply_edits("a\r\nb\nc\nd\n", [Replacement("\nb", "\nB\n")])
    assert text == "a\nB\n\nc\nd\n"


def test_bytes_that_are_no_utf8_come_through(call: Caller, workspace: Workspace) -> None:
    workspace.write("l.txt", b"caf\xe9\nplain\n")
    call("edit", path="l.txt", oldText="plain", newText="fancy")
    assert workspace.read("l.txt") == b"caf\xe9\nfancy\n"


def test_mode_stays(call: Caller, workspace: Workspace) -> None:
    call("exec", command="echo 'echo hi' > run.sh; chmod 755 run.sh")
    call("edit", path="run.sh", oldText="hi", newText="there")
    assert call("exec", command="./run.sh")["content"] == "there"


alphabet = st.text(alphabet="ab\n\r", max_size=12)


@settings(deadline=None)
@given(alphabet, alphabet, alphabet, st.text(alphabet="xyz\n", max_size=5))
def test_one_edit_equals_replacing_the_unique_place(before: Any, old: str, after: Any, new: str) -> None:
    text = before + old + after
    assume(old and old != new and "\r\n" not in text)
    if sum(text.startswith(old, i) for i in range(len(text))) == 1:
        result, lines = apply_edits(text, [Replacement(old, new)])
        assert result == before + new + after
        assert lines == [before.count("\n") + 1]
    else:
        with pytest.raises(EditError) as caught:
            apply_edits(text, [Replacement(old, new)])
        assert caught.value.kind == "many_matches"


@settings(deadline=None)
@given(st.lists(st.text(alphabet="ab ", max_size=4), min_size=1, max_size=8), st.data())
def test_crlf_text_edits_like_its_lf_twin(lines: Any, data: Any) -> None:
    twin = "\n".join(lines) + "\n"
    start = data.draw(st.integers(0, len(twin) - 1))
    stop = data.draw(st.integers(start + 1, len(twin)))
    edit = [Replacement(twin[start:stop], data.draw(st.text(alphabet="x\n", max_size=4)))]
    crlf = twin.replace("\n", "\r\n")
    try:
        expected, where = apply_edits(twin, edit)
    except EditError as error:
        with pytest.raises(EditError) as caught:
            apply_edits(crlf, edit)
        assert caught.value.kind == error.kind
    else:
        assert apply_edits(crlf, edit) == (expected.replace("\n", "\r\n"), where)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.text(alphabet="XY", max_size=3)), max_size=8),
    st.data(),
)
def test_several_edits_are_independent_of_their_order(pairs: Any, data: Any) -> None:
    chosen = dict(pairs)
    assume(chosen)
    text = "a-b-c-d-e-f-g-h"
    edits = data.draw(st.permutations([Replacement(old, new) for old, new in chosen.items()]))
    expected = "-".join(chosen.get(letter, letter) for letter in "abcdefgh")
    assert apply_edits(text, edits)[0] == expected
