"""From the bytes that a server sent to text: unpacked, and decoded in the character set that the page declares.

Servers are the scenario's or the agent's own; both may declare anything. What unpacks is bounded, and bytes that no
declaration fits are guessed at, so that a page is never shown as replacement characters without a reason.
"""

from __future__ import annotations

import codecs
import re
import zlib

from charset_normalizer import from_bytes

_TEXTUAL = frozenset(
    f"application/{name}"
    for name in (
        "csv", "ecmascript", "graphql", "javascript", "json", "json5", "jsonl", "jsonlines", "ld+json", "ndjson",
        "sql", "toml", "typescript", "x-httpd-php", "x-javascript", "x-json", "x-jsonlines", "x-ndjson", "x-sh",
        "x-subrip", "x-toml", "x-www-form-urlencoded", "x-yaml", "xhtml+xml", "xml", "xml-dtd", "yaml",
    )
)  # fmt: skip
_CHARSET = re.compile(r"charset\s{0,5}=\s{0,5}[\"']?\s{0,5}([\w.:-]{1,40})", re.IGNORECASE)
_META = re.compile(rb"<meta\b[^<>]{0,200}charset\s{0,5}=\s{0,5}[\"']?\s{0,5}([\w.:-]{1,40})", re.IGNORECASE)
_XML = re.compile(rb"^\s{0,20}<\?xml\b[^<>]{0,200}encoding\s{0,5}=\s{0,5}[\"']([\w.:-]{1,40})", re.IGNORECASE)
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "iso8859-1": "cp1252", "ascii": "utf-8"}
"""Character sets that pages declare when they use a wider one (as browsers read them, WHATWG Encoding)."""
_DECLARED_IN = 2_048
_GUESSED_FROM = 8_192


def media_type(kind: str) -> str:
    """Return a Content-Type without its parameters, in lower case."""
    return kind.partition(";")[0].strip().lower()


def is_text(kind: str) -> bool:
    """Whether a body of this Content-Type is text; one without a type is taken for text.

    >>> [is_text(kind) for kind in ("application/problem+json", "application/rss+xml; charset=utf-8", "image/png")]
    [True, True, False]
    """
    plain = media_type(kind)
    return (
        not plain
        or plain.startswith("text/")
        or plain in _TEXTUAL
        or plain.endswith(("+json", "+xml", "+yaml"))
    )


def unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo a Content-Encoding.

    Args:
        body: as it came, perhaps cut.
        encoding: the header; "" and "identity" leave the body as it is.
        limit: most bytes that are unpacked; what is beyond is left out.

    Raises:
        ValueError: an encoding that can't be read here, or a body that is not in it.
    """
    names = [name.strip().lower() for name in encoding.split(",")]
    for name in reversed([name for name in names if name not in ("", "identity")][:2]):
        if name not in ("gzip", "x-gzip", "deflate"):
            raise ValueError(
                f"the body is encoded as {name[:40]}, which can't be read here: ask the server for identity"
            )
        body = _inflated(body, name, limit)
    return body


def _inflated(body: bytes, name: str, limit: int) -> bytes:
    # servers send "deflate" with the zlib header that RFC 9110 asks for, and without
    for window in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS) if name == "deflate" else (zlib.MAX_WBITS | 32,):
        try:
            return zlib.decompressobj(window).decompress(body, limit)
        except zlib.error:
            continue
    raise ValueError(f"the body is not {name}, though the server says so")


def decoded(body: bytes, kind: str) -> str:
    """Decode a body: by its byte order mark, the header's or the document's own charset, UTF-8, or else by a guess.

    >>> decoded("茶壶".encode("gbk"), "text/plain; charset=gbk")
    '茶壶'
    """
    for mark, name in _MARKS:
        if body.startswith(mark):
            return body.decode(name, "replace")
    for name in _declared(body, kind):
        try:
            return body.decode(name, "replace")
        except (LookupError, ValueError):  # no such charset, or one that is none (rot13, zlib)
            continue
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(body)  # a character cut at the end is left out
    except UnicodeDecodeError:
        guess = from_bytes(body[:_GUESSED_FROM]).best()
        return body.decode(guess.encoding if guess is not None else "utf-8", "replace")


def _declared(body: bytes, kind: str) -> list[str]:
    names = [found[1]] if (found := _CHARSET.search(kind[:500])) else []
    head = body[:_DECLARED_IN]
    if "html" in kind.lower() and (meta := _META.search(head)):
        names.append(meta[1].decode("ascii", "ignore"))
    if "xml" in kind.lower() and (xml := _XML.search(head)):
        names.append(xml[1].decode("ascii", "ignore"))
    known = []
    for name in names:
        try:
            found_name = codecs.lookup(name).name
        except (LookupError, ValueError):
            continue
        known.append(_WIDER.get(found_name, found_name))
    return known
