"""What an agent has seen by a point of an episode, and what lies in the world beyond that.

`Seen` answers whether a word, a figure or a piece of text came before: in the system prompt, in the words of a request,
in what tools returned, in the agent's own calls. `Hidden` holds what an instance has drawn and placed: start files,
services, parameters. What is in the world and was not seen can only have come from the author of the plan.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ise_gym.intents.catalog import tasks_of
from ise_gym.tasks.expressions import names_in
from ise_gym.tasks.instance import TaskInstance

LONGEST = 2_000_000
"""Characters of an instance's files, services and parameters that are looked at."""

WORD = re.compile(r"[^\W_](?:[\w.@+'’-]*\w)?|_+\w[\w.@+-]*")
_PART = re.compile(r"[^\W_]+")
_DATE = re.compile(r"(?<!\d)(\d{4})-(\d\d)-(\d\d)(?!\d)")
_TIME = re.compile(r"(?<=\d)T(?=\d)")
_SPACE = re.compile(r"\s+")


def words_of(text: str) -> Iterator[str]:
    """Yield the words of a text as they are written; names with dots, hyphens and the like are one.

    >>> list(words_of("see app.conf: key_2 = 'a b'"))
    ['see', 'app.conf', 'key_2', 'a', 'b']
    """
    return (match[0] for match in WORD.finditer(text))


def parts_of(word: str) -> list[str]:
    """Return what a word is joined from.

    >>> parts_of("INV-0042_final.txt")
    ['INV', '0042', 'final', 'txt']
    """
    return _PART.findall(word)


def squeezed(text: str) -> str:
    """Return a text in lower case with each run of white space as one blank."""
    return _SPACE.sub(" ", text).strip().lower()


@dataclass
class Shown:
    """One text and the words in it."""

    text: str
    words: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, text: str) -> Shown:
        """Take a text in, with the other ways to write its dates."""
        text += " ".join(["", *dates_of(text)])
        return cls(
            squeezed(text), {part.lower() for word in words_of(text) for part in (word, *parts_of(word))}
        )

    def has(self, word: str) -> bool:
        """Return whether a word stands in it, whole or as a piece of a longer one."""
        low = word.lower()
        return low in self.words or (len(low) > 3 and low in self.text)


class Seen:
    """What came before: texts that were shown, and requests, of whose wordings each alone has to be enough."""

    def __init__(self, *texts: str) -> None:
        self.shown = [Shown.of(text) for text in texts]
        self.asked: list[list[Shown]] = []

    def add(self, text: str) -> None:
        """Take in what a tool returned, or what the agent itself wrote."""
        self.shown.append(Shown.of(text))

    def ask(self, wordings: Iterable[str]) -> None:
        """Take in a request in all its wordings: seen is what every one of them says."""
        self.asked.append([Shown.of(text) for text in wordings])

    def word(self, word: str) -> bool:
        """Return whether a word was seen, or all that it is joined from."""
        apart = parts_of(_TIME.sub("-", word))
        return self._has(word) or (len(apart) > 1 and all(map(self._has, apart)))

    def text(self, text: str) -> bool:
        """Return whether a text was seen as it stands, but for white space and case."""
        plain = squeezed(text)
        return not plain or any(plain in shown.text for shown in self.shown) or any(
            all(plain in wording.text for wording in wordings) for wordings in self.asked
        )  # fmt: skip

    def asks(self, text: str) -> bool:
        """Return whether some request says a text, in any of its wordings."""
        plain = squeezed(text)
        return any(plain in wording.text for wordings in self.asked for wording in wordings)

    def _has(self, word: str) -> bool:
        return any(shown.has(word) for shown in self.shown) or any(
            all(wording.has(word) for wording in wordings) for wordings in self.asked
        )


@dataclass(frozen=True)
class Hidden:
    """What an instance holds: ``words`` in lower case, ``exact`` as they are written, ``text`` squeezed."""

    words: frozenset[str]
    exact: frozenset[str]
    text: str

    @classmethod
    def of(cls, instance: TaskInstance) -> Hidden:
        """Collect files with their paths, services and parameters of an instance."""
        files = [
            part for file in instance.files for part in (file.path, file.content.decode("utf-8", "ignore"))
        ]
        served = [text for service in instance.services for text in flat(service.data)]
        own = own_choices(instance.task)
        drawn = [
            text
            for name, value in instance.parameters.items()
            if name != "root" and name not in own
            for text in flat(value)
        ]
        text = "\n".join([*drawn, *served, *files])[:LONGEST]
        exact = frozenset(words_of(text))
        return cls(frozenset(word.lower() for word in exact), exact, squeezed(text))

    def word(self, word: str) -> bool:
        """Return whether a word stands in the world."""
        return word.lower() in self.words


@lru_cache(maxsize=512)
def own_choices(name: str) -> frozenset[str]:
    """Return the parameters of a catalog task that its plans alone name: a port or a title that the agent makes up."""
    task = tasks_of(None).get(name)
    if task is None:
        return frozenset()
    model = task.model
    asked: list[Any] = [
        [request.say, [goal.checks for goal in request.subgoals]] for request in model.requests
    ]
    files = [file.model_dump() for file in model.files]
    used = names_in([asked, files, model.services])
    while (
        more := {
            inner
            for outer in used & model.parameters.keys()
            for inner in names_in(model.parameters[outer].model_dump(exclude_unset=True))
        }
        - used
    ):
        used |= more
    return frozenset(model.parameters.keys() - used)


def flat(value: object) -> Iterator[str]:
    """Yield the leaves of a value as text; of mappings the keys as well."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            yield from flat(inner)
    elif isinstance(value, str) or not isinstance(value, Sequence | set | frozenset):
        if value is not None and not isinstance(value, bool):
            yield str(value)
    else:
        for inner in value:
            yield from flat(inner)


def dates_of(text: str) -> Iterator[str]:
    """Yield other ways to write the ISO dates of a text (joined, with points, by name), and the ends of their weeks.

    >>> list(dates_of("due 2025-03-07"))
    ['20250307', '07.03.2025', 'Friday', 'Fri', 'March', 'Mar', '7', '2025-03-13', '2025-03-14']
    """
    for match in sorted({match[0] for match in _DATE.finditer(text)}):
        try:
            day = datetime.date.fromisoformat(match)
        except ValueError:
            continue
        yield from (day.strftime(form) for form in ("%Y%m%d", "%d.%m.%Y", "%A", "%a", "%B", "%b"))
        yield str(day.day)
        for days in (6, 7):  # the end of a week that begins then
            yield (day + datetime.timedelta(days)).isoformat()
