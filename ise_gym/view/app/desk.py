"""The handlers of what people write: labels and notes, answers of an audit, verdicts beside a judge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ise_gym.errors import UserError
from ise_gym.foreign.values import Json
from ise_gym.trajectory.select.audit import answers_path, keep_answer
from ise_gym.view.app import labelling
from ise_gym.view.app.lookup import Lookup, whole
from ise_gym.view.app.render import Pages
from ise_gym.view.index.asked import Asked
from ise_gym.view.labels import SUGGESTED
from ise_gym.view.library import Library, Run

MOST_AUDITED = 2_000
LABELS_OFFERED = 24


def notes_of(run: Run, episode: str, may_label: bool) -> dict[str, Any]:
    """Return what the notes of an episode show."""
    known = dict.fromkeys([*SUGGESTED, *(name for name in run.labels.by_label() if name)])
    return {
        "labels": run.labels.of(episode),
        "suggested": list(known)[:LABELS_OFFERED],
        "may_label": may_label,
    }


class Desk(Lookup):
    """Where is written; without ``labels`` everything is refused."""

    def __init__(self, library: Library, pages: Pages, *, by: str, labels: bool) -> None:
        super().__init__(library)
        self._pages, self._by, self._labels = pages, by, labels
        self._audits = labelling.Audits()

    def routes(self) -> list[Route]:
        """Return what is served."""
        reads = [("/audit", self.audit), ("/judge", self.judge)]
        writes = [("/labels", self.label), ("/audit", self.answer), ("/judge", self.verdict)]
        return [
            *(Route(path, handler, methods=["GET"]) for path, handler in reads),
            *(Route(path, self._taking(handler), methods=["POST"]) for path, handler in writes),
        ]

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
                message = whole(form.get("message"), -1)
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
        notes = notes_of(run, episode, self._labels)
        return self._pages.page("notes", run=run, episode=episode, problem=problem, **notes)

    def _audit(self, given_: Mapping[str, str], name: str) -> Response:
        run = self._run(given_.get("run") or self._library.runs[0].name)
        count = min(max(whole(given_.get("sample"), 100), 1), MOST_AUDITED)
        seed, refused = whole(given_.get("seed"), 0), bool(given_.get("refused"))
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
        turns = self._audits.turns(run, whole(form.get("sample"), 100), whole(form.get("seed"), 0), refused)
        turn = next((turn for turn in turns if turn.key == form.get("turn")), None)
        if turn is None:
            raise HTTPException(404, "This turn is not in the sample.")
        if form.get("answer") in ("yes", "no"):
            keep_answer(
                answers_path(run.source, refused), turn, form["answer"] == "yes", form.get("why", "").strip()
            )
        else:
            form["skipped"] = f"{form.get('skipped', '')}\n{turn.key}".strip("\n")
        return self._audit(form, "audit_turn")

    def _judge(self, run: Run, row: dict[str, Json], name: str) -> Response:
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
