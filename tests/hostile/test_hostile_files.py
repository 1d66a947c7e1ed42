"""Documents that an agent may leave in a checked file: each fails its check with a reason, and costs next to nothing."""

from __future__ import annotations

import io
import struct
import threading
import wave

import pytest
from harmless import harmless, named, refused
from hypothesis import given, settings
from hypothesis import strategies as st

from ise_gym.checks import build_check
from ise_gym.checks.judging import JudgePool
from ise_gym.scenario import CheckResult
from ise_gym.workspace.backends.dummy import DummyWorkspace
from ise_gym.workspace.base import ExecResult

DOCUMENTS = {
    "nothing": b"",
    "spaces": b" " * 100_000,
    "a NUL": b"\0",
    "no UTF-8": b"\xff\xfe\xfd",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a lone surrogate, encoded": b"\xed\xa0\x80",
    "a lone surrogate, escaped": rb'"\ud800"',
    "only a byte-order mark": b"\xef\xbb\xbf",
    "open brackets": b"[" * 100_000,
    "open braces": b'{"a":' * 100_000,
    "nested lists": b"[" * 100_000 + b"]" * 100_000,
    "nested mappings": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "parentheses": b"(" * 100_000,
    "an integer of 400 digits": b"1" * 400,
    "an integer of 5000 digits": b"1" * 5000,
    "an integer of 1 MB": b"1" * 1_000_000,
    "a hexadecimal integer of 100 kB": b"0x" + b"f" * 100_000,
    "a float beyond all": b"1e400",
    "a small float with many digits": b"0." + b"1" * 100_000,
    "NaN": b"NaN",
    "minus infinity": b"-Infinity",
    "a key twice": b'{"a": 1, "a": 2}',
    "a million zeros": b"[" + b"0," * 1_000_000 + b"0]",
    "one string of 8 MB": b'"' + b"x" * (8 << 20) + b'"',
    "more than is read": b"x" * ((8 << 20) + 1),
    "an unclosed string of 1 MB": b'"' + b"x" * 1_000_000,
    "backslashes": b'"' + b"\\" * 200_001,
    "many lines": b"a\n" * 500_000,
    "many empty lines": b"\n" * 1_000_000,
    "carriage returns": b"\r" * 200_000,
    "quotes": b'"' * 100_001,
    "commas": b"," * 500_000,
    "a wide row": b"n\n" + b",".join([b"1"] * 300_000),
    "!!bool foo": b"!!bool foo",
    "!!int of nothing": b"!!int ''",
    "!!float of nothing": b"!!float ''",
    "!!timestamp of nothing": b"!!timestamp x",
    "!!timestamp that never was": b"2024-13-45",
    "!!binary of nothing": b"!!binary '!'",
    "!!set of a list": b"!!set [1]",
    "!!omap of text": b"!!omap x",
    "!!python/object": b"!!python/object/apply:os.system ['true']",
    "!!null in a key": b"? [1, 2]\n: 3",
    "an unhashable key": b"{[1]: 2, {a: b}: 3}",
    "aliases that explode": b"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b]\n",
    "an alias of itself": b"&a [*a]",
    "merge keys": b"<<: {<<: {<<: {a: 1}}}",
    "dashes": b"- " * 100_000,
    "question marks": b"? " * 50_000,
    "flow mappings": b"{a: " * 100_000,
    "deep indentation": b"".join(b" " * n + b"a:\n" for n in range(2000)),
    "two documents": b"a: 1\n---\nb: 2\n",
    "percent signs": b"%YAML " * 10_000,
    "a long YAML mapping": b"a: b\n" * 200_000,
    "a long sexagesimal": b":".join([b"1"] * 50_000),
    "a tag of 100 kB": b"!" + b"x" * 100_000 + b" 1",
    "an anchor of 100 kB": b"&" + b"x" * 100_000 + b" 1",
}
READERS = {
    "json": {"equals": {"total": 3}},
    "jsonl": {"equals": [{"total": 3}]},
    "yaml": {"equals": {"total": 3}},
    "csv": {"rows": [{"n": 1}], "any_order": True},
    "text": {"equals": "total 3", "matches": ["^total 3$"]},
    "archive": {"equals": ["a.txt"]},
    "speech": {"says": "hello"},
}  # fmt: skip


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("document", **named(DOCUMENTS))
def test_no_document_harms_a_reader(kind: str, document: bytes) -> None:
    box = DummyWorkspace()
    box.write("found", document)
    check = build_check(kind, {"path": "found", **READERS[kind]})  # type: ignore[dict-item]
    assert "can't be checked" not in refused(lambda: check.run(box, {}))


