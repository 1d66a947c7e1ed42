from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ise_gym.tools.files import read_write as files
from ise_gym.workspace.base import Workspace
from tools.tool_fixtures import Caller

FIXTURE_OK = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def test_a_small_file_is_shown_as_it_is(call: Caller, workspace: Workspace) -> None:
    workspace.write("a.txt", "één\n  indented\t\n\nlast".encode())
    message = call("read", path="a.txt")
    assert message["content"] == "één\n  indented\t\n\nlast" and message["success"] is True


@pytest.mark.parametrize("path", ["a.txt", "./a.txt", "/workspace/a.txt", "sub/../a.txt"])
def test_paths(call: Caller, workspace: Workspace, path: str) -> None:
    workspace.write("a.txt", b"x\n")
    workspace.write("sub/b.txt", b"y\n")
    assert call("read", path=path)["content"] == "x\n"


def test_home_is_understood(call: Caller) -> None:
    assert call("write", path="~/note.txt", content="at home\n")["success"] is True
    assert call("read", path="/home/user/note.txt")["content"] == "at home\n"


def test_empty_file(call: Caller, workspace: Workspace) -> None:
    workspace.write("empty", b"")
    assert call("read", path="empty")["content"] == "(empty file)"
    beyond = call("read", path="empty", offset=2)
    assert beyond["success"] is False and "beyond the end of the file (0 lines)" in beyond["content"]


def test_window_and_how_to_go_on(call: Caller, workspace: Workspace) -> None:
    workspace.write("n.txt", "".join(f"line {n}\n" for n in range(1, 11)).encode())
    message = call("read", path="n.txt", offset=3, limit=2)
    assert message["content"] == "line 3\nline 4\n[Lines 3-4 of 10 shown; go on with offset=5]"
    assert call("read", path="n.txt", offset=9, limit=2)["content"] == "line 9\nline 10\n"
    assert call("read", path="n.txt", offset=10)["content"] == "line 10\n"
    beyond = call("read", path="n.txt", offset=11)
    assert beyond["success"] is False
    assert beyond["content"] == "read: n.txt: line 11 is beyond the end of the file (10 lines)"


def test_line_limit(call: Caller, workspace: Workspace) -> None:
    workspace.write("long.txt", b"x\n" * (files.READ_LINES + 5))
    total = files.READ_LINES + 5
    notice = f"[Lines 1-{files.READ_LINES} of {total} shown; go on with offset={files.READ_LINES + 1}]"
    for arguments in ({}, {"limit": 10**9}):
        content = call("read", path="long.txt", **arguments)["content"]
        assert content == "x\n" * files.READ_LINES + notice


def test_byte_limit_cuts_at_a_line(call: Caller, workspace: Workspace) -> None:
    line = b"y" * 999 + b"\n"
    workspace.write("wide.txt", line * 100)
    content = call("read", path="wide.txt")["content"]
    assert content.endswith("[Lines 1-50 of 100 shown; go on with offset=51]")
    assert content.count("y" * 999) == 50


def test_a_line_longer_than_the_limit(call: Caller, workspace: Workspace) -> None:
    workspace.write("one.txt", b"first\n" + b"z" * 3_000_000 + b"\nlast\n")
    content = call("read", path="one.txt", offset=2)["content"]
    assert content.startswith("z" * files.READ_BYTES + "\n[Line 2 has 3000001 bytes; only its first 50000")
    assert content.endswith("[Lines 2-2 of 3 shown; go on with offset=3]")
    assert call("read", path="one.txt", offset=3)["content"] == "last\n"
    assert call("read", path="one.txt", limit=1)["content"].startswith("first\n[Lines 1-1 of 3")


def test_a_huge_file_is_not_counted_to_its_end(
    call: Caller, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_COUNT_BYTES", 1 << 20)
    workspace.write("huge.txt", b"0123456789abcde\n" * 200_000)
    content = call("read", path="huge.txt", limit=3)["content"]
    assert content.endswith("[Lines 1-3 shown, many more follow; go on with offset=4]")
    content = call("read", path="huge.txt", offset=199_999, limit=1)["content"]
    assert content.startswith("0123456789abcde\n[Lines 199999-199999")


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "PNG image, 16 bytes"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "JPEG image"),
        (b"GIF89a\x01\0\x01\0", "GIF image"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "WebP image"),
        (b"PK\x03\x04\x14\0\0\0", "ZIP archive"),
        (b"%PDF-1.7\n%text only", "PDF document"),
        (b"\0\x01\x02", "binary data, 3 bytes"),
    ],
)
def test_what_is_no_text_is_noted(call: Caller, workspace: Workspace, data: Any, note: str) -> None:
    workspace.write("blob", data)
    content = call("read", path="blob")["content"]
    assert content.startswith("[blob: ") and note in content and "not shown" in content


