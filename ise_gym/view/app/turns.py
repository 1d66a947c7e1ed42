"""One conversation as a page shows it: moments, each a message of user or agent with all that followed from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from ise_gym.trajectory.conversations import Conversation, conversations
from ise_gym.trajectory.record import FileChanges, Finding, GuardEvent, Step, Trajectory
from ise_gym.view.app.text import Marks, Shown, diff_html
from ise_gym.view.index.facts import arguments_of


@dataclass(frozen=True)
class CallShown:
    """A call with its result; ``message`` is the index of the result, None where there is none."""

    name: str
    head: Markup
    arguments: tuple[tuple[str, Shown], ...]
    output: Shown | None
    message: int | None
    failed: bool
    badge: str


@dataclass(frozen=True)
class Changed:
    """What a step did to the files, in words and diffs."""

    words: str
    paths: tuple[tuple[str, str], ...]
    diffs: tuple[tuple[str, Markup], ...]
    more: int


@dataclass(frozen=True)
class Moment:
    """A message of the conversation and what belongs to it.

    ``number`` is its index, ``anchor`` its name in the page; ``goals`` are (name, holds now, why not) that its
    step decided.
    """

    number: int
    anchor: str
    role: str
    content: Markup
    thought: Markup
    calls: tuple[CallShown, ...] = ()
    seconds: float | None = None
    step: Step | None = None
    changed: Changed | None = None
    goals: tuple[tuple[str, bool, Finding | None], ...] = ()
    refused: tuple[GuardEvent, ...] = ()
    sessions: tuple[Session, ...] = ()
    said: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Session:
    """What was delegated: a conversation under the call that it answered."""

    key: str
    status: str
    inherited: int
    moments: tuple[Moment, ...]


@dataclass
class Section:
    """A user's message and the agent's work on it; ``user`` is None for what stands before the first."""

    number: int
    user: Moment | None = None
    work: list[Moment] = field(default_factory=list)

    @property
    def moments(self) -> list[Moment]:
        """All of it, in order."""
        return [*([self.user] if self.user else []), *self.work]


def sections_of(trajectory: Trajectory, marks: Marks, prefix: str = "") -> list[Section]:
    """Return the conversation, one section for each message of the user; anchors begin with ``prefix``."""
    main, *parts = conversations(trajectory)
    opened: dict[str, list[Conversation]] = {}
    for part in parts:
        for call in (part.session.get("opened_by") or ())[-1:]:
            opened.setdefault(call, []).append(part)
    events: dict[int, list[GuardEvent]] = {}
    for event in trajectory.guard_events:
        events.setdefault(event.message, []).append(event)
    teller = _Teller(trajectory, marks, opened, events, prefix)
    sections = [Section(0)]
    for moment in teller.moments(main):
        if moment.role == "user":
            sections.append(Section(len(sections), moment))
        else:
            sections[-1].work.append(moment)
    for late in events.values():  # of a turn that ended the episode without a word
        empty = Moment(-1, f"{prefix}end", "user", Markup(""), Markup(""), refused=tuple(late))
        sections.append(Section(len(sections), empty))
    return sections if sections[0].work else sections[1:]


class _Teller:
    def __init__(
        self,
        trajectory: Trajectory,
        marks: Marks,
        opened: dict[str, list[Conversation]],
        events: dict[int, list[GuardEvent]],
        prefix: str,
    ) -> None:
        self._prefix = prefix
        self._marks, self._opened, self._events = marks, opened, events
        self._why = {finding.subgoal: finding for finding in trajectory.findings}
        self._seconds = trajectory.timings.step_s

    def moments(self, part: Conversation) -> list[Moment]:
        answers = {m.get("tool_call_id"): n for n, m in enumerate(part.messages) if m["role"] == "tool"}
        steps = {step.message: (at, step) for at, step in enumerate(part.steps)}
        prefix = f"{self._prefix}s-{part.session.get('key')}-" if part.parent else self._prefix
        found, told = [], set[int]()
        for number, message in enumerate(part.messages):
            if number < part.inherited:
                continue
            if message["role"] == "tool":
                if number not in told:  # the result of a call that is not there
                    call = self._call(
                        {"function": {"name": message.get("name") or "?", "arguments": ""}}, message, number
                    )
                    found.append(
                        Moment(number, f"{prefix}m{number}", "tool", Markup(""), Markup(""), (call,))
                    )
                continue
            calls, sessions = [], []
            for call in message.get("tool_calls") or ():
                at = answers.get(call["id"])
                if at is not None:
                    told.add(at)
                calls.append(self._call(call, part.messages[at] if at is not None else None, at))
                for each in self._opened.pop(call["id"], ()):
                    sessions.append(self._session(each))
            at, step = steps.get(number, (-1, None))
            found.append(self._moment(part, number, message, tuple(calls), step, at, tuple(sessions), prefix))
        return found

    def _moment(
        self, part: Conversation, number: int, message: Mapping[str, Any], calls: tuple[CallShown, ...],
        step: Step | None, at: int, sessions: tuple[Session, ...], prefix: str,
    ) -> Moment:  # fmt: skip
        role = message["role"]
        column = "user" if role == "user" else "agent" if role == "assistant" else "about"
        flipped = step.flipped if step else {}
        completion = step.completion if step else None
        said = ""
        if completion is not None:
            usage = completion.usage
            tokens = usage.get("completion_tokens") or usage.get("completion")
            parts = [completion.model, f"{tokens:,} tokens" if tokens else ""]
            parts += ["cut for its length" if completion.ended == "cut" else "", *completion.faults]
            said = " · ".join(part for part in parts if part)
        return Moment(
            number,
            f"{prefix}m{number}",
            role,
            self._marks.marked(column, str(message.get("content") or "")),
            self._marks.marked("thought", str(message.get("reasoning_content") or "")),
            calls,
            self._seconds[at] if not part.parent and 0 <= at < len(self._seconds) else None,
            step,
            changed(step.files) if step and step.files else None,
            tuple((name, holds, None if holds else self._why.get(name)) for name, holds in flipped.items()),
            tuple(self._events.pop(number, ())) if role == "user" and not part.parent else (),
            sessions,
            said,
        )

    def _session(self, part: Conversation) -> Session:
        about = part.session
        return Session(
            str(about.get("key", "")), str(about.get("status", "")), part.inherited, tuple(self.moments(part))
        )

    def _call(
        self, call: Mapping[str, Any], answer: Mapping[str, Any] | None, number: int | None
    ) -> CallShown:
        function = call["function"]
        given = arguments_of(function["arguments"]) if function["arguments"] else []
        head, rest = _head(given)
        failed = answer is None or answer.get("success") is False
        badge = "no answer" if answer is None else "failed" if failed else "ok"
        if answer is not None and answer.get("exit_code") is not None:
            badge = f"exit {answer['exit_code']}"
        return CallShown(
            function["name"],
            self._marks.marked("call", head),
            tuple((name, self._marks.shown("call", text)) for name, text in rest),
            self._marks.shown("result", str(answer.get("content") or "")) if answer is not None else None,
            number,
            failed,
            badge,
        )


def _head(given: Sequence[tuple[str, str]]) -> tuple[str, list[tuple[str, str]]]:
    """Return the argument that tells most, where it fits one line, and the others."""
    for wanted in ("command", "path", "url", "query", ""):
        for name, text in given:
            if name == wanted and len(text) <= 160 and "\n" not in text:
                return text, [pair for pair in given if pair[0] != name]
    return "", list(given)


def changed(files: FileChanges) -> Changed | None:
    """Return what a step did to the files; None where nothing."""
    kinds = (("created", "new"), ("changed", "edited"), ("deleted", "gone"))
    paths = [(sign, path) for kind, sign in kinds for path in getattr(files, kind)]
    if not paths:
        return None
    count = len(paths) + (files.more or 0)
    diffs = tuple((path, diff_html(diff)) for path, diff in files.diffs.items())
    words = f"{count} file{'s' if count != 1 else ''}"
    return Changed(words, tuple(paths), diffs, files.more or 0)
