"""What a rewording must still ask for: kinds of work, and the form of the result that checks insist on.

A wording that holds every path and figure can still be nonsense ("Forget everything about a.csv"). What a request means
is known here without any model: the catalog words each request several times, and whatever *all* its wordings ask for
belongs to the meaning. Kinds of work (sort, count, write, mend, …) are told by the words that stand for them, so a
rewording is free to say "put in order" for "sort"; order, rounding, case and uniqueness likewise. Keys and columns of
the result are exact words, taken from the checks themselves.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ise_gym.foreign.values import Json
from ise_gym.intents.intent import Intent
from ise_gym.intents.llm.lexicon import FORM, WORK
from ise_gym.personas.protected import protected_spans
from ise_gym.scenario import Check
from ise_gym.tasks.complete import complete

_CANCELS = re.compile(
    r"\b(?:forget|ignor\w+|disregard|never ?mind|no need (?:to|for)|don'?t bother|do not bother|cancel|scrap|abandon"
    r"|refuse|(?:don'?t|do not|please don'?t|never|won'?t|will not|needn'?t|should not|shouldn'?t) "
    r"(?:actually |really |even )?(?:do|touch|write|sort|make|create|count|fix|repair|move|copy|read|open|run|change"
    r"|send|find|look|use|need|want)"
    r"|instead of doing|rather than doing|nothing (?:to|needs) (?:do|be done)|not (?:needed|necessary|required))\b",
    re.IGNORECASE,
)
_EXPRESSION = re.compile(r"\{\{(?:[^{}]|\{(?!\{)|\}(?!\}))*\}\}|\{%(?:[^%{]|%(?!\})|\{(?!%))*%\}")
_SPAN = re.compile(r"`[^`]*`|\"[^\"]*\"|[^\s/\\_@]{0,80}[/\\_@]\S*|\S{1,80}\.\w{1,5}\b|\d\S*")
_KEY = re.compile(r"[A-Za-z][\w-]{1,40}")
_MOST_KEYS = 40


@dataclass(frozen=True)
class Meaning:
    """What the rewording of one request must say.

    Attributes:
        work: kinds of work that every wording of the catalog asks for.
        any_work: kinds of which one at least must be asked for.
        form: forms of the result that every wording asks for.
        keys: exact words of the result's keys and columns that the request names.
        cancels: phrases by which the catalog's own wordings call something off ("ignore"), so a rewording may.
        kept: exact words of the request (names, figures, data) in which no kind of work is looked for.
    """

    work: tuple[str, ...] = ()
    any_work: tuple[str, ...] = ()
    form: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    cancels: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    def keep(self) -> list[str]:
        """Return it as the author is told it."""
        return [*self.keys, *self.form, *self.work]


def meanings(intent: Intent) -> list[Meaning]:
    """Return what each request of an intent means, in the order of its utterances."""
    found = []
    utterances = iter(zip(intent.utterances, intent.facts(), strict=True))
    for pick, drafted in zip(intent.blueprint.picks, intent.drafts, strict=True):
        instance = complete(pick.task, drafted)
        templates = {request.name: request for request in pick.task.model.requests}
        for request in instance.requests:
            said, facts = next(utterances)
            model = templates[request.name.rpartition("/")[2]]
            wordings = [said, *(text for texts in model.say.values() for text in texts)]
            checks = [check for goal in request.subgoals for check in goal.checks]
            found.append(meaning(said, wordings, checks, (*protected_spans(said), *facts)))
    return found


def meaning(
    said: str, wordings: Sequence[str], checks: Sequence[Check] = (), kept: Sequence[str] = ()
) -> Meaning:
    """Return what is common to all wordings of one request.

    Args:
        said: the wording that is to be said anew.
        wordings: all there are, with or without expressions in braces.
        checks: of the request; their keys count where ``said`` names them.
        kept: exact words that every wording must hold anyway.
    """
    named = set(_KEY.findall(said))
    keys = dict.fromkeys(key for check in checks for key in keys_of(check) if key in named)
    kept = tuple(sorted({*kept, *keys}, key=len, reverse=True))  # a key named ``total`` asks for no counting
    plain = [_prose(text, kept) for text in wordings]
    own = _prose(said, kept)
    everywhere = [name for name, words in WORK.items() if all(words.search(text) for text in plain)]
    somewhere = [name for name, words in WORK.items() if any(words.search(text) for text in plain)]
    form = [name for name, words in FORM.items() if all(words.search(text) for text in plain)]
    if "descending order" in form and "ascending order" in form:
        form.remove("ascending order")  # "sorted" alone speaks for either
    return Meaning(
        tuple(everywhere),
        tuple(somewhere) if any(WORK[name].search(own) for name in somewhere) else (),
        tuple(form),
        tuple(keys)[:_MOST_KEYS],
        tuple(sorted({m[0].lower() for text in wordings for m in _CANCELS.finditer(text)})),
        kept,
    )


def meaning_problem(text: str, wanted: Meaning, whole: Sequence[Meaning] = ()) -> str:
    """Return what a wording no longer asks for, or calls off; "" when it still means the same as far as words tell.

    Args:
        text: the wording.
        wanted: what it has to mean.
        whole: of all requests, where the text says all of them at once: what one may say, the text may.

    >>> wanted = meaning("Sort a.csv by date.", ["Sort a.csv by date.", "a.csv has to be ordered by date."])
    >>> meaning_problem("Could you put a.csv in order, by date?", wanted)
    ''
    >>> meaning_problem("Forget everything about a.csv, date or not.", wanted)
    "calls its wish off: 'Forget'"
    """
    everyone = whole or (wanted,)
    prose = _prose(text, sorted({word for own in everyone for word in own.kept}, key=len, reverse=True))
    allowed = {phrase for own in everyone for phrase in own.cancels}
    for found in _CANCELS.finditer(prose):
        if found[0].lower() not in allowed:
            return f"calls its wish off: {found[0]!r}"
    words = set(_KEY.findall(text))
    if lost := [key for key in wanted.keys if key not in words]:
        return f"lost the keys {', '.join(map(repr, lost[:5]))}"
    lost = [name for name in wanted.work if not WORK[name].search(prose)]
    if lost:
        return f"no longer asks to {' or '.join(lost)}"
    if wanted.any_work and not any(WORK[name].search(prose) for name in wanted.any_work):
        return f"asks for none of: {', '.join(wanted.any_work)}"
    if lost := [name for name in wanted.form if not FORM[name].search(prose)]:
        return f"no longer says: {', '.join(lost)}"
    return ""


def _prose(text: str, kept: Sequence[str] = ()) -> str:
    """Leave out expressions, quotations, paths, figures, kept words: a file named ``sorted.csv`` asks for nothing."""
    for word in kept:
        text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", " ", text)
    return _SPAN.sub(" ", _EXPRESSION.sub(" X/X ", text))


def keys_of(check: Check) -> Iterator[str]:
    """Yield the names of keys and columns that a check expects in a result."""
    if not dataclasses.is_dataclass(check):
        return
    for name in ("equals", "json", "columns", "at", "rows"):
        yield from _names(getattr(check, name, None), header=name == "rows")


def _names(value: Json, *, header: bool = False, depth: int = 0) -> Iterator[str]:
    if depth > 6:
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(key, str) and _KEY.fullmatch(key):
                yield key
            yield from _names(inner, depth=depth + 1)
    elif isinstance(value, list | tuple):
        if header and value and isinstance(value[0], list | tuple):
            yield from (cell for cell in value[0] if isinstance(cell, str) and _KEY.fullmatch(cell))
        for inner in [] if header else value:
            if isinstance(inner, Mapping):
                yield from _names(inner, depth=depth + 1)
    elif isinstance(value, str) and depth == 0 and not header:
        yield from (part for part in re.split(r"[.\[\]]", value) if len(value) < 60 and _KEY.fullmatch(part))
