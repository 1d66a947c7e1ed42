"""The routes: each reads its question from the address, asks the library, and renders a page or a part of one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from importlib import resources
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from ise_gym.errors import UserError
from ise_gym.trajectory.select.audit import keep_answer
from ise_gym.trajectory.wishes import given
from ise_gym.view.app import labelling
from ise_gym.view.app.door import LOOPBACK, Door
from ise_gym.view.app.episode import episode_page
from ise_gym.view.app.lists import AT_ONCE, lines, summary
from ise_gym.view.app.render import Pages
from ise_gym.view.app.sides import goals, paired, two_runs
from ise_gym.view.app.text import Marks, diff_html, visible
from ise_gym.view.app.tree import tree_at
from ise_gym.view.following import Follower
from ise_gym.view.index.asked import Asked, read_asked
from ise_gym.view.index.facts import arguments_of
from ise_gym.view.index.words import read
from ise_gym.view.labels import SUGGESTED
from ise_gym.view.library import Library, Run

MOST_AUDITED = 2_000


class Viewer:
    """The application's handlers."""

    def __init__(
        self, library: Library, *, by: str = "", title: str = "Episodes", labels: bool = True
    ) -> None:
        self._library, self._by, self._labels = library, by, labels
        self._pages = Pages(library, by=by, title=title)
        self._audits = labelling.Audits()

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
            ("/audit", self.audit),
            ("/judge", self.judge),
        ]
        writes = [("/labels", self.label), ("/audit", self.answer), ("/judge", self.verdict)]
        return [
            *(Route(path, handler, methods=["GET"]) for path, handler in reads),
            *(Route(path, self._taking(handler), methods=["POST"]) for path, handler in writes),
        ]

    # -- what is asked ---------------------------------------------------------------------------

    def _asked(self, request: Request) -> Asked:
        return read_asked(request.query_params.multi_items())

    def _run(self, name: str | None) -> Run:
        run = self._library.run(name or "")
        if run is None:
            raise HTTPException(404, f"There is no run “{name or ''}” here.")
        return run

    def _one(self, given: Any) -> tuple[Run, dict[str, Any]]:
        run = self._run(given.get("run"))
        row = self._library.find(run, given.get("id") or "")
        if row is None:
            raise HTTPException(404, f"The run “{run.name}” has no episode “{given.get('id') or ''}” (yet).")
        return run, row

    # -- pages -----------------------------------------------------------------------------------

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
        begin = _whole(request.query_params.get("from"), 0)
        shown, total = lines(self._library, asked, begin)
        end = begin + AT_ONCE
        return self._pages.page("rows", asked=asked, lines=shown, next=end if total > end else None)

    def live(self, request: Request) -> Response:
        """Where recording and indexing stand; tells the page when there is something new."""
        answer = self._pages.page("live", version=self._library.version)
        if _whole(request.query_params.get("version"), -1) != self._library.version:
            answer.headers["HX-Trigger"] = "grown"
        return answer

    def episode(self, request: Request) -> Response:
        """One episode."""
        run, row = self._one(request.query_params)
        asked = self._asked(request)
        page = episode_page(self._library, run, row, asked)
        return self._pages.page("episode", asked=asked, p=page, **self._notes(run, row["episode_id"]))

    def files(self, request: Request) -> Response:
        """The files after a step."""
        run, row = self._one(request.query_params)
        record = run.record(row)
        at = _whole(request.query_params.get("at"), 0)
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
        asked, number = self._asked(request), _whole(request.query_params.get("m"), -1)
        if not 0 <= number < len(messages):
            raise HTTPException(404, "There is no such message.")
        message, column = messages[number], "result"
        content = str(message.get("content") or "")
        if (name := request.query_params.get("argument")) is not None:
            column, calls = "call", message.get("tool_calls") or ()
            at = _whole(request.query_params.get("call"), 0)
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

    # -- labels ----------------------------------------------------------------------------------

    def _notes(self, run: Run, episode: str) -> dict[str, Any]:
        labels = run.labels.of(episode)
        known = dict.fromkeys([*SUGGESTED, *(name for name in run.labels.by_label() if name)])
        return {"labels": labels, "suggested": list(known)[:24], "may_label": self._labels}

    def _taking(self, handler: Callable[[dict[str, str]], Response]) -> Any:
        """Return an endpoint that reads a form and writes, off the event loop."""

        async def endpoint(request: Request) -> Response:
            if not self._labels:
                raise HTTPException(403, "This viewer was started with --read-only.")
            body = (await request.body()).decode("utf-8", "replace")
            return await run_in_threadpool(handler, dict(parse_qsl(body, keep_blank_values=True)))

        return endpoint

    def label(self, form: dict[str, str]) -> Response:
        """Add or remove a note or label of an episode."""
        run, row = self._one(form)
        episode, problem = row["episode_id"], ""
        try:
            if form.get("remove"):
                run.labels.remove(form["remove"], by=self._by)
            else:
                message = _whole(form.get("message"), -1)
                run.labels.add(
                    episode,
                    form.get("label", ""),
                    form.get("note", ""),
                    message=message if message >= 0 else None,
                    by=self._by,
                )
        except UserError as error:
            problem = str(error)
        self._library.changed()
        notes = self._notes(run, episode)
        return self._pages.page("notes", run=run, episode=episode, problem=problem, **notes)

    def _audit(self, given_: Any, name: str) -> Response:
        run = self._run(given_.get("run") or self._library.runs[0].name)
        count = min(max(_whole(given_.get("sample"), 100), 1), MOST_AUDITED)
        seed, refused = _whole(given_.get("seed"), 0), bool(given_.get("refused"))
        skipped = frozenset((given_.get("skipped") or "").split("\n"))
        page = self._audits.page(run, count, seed, refused, skipped)
        return self._pages.page(
            name,
            run=run,
            count=count,
            seed=seed,
            audit=page,
            skipped="\n".join(sorted(skipped)),
            asked=Asked(),
        )

    def audit(self, request: Request) -> Response:
        """A user turn to read."""
        return self._audit(request.query_params, "audit")

    def answer(self, form: dict[str, str]) -> Response:
        """Keep an answer and show the next turn."""
        run, refused = self._run(form.get("run")), bool(form.get("refused"))
        turns = self._audits.turns(run, _whole(form.get("sample"), 100), _whole(form.get("seed"), 0), refused)
        turn = next((turn for turn in turns if turn.key == form.get("turn")), None)
        if turn is None:
            raise HTTPException(404, "This turn is not in the sample.")
        if form.get("answer") in ("yes", "no"):
            keep_answer(
                labelling.audit_file(run, refused), turn, form["answer"] == "yes", form.get("why", "").strip()
            )
        else:
            form["skipped"] = f"{form.get('skipped', '')}\n{turn.key}".strip("\n")
        return self._audit(form, "audit_turn")

    def _judge(self, run: Run, row: dict[str, Any], name: str) -> Response:
        judged = self._library.found(
            Asked(chosen=(("store", (run.name,)),), flags=("judged",), sort="old")
        ).places
        here = (self._library.runs.index(run), row["id"])
        at = judged.index(here) if here in judged else -1
        following = self._library.rows(judged[at + 1 : at + 2])
        page = labelling.judge_page(self._library, run, row)
        return self._pages.page(
            name,
            judge=page,
            place=at + 1,
            of=len(judged),
            following=following[0] if following else None,
            asked=Asked(),
        )

    def judge(self, request: Request) -> Response:
        """The points of an episode to read: the one that is named, or the first that a judge read."""
        if request.query_params.get("id"):
            return self._judge(*self._one(request.query_params), "judge")
        run = self._run(request.query_params.get("run") or self._library.runs[0].name)
        judged = Asked(chosen=(("store", (run.name,)),), flags=("judged",), sort="old")
        first = self._library.rows(self._library.found(judged).places[:1])
        if not first:
            raise HTTPException(404, f"No episode of “{run.name}” was judged; `ise judge` does that.")
        return self._judge(*first[0], "judge")

    def verdict(self, form: dict[str, str]) -> Response:
        """Keep a verdict on a point."""
        run, row = self._one(form)
        met = {"met": True, "not met": False}.get(form.get("verdict", ""))
        labelling.keep_verdict(run, row["episode_id"], form.get("point", ""), met, self._by)
        return self._judge(run, row, "judge_points")

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


def _whole(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else otherwise


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
    viewer = Viewer(library, by=by, title=title, labels=labels)
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
        routes=[*viewer.routes(), Route("/static/tokens.css", tokens), Mount("/static", static)],
        exception_handlers={HTTPException: viewer.problem, UserError: viewer.problem},
        lifespan=lifespan,
    )
    return Door(app, token, hosts)
