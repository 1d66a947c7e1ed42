"""The declarative checks: each passes on what it asks for and says what is wrong otherwise."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ise_gym.checks import CHECKS, build_check
from ise_gym.checks.base import Unreadable
from ise_gym.checks.compare import cell_equals, difference
from ise_gym.checks.files import MAX_UNPACKED, member_names
from ise_gym.scenario import CheckResult
from ise_gym.workspace.backends.dummy import DummyWorkspace
from ise_gym.workspace.base import ExecResult, SeedFile


@pytest.fixture
def box() -> DummyWorkspace:
    return DummyWorkspace()


def run(box: DummyWorkspace, kind: str, spec: Any, start: dict[str, SeedFile] | None = None) -> CheckResult:
    return build_check(kind, spec).run(box, start or {})


def test_exists_and_absent_are_opposites(box: DummyWorkspace) -> None:
    box.write("a/b.txt", b"x")
    assert run(box, "exists", "a/b.txt").passed and run(box, "exists", "a").passed
    assert run(box, "absent", "a/c.txt").passed
    assert "a/c.txt does not exist" in run(box, "exists", "a/c.txt").reason
    assert "still exists" in run(box, "absent", "a/b.txt").reason


def test_unchanged_follows_files_that_moved(box: DummyWorkspace) -> None:
    start = {path: SeedFile(path, path.encode()) for path in ("d/a.txt", "d/b.txt")}
    box.write("new/a.txt", b"d/a.txt")
    assert run(box, "unchanged", {"path": "new/a.txt", "was": "d/a.txt"}, start).passed
    assert run(box, "unchanged", {"path": "new", "was": "d"}, start).passed
    assert "does not exist" in run(box, "unchanged", {"path": "new/b.txt", "was": "d/b.txt"}, start).reason
    box.write("new/b.txt", b"other")
    assert run(box, "unchanged", {"path": "new", "was": "d"}, start).reason == "new/b.txt was changed"
    assert "none of the files" in run(box, "unchanged", {"path": "new", "was": "e"}, start).reason


def test_unchanged_compares_bytes_of_a_file_and_of_a_folder(box: DummyWorkspace) -> None:
    start = {name: SeedFile(name, b"1\n") for name in ("d/a.txt", "d/b.txt")}
    box.seed(start.values())
    assert run(box, "unchanged", "d/a.txt", start).passed and run(box, "unchanged", "d", start).passed
    box.write("d/b.txt", b"1")
    assert run(box, "unchanged", "d/a.txt", start).passed
    assert run(box, "unchanged", "d", start).reason == "d/b.txt was changed"
    box.remove("d/b.txt")
    assert "does not exist" in run(box, "unchanged", "d/b.txt", start).reason
    assert "none of the files" in run(box, "unchanged", "d/other.txt", start).reason


@pytest.mark.parametrize("equals", ["755", 755, "0755"])
def test_mode(box: DummyWorkspace, equals: object) -> None:
    box.seed([SeedFile("run.sh", b"", 0o755), SeedFile("no.sh", b"", 0o644)])
    assert run(box, "mode", {"path": "run.sh", "equals": equals}).passed
    assert "644 instead of 755" in run(box, "mode", {"path": "no.sh", "equals": equals}).reason


@pytest.mark.parametrize(
    ("spec", "passes"),
    [
        ({"equals": "one\ntwo"}, True),
        ({"equals": "one\ntwo\n\n"}, True),
        ({"equals": "one\n two"}, False),
        ({"contains": "tw"}, True),
        ({"contains": ["one", "three"]}, False),
        ({"excludes": "three"}, True),
        ({"excludes": ["two"]}, False),
        ({"matches": "^two$"}, True),
        ({"matches": ["^one", "^wo"]}, False),
        ({"lines": ["one", "two"]}, True),
        ({"lines": ["two", "one"]}, False),
        ({"lines": ["one"]}, False),
        ({"line_count": 2}, True),
        ({"line_count": 3}, False),
        ({"contains": "one", "excludes": "two"}, False),
    ],
)
def test_text_keys(box: DummyWorkspace, spec: dict[str, Any], passes: bool) -> None:
    box.write("t.txt", b"one  \ntwo\n")
    result = run(box, "text", {"path": "t.txt", **spec})
    assert result.passed is passes
    assert passes or result.reason.startswith("t.txt ")


def test_carriage_returns_and_byte_order_marks_matter_to_excludes_only(box: DummyWorkspace) -> None:
    box.write("dos.txt", b"\xef\xbb\xbfone\r\ntwo\r\n")
    assert run(box, "text", {"path": "dos.txt", "lines": ["one", "two"], "equals": "one\ntwo"}).passed
    assert run(box, "text", {"path": "dos.txt", "contains": "one\ntwo", "matches": "^one$"}).passed
    assert not run(box, "text", {"path": "dos.txt", "excludes": "\r"}).passed
    assert not run(box, "text", {"path": "dos.txt", "excludes": "\ufeff"}).passed


def test_text_that_is_no_text_and_files_that_are_too_large(box: DummyWorkspace) -> None:
    box.write("b.bin", b"\xff\xfe")
    box.write("big.txt", b"a" * (8 * 1024 * 1024 + 1))
    assert "not UTF-8" in run(box, "text", {"path": "b.bin", "contains": "a"}).reason
    assert "larger than" in run(box, "text", {"path": "big.txt", "contains": "a"}).reason
    assert "is a folder" in run(box, "text", {"path": ".", "contains": "a"}).reason


JSON = b'{"total": 12.504, "ok": true, "rows": [{"id": "007", "n": 3}, {"id": "8", "n": null}]}'


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"at": "total", "equals": 12.5}, ""),
        ({"at": "total", "equals": 12.5, "approx": 0.001}, "12.504 instead of 12.5"),
        ({"at": "ok", "equals": True}, ""),
        ({"at": "ok", "equals": 1}, "True instead of 1"),
        ({"at": "rows.0.id", "equals": "007"}, ""),
        ({"at": "rows.0.id", "equals": 7}, "'007' instead of 7"),
        ({"at": "rows.0.n", "equals": "3"}, "3 instead of '3'"),
        ({"at": "rows.1.n", "equals": None}, ""),
        ({"at": "rows", "equals": [{"id": "8", "n": None}, {"id": "007", "n": 3}]}, "at rows.0.id"),
        ({"at": "rows", "equals": [{"id": "8", "n": None}, {"id": "007", "n": 3}], "any_order": True}, ""),
        ({"at": "rows", "equals": []}, "2 items instead of 0"),
        ({"at": "rows.0", "equals": {"id": "007"}}, "'n' should not be there"),
        ({"at": "rows.0", "equals": {"id": "007", "n": 3, "x": 1}}, "'x' is missing"),
        ({"at": "rows.5.id", "equals": 1}, "nothing at rows.5.id"),
        ({"at": "rows.-1.id", "equals": "8"}, ""),
    ],
)
def test_json(box: DummyWorkspace, spec: dict[str, Any], reason: str) -> None:
    box.write("d.json", JSON)
    result = run(box, "json", {"path": "d.json", **spec})
    assert result.passed is (not reason) and reason in result.reason


@pytest.mark.parametrize("text", [b"{", b"", b'{"a": NaN}', b'{"a": 1, "a": 2}', b"[" * 100_000])
def test_broken_json_is_a_failure_with_a_reason(box: DummyWorkspace, text: bytes) -> None:
    box.write("d.json", text)
    assert "not valid JSON" in run(box, "json", {"path": "d.json", "equals": {"a": 1}}).reason


def test_jsonl_and_yaml(box: DummyWorkspace) -> None:
    box.write("l.jsonl", b'{"a": 1}\n\n{"a": 2}\n')
    box.write("c.yaml", b"name: x\nday: 2025-01-02\nports: [1, 2]\n1: one\n")
    assert run(box, "jsonl", {"path": "l.jsonl", "equals": [{"a": 1}, {"a": 2}]}).passed
    box.write("l.jsonl", b'{"a": 1}\n{"a"\n')
    assert "line 2" in run(box, "jsonl", {"path": "l.jsonl", "equals": [{"a": 1}, {"a": 2}]}).reason
    whole = {"name": "x", "day": "2025-01-02", "ports": [1, 2], "1": "one"}
    assert run(box, "yaml", {"path": "c.yaml", "equals": whole}).passed
    assert run(box, "yaml", {"path": "c.yaml", "at": "ports.1", "equals": 2}).passed
    box.write("c.yaml", b"a: &x [1]\nb: *x\n")
    assert "aliases" in run(box, "yaml", {"path": "c.yaml", "equals": {}}).reason
    box.write("c.yaml", b"a: [1\n")
    assert "not valid YAML" in run(box, "yaml", {"path": "c.yaml", "equals": {}}).reason


ROWS = [{"id": "007", "amount": 12.5, "paid": True}, {"id": "8", "amount": 3, "paid": False}]


@pytest.mark.parametrize(
    ("text", "spec", "reason"),
    [
        ("id,amount,paid\n007,12.50,true\n8,3.0,False\n", {}, ""),
        ("amount,paid,id\n12.5,true,007\n3,false,8\n", {}, ""),
        ("amount,paid,id\n12.5,true,007\n3,false,8\n", {"columns": ["id", "amount", "paid"]}, "columns"),
        ("id,amount,paid\n7,12.5,true\n8,3,false\n", {}, "row 1: id is '7' instead of '007'"),
        ("id,amount,paid\n007,12.51,true\n8,3,false\n", {}, "amount is '12.51' instead of 12.5"),
        ("id,amount,paid\n007,12.51,true\n8,3,false\n", {"approx": 0.02}, ""),
        ("id,amount,paid\n007,12.5,1\n8,3,false\n", {}, "paid is '1' instead of True"),
        ("id,amount,paid\n8,3,false\n007,12.5,true\n", {}, "row 1"),
        ("id,amount,paid\n8,3,false\n007,12.5,true\n", {"any_order": True}, ""),
        ("id,amount,paid\n8,3,false\n8,3,false\n", {"any_order": True}, "has no row"),
        ("id,amount,paid\n007,12.5,true\n", {}, "1 rows instead of 2"),
        ("id,amount\n007,12.5\n8,3\n", {}, "columns"),
        ("id,amount,paid\n007,12.5\n8,3,false\n", {}, "row 2 has 2 cells"),
        ("id;amount;paid\n007;12.5;true\n8;3;false\n", {"delimiter": ";"}, ""),
        ('id,amount,paid\n"007,12.5,true\n', {}, "not valid CSV"),
        ("", {}, "is empty"),
    ],
)
def test_csv(box: DummyWorkspace, text: str, spec: dict[str, Any], reason: str) -> None:
    box.write("t.csv", text.encode())
    result = run(box, "csv", {"path": "t.csv", "rows": ROWS, **spec})
    assert result.passed is (not reason) and reason in result.reason


def test_csv_rows_may_be_lists_and_may_be_none(box: DummyWorkspace) -> None:
    box.write("t.csv", b"a,b\n1,x\n")
    assert run(box, "csv", {"path": "t.csv", "rows": [[1, "x"]], "columns": ["a", "b"]}).passed
    box.write("t.csv", b"a,b\n")
    assert run(box, "csv", {"path": "t.csv", "rows": [], "columns": ["a", "b"]}).passed


def test_tree_lists_exactly_what_is_there(box: DummyWorkspace) -> None:
    for name in ("d/b.txt", "d/x/a.txt", "d/__pycache__/m.pyc"):
        box.write(name, b"")
    names = ["b.txt", "x/a.txt"]
    assert run(box, "tree", {"path": "d", "equals": names, "ignore": "__pycache__"}).passed
    assert "should not hold" in run(box, "tree", {"path": "d", "equals": names}).reason
    assert "lacks 'c.txt'" in run(box, "tree", {"path": "d", "equals": [*names, "c.txt"]}).reason
    assert "does not exist" in run(box, "tree", {"path": "e", "equals": []}).reason


def tar_bytes(names: list[str], mode: str = "w:gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:  # type: ignore[call-overload]
        folder = tarfile.TarInfo("d/")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name in names:
            tar.addfile(tarfile.TarInfo(name))
    return out.getvalue()


def zip_bytes(names: list[str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("d/", b"")
        for name in names:
            archive.writestr(name, b"x")
    return out.getvalue()


@pytest.mark.parametrize("make", [tar_bytes, lambda names: tar_bytes(names, "w"), zip_bytes])
def test_archive_members(box: DummyWorkspace, make: Callable[[list[str]], bytes]) -> None:
    box.write("a.bin", make(["d/b.txt", "./d/a.txt"]))
    assert run(box, "archive", {"path": "a.bin", "equals": ["d/a.txt", "d/b.txt"]}).passed
    assert "lacks" in run(box, "archive", {"path": "a.bin", "equals": ["d/a.txt", "d/c.txt"]}).reason
    assert "should not hold" in run(box, "archive", {"path": "a.bin", "equals": ["d/a.txt"]}).reason


def test_hostile_archives_are_refused() -> None:
    bomb = gzip.compress(bytes(MAX_UNPACKED + 1))
    for data in (b"", b"no archive", zip_bytes(["a"])[:-10], tar_bytes(["a"])[:-12], bomb):
        with pytest.raises(Unreadable):
            member_names(data, "a.bin")


def answering(output: bytes, exit_code: int = 0, **more: Any) -> DummyWorkspace:
    box = DummyWorkspace(commands={"tool": lambda *_: ExecResult(output, exit_code, **more)})
    box.write("/usr/bin/tool", b"", 0o755)
    return box


@pytest.mark.parametrize(
    ("output", "code", "spec", "reason"),
    [
        (b"42\n", 0, {"equals": "42"}, ""),
        (b"43\n", 0, {"equals": "42"}, "reads '43' instead of '42'"),
        (b"42\n", 1, {"equals": "42"}, "ended with 1 instead of 0"),
        (b"", 3, {"exit_code": 3}, ""),
        (b"abc", 0, {"contains": "b", "excludes": "d", "matches": "^a"}, ""),
        (b'{"n": 2.001}', 0, {"json": {"n": 2}}, ""),
        (b'{"n": 3}', 0, {"json": {"n": 2}}, "at n: found 3 instead of 2"),
        (b"oops", 0, {"json": {"n": 2}}, "not valid JSON"),
    ],
)
def test_command(output: bytes, code: int, spec: dict[str, Any], reason: str) -> None:
    result = run(answering(output, code), "command", {"argv": ["tool", "x"], **spec})
    assert result.passed is (not reason) and reason in result.reason


def test_command_that_hangs_floods_or_is_unknown() -> None:
    slow = DummyWorkspace(commands={"tool": lambda *_: ExecResult(b"", None, timed_out=True)})
    slow.write("/usr/bin/tool", b"")
    assert "did not end" in run(slow, "command", {"argv": ["tool"]}).reason
    assert (
        "too much"
        in run(answering(b"a", dropped_bytes=5), "command", {"argv": ["tool"], "equals": "a"}).reason
    )
    assert "no program named" in run(DummyWorkspace(), "command", {"argv": ["tool"]}).reason


def test_a_program_is_never_taken_from_where_the_agent_can_write() -> None:
    seen: list[str] = []

    def note(_box: Any, argv: Any, _stdin: bytes) -> ExecResult:
        seen.append(argv[0])
        return ExecResult(b"", 0)

    box = DummyWorkspace(commands={"python3": note, "run.sh": note})
    box.write("python3", b"")
    box.write("/usr/bin/python3", b"")
    assert run(box, "command", {"argv": ["python3"]}).passed
    assert run(box, "command", {"argv": ["d/run.sh"]}).passed
    assert seen == ["/usr/bin/python3", "/workspace/d/run.sh"]


@pytest.mark.parametrize(
    ("kind", "spec", "words"),
    [
        ("text", {"path": "a"}, "at least one of"),
        ("text", {"path": "a", "containz": "x"}, "Did you mean 'contains'"),
        ("text", {"contains": "x"}, "'path' is missing"),
        ("text", {"path": "a", "contains": ""}, "empty text"),
        ("text", {"path": "/etc/passwd", "contains": "x"}, "inside the workspace"),
        ("text", {"path": "a/../../b", "contains": "x"}, "inside the workspace"),
        ("text", "a.txt", "needs a mapping"),
        ("csv", {"path": "a", "rows": "1,2"}, "needs a list"),
        ("csv", {"path": "a", "rows": []}, "needs `columns`"),
        ("csv", {"path": "a", "rows": [[1]]}, "needs dicts"),
        ("json", {"path": "a", "equals": 1, "approx": "x"}, "approx"),
        ("jsonl", {"path": "a", "equals": {}}, "needs a list"),
        ("tree", {"path": "a", "equals": "x"}, "list of texts"),
        ("mode", {"path": "a", "equals": "rwx"}, "invalid literal"),
        ("command", {"exit_code": 0}, "'argv' is missing"),
        ("command", {"argv": "ls -l"}, "list of the program"),
        ("exists", {"path": 3}, "must be a text"),
        ("nosuch", {}, "no check is named"),
    ],
)
def test_wrong_specs_are_refused_with_what_to_do(kind: str, spec: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build_check(kind, spec)


def test_checks_survive_pickling() -> None:
    for check in (
        build_check("text", {"path": "a", "contains": "x"}),
        build_check("command", {"argv": ["true"]}),
    ):
        again = pickle.loads(pickle.dumps(check))
        assert again == check and again.equals is check.equals  # type: ignore[attr-defined]
    assert len(CHECKS) == 22


documents = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(documents, documents)
def test_difference_agrees_with_equality_of_documents(found: Any, expected: Any) -> None:
    import json

    same = json.dumps(found, sort_keys=True) == json.dumps(expected, sort_keys=True)
    assert (difference(found, expected, 0.005) is None) is same
    assert difference(found, found, 0.0) is None


@given(st.decimals(-1000, 1000, places=2))
def test_a_printed_number_equals_itself_and_not_its_neighbour(number: Any) -> None:
    assert cell_equals(f"{number:.2f}", float(number), 0.005)
    assert not cell_equals(f"{number:.2f}", float(number) + 0.02, 0.005)
