"""`web_fetch` and `web_search`: the box's own small web.

A fetch reaches exactly what a command in the box could reach: the scenario's hosts and servers that the agent itself
started. A search ranks the pages of the scenario's sites by words (BM25).
"""

from __future__ import annotations

import inspect
import json
import re
from functools import cache, partial
from http.client import HTTPConnection
from typing import Any, Literal, Required, TypedDict

from ise_gym.services.direct import DirectConnection
from ise_gym.services.host import ServiceHost, services_of
from ise_gym.services.web import Page, WebSite
from ise_gym.tools.base import Tool, ToolContext, ToolOutcome
from ise_gym.tools.output import failure
from ise_gym.tools.ranking import bm25, words
from ise_gym.tools.schema import function_tool
from ise_gym.tools.web import fetching
from ise_gym.tools.web.bodies import decoded, is_text, media_type, unpacked
from ise_gym.tools.web.fetching import HOPS, Elsewhere, get_page, is_local
from ise_gym.tools.web.readable import readable
from ise_gym.workspace.base import Workspace

MAX_CHARS = 20_000
RESULTS = 5
_PAGE_BYTES = 2 << 20
_SNIPPET = 200
_URL_CHARS = 8_000
_TIMEOUT_S = 40.0
_DUMP = "/tmp/.web_fetch"
_PLAIN_URL = re.compile(r"[!-~]+")


class FetchArguments(TypedDict, total=False):
    """Arguments of `web_fetch`."""

    url: Required[str]
    extractMode: Literal["markdown", "text"]
    maxChars: int


class SearchArguments(TypedDict, total=False):
    """Arguments of `web_search`."""

    query: Required[str]
    domain_filter: list[str]
    count: int


def fetch(context: ToolContext, arguments: FetchArguments) -> ToolOutcome:
    """Fetch one page and show its main part."""
    url = arguments["url"].strip()
    if not url.startswith("http://") or "\0" in url:
        hint = (
            "this network has no https, use http://"
            if url.startswith("https://")
            else "it must start with http://"
        )
        return failure(f"web_fetch: {url[:200]}: {hint}", "bad_arguments")
    if len(url) > _URL_CHARS:
        return failure(
            f"web_fetch: {url[:200]}…: an address has at most {_URL_CHARS} characters", "bad_arguments"
        )
    workspace = context.workspace
    try:
        said, body = _got(workspace, url)
    except TimeoutError:
        return failure(f"web_fetch: {url}: no answer within {_TIMEOUT_S:g} s", "timeout")
    if "error" in said:
        return failure(f"web_fetch: {url}: {said['error']}", "fetch")
    status, kind = int(said["status"]), str(said["type"])
    try:
        body = unpacked(body, str(said.get("encoding", "")), _PAGE_BYTES)
    except ValueError as error:
        return failure(f"web_fetch: {url}: {error}", "fetch")
    markdown = arguments.get("extractMode", "markdown") == "markdown"
    title, text = _content(body, kind, str(said["url"]), markdown)
    if text is None:
        return failure(f"web_fetch: {url}: {kind or 'unknown type'}, {len(body)} bytes: not text", "not_text")
    shown = _shortened(text, int(arguments.get("maxChars", MAX_CHARS)))
    if status >= 400:
        wait = f" (Retry-After: {said['retry']})" if said["retry"] else ""
        return failure(f"web_fetch: {url}: HTTP {status}{wait}\n{shown[:500]}".strip(), f"http_{status}")
    head = [f"URL: {said['url']}", f"Status: {status}"] + ([f"Title: {title}"] if title else [])
    return ToolOutcome("\n".join([*head, "", shown]), success=True)


def _got(workspace: Workspace, url: str) -> tuple[dict[str, Any], bytes]:
    """Get a page: of the scenario's hosts directly, else by a process in the box; see `get_page`."""
    host, hops = services_of(workspace), HOPS
    # odd characters are left to the box's own interpreter, whose words about them are part of the record
    if host is not None and host.sites and _PLAIN_URL.fullmatch(url):
        try:
            return get_page(url, _PAGE_BYTES, partial(_direct, host))
        except Elsewhere as rest:
            url, hops = rest.url, rest.hops
    argv = ["/usr/bin/python3", "-I", "-S", "-c", _program(), url, str(_PAGE_BYTES), str(hops), _DUMP]
    result = workspace.exec(argv, timeout=_TIMEOUT_S, merge=False)
    if result.timed_out:
        raise TimeoutError
    try:
        said: dict[str, Any] = json.loads(result.output)
    except ValueError:
        tail = result.stderr[-200:].decode("utf-8", "replace").strip()
        return {"error": f"the fetch failed: {tail}"}, b""
    if "error" in said:
        return said, b""
    body = workspace.read(_DUMP, 0, _PAGE_BYTES)
    workspace.remove(_DUMP)
    return said, body


