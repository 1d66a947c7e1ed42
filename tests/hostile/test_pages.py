"""Pages and server answers: read within a second, never an exception, in the character set that they declare."""

from __future__ import annotations

import gzip
import time
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made.shapes import SHAPES, filled

from ise_gym.tools.web.bodies import decoded, is_text, unpacked
from ise_gym.tools.web.fetching import is_local
from ise_gym.tools.web.readable import MOST_CHARS, readable, tidied
from ise_gym.tools.web.tools import _content

PAGE_S = 2.0  # a fifth to a tenth of it is measured
UNITS = {
    "open comments": "<!--",
    "open ends": "</",
    "open angles": "<",
    "open tags": "<a ",
    "open quotes": "<a b='",
    "mixed quotes": "<a b=\"x'",
    "quotes that hold tags": '<a "<a \'"',
    "declarations": "<!",
    "instructions": "<?",
    "sections": "<![CDATA[",
    "references": "&#x",
    "divs": "<div>",
    "bold": "<b>x",
    "menus": "<nav>",
    "ordered lists": "<ol><li>x",
    "items": "<li>x</li>",
    "open items": "<li>",
    "paragraphs": "<p>",
    "tables": "<table><tr><td>x",
    "cells": "<td>x</td>",
    "rows": "<tr><td>x</td><td>y</td></tr>",
    "terms": "<dl><dt>a<dd>b",
    "code": "<pre>x",
    "quotes": "<blockquote>x",
    "headings": "<h1>x</h1>",
    "bad links": "<a href='http://['>x</a>",
    "links": "<a href='/x'>x</a>",
    "pictures": "<img src='x' alt='y'>",
    "rules": "<hr>",
    "breaks": "<br>\n ",
    "scripts": "<script>",
    "comments": "<!-- -->",
    "empty words": "<i> </i>",
    "ends": "</b>",
    "attributes": "<a " + "b=c " * 50 + ">",
    "slashes": "<a" + "/" * 50 + ">",
}
PAGES = {**{f"page: {name}": unit for name, unit in UNITS.items()}, **SHAPES}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_400_kb_is_read_in_time(name: str) -> None:
    page = filled(PAGES[name], 400_000)
    begun = time.process_time()
    readable(page, "http://a.example/x")
    assert time.process_time() - begun < PAGE_S


@pytest.mark.parametrize(
    "before", ["<ol>", "<ul>", "<table>", "<main>", "<pre>", "<title>", "<textarea>", "<p "]
)
def test_a_page_inside_something_is_read_in_time(before: str) -> None:
    for unit in ("<li>x", "<tr><td>x", "<b>", "x ", "<"):
        begun = time.process_time()
        readable(before + filled(unit, 300_000))
        assert time.process_time() - begun < PAGE_S, unit


@pytest.mark.parametrize(
    "link",
    ["http://[", "http://[::1", "//[", "http://a:b:c/", "javascript:x", "\x00", "http://\ud800", "[" * 500],
)
def test_no_link_ends_a_page(link: str) -> None:
    assert "here" in readable(f"<p><a href='{link}'>here</a><img src='{link}'></p>", "http://a.example/").text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>a < b and c > d</p>", "a < b and c > d"),
        ("<p>1 <2</p>", "1 <2"),
        ("<p title='a > b'>x</p>", "x"),
        ('<p title="a < b">x</p>', "x"),
        ("<!-- a --><p>x</p><!-- b -->", "x"),
        ("<p>x</p><!-- open <p>y</p>", "x"),
        ("<p>x<!-->y--></p>", "xy-->"),
        ("<!DOCTYPE html><p>x</p>", "x"),
        ("<p>x</p><div hidden>y</div>", "x"),
        ("<p>x</p><div aria-hidden=true>y</div>", "x"),
        ("<p>x</p><div role=dialog>y</div>", "x"),
        ("<p>x</p><nav><nav>y</nav></nav>", "x"),
        ("<div>" * 500 + "deep" + "</div>" * 500, "deep"),
        ("<b>" * 3_000 + "deeper", "deeper"),
        ("<ol>" + "<li>x</li>" * 250 + "</ol>", None),
    ],
)
def test_what_a_person_would_read(html: str, text: str | None) -> None:
    found = readable(html).text
    if text is None:
        assert "1. x" in found and "101. x" in found and "250. x" in found
    else:
        assert found == text


def test_a_page_is_cut_where_it_is_too_long() -> None:
    assert len(tidied("x" * (2 * MOST_CHARS))) == MOST_CHARS
    assert tidied("<p>x</p>" * 100_000).count("<") <= 6_001


