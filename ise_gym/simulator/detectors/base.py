"""What a detector of role drift gets and gives.

A detector looks at one user turn in its context and returns the words that gave the turn away, or "". All are
deterministic: equal turns in equal contexts give equal hits.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TypeVar

from ise_gym.foreign.text import excerpt
from ise_gym.simulator.base import UserTurn, UserView
from ise_gym.simulator.knowledge import UserKnowledge

_QUOTED = re.compile(
    r'"[^"\n]{1,300}"|“[^”\n]{1,300}”|«[^»\n]{1,300}»|„[^“”\n]{1,300}[“”]|`[^`\n]{1,300}`|(?m:^>.*$)'
    r"|(?<!\w)'[^'\n]{3,300}'(?!\w)|(?<!\w)‘[^’\n]{3,300}’(?!\w)"
)
READ_CHARS = 8_000
"""Characters of a turn that detectors look at, at its start and its end."""
_BEFORE_CHARS = 400
"""How far back a detector looks for what takes a match's edge off."""
_INNER_DOT = re.compile(r"(?<=\w)\.(?=\w)")
_REPORTED = re.compile(
    r"\b(?:you(?:'ve| have| had| just)? (?:\w+ )?(?:said|say|saying|wrote|write|told|tell|offered|asked"
    r"|ask|asking|"
    r"promised|mentioned|claimed|replied)|(?:it|message|mail|note|letter|text|line|error|log|he|she|they"
    r"|boss|manager"
    r"|client|customer|template|form|banner|page)\s+(?:\w+ )?(?:says?|said|saying|reads?|reading|asks?"
    r"|asked|asking|wrote"
    r"|told)|called|named|titled|labelled)\b[^.!?\n]{0,40}$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Hit:
    """A detector that fired and the words it fired on."""

    detector: str
    words: str


@dataclass(frozen=True)
class Turn:
    """A user turn in its context.

    Attributes:
        said: what the user does.
        view: what it saw before; None for the opening turn.
        known: the user's side of the scenario.
    """

    said: UserTurn
    view: UserView | None
    known: UserKnowledge

    @property
    def text(self) -> str:
        """The message; the midst of a very long one is left out."""
        return excerpt(self.said.text, READ_CHARS)

    @cached_property
    def free(self) -> str:
        """The message without the wording of its wishes: what a wish itself says is never drift."""
        text = self.text
        wordings = [wish.text for wish in self.known.wishes] + list(self.failing)
        for wording in sorted(wordings, key=len, reverse=True):
            # the first letter may change its case behind a connective, and the last stop may go
            core = wording[1:].rstrip(".!? ")
            if len(core) > 8 and core in text:
                start = text.index(core)
                text = f"{text[: max(0, start - 1)]}…{text[start + len(core) :]}"
        return text

    @cached_property
    def bare(self) -> str:
        """`free` without what it quotes: a user may quote anything."""
        return _QUOTED.sub("“…”", self.free.replace("’", "'"))

    @cached_property
    def smooth(self) -> str:
        """`bare` with the dots inside paths and figures made harmless, so that a sentence ends where it ends."""
        return _INNER_DOT.sub("·", self.bare)

    @cached_property
    def own(self) -> tuple[str, ...]:
        """What the user said before."""
        if self.view is None:
            return ()
        return tuple(m["content"] for m in self.view.history if m["role"] == "assistant")

    @cached_property
    def heard(self) -> tuple[str, ...]:
        """What the agent said before."""
        if self.view is None:
            return ()
        return tuple(m["content"] for m in self.view.history if m["role"] == "user")

    @property
    def failing(self) -> tuple[str, ...]:
        """Wishes that do not hold."""
        return self.view.evidence.failed if self.view is not None else ()


Detector = Callable[[Turn], str]
_D = TypeVar("_D", bound=Detector)


def watches(principle: str, hint: str = "") -> Callable[[_D], _D]:
    """Declare which role principle a detector watches over, and what a writer is told whose draft it refused.

    Args:
        principle: a name of `ise_gym.simulator.principles.PRINCIPLES`; "" for a voice that names none.
        hint: why the draft was not sent, in words that name nothing of the harness.

    >>> @watches("perspective_lock", "it whispers")
    ... def whispers(turn: Turn) -> str:
    ...     return "psst" if "psst" in turn.text else ""
    >>> principle_watched(whispers)
    'perspective_lock'
    """

    def declare(detector: _D) -> _D:
        vars(detector).update(principle=principle, hint=hint)
        return detector

    return declare


def principle_watched(detector: Detector) -> str:
    """Return the principle that a detector declares; "" where it declares none."""
    return str(getattr(detector, "principle", ""))


def hint_of(detector: Detector) -> str:
    """Return what a writer is told whose draft the detector refused."""
    return str(getattr(detector, "hint", "")) or "a person in your place would not write so"


def finder(*patterns: str, reported: bool = True, unless: re.Pattern[str] | None = None) -> Detector:
    """Return a detector that fires on any of some patterns, outside quotes.

    Args:
        patterns: regular expressions; case does not matter.
        reported: also pass over what the turn only reports ("you said you would be happy to help").
        unless: pass over a match when the text before it fits this.
    """
    expressions = [re.compile(pattern, re.IGNORECASE | re.MULTILINE) for pattern in patterns]

    def detect(turn: Turn) -> str:
        for expression in expressions:
            for match in expression.finditer(turn.smooth):
                before = turn.smooth[max(0, match.start() - _BEFORE_CHARS) : match.start()]
                if not (reported and _REPORTED.search(before)) and not (unless and unless.search(before)):
                    return match.group(0).strip().replace("·", ".")
        return ""

    return detect


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case, figures and paths included, without punctuation at their ends."""
    return list(_words(text))


@lru_cache(maxsize=1024)
def _words(text: str) -> tuple[str, ...]:
    """Split once what several detectors, and the guard at every turn, look at again."""
    return tuple(w for w in (raw.strip(".,;:!?\"'`()[]{}<>*…“”‘’«»").lower() for raw in text.split()) if w)