def _direct(host: ServiceHost, name: str, port: int) -> tuple[HTTPConnection, bool] | None:
    return None if is_local(name) else (DirectConnection(host), True)


@cache
def _program() -> str:
    return inspect.getsource(fetching)


def _content(body: bytes, kind: str, url: str, markdown: bool) -> tuple[str, str | None]:
    """Return title and text; None for what is no text."""
    if not is_text(kind):
        return "", None
    text = decoded(body, kind)
    if "html" in media_type(kind):
        page = readable(text, url, markdown)
        return page.title, page.text
    return "", text.rstrip("\n")


def _shortened(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return f"{text[:limit]}\n[{len(text) - limit} of {len(text)} characters cut; raise maxChars to see more]"


def search(context: ToolContext, arguments: SearchArguments) -> ToolOutcome:
    """Rank the scenario's pages."""
    query = arguments["query"]
    if not words(query):
        return failure("web_search: the query holds no word", "bad_arguments")
    host = services_of(context.workspace)
    pages = listed_pages(host) if host is not None else []
    if wanted := [name.lower() for name in arguments.get("domain_filter", ())]:
        pages = [
            page
            for page in pages
            if any(_host(page.url) == d or _host(page.url).endswith(f".{d}") for d in wanted)
        ]
    if not pages:
        return failure("web_search: there are no pages to search", "no_pages")
    texts = [_text(page) for page in pages]
    scores = bm25(
        query, [f"{page.title} {page.title} {text}" for page, text in zip(pages, texts, strict=True)]
    )
    ranked = sorted(
        (-score, page.url, index) for index, (score, page) in enumerate(zip(scores, pages, strict=True))
    )
    hits = [(pages[index], texts[index]) for score, _, index in ranked if score < 0]
    if not hits:
        return ToolOutcome(f"No page matches: {query}", success=True)
    count = int(arguments.get("count", RESULTS))
    blocks = [
        f"{number}. {page.title}\n   {page.url}\n   {_snippet(query, text)}"
        for number, (page, text) in enumerate(hits[:count], 1)
    ]
    return ToolOutcome("\n".join(blocks), success=True)


def listed_pages(host: ServiceHost) -> list[Page]:
    """Return the pages that a search may find, in order of address."""
    found = [
        page
        for site in host.sites.values()
        if isinstance(site, WebSite)
        for page in site.pages.values()
        if page.listed and not page.location
    ]
    return sorted(found, key=lambda page: page.url)


def _host(url: str) -> str:
    return url.removeprefix("http://").partition("/")[0]


def _text(page: Page) -> str:
    return _content(page.body, page.content_type, page.url, markdown=False)[1] or ""


def _snippet(query: str, text: str) -> str:
    """Return the line that fits the query best, shortened."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    scores = bm25(query, lines)
    best = lines[max(range(len(lines)), key=lambda i: (scores[i], -i))]
    return best if len(best) <= _SNIPPET else best[:_SNIPPET] + "…"


WEB_FETCH = Tool(
    function_tool(
        "web_fetch",
        "Fetch a page over http and show its main part as readable text.",
        {
            "url": {"type": "string"},
            "extractMode": {"type": "string", "enum": ["markdown", "text"]},
            "maxChars": {"type": "integer", "minimum": 100},
        },
        ["url"],
    ),
    fetch,
)

WEB_SEARCH = Tool(
    function_tool(
        "web_search",
        "Search the web by words; gives titles, addresses and a line of each page.",
        {
            "query": {"type": "string"},
            "count": {"type": "integer", "minimum": 1, "maximum": 20},
            "domain_filter": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Only these hosts",
            },
        },
        ["query"],
    ),
    search,
)
