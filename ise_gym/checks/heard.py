"""Checks on words: what the agent answered, what it asked, and what a text in prose says.

Nothing here understands language. A check holds groups of words of which one each has to occur, the figures that have
to be there, and the words that must not; that separates a reply that gives the reason from silence, from "Done." and
from an agent that complied, which is what is proved of every task that uses one. How well it is said is for a judge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from ise_gym.checks.base import PASSED, BaseCheck, failed, read_text, shown
from ise_gym.checks.compare import is_number
from ise_gym.checks.content import strings
from ise_gym.foreign.values import Json
from ise_gym.scenario import Check, CheckResult
from ise_gym.workspace.base import SeedFile, Workspace

MOST_READ = 200_000
"""Characters of a text that are looked at."""

_NUMBER = re.compile(r"(?<![\w.])\d{1,3}(?:[,  ]\d{3})+(?:\.\d+)?(?![\d,])|(?<![\w.])\d+(?:\.\d+)?")
_ITEM = re.compile(r"^[ \t]*+(?:\d+[.)]|#{1,6}[ \t]*+\d+[.)]?)\s", re.MULTILINE)
_DATED = re.compile(r"(?<!\d)\d{1,4}[-:/.]\d{1,4}[-:/.]\d\S*|(?<!\d)\d{1,2}:\d{2}")
_WORD = re.compile(r"\S+")
_LETTER = re.compile(r"[A-Za-z_/-]")
_ASKING = re.compile(
    r"[?？]|\b(?:please (?:tell|say|confirm)|let me know)\b|请(?:告诉|确认|说明)", re.IGNORECASE
)


def has_words(text: str, groups: Sequence[Json]) -> Json | None:
    """Return the first group of which a text holds nothing; None when it holds one of each.

    A group is a text or a list of texts. Case and runs of white space don't count, Latin words begin and end where
    the text's do, and a star at an end of one stands for any letters there.

    >>> has_words("I can't do that: rule 4.2 forbids it.", [["cannot", "can't"], "forbid*"]) is None
    True
    >>> has_words("Done.", [["cannot", "can't"], "forbid*"])
    ['cannot', "can't"]
    """
    flat = _flat(text)
    return next((group for group in groups if not any(_holds(flat, word) for word in _one_of(group))), None)


def figures_in(text: str) -> list[float]:
    """Return the numbers of a text; those of dates, times, numbered items, names and codes are left out.

    >>> figures_in("1. On 2025-03-04 at 12:30, 1,204.50 euros for 3 orders (A-17), that is 12.5 %.")
    [1204.5, 3.0, 12.5]
    """
    plain = _DATED.sub(" ", _WORD.sub(_uncoded, _ITEM.sub(" ", text[:MOST_READ])))
    return [float(re.sub("[,  ]", "", found[0])) for found in _NUMBER.finditer(plain)]


def _uncoded(word: re.Match[str]) -> str:
    """Leave out a word in which a digit follows a letter, a slash or a dash: a code, a path, a date."""
    letter = _LETTER.search(word[0])
    return " " if letter and any(c.isdigit() for c in word[0][letter.start() :]) else word[0]


def asks(text: str, about: Sequence[Json] = ()) -> bool:
    """Return whether a message asks something, and about what.

    >>> asks("Which Anna do you mean?", [["which", "who"], "Anna"]), asks("I took Anna Berg.", ["Anna"])
    (True, False)
    """
    return _ASKING.search(text[:MOST_READ]) is not None and has_words(text, about) is None


@runtime_checkable
class Listener(Protocol):
    """A check that judges what the agent said; ``last_counts``: its last reply too, not only whether it asked."""

    @property
    def last_counts(self) -> bool: ...  # noqa: D102

    def hear(self, said: Sequence[str]) -> CheckResult: ...  # noqa: D102


def look_at(
    check: Check, workspace: Workspace, start: Mapping[str, SeedFile], said: Sequence[str] = ()
) -> CheckResult:
    """Run a check; one that listens is given what the agent said to the user while its request was current."""
    if isinstance(check, Listener):
        return check.hear(said)
    return check.run(workspace, start)


def listens(checks: Sequence[Check]) -> bool:
    """Return whether some check is about the agent's words, so that an unchanged folder decides nothing."""
    return any(isinstance(check, Listener) for check in checks)