@given(st.text(max_size=300), st.sampled_from(list(UNITS.values())))
@settings(max_examples=80)
def test_any_page_is_read(text: str, unit: str) -> None:
    readable(unit + text + unit, "http://a.example/")


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        ("茶壶 é".encode("gb18030"), "text/plain; charset=gbk", "茶壶 é"),
        ("茶壶".encode("gbk"), "text/html; charset=GB2312", "茶壶"),
        ("茶".encode("big5"), "text/plain; charset=big5", "茶"),
        ("お茶".encode("shift_jis"), "text/plain; charset=Shift_JIS", "お茶"),
        ("чай".encode("koi8-r"), "text/plain; charset=koi8-r", "чай"),
        ("naïve “x”".encode("cp1252"), "text/plain; charset=iso-8859-1", "naïve “x”"),
        ("é".encode(), "text/plain", "é"),
        ("é".encode(), "", "é"),
        ("é".encode(), "text/plain; charset=no-such-set", "é"),
        ("é".encode(), "text/plain; charset=rot13", "é"),
        ("é".encode(), "text/plain; charset=zlib", "é"),
        ("é".encode(), "text/plain; charset=idna", None),
        ("é".encode(), "text/plain; charset=unicode_escape", None),
        ("\ufeffé".encode(), "text/plain", "é"),
        ("é".encode("utf-16"), "text/plain; charset=utf-8", "é"),
        ('<meta charset="gbk"><p>茶'.encode("gbk"), "text/html", '<meta charset="gbk"><p>茶'),
        ('<?xml version="1.0" encoding="koi8-r"?>чай'.encode("koi8-r"), "application/rss+xml", None),
        (b"caf\xe9 au lait, d\xe9j\xe0 vu, gar\xe7on", "text/plain", None),
        (b"\xff\xfe\xfd", "text/plain", None),
        ("é".encode()[:1], "text/plain", ""),
    ],
)
def test_bodies_are_decoded_as_they_declare(body: bytes, kind: str, text: str | None) -> None:
    found = decoded(body, kind)
    if text is not None:
        assert found == text
    elif b"koi8" in body:
        assert found.endswith("чай")


@pytest.mark.parametrize("kind", ["application/json", "application/problem+json", "application/ld+json", "application/rss+xml",
    "application/atom+xml", "application/yaml", "application/x-yaml", "text/yaml", "application/xml", "image/svg+xml", "text/csv", "",
    "application/javascript", "application/x-ndjson", "application/toml", "APPLICATION/JSON; charset=utf-8"])  # fmt: skip
def test_these_are_text(kind: str) -> None:
    assert is_text(kind)


@pytest.mark.parametrize(
    "kind",
    [
        "image/png",
        "application/pdf",
        "application/zip",
        "application/octet-stream",
        "video/mp4",
        "font/woff2",
    ],
)
def test_these_are_not_text(kind: str) -> None:
    assert not is_text(kind) and _content(b"x", kind, "", True) == ("", None)


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("body", "encoding", "found"),
    [
        (gzip.compress(b"hello", mtime=0), "gzip", b"hello"),
        (gzip.compress(b"hello", mtime=0), "x-gzip", b"hello"),
        (gzip.compress(b"hello", mtime=0), " GZIP ", b"hello"),
        (zlib.compress(b"hello"), "deflate", b"hello"),
        (raw_deflate(b"hello"), "deflate", b"hello"),
        (gzip.compress(gzip.compress(b"hello", mtime=0)), "gzip, gzip", b"hello"),
        (gzip.compress(b"hello" * 100, mtime=0)[:-12], "gzip", None),
        (b"hello", "identity", b"hello"),
        (b"hello", "", b"hello"),
        (gzip.compress(b"\0" * 50_000_000, mtime=0), "gzip", b"\0" * 1_000),
    ],
)
def test_bodies_are_unpacked(body: bytes, encoding: str, found: bytes | None) -> None:
    made = unpacked(body, encoding, 1_000)
    assert len(made) <= 1_000
    assert found is None or made == found


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(b"hello", "gzip"), (b"hello", "br"), (b"x", "zstd"), (b"", "gzip, br"), (b"\xff\xff\xff", "deflate")],
)
def test_what_can_not_be_unpacked_is_told(body: bytes, encoding: str) -> None:
    with pytest.raises(ValueError, match="the body is"):
        unpacked(body, encoding, 100)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "0.0.0.0", "::1", "::"])
def test_these_hosts_are_the_box_itself(host: str) -> None:
    assert is_local(host)


@pytest.mark.parametrize("host", ["a.example", "128.0.0.1", "localhost.example", "", "10.0.0.1"])
def test_these_hosts_are_not(host: str) -> None:
    assert not is_local(host)


def test_there_are_many_inputs() -> None:
    counted: Any = len(PAGES)
    assert counted >= 120
