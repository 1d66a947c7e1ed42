"""What a person would read of a web page: its main part, without menus, forms and notices, as Markdown or text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urljoin

from ise_gym.errors import UserError

_FURNITURE = (
    "script", "style", "noscript", "template", "iframe", "svg", "nav", "footer", "aside", "form", "button", "input",
    "select", "dialog", "head",
)  # fmt: skip
_PLAIN = ["a", "b", "strong", "i", "em", "code", "img", "blockquote"]


@dataclass(frozen=True)
class Readable:
    """The title of a page and its main part."""

    title: str
    text: str


@lru_cache(maxsize=512)
def readable(html: str, url: str = "", markdown: bool = True) -> Readable:
    """Extract the main part of an HTML page.

    Args:
        html: the whole document.
        url: where it came from; links and images are made absolute with it.
        markdown: keep headings, links, lists and emphasis as Markdown; else plain text (tables stay tables).

    Raises:
        UserError: the package that reads HTML is not installed.
        RecursionError: nested too deeply.

    >>> readable('<nav>Home</nav><h1>Kettles</h1><p>See <a href="/k">all</a></p>', "http://a.example/").text
    '# Kettles\\n\\nSee [all](http://a.example/k)'
    """
    try:
        from bs4 import BeautifulSoup
        from markdownify import MarkdownConverter
    except ImportError as error:
        raise UserError(
            f"web_fetch needs the package '{error.name}', which is not installed: pip install markdownify"
        ) from error
    soup = BeautifulSoup(html, "html.parser")
    title = " ".join(soup.title.get_text().split()) if soup.title else ""
    for tag in soup.find_all(_FURNITURE):
        tag.decompose()
    for tag in soup.select('[role="dialog"], [hidden], [aria-hidden="true"]'):
        tag.decompose()
    root = soup.find("main") or soup.find("article") or soup.body or soup
    for name, key in (("a", "href"), ("img", "src")):
        for tag in root.find_all(name):
            if tag.get(key):
                tag[key] = urljoin(url, str(tag[key]))
    converter = MarkdownConverter(heading_style="ATX", bullets="-", strip=None if markdown else _PLAIN)
    text = str(converter.convert_soup(root)).strip()
    if not markdown:
        text = re.sub(r"^#+ ", "", text, flags=re.MULTILINE)
        text = re.sub(r"\\([_*`])", r"\1", text)
    return Readable(title, re.sub(r"\n{3,}", "\n\n", text))
