"""`web_fetch` and `web_search`: the box's own small web.

A fetch is made by a process inside the box, so it reaches exactly what a command could reach: the scenario's hosts and
servers that the agent itself started. A search ranks the pages of the scenario's sites by words (BM25).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ise_gym.services.host import ServiceHost, services_of
from ise_gym.services.web import Page, WebSite
from ise_gym.tools.base import Tool, ToolContext, ToolOutcome
from ise_gym.tools.output import failure
from ise_gym.tools.ranking import bm25, words
from ise_gym.tools.readable import readable
from ise_gym.tools.schema import function_tool

MAX_CHARS = 20_000
RESULTS = 5
_PAGE_BYTES = 2 << 20
_SNIPPET = 200
_TIMEOUT_S = 40.0
_DUMP = "/tmp/.web_fetch"
_FETCH = """
import http.client, json, os, sys
from urllib.parse import urljoin, urlsplit
url, limit, dump = sys.argv[1], int(sys.argv[2]), sys.argv[3]
def get(url):
    there = urlsplit(url)
    host, port = there.hostname or "", there.port or 80
    proxy = urlsplit(os.environ.get("http_proxy", ""))
    path = (there.path or "/") + ("?" + there.query if there.query else "")
    if proxy.hostname and host not in ("localhost", "127.0.0.1"):
        line = http.client.HTTPConnection(proxy.hostname, proxy.port, timeout=30)
        path = "http://" + there.netloc + path
    else:
        line = http.client.HTTPConnection(host, port, timeout=30)
    line.request("GET", path, headers={"Host": there.netloc, "Accept": "text/html, */*"})
    return line.getresponse()
said = {}
try:
    for _ in range(6):
        reply = get(url)
        if reply.status not in (301, 302, 303, 307, 308) or not reply.headers.get("Location"):
            break
        url = urljoin(url, reply.headers["Location"])
        if not url.startswith("http://"):
            raise OSError("redirected to " + url + ", which is not http")
    else:
        raise OSError("redirected too often")
    body = reply.read(limit + 1)
    if len(body) < min(limit, int(reply.headers.get("Content-Length") or 0)):
        raise OSError("the connection broke after %d bytes" % len(body))
    with open(dump, "wb") as file:
        file.write(body[:limit])
    said = {"status": reply.status, "type": reply.headers.get("Content-Type", ""), "url": url,
            "cut": len(body) > limit, "retry": reply.headers.get("Retry-After", "")}
except (OSError, http.client.HTTPException, ValueError) as error:
    said = {"error": str(error) or type(error).__name__}
print(json.dumps(said))
"""


def fetch(context: ToolContext, arguments: Mapping[str, Any]) -> ToolOutcome:
    """Fetch one page and show its main part."""
    url = arguments["url"].strip()
    if not url.startswith("http://") or "\0" in url:
        hint = (
            "this network has no https, use http://"
            if url.startswith("https://")
            else "it must start with http://"
        )
        return failure(f"web_fetch: {url[:200]}: {hint}", "bad_arguments")
    workspace = context.workspace
    argv = ["/usr/bin/python3", "-I", "-S", "-c", _FETCH, url, str(_PAGE_BYTES), _DUMP]
    result = workspace.exec(argv, timeout=_TIMEOUT_S, merge=False)
    if result.timed_out:
        return failure(f"web_fetch: {url}: no answer within {_TIMEOUT_S:g} s", "timeout")
    try:
        said: dict[str, Any] = json.loads(result.output)
    except ValueError:
        tail = result.stderr[-200:].decode("utf-8", "replace").strip()
        return failure(f"web_fetch: {url}: the fetch failed: {tail}", "fetch")
    if "error" in said:
        return failure(f"web_fetch: {url}: {said['error']}", "fetch")
    body = workspace.read(_DUMP, 0, _PAGE_BYTES)
    workspace.remove(_DUMP)
    status, kind = int(said["status"]), str(said["type"])
    try:
        title, text = _content(
            body, kind, str(said["url"]), arguments.get("extractMode", "markdown") == "markdown"
        )
    except RecursionError:
        return failure(f"web_fetch: {url}: the page is nested too deeply to be read", "fetch")
    if text is None:
        return failure(f"web_fetch: {url}: {kind or 'unknown type'}, {len(body)} bytes: not text", "not_text")
    shown = _shortened(text, int(arguments.get("maxChars", MAX_CHARS)))
    if status >= 400:
        wait = f" (Retry-After: {said['retry']})" if said["retry"] else ""
        return failure(f"web_fetch: {url}: HTTP {status}{wait}\n{shown[:500]}".strip(), f"http_{status}")
    head = [f"URL: {said['url']}", f"Status: {status}"] + ([f"Title: {title}"] if title else [])
    return ToolOutcome("\n".join([*head, "", shown]), success=True)


def _content(body: bytes, kind: str, url: str, markdown: bool) -> tuple[str, str | None]:
    """Return title and text; None for what is no text."""
    plain = kind.partition(";")[0].strip().lower()
    if "html" in plain:
        page = readable(body.decode("utf-8", "replace"), url, markdown)
        return page.title, page.text
    texts = ("text/", "application/json", "application/xml", "application/javascript")
    if plain and not plain.startswith(texts):
        return "", None
    return "", body.decode("utf-8", "replace").rstrip("\n")


def _shortened(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return f"{text[:limit]}\n[{len(text) - limit} of {len(text)} characters cut; raise maxChars to see more]"


def search(context: ToolContext, arguments: Mapping[str, Any]) -> ToolOutcome:
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
