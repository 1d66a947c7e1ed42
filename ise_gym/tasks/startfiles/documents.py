"""Office documents as start files: workbooks, text documents and pages, written from data, byte for byte the same.

Only what programs without a library of their own can still read: shared strings and numbers in an .xlsx, paragraphs
and tables in a .docx, one compressed stream of text lines a page in a PDF.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from typing import Annotated, Any
from xml.sax.saxutils import escape

from pydantic import BaseModel, ConfigDict, Field

Cell = str | int | float | bool | None
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MADE = (2024, 1, 1, 0, 0, 0)
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Sheet(_Model):
    """A sheet: rows of cells; a text is shared, a number is a number, null is no cell."""

    name: Annotated[str, Field(min_length=1, max_length=31)]
    rows: list[list[Cell]]


class Workbook(_Model):
    """An .xlsx file."""

    sheets: list[Sheet] = Field(min_length=1)


class Block(_Model):
    """A heading, a paragraph or a table of a text document: exactly one of them."""

    heading: str = ""
    text: str = ""
    table: list[list[Cell]] = Field(default_factory=list)


class TextDocument(_Model):
    """A .docx file."""

    blocks: list[Block] = Field(min_length=1)


class Pages(_Model):
    """A PDF: a list of lines for each page, in Helvetica of 10 points."""

    pages: list[list[str]] = Field(min_length=1)


def workbook_bytes(book: Workbook) -> bytes:
    """Write a workbook.

    >>> len(workbook_bytes(Workbook(sheets=[Sheet(name="A", rows=[["x", 1.5]])]))) > 1000
    True
    """
    shared: dict[str, int] = {}
    sheets = [_sheet(sheet.rows, shared) for sheet in book.sheets]
    numbers = range(1, len(sheets) + 1)
    listed = "".join(
        f'<sheet name="{_attribute(sheet.name)}" sheetId="{n}" r:id="rId{n}"/>'
        for n, sheet in zip(numbers, book.sheets, strict=True)
    )
    texts = "".join(f'<si><t xml:space="preserve">{escape(text)}</t></si>' for text in shared)
    links = [(f"rId{n}", "worksheet", f"worksheets/sheet{n}.xml") for n in numbers]
    links.append((f"rId{len(sheets) + 1}", "sharedStrings", "sharedStrings.xml"))
    parts = {
        "xl/workbook.xml": f'<workbook xmlns="{_MAIN}" xmlns:r="{_LINKS}"><sheets>{listed}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": _relations(links),
        "xl/sharedStrings.xml": f'<sst xmlns="{_MAIN}" count="{len(shared)}" uniqueCount="{len(shared)}">{texts}</sst>',
        **{f"xl/worksheets/sheet{n}.xml": body for n, body in zip(numbers, sheets, strict=True)},
    }
    kinds = {f"/xl/worksheets/sheet{n}.xml": f"{_TYPE}.spreadsheetml.worksheet+xml" for n in numbers}
    kinds |= {
        "/xl/workbook.xml": f"{_TYPE}.spreadsheetml.sheet.main+xml",
        "/xl/sharedStrings.xml": f"{_TYPE}.spreadsheetml.sharedStrings+xml",
    }
    return _package(parts, kinds, "xl/workbook.xml")


def document_bytes(document: TextDocument) -> bytes:
    """Write a text document; headings have the style ``Heading1``."""
    body = "".join(_block(block) for block in document.blocks)
    parts = {"word/document.xml": f'<w:document xmlns:w="{_WORD}"><w:body>{body}</w:body></w:document>'}
    kinds = {"/word/document.xml": f"{_TYPE}.wordprocessingml.document.main+xml"}
    return _package(parts, kinds, "word/document.xml")


def pdf_bytes(pages: Pages) -> bytes:
    """Write a PDF of version 1.4; characters outside Latin-1 become question marks.

    >>> pdf_bytes(Pages(pages=[["Hello"]]))[:8]
    b'%PDF-1.4'
    """
    count = len(pages.pages)
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(count))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {count} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for number, lines in enumerate(pages.pages):
        resources = "<< /Font << /F1 3 0 R >> >>"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources {resources} "
            f"/Contents {5 + 2 * number} 0 R >>".encode()
        )
        shown = b"".join(b"(%s) Tj T*\n" % _pdf_text(line) for line in lines)
        packed = zlib.compress(b"BT\n/F1 10 Tf\n12 TL\n50 800 Td\n" + shown + b"ET\n", 9)
        objects.append(
            b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(packed), packed)
        )
    out = io.BytesIO()
    out.write(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    table = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.write(b"".join(b"%010d 00000 n \n" % place for place in places))
    out.write(b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table))
    return out.getvalue()


def _sheet(rows: Sequence[Sequence[Cell]], shared: dict[str, int]) -> str:
    body = []
    for number, row in enumerate(rows, 1):
        cells = "".join(
            _cell(f"{_column(at)}{number}", value, shared)
            for at, value in enumerate(row)
            if value is not None and value != ""
        )
        body.append(f'<row r="{number}">{cells}</row>')
    return f'<worksheet xmlns="{_MAIN}"><sheetData>{"".join(body)}</sheetData></worksheet>'


def _cell(place: str, value: Cell, shared: dict[str, int]) -> str:
    if isinstance(value, bool):
        return f'<c r="{place}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, (int, float)):
        return f'<c r="{place}"><v>{value!r}</v></c>'
    return f'<c r="{place}" t="s"><v>{shared.setdefault(str(value), len(shared))}</v></c>'


def _column(at: int) -> str:
    """Return the letters of a column.

    >>> _column(0), _column(25), _column(26)
    ('A', 'Z', 'AA')
    """
    letters = ""
    at += 1
    while at:
        at, rest = divmod(at - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _block(block: Block) -> str:
    if block.table:
        rows = "".join(
            "<w:tr>" + "".join(f"<w:tc>{_paragraph(str(cell))}</w:tc>" for cell in row) + "</w:tr>"
            for row in block.table
        )
        return f"<w:tbl>{rows}</w:tbl>"
    if block.heading:
        return _paragraph(block.heading, '<w:pPr><w:pStyle w:val="Heading1"/></w:pPr>')
    return _paragraph(block.text)


def _paragraph(text: str, style: str = "") -> str:
    return f'<w:p>{style}<w:r><w:t xml:space="preserve">{escape(text)}</w:t></w:r></w:p>'


def _relations(links: Sequence[tuple[str, str, str]]) -> str:
    items = "".join(
        f'<Relationship Id="{name}" Type="{_LINKS}/{kind}" Target="{target}"/>'
        for name, kind, target in links
    )
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{items}</Relationships>'


def _package(parts: dict[str, str], kinds: dict[str, str], main: str) -> bytes:
    overrides = "".join(f'<Override PartName="{part}" ContentType="{kind}"/>' for part, kind in kinds.items())
    defaults = (
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
    )
    files = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">{defaults}{overrides}</Types>',
        "_rels/.rels": _relations([("rId1", "officeDocument", main)]),
        **parts,
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name, _MADE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, _HEAD + text)
    return out.getvalue()


def _attribute(text: str) -> str:
    return escape(text, {'"': "&quot;"})


def _pdf_text(line: str) -> bytes:
    plain = line.encode("latin-1", "replace")
    return plain.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


WRITERS: dict[str, tuple[type[BaseModel], Any]] = {
    "xlsx": (Workbook, workbook_bytes),
    "docx": (TextDocument, document_bytes),
    "pdf": (Pages, pdf_bytes),
}
"""Key of a start file → the data that it takes, and what writes them."""
