"""Office documents are read back by what a program without a library of its own has, and are the same each time."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from typing import Any
from xml.etree import ElementTree

import pytest

from ise_gym.tasks.startfiles.media import MEDIA

BOOK = {"sheets": [{"name": "A & B", "rows": [["x", 1.5, None, True], ["x", "ü < 3", 12]]}]}
TEXT = {"blocks": [{"heading": "H"}, {"text": "a & b"}, {"table": [["c", 1], ["d", 2]]}]}
PAGES = {"pages": [["one (1)", "back\\slash"], ["two"]]}


def test_a_workbook_holds_its_cells() -> None:
    book = zipfile.ZipFile(io.BytesIO(MEDIA["xlsx"](BOOK)))
    shared = [si.findtext("{*}t") for si in ElementTree.fromstring(book.read("xl/sharedStrings.xml"))]
    cells = {
        cell.get("r"): (cell.get("t"), cell.findtext("{*}v"))
        for cell in ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml")).findall(".//{*}c")
    }
    assert shared == ["x", "ü < 3"] and 'name="A &amp; B"' in book.read("xl/workbook.xml").decode()
    assert cells == {"A1": ("s", "0"), "B1": (None, "1.5"), "D1": ("b", "1"), "A2": ("s", "0"), "B2": ("s", "1"), "C2": (None, "12")}  # fmt: skip


def test_a_document_holds_paragraphs_and_tables() -> None:
    archive = zipfile.ZipFile(io.BytesIO(MEDIA["docx"](TEXT)))
    body = ElementTree.fromstring(archive.read("word/document.xml"))[0]
    texts = [
        [
            "".join(t.text or "" for t in p.findall(".//{*}t"))
            for p in ([block] if block.tag.endswith("}p") else block.findall(".//{*}p"))
        ]
        for block in body
    ]
    assert texts == [["H"], ["a & b"], ["c", "1", "d", "2"]]


def test_a_pdf_holds_its_lines_where_its_table_says() -> None:
    data = MEDIA["pdf"](PAGES)
    streams = re.findall(rb"stream\n(.*?)\nendstream", data, re.S)
    lines = [re.findall(rb"^\((.*)\) Tj", zlib.decompress(stream), re.M) for stream in streams]
    assert lines == [[rb"one \(1\)", rb"back\\slash"], [b"two"]]
    start = int(data.rsplit(b"startxref\n", 1)[1].split()[0])
    places = [int(line[:10]) for line in data[start:].splitlines()[3:] if line.endswith(b"n ")]
    assert [data[place:].split(b" ", 1)[0] for place in places] == [
        str(n + 1).encode() for n in range(len(places))
    ]


@pytest.mark.parametrize(("kind", "data"), [("xlsx", BOOK), ("docx", TEXT), ("pdf", PAGES)])
def test_they_are_the_same_each_time_and_refuse_other_keys(kind: str, data: dict[str, Any]) -> None:
    assert MEDIA[kind](data) == MEDIA[kind](data)
    with pytest.raises(ValueError):
        MEDIA[kind]({**data, "author": "me"})