@pytest.mark.parametrize(
    "spec", [{"equals": "3"}, {"json": {"n": 3}}, {"contains": "total"}, {"matches": "^total 3$"}]
)
@pytest.mark.parametrize("output", **named({name: text[:64_000] for name, text in DOCUMENTS.items()}))
def test_no_output_of_a_command_harms_its_check(output: bytes, spec: dict[str, object]) -> None:
    box = DummyWorkspace(commands={"tool": lambda *_: ExecResult(output, 0)})
    box.write("/usr/bin/tool", b"")
    check = build_check("command", {"argv": ["tool"], **spec})  # type: ignore[dict-item]
    refused(lambda: check.run(box, {}))


@pytest.mark.parametrize(
    "data",
    **named(
        {
            "no data": b"RIFF\x24\0\0\0WAVE",
            "a chunk beyond the end": b"RIFF\xff\xff\xff\xffWAVEfmt \xff\xff\xff\xff",
            "no channels": b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0" + struct.pack("<HHIIHH", 1, 0, 0, 0, 0, 0),
            "another format": b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0" + struct.pack("<HHIIHH", 3, 1, 1, 1, 1, 8),
            "data before its form": b"RIFF\x24\0\0\0WAVEdata\x04\0\0\0abcd",
            "an odd width": b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0" + struct.pack("<HHIIHH", 1, 1, 1, 1, 1, 7) + b"data\x08\0\0\0" + bytes(8),
        }
    ),
)  # fmt: skip
def test_no_sound_harms_its_reader(data: bytes) -> None:
    box = DummyWorkspace()
    box.write("a.wav", data)
    refused(lambda: build_check("speech", {"path": "a.wav", "says": "hello"}).run(box, {}))


def test_a_sound_of_eight_megabytes_is_read_and_differs() -> None:
    kept = io.BytesIO()
    with wave.open(kept, "wb") as sound:
        sound.setparams((1, 2, 16_000, 0, "NONE", ""))
        sound.writeframes(bytes(7 << 20))
    box = DummyWorkspace()
    box.write("a.wav", kept.getvalue())
    assert "a.wav" in refused(lambda: build_check("speech", {"path": "a.wav", "says": "hello"}).run(box, {}))


@pytest.mark.parametrize("kind", READERS)
@given(st.binary(max_size=300))
@settings(max_examples=60)
def test_any_bytes_get_a_verdict(kind: str, data: bytes) -> None:
    box = DummyWorkspace()
    box.write("found", data)
    harmless(lambda: build_check(kind, {"path": "found", **READERS[kind]}).run(box, {}))  # type: ignore[dict-item]


def test_a_large_integer_equals_itself_and_nothing_near() -> None:
    box = DummyWorkspace()
    box.write("n.json", b"1" * 400)
    assert build_check("json", {"path": "n.json", "equals": int("1" * 400)}).run(box, {}).passed
    assert not build_check("json", {"path": "n.json", "equals": 1.5}).run(box, {}).passed


def test_what_takes_too_long_names_the_limit_and_the_next_check_works() -> None:
    box = DummyWorkspace()
    box.write("slow.txt", b"x" * 40 + b"!")
    box.write("fine.txt", b"yes")
    slow = build_check("text", {"path": "slow.txt", "matches": ["(x+x+)+y"]})
    assert (
        refused(lambda: slow.run(box, {})) == "what was found takes more than 2 s of processor time to read"
    )
    assert build_check("text", {"path": "fine.txt", "equals": "yes"}).run(box, {}).passed


def test_what_takes_too_much_memory_names_the_limit() -> None:
    result = harmless(
        lambda: JudgePool().judge(
            build_check("jsonl", {"path": "x", "equals": []}), b"[" + b"[]," * 2_600_000 + b"[]]"
        )
    )
    assert not result.passed


def test_many_threads_share_the_judges_and_each_gets_its_own_answer() -> None:
    box = DummyWorkspace()
    for n in range(8):
        box.write(f"{n}.json", str(n).encode())
    wrong: list[tuple[int, CheckResult]] = []

    def ask(n: int) -> None:
        for wanted in range(8):
            result = build_check("json", {"path": f"{n}.json", "equals": wanted}).run(box, {})
            if result.passed != (n == wanted):
                wrong.append((n, result))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
