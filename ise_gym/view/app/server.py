"""The routes: each reads its question from the address, asks the library, and renders a page or a part of one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from importlib import resources

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from ise_gym.errors import UserError
from ise_gym.trajectory.wishes import given
from ise_gym.view.app.desk import Desk, notes_of
from ise_gym.view.app.door import LOOPBACK, Door
from ise_gym.view.app.episode import episode_page
from ise_gym.view.app.lists import AT_ONCE, lines, summary
from ise_gym.view.app.lookup import Lookup, whole
from ise_gym.view.app.render import Pages
from ise_gym.view.app.sides import goals, paired, two_runs
from ise_gym.view.app.text import Marks, diff_html, visible
from ise_gym.view.app.tree import tree_at
from ise_gym.view.following import Follower
from ise_gym.view.index.asked import Asked
from ise_gym.view.index.facts import arguments_of
from ise_gym.view.index.words import read
from ise_gym.view.library import Library


class Viewer(Lookup):
    """The handlers of what is read."""

    def __init__(self, library: Library, pages: Pages, *, labels: bool) -> None:
        super().__init__(library)
        self._pages, self._labels = pages, labels

    def routes(self) -> list[Route]:
        """Return what is served."""
        reads: list[tuple[str, Callable[[Request], Response]]] = [
            ("/", self.table),
            ("/rows", self.rows),
            ("/live", self.live),
            ("/episode", self.episode),
            ("/files", self.files),
            ("/file", self.file),
            ("/text", self.text),
            ("/raw", self.raw),
            ("/compare", self.compare),
            ("/runs", self.runs),
        ]
        return [Route(path, handler, methods=["GET"]) for path, handler in reads]

    def table(self, request: Request) -> Response:
        """The table of episodes; only its changing parts for a request of the page itself."""
        asked = self._asked(request)
        shown, total = lines(self._library, asked, 0)
        spread = self._library.spread(asked)
        part = bool(request.headers.get("hx-request"))
        return self._pages.page(
            "found" if part else "table",
            part=part,
            asked=asked,
            lines=shown,
            total=total,
            next=AT_ONCE if total > AT_ONCE else None,
            spread=spread,
            summary=summary(spread, asked, total),
            version=self._library.version,
            problems=self._library.problems(),
        )

    def rows(self, request: Request) -> Response:
        """Further rows of the table."""
        asked = self._asked(request)
        begin = whole(request.query_params.get("from"), 0)
        shown, total = lines(self._library, asked, begin)
        end = begin + AT_ONCE
        return self._pages.page("rows", asked=asked, lines=shown, next=end if total > end else None)

    def live(self, request: Request) -> Response:
        """Where recording and indexing stand; tells the page when there is something new."""
        answer = self._pages.page("live", version=self._library.version)
        if whole(request.query_params.get("version"), -1) != self._library.version:
            answer.headers["HX-Trigger"] = "grown"
        return answer

    def episode(self, request: Request) -> Response:
        """One episode."""
        run, row = self._one(request.query_params)
        asked = self._asked(request)
        page = episode_page(self._library, run, row, asked)
        return self._pages.page(
            "episode", asked=asked, p=page, **notes_of(run, row["episode_id"], self._labels)
        )

    def files(self, request: Request) -> Response:
        """The files after a step."""
        run, row = self._one(request.query_params)
        record = run.record(row)
        at = whole(request.query_params.get("at"), 0)
        tree = tree_at(given(record).files, record.steps, at)
        return self._pages.page("files", run=run, episode=row["episode_id"], tree=tree, asked=Asked())

    def file(self, request: Request) -> Response:
        """The history of one file."""
        run, row = self._one(request.query_params)
        record, path = run.record(row), request.query_params.get("path", "")
        start = next((file for file in given(record).files if file.path == path), None)
        changes = [
            (step.message, kind, diff_html(step.files.diffs.get(path, "")))
            for step in record.steps
            if step.files is not None
            for kind in ("created", "changed", "deleted")
            if path in getattr(step.files, kind)
        ]
        text = None if start is None or start.text is None else visible(start.text[:20_000])
        return self._pages.page("file", path=path, start=start, text=text, changes=changes)

    def text(self, request: Request) -> Response:
        """All of one text: the result at a message, or an argument of a call."""
        run, row = self._one(request.query_params)
        messages = run.record(row).messages
        asked, number = self._asked(request), whole(request.query_params.get("m"), -1)
        if not 0 <= number < len(messages):
            raise HTTPException(404, "There is no such message.")
        message, column = messages[number], "result"
        content = str(message.get("content") or "")
        if (name := request.query_params.get("argument")) is not None:
            column, calls = "call", message.get("tool_calls") or ()
            at = whole(request.query_params.get("call"), 0)
            given_ = arguments_of(calls[at]["function"]["arguments"]) if 0 <= at < len(calls) else []
            content = dict(given_).get(name, "")
        return HTMLResponse(str(Marks(read(asked.q)).shown(column, content, full=True).html))

    def raw(self, request: Request) -> Response:
        """The record as it is on disk."""
        run, row = self._one(request.query_params)
        return Response(run.line(row), media_type="application/json")

    def compare(self, request: Request) -> Response:
        """Two episodes side by side."""
        query, asked = request.query_params, self._asked(request)
        sides = [
            self._one({"run": query.get(f"run_{side}"), "id": query.get(f"id_{side}")}) for side in ("a", "b")
        ]
        a, b = (run.record(row) for run, row in sides)
        pairs = paired(a, b, Marks(read(asked.q)))
        return self._pages.page("compare", asked=asked, sides=sides, a=a, b=b, pairs=pairs, goals=goals(a, b))

    def runs(self, request: Request) -> Response:
        """Two runs over the same intents."""
        names = [run.name for run in self._library.runs]
        a = self._run(request.query_params.get("a") or names[0])
        b = self._run(request.query_params.get("b") or names[-1])
        change = request.query_params.get("change", "")
        return self._pages.page(
            "runs", a=a, b=b, found=two_runs(self._library, a, b), change=change, asked=Asked()
        )

    def problem(self, request: Request, error: Exception) -> Response:
        """Say in one sentence why there is no page."""
        status = error.status_code if isinstance(error, HTTPException) else 422
        words = error.detail if isinstance(error, HTTPException) else str(error)
        if request.headers.get("hx-request"):
            return PlainTextResponse(words, status)
        return self._pages.page("problem", status, words=words, asked=Asked())


def tokens(request: Request) -> Response:
    """The colours and fonts that the viewer and the report share."""
    file = resources.files("ise_gym.view") / "page" / "tokens.css"
    return Response(file.read_bytes(), media_type="text/css")


def icon(request: Request) -> Response:
    """What browsers ask for on pages that name no icon, such as a raw record."""
    file = resources.files("ise_gym.view.app") / "static" / "icon.svg"
    return Response(file.read_bytes(), media_type="image/svg+xml")


def make_app(
    library: Library,
    token: str,
    *,
    hosts: Collection[str] = LOOPBACK,
    by: str = "",
    labels: bool = True,
    title: str = "Episodes",
    follow: bool = True,
) -> ASGIApp:
    """Return the viewer as an ASGI application.

    Args:
        library: what is shown.
        token: lets in, see `ise_gym.view.app.door.Door`.
        hosts: names of this machine.
        by: who labels. ``labels``: whether anybody may.
        title: heading of the table.
        follow: keep the indexes up to date while it runs.
    """
    pages = Pages(library, by=by, title=title)
    viewer = Viewer(library, pages, labels=labels)
    desk = Desk(library, pages, by=by, labels=labels)
    follower = Follower(library)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        if follow:
            follower.start()
        yield
        if follow:
            await run_in_threadpool(follower.close)

    static = StaticFiles(directory=str(resources.files("ise_gym.view.app") / "static"))
    app = Starlette(
        routes=[
            *viewer.routes(),
            *desk.routes(),
            Route("/static/tokens.css", tokens),
            Route("/favicon.ico", icon),
            Mount("/static", static),
        ],
        exception_handlers={HTTPException: viewer.problem, UserError: viewer.problem},
        lifespan=lifespan,
    )
    return Door(app, token, hosts)