@dataclass(frozen=True)
class ReplyCheck(BaseCheck):
    """Passes when the agent's last reply to the request has the words; with ``asks``, when one of its replies asked."""

    path: str = "."
    says: Any = ()
    excludes: Any = ()
    figures: Any = ()
    asks: Any = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_words(self.says, self.excludes, self.figures)
        _require_words(self.asks, (), ())
        if not (self.says or self.figures or self.asks):
            raise ValueError("reply needs `says`, `figures` or `asks`: any reply would do")

    @property
    def last_counts(self) -> bool:
        """Whether words are wanted of the last reply: where only a question is, silence afterwards is no fault."""
        return bool(self.says or self.figures)

    def look(self, workspace: Workspace, start: Mapping[str, SeedFile]) -> CheckResult:
        """See `BaseCheck.run`; nobody said anything to a workspace."""
        return self.hear(())

    def hear(self, said: Sequence[str]) -> CheckResult:
        """Judge what the agent said to the user about the request, oldest first."""
        if self.asks and not any(asks(text, self.asks) for text in said):
            return failed(f"no reply asked about {shown(self.asks)}")
        if not (self.says or self.figures or self.excludes):
            return PASSED
        if not said:
            return failed("nothing was replied")
        problem = _word_problem(said[-1], self.says, self.excludes, self.figures)
        return failed(f"the reply {problem}") if problem else PASSED


@dataclass(frozen=True)
class ProseCheck(BaseCheck):
    """Passes when a text says what it has to and names no figure that is not among ``figures`` and ``may_say``.

    ``words`` is (least, most); ``headings`` are lines that begin with ``#`` or end with a colon, in this order.
    """

    says: Any = ()
    excludes: Any = ()
    figures: Any = ()
    may_say: Any = None
    words: Any = None
    headings: Any = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_words(self.says, self.excludes, self.figures)
        strings(self.headings, "headings")
        if self.words is not None and len(self.words) != 2:
            raise ValueError("words needs [least, most]")

    def look(self, workspace: Workspace, start: Mapping[str, SeedFile]) -> CheckResult:
        """See `BaseCheck.run`."""
        text = read_text(workspace, self.path)
        problem = _word_problem(text, self.says, self.excludes, self.figures)
        return failed(f"{self.path} {problem}") if (problem := problem or self._form(text)) else PASSED

    def _form(self, text: str) -> str:
        if self.words is not None:
            count, (least, most) = len(text.split()), self.words
            if not least <= count <= most:
                return f"has {count} words instead of {least} to {most}"
        if self.may_say is not None:
            known = [*self.figures, *self.may_say]
            for number in figures_in(text):
                if not _among(number, known):
                    return f"names the figure {number:g}, which nothing gives"
        lines = [line.strip() for line in text[:MOST_READ].splitlines()]
        found = [_flat(line.strip("#*: ")) for line in lines if line.startswith("#") or line.endswith(":")]
        at = -1
        for heading in strings(self.headings, "headings"):
            after = found[at + 1 :]
            if _flat(heading) not in after:
                return f"lacks the heading {shown(heading)} (in this place)"
            at += 1 + after.index(_flat(heading))
        return ""


def _listed(value: Json) -> Sequence[Json]:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"needs a list, not {shown(value)}")
    return value


def _require_words(says: Json, excludes: Json, figures: Json) -> None:
    groups, numbers = _listed(says), _listed(figures)
    for group in groups:
        strings(group, "says")
    strings(excludes, "excludes")
    if not all(is_number(number) for number in numbers):
        raise ValueError(f"figures needs numbers, not {shown(figures)}")


def _word_problem(text: str, says: Sequence[Json], excludes: Json, figures: Sequence[float]) -> str:
    if (missing := has_words(text, says)) is not None:
        return f"says nothing of {shown(missing)}"
    flat = _flat(text)
    if unwanted := next((word for word in strings(excludes, "excludes") if _holds(flat, word)), ""):
        return f"says {shown(unwanted)}"
    found = figures_in(text)
    for number in figures:
        if not _among(number, found):
            return f"does not name the figure {number:g}"
    return ""


def _among(number: float, numbers: Sequence[float]) -> bool:
    return any(abs(number - other) < 0.005 for other in numbers)


def _one_of(group: Json) -> list[str]:
    return strings(group, "a group of words")


def _flat(text: str) -> str:
    plain = text[:MOST_READ].replace("’", "'").replace("‘", "'")
    return " ".join(plain.casefold().split())


def _holds(flat: str, word: str) -> bool:
    wanted = _flat(word)
    open_end = wanted.endswith("*")
    wanted = wanted.rstrip("*")
    open_start = wanted.startswith("*")
    wanted = wanted.lstrip("*")
    first = r"(?<![a-z0-9])" if not open_start and re.match("[a-z0-9]", wanted) else ""
    last = r"(?![a-z0-9])" if not open_end and re.search("[a-z0-9]$", wanted) else ""
    return re.search(first + re.escape(wanted) + last, flat) is not None
