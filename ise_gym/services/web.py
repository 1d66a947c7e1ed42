"""Web sites: pages from the scenario in one of a few layouts, with all the furniture that real pages carry."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypedDict

import jinja2

from ise_gym.foreign.values import Json
from ise_gym.resources import read_text
from ise_gym.services.site import Faults, Request, Response
from ise_gym.services.spec import PageModel, WebModel

MOST_TARGETS = 2_000
"""Addresses of one site that are counted one by one."""
_TARGET_CHARS = 1_000


@dataclass(frozen=True)
class Page:
    """A page ready to be sent: its address, its title for search results, type and bytes."""

    url: str
    title: str
    content_type: str
    body: bytes
    location: str = ""
    listed: bool = True


@lru_cache(maxsize=8)
def _layout(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    return environment.from_string(read_text(f"os/services/web/{name}.html"))


def render_page(site: WebModel, page: PageModel) -> Page:
    """Put one page into its site's layout."""
    url, title = f"http://{site.host}{page.path}", page.title or site.title
    if page.location is not None:
        return Page(url, title, "text/plain; charset=utf-8", b"", page.location, page.listed)
    if page.body is not None:
        menu = [
            (p.title, p.path) for p in site.pages if p.title and p.body is not None and p.path.count("/") == 1
        ][:6]
        html = _layout(site.layout).render(site=site, page=page, title=title, menu=menu, body=page.body)
        return Page(url, title, "text/html; charset=utf-8", html.encode(), listed=page.listed)
    kinds: dict[str, tuple[str | None, str]] = {
        "html": (page.html, "text/html; charset=utf-8"),
        "text": (page.text, "text/plain; charset=utf-8"),
        "csv": (page.csv, "text/csv; charset=utf-8"),
    }
    for text, content_type in kinds.values():
        if text is not None:
            return Page(url, title, content_type, text.encode(), listed=page.listed)
    document = json.dumps(page.json_, ensure_ascii=False, indent=1) + "\n"
    return Page(url, title, "application/json", document.encode(), listed=page.listed)


class WebState(TypedDict):
    """All that requests change: how often each fault has shown, and how often each page was asked for."""

    faults: list[int]
    hits: dict[str, int]


class WebSite:
    """A `Site` of fixed pages; a page whose path holds a query answers to exactly that query."""

    def __init__(self, data: Mapping[str, Json], state: WebState | None = None) -> None:
        model = WebModel.model_validate(data)
        self.state: WebState = state or {"faults": [], "hits": {}}
        self.pages = {page.path: render_page(model, page) for page in model.pages}
        self._faults = Faults(model.faults, self.state["faults"])

    def answer(self, request: Request) -> Response:
        """Serve a page, or a fault in its place."""
        hits: dict[str, int] = self.state["hits"]
        fault, cut = self._faults.meet(request)
        page = self.pages.get(request.target) or self.pages.get(request.path)
        if page is None and not request.path.endswith("/"):
            page = self.pages.get(request.path + "/")
        if request.method not in ("GET", "HEAD"):
            return Response(405, b"This site can only be read.\n", headers={"Allow": "GET, HEAD"})
        if fault is not None:
            return fault
        if page is None:
            return Response(404, b"There is no such page.\n")
        counted = request.target[:_TARGET_CHARS]
        if counted not in hits and len(hits) >= MOST_TARGETS:
            counted = request.path[:_TARGET_CHARS]  # one page with ever new queries: counted as the page
        if counted in hits or len(hits) < MOST_TARGETS + len(self.pages):
            hits[counted] = hits.get(counted, 0) + 1
        if page.location:
            return Response(302, b"", headers={"Location": page.location})
        return Response(200, page.body, page.content_type, cut=cut)