def test_text_that_begins_like_a_bitmap(call: Caller, workspace: Workspace) -> None:
    workspace.write("bm.txt", b"BMW list\n")
    assert call("read", path="bm.txt")["content"] == "BMW list\n"


def test_size_behind_a_link(call: Caller) -> None:
    call("exec", command="printf '\\0\\1\\2' > blob && ln -s blob link")
    assert "binary data, 3 bytes" in call("read", path="link")["content"]


def test_other_encodings_are_shown_and_said(call: Caller, workspace: Workspace) -> None:
    workspace.write("latin.txt", "caf\xe9\n".encode("latin-1"))
    assert (
        call("read", path="latin.txt")["content"]
        == "caf\ufffd\n[Some bytes are not UTF-8 and show as \ufffd]"
    )
    workspace.write("real.txt", "a real \ufffd\n".encode())
    assert call("read", path="real.txt")["content"] == "a real \ufffd\n"


@pytest.mark.parametrize(
    ("tool", "arguments", "says", "kind"),
    [
        ("read", {"path": "none.txt"}, "read: none.txt: No such file or directory", "not_found"),
        (
            "read",
            {"path": "d"},
            'read: d: Is a directory. To list it: exec {"command": "ls -la d"}',
            "is_directory",
        ),
        ("read", {"path": "f/x"}, "read: f/x: Not a directory", "not_directory"),
        ("read", {"path": ""}, "read: the path is empty", "bad_arguments"),
        ("read", {"path": "a\0b"}, "NUL", "bad_arguments"),
        ("write", {"path": "d", "content": ""}, "write: d: Is a directory", "is_directory"),
        ("write", {"path": "f/x", "content": ""}, "write: f/x: Not a directory", "not_directory"),
        ("write", {"path": "", "content": ""}, "write: the path is empty", "bad_arguments"),
        ("read", {"path": "n" * 300}, "File name too long", "os_error"),
    ],
)
def test_what_the_system_refuses(call: Caller, tool: str, arguments: Any, says: str, kind: str) -> None:
    call("exec", command="mkdir d; echo x > f")
    message = call(tool, **arguments)
    assert message["success"] is False and says in message["content"]
    assert call.error(tool, **arguments) == kind


def test_write_makes_parents_and_counts_bytes(call: Caller, workspace: Workspace) -> None:
    message = call("write", path="a/b/c.txt", content="é\n")
    assert message["content"] == "Wrote 3 bytes to a/b/c.txt"
    assert workspace.read("a/b/c.txt") == "é\n".encode()


def test_write_replaces_all_and_keeps_the_mode(call: Caller, workspace: Workspace) -> None:
    call("exec", command="printf 'long old text' > run.sh; chmod 755 run.sh")
    call("write", path="run.sh", content="new")
    assert workspace.read("run.sh") == b"new"
    assert workspace.stat("run.sh").mode == 0o755  # type: ignore[union-attr]


text_lines = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0\n"), max_size=30)


@FIXTURE_OK
@given(st.lists(text_lines, max_size=25), st.booleans(), st.integers(1, 7))
def test_following_the_notices_reads_the_whole_file(
    call: Caller, workspace: Workspace, lines: Any, newline: str, limit: int
) -> None:
    text = "\n".join(lines) + ("\n" if newline else "")
    workspace.write("p.txt", text.encode())
    if not text:
        assert call("read", path="p.txt", limit=limit)["content"] == "(empty file)"
        return
    got, offset = "", 1
    for _ in range(100):
        message = call("read", path="p.txt", offset=offset, limit=limit)
        assert message["success"] is True
        notice = re.search(
            r"\[Lines (\d+)-(\d+) of (\d+) shown; go on with offset=(\d+)\]\Z", message["content"]
        )
        if notice is None:
            got += message["content"]
            break
        got += message["content"][: notice.start()]
        assert int(notice[1]) == offset and int(notice[2]) == offset + limit - 1
        assert int(notice[3]) == len(lines) - (0 if newline or lines[-1] else 1)
        offset = int(notice[4])
    assert got == text


@FIXTURE_OK
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_what_was_written_is_there(call: Caller, workspace: Workspace, text: str) -> None:
    assert call("write", path="w.txt", content=text)["success"] is True
    assert workspace.read("w.txt") == text.encode()
