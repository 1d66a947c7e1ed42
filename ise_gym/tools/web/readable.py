"""What a person would read of a web page: its main part, without menus, forms and notices, as Markdown or text.

Pages come from scenarios and from servers that an agent starts, so a page may be made to be slow. It is tidied before
it is parsed: cut to a size, comments taken out, and every ``<`` that opens no whole tag made a plain character, since
the standard library's parser searches the rest of the document for each one's end. What is nested too deeply for
Markdown is shown as plain text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from ise_gym.errors import UserError

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

_FURNITURE = (
    "script", "style", "noscript", "template", "iframe", "svg", "nav", "footer", "aside", "form", "button", "input",
    "select", "dialog", "head",
)  # fmt: skip
_PLAIN = ["a", "b", "strong", "i", "em", "code", "img", "blockquote"]
MOST_CHARS = 300_000
"""Characters of a document that are read, and"""
MOST_TAGS = 6_000
"""tags of it."""
_MOST_WORK = 3_000_000
"""Depth times size that Markdown is made of: each level looks through all the text inside it once more."""
_MOST_ITEMS = 100
"""Items of one ordered list: the number of each is found by counting those before it."""
_CACHED_CHARS = 60_000
_STRAY = re.compile(
    r"<(?!/?[a-zA-Z](?:[^<>\"']{1,400}+|\"[^\"]{0,1000}+\"|'[^']{0,1000}+'){0,40}+>|![a-zA-Z][^<>]{0,400}>)"
)


@dataclass(frozen=True)
class Readable:
    """The title of a page and its main part."""

    title: str
    text: str


def readable(html: str, url: str = "", markdown: bool = True) -> Readable:
    """Extract the main part of an HTML page.

    Args:
        html: the whole document; its first `MOST_CHARS` characters and `MOST_TAGS` tags are read.
        url: where it came from; links and images are made absolute with it.
        markdown: keep headings, links, lists and emphasis as Markdown; else plain text (tables stay tables).

    Raises:
        UserError: the package that reads HTML is not installed.

    >>> readable('<nav>Home</nav><h1>Kettles</h1><p>See <a href="/k">all</a></p>', "http://a.example/").text
    '# Kettles\\n\\nSee [all](http://a.example/k)'
    """
    # scenario pages are small and asked for again and again; large ones would only fill the memory
    return (_cached if len(html) <= _CACHED_CHARS else _read)(html, url, markdown)


def _read(html: str, url: str, markdown: bool) -> Readable:
    try:
        from bs4 import BeautifulSoup
        from markdownify import MarkdownConverter
    except ImportError as error:
        raise UserError(
            f"web_fetch needs the package '{error.name}', which is not installed: pip install markdownify"
        ) from error
    soup = BeautifulSoup(tidied(html), "html.parser")
    title = " ".join(soup.title.get_text().split()) if soup.title else ""
    for tag in soup.find_all(_furniture):
        if not tag.decomposed:
            tag.decompose()
    root = soup.find("main") or soup.find("article") or soup.body or soup
    if _depth(root) * len(html) > _MOST_WORK:
        return Readable(title, _squeezed("\n".join(root.stripped_strings)))
    for name, key in (("a", "href"), ("img", "src")):
        for tag in root.find_all(name):
            if tag.get(key):
                tag[key] = _absolute(url, str(tag[key]))
    for ordered in root.find_all("ol"):
        _split(soup, ordered)
    converter = MarkdownConverter(heading_style="ATX", bullets="-", strip=None if markdown else _PLAIN)
    try:
        text = str(converter.convert_soup(root)).strip()
    except (RecursionError, ValueError):  # too deep, or an attribute that the converter can't count with
        return Readable(title, _squeezed("\n".join(root.stripped_strings)))
    if not markdown:
        text = re.sub(r"^#+ ", "", text, flags=re.MULTILINE)
        text = re.sub(r"\\([_*`])", r"\1", text)
    return Readable(title, _squeezed(text))


_cached = lru_cache(maxsize=256)(_read)


def tidied(html: str) -> str:
    """Return a document that parses in linear time: bounded, without comments, every ``<`` the start of a whole tag.

    >>> tidied("a < b <!-- c --><p>d</p><!-- open")
    'a &lt; b <p>d</p>'
    """
    plain = html[:MOST_CHARS].encode("utf-8", "replace").decode()  # half a surrogate pair stops the parser
    whole = "".join(_without_comments(plain))
    whole = _STRAY.sub("&lt;", whole)
    at = -1
    for _ in range(MOST_TAGS + 1):
        at = whole.find("<", at + 1)
        if at < 0:
            return whole
    return whole[:at]


def _without_comments(html: str) -> Iterator[str]:
    position = 0
    while (start := html.find("<!--", position)) >= 0:
        yield html[position:start]
        end = html.find("-->", start + 2)
        if end < 0:
            return
        position = end + 3
    yield html[position:]


def _furniture(tag: Tag) -> bool:
    return (
        tag.name in _FURNITURE
        or tag.get("role") == "dialog"
        or tag.has_attr("hidden")
        or tag.get("aria-hidden") == "true"
    )


def _depth(root: Tag) -> int:
    """Return how deeply tags are nested, without recursion."""
    deepest, level = 1, [root]
    while below := [child for tag in level for child in tag.find_all(True, recursive=False)]:
        deepest, level = deepest + 1, below
    return deepest


def _absolute(url: str, link: str) -> str:
    try:
        return urljoin(url, link)
    except ValueError:  # "http://[": no address, and none can be made of it
        return link


def _split(soup: BeautifulSoup, ordered: Tag) -> None:
    """Cut a long ordered list into several that go on counting."""
    items = ordered.find_all("li", recursive=False)
    after = ordered
    for start in range(_MOST_ITEMS, len(items), _MOST_ITEMS):
        more = soup.new_tag("ol", start=str(start + 1))
        for item in items[start : start + _MOST_ITEMS]:
            more.append(item.extract())
        after.insert_after(more)
        after = more


def _squeezed(text: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", text)
