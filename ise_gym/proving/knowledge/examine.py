"""Goes through a played request message by message, and says what its plan knew too much, too early or wrongly."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from ise_gym.intents.catalog import system_prompt
from ise_gym.messages import Message
from ise_gym.proving.knowledge.calls import leaks_of_call
from ise_gym.proving.knowledge.claims import unfounded
from ise_gym.proving.knowledge.effects import stray_errors, unasked_messages
from ise_gym.proving.knowledge.seen import Hidden, Seen, flat
from ise_gym.proving.knowledge.words import leaks_of_words, told_too_early
from ise_gym.proving.playing import Played
from ise_gym.scenario import DEFAULT_TOOLS, PlanStep, Request
from ise_gym.tasks.instance import TaskInstance
from ise_gym.tools import tool_schemas
from ise_gym.trajectory.select.grounding import Grounding, judge_reply
from ise_gym.trajectory.select.grounding import Seen as Figures


@dataclass
class Knowledge:
    """What is known at a point of an instance that is played request by request."""

    instance: TaskInstance
    hidden: Hidden = field(init=False)
    seen: Seen = field(init=False)
    figures: Figures = field(default_factory=Figures)
    calls: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin with what every episode shows: the prompt and the tools."""
        self.hidden = Hidden.of(self.instance)
        shown = [system_prompt(), json.dumps(tool_schemas(self.instance.tools + DEFAULT_TOOLS))]
        self.seen = Seen(*shown)
        for text in shown:
            self.figures.add(text)

    def examine(self, request: Request, closing: str, played: Played) -> Iterator[tuple[str, str]]:
        """Yield (kind, what is wrong) for a request, and take in all that it shows.

        Args:
            request: that was worked on, with its wordings and its reply.
            closing: what the plan says after its last call, before the reply.
            played: its whole plan in messages, as it was really played.
        """
        wordings = [text for texts in request.wordings.values() for text in texts]
        self.seen.ask(wordings)
        for text in wordings:
            self.figures.add(text)
        for calls in played:
            yield from self._message(calls)
        yield from self._reply(f"{closing} {request.reply}".strip())

    def _message(self, calls: Sequence[tuple[PlanStep, Message]]) -> Iterator[tuple[str, str]]:
        first = calls[0][0]
        if first.asks:
            yield from self._question(first.say, str(calls[0][1]["content"]))
            return
        if any(step.fails for step, _ in calls) and told_too_early(first.say):
            yield "cause", f"{first.say!r} is said beside the very call that fails: say it after its result"
        for detail in leaks_of_words(first.say, self.seen, self.hidden):
            yield "knowledge", f"{first.say[:60]!r} {detail}"
        for step, message in calls:
            where = f"`{step.tool}` {str(step.arguments.get('command') or step.arguments.get('path') or '')[:70]!r}"
            for detail in leaks_of_call(step.tool, step.arguments, self.seen, self.hidden, fails=step.fails):
                yield "knowledge", f"{where} {detail}"
            self.seen.add("\n".join(flat(step.arguments)))  # what it has written itself it knows
            for detail in unasked_messages(step.tool, step.arguments, self.seen):
                yield "unasked", f"{where} {detail}"
            if message["success"]:
                for detail in stray_errors(step.arguments, str(message["content"]), self.hidden):
                    yield "passed-over", f"{where} {detail}"
        for step, message in calls:
            self._take_in(step, message)

    def _question(self, said: str, answer: str) -> Iterator[tuple[str, str]]:
        for detail in leaks_of_words(said, self.seen, self.hidden):
            yield "knowledge", f"the question {said[:60]!r} {detail}"
        self.seen.add(answer)
        self.figures.add(answer)

    def _take_in(self, step: PlanStep, message: Message) -> None:
        own, result = "\n".join(flat(step.arguments)), str(message["content"])
        self.seen.add(result)
        self.figures.calls += 1
        if message["success"]:
            self.figures.add(own)
        self.figures.add(result, counted=True)
        self.figures.counts.update(counts_of(result))
        self.calls.append(f"{step.tool} {own}\n{result}")

    def _reply(self, reply: str) -> Iterator[tuple[str, str]]:
        found = Grounding()
        judge_reply(0, reply, self.figures, found)
        for one in found.ungrounded:
            yield "knowledge", f"the reply names the {one.kind} {one.words!r}, which was never shown"
        for detail in leaks_of_words(reply, self.seen, self.hidden):
            yield "knowledge", f"the reply {detail}"
        for detail in unfounded(reply, self.calls, self.seen):
            yield "claim", f"the reply {detail}"


def counts_of(result: str) -> set[int]:
    """Return what somebody can count in a result at a glance: lines that begin, or end, or are named alike.

    >>> sorted(counts_of("copied a.txt\\ncopied b.txt\\nremoved c.log"))
    [1, 2]
    """
    lines = [line.strip() for line in result.splitlines() if line.strip()]
    found: set[int] = set()
    for of in (_first, _last, _ending):
        kinds = Counter(kind for line in lines if (kind := of(line)))
        if len(kinds) <= MOST_KINDS:
            found.update(kinds.values())
    return found


MOST_KINDS = 6
"""More kinds of lines than that nobody counts by eye."""


def _first(line: str) -> str:
    return re.split(r"[\s,:;]", line, maxsplit=1)[0]


def _last(line: str) -> str:
    return re.split(r"[\s,:;]", line)[-1]


def _ending(line: str) -> str:
    return line.rsplit(".", 1)[-1] if re.fullmatch(r"\S+\.\w{1,6}", line) else ""
