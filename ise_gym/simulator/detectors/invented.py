"""Does the user speak of things that exist? What nobody mentioned and no folder holds is made up.

Known is what the user's wishes, persona and files contain, what either side said, and what the workspace shows.
Small numbers, clock times, durations and words of common use are free: people count and hurry without looking
anything up.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

from ise_gym.personas.habits import words as vocabulary
from ise_gym.simulator.detectors.base import Turn, watches
from ise_gym.simulator.detectors.form import tool_call_syntax
from ise_gym.simulator.detectors.language import language_of, language_switch, languages_known
from ise_gym.simulator.detectors.units import is_unit
from ise_gym.simulator.knowledge import UserKnowledge

SMALL = 12
"""Figures up to this are free."""

_PATH = re.compile(
    r"(?<![\w@/.<+-])(?:[a-zA-Z]+://\S+|[~.]{0,2}/?(?:[\w.+@-]+/)+[\w.+@*-]*|/[\w.+@-]+(?:/[\w.+@-]+)*/?"
    r"|[\w+-]+(?:\.[\w+-]+)*\.[A-Za-z][A-Za-z0-9]{1,5})(?![\w@])|(?<![\w.+-])[\w.+-]+@[\w-]+\.[\w.]+"
)
_IDENTIFIER = re.compile(
    r"(?<![\w./-])(?:[A-Za-z]+_\w+|[a-z]+[A-Z]\w+|[A-Za-z]+-[A-Za-z]+-\d{2,}|[A-Za-z]{2,}-\d{3,}|[A-Z]{2,}-\d+|#\d+"
    r"|v\d+\.\d+(?:\.\d+)?)(?![\w/])"
)
_NUMBER = re.compile(r"(?<![\w./:#-])[$€£]?\d[\d,.']*\d|(?<![\w./:#-])\d(?![\w./:])")
_AFTER_FREE = re.compile(
    r"^\s*(?:%|percent|am\b|pm\b|a\.m|p\.m|o'clock|h\b|hrs?\b|hours?|min(?:ute)?s?\b|sec(?:ond)?s?\b"
    r"|days?\b|weeks?\b|months?\b|years?\b|times\b|uhr\b|minuten|stunden|tagen?|jahren?|heures?|minutos"
    r"|horas|días|th\b|st\b|nd\b|rd\b|:\d\d|x\b|degrees|people|colleagues|st(?:ü|u)ck|jours|ans\b|años"
    r"|semanas|wochen)",
    re.IGNORECASE,
)
_BEFORE_FREE = re.compile(
    r"(?:\b(?:by|at|until|till|before|after|around|um|bis|à|a las|vers"
    r"|gegen)\s)$",
    re.IGNORECASE,
)
_NAME = re.compile(
    r"(?<![\w'’./-])(?<![.!?:…] )(?<![.!?:]\n)(?<!^)([A-ZÀ-Þ][a-zß-ÿ]{2,})(?![\w/])(?!\.\w)", re.MULTILINE
)
_FREE_NAMES_TEXT = """
monday tuesday wednesday thursday friday saturday sunday january february march april may june july
august september october november december easter christmas english german french spanish italian
portuguese dutch chinese japanese russian polish turkish linux windows mac macos unix ubuntu debian
python bash java javascript git github gitlab excel word google outlook slack teams markdown docker
postgres mysql sqlite sql unicode ascii json yaml csv pdf html readme makefile internet web wifi zip
european american british asia europe africa america australia god thanks thank cheers best regards
sincerely yours ok okay chrome firefox safari zoom jira notion dropbox adobe acrobat powerpoint numbers
pages sir madam sirs mister monsieur madame mademoiselle señor señora herr herren frau damen mr mrs ms
dr
"""
_FREE_NAMES = frozenset(_FREE_NAMES_TEXT.split())
_ABBREVIATIONS_TEXT = """
e.g i.e etc p.s n.b a.m p.m vs. z.b d.h u.a p.ex u.s u.k ph.d no.1 node.js vue.js asp.net and/or he/she
she/he yes/no either/or w/o n/a km/h his/her s/he on/off in/out true/false input/output read/write
before/after pass/fail und/oder et/ou y/o 24/7 9/10 10/10 50/50 1/2
"""
_ABBREVIATIONS = frozenset(_ABBREVIATIONS_TEXT.split())
_TAG = re.compile(r"</?\w[^<>\n]*>")


_SYSTEM = ("/bin/", "/usr/bin/", "/dev/null", "/tmp", "/workspace")
_SPEAKS = re.compile(
    r"(?:^|[.!?]\s+)([A-ZÀ-Þ][a-zß-ÿ]{2,})\s+(?:said|says|told|confirmed|confirms|wants|wanted|asked|asks|agreed|mentioned"
    r"|checked|thinks|knows|sent|already|needs|from (?:accounting|finance|sales|legal|it|hr))\b"
)


@watches("responsive_conditioning", "it names something that nobody mentioned")
def invented_state(turn: Turn) -> str:
    """Names a path, identifier, figure or person that neither the scenario, the agent nor the workspace contains."""
    if tool_call_syntax(turn):  # what is in code is not spoken of
        return ""
    if turn.known.mode == "open":
        return _against_itself(turn)
    text = _TAG.sub(" ", turn.text.replace("’", "'"))
    known = _context(turn)
    for path in _PATH.findall(text):
        if found := _unknown_path(path, known):
            return found
    for match in _IDENTIFIER.finditer(text):
        if match.group(0).lower() not in known:
            return match.group(0)
    without = _PATH.sub(" ", text)
    for match in _NUMBER.finditer(without):
        figure = match.group(0)
        before, after = without[max(0, match.start() - 80) : match.start()], without[match.end() :][:80]
        if _unknown_figure(figure, before, after, known):
            return figure
    if language_switch(turn):  # capitals follow other rules there
        return ""
    for match in _SPEAKS.finditer(without):
        name = match.group(1)
        if not _plain_word(name) and name.lower() not in known:
            return name
    german = "de" in (*languages_known(turn.known), language_of(turn.text)[0])
    for match in _NAME.finditer(without):
        name = match.group(1)
        if _unknown_name(name, without, match, known, german):
            return name
    return ""


_CHANGES_MIND = re.compile(
    r"\b(?:actually|instead|rather|change|changed|make it|on second thought|after all|not .{1,40} but"
    r"|no longer|correction|"
    r"sorry|i meant|wrong)\b|改|换|还是|不对|更正|其实",
    re.IGNORECASE,
)
_COUNTED = re.compile(r"(?<![\w./:#-])([$€£¥]?\d[\d,.]*)\s?(%|[A-Za-z\u4e00-\u9fff]{2,20})")


def _against_itself(turn: Turn) -> str:
    """Return what contradicts the user's own words: in mode open it may invent, once, and is held to it."""
    if _CHANGES_MIND.search(turn.text):
        return ""
    before = "\n".join((turn.known.intent, *turn.own))
    folders: dict[str, set[str]] = {}
    for path in _PATH.findall(before):
        folders.setdefault(path.rpartition("/")[2].lower(), set()).add(path.rpartition("/")[0].lower())
    everywhere = _context(turn)
    for path in _PATH.findall(turn.text):
        folder, _, name = path.rstrip(".,;:!?").rpartition("/")
        earlier = folders.get(name.lower())
        elsewhere = folder and name and earlier and "" not in earlier and folder.lower() not in earlier
        if elsewhere and path.rstrip(".,;:!?").lower() not in everywhere:
            return str(path)
    counts: dict[str, set[str]] = {}
    for figure, unit in _COUNTED.findall(before):
        counts.setdefault(unit.lower(), set()).add(figure.rstrip(".,"))
    heard = "\n".join(turn.heard)
    for figure, unit in _COUNTED.findall(turn.text):
        earlier = counts.get(unit.lower())
        if earlier and len(earlier) == 1 and figure.rstrip(".,") not in earlier and figure not in heard:
            return f"{figure} {unit}"
    return ""


def _context(turn: Turn) -> str:
    parts = [_base(turn.known)]
    if turn.view is not None:
        evidence = turn.view.evidence
        parts += [m["content"] for m in turn.view.history]
        parts += [
            *evidence.passed,
            *evidence.failed,
            *evidence.diff.created,
            *evidence.diff.changed,
            *evidence.diff.deleted,
        ]
        parts += [command for command, _ in evidence.failed_commands]
        parts += [str(code) for _, code in evidence.failed_commands if code is not None]
        for note in evidence.files:
            parts += [note.path, str(note.size), str(note.line_count or ""), *note.lines]
        parts += [process.command for process in evidence.processes]
        parts += evidence.present or ()
    return "\n".join(parts).lower()


@lru_cache(maxsize=64)
def _base(known: UserKnowledge) -> str:
    return known.words().lower()


def _unknown_path(path: str, known: str) -> str:
    plain = path.rstrip(".,;:!?)'\"").lower()
    if plain in _ABBREVIATIONS or plain.rstrip(".") in _ABBREVIATIONS or len(plain) < 3:
        return ""
    if re.fullmatch(r"[\d.,/:-]+", plain) or plain.startswith(_SYSTEM) or is_unit(path.rstrip(".,;:!?)'\"")):
        return ""
    if (
        re.fullmatch(r"[a-zà-ÿ]+/[a-zà-ÿ]+", plain)
        and plain not in known
        and not re.search(
            r"\.|_"
            r"|\d",
            plain,
        )
    ):
        parts = plain.split("/")  # "rows/columns" is two words, unless one of them is a folder here
        return (
            path
            if any(f"{part}/" in known for part in parts) and not all(part in known for part in parts)
            else ""
        )
    tail = plain.removeprefix("/workspace/").removeprefix("./").removeprefix("~/").rstrip("/*")
    return "" if tail in known or tail.lstrip("*.") in known else path


def _unknown_figure(figure: str, before: str, after: str, known: str) -> bool:
    bare = figure.strip("$€£").rstrip(".,'")
    digits = re.sub(r"[,.'](?=\d{3}(?!\d))", "", bare)
    try:
        small = float(digits) <= SMALL
    except ValueError:
        small = False
    if (small and figure[0] not in "$€£" and "." not in bare) or digits in ("100", "24", "50"):
        return False
    if _AFTER_FREE.match(after) or (
        _BEFORE_FREE.search(before) and re.fullmatch(r"\d{1,2}(?:[.:]\d\d)?", bare)
    ):
        return False
    return not any(_stands_in(known, form, str.isdecimal) for form in {bare.lower(), digits})


def _stands_in(text: str, form: str, touching: Callable[[str], bool], ends: bool = True) -> bool:
    """Whether a form stands in a text with no ``touching`` character before it (and, with ``ends``, after it).

    A plain search, since the text may be megabytes and is searched for each figure and name of a turn.
    """
    at = text.find(form)
    while at >= 0:
        after = text[at + len(form) : at + len(form) + 1]
        if not (at and touching(text[at - 1])) and not (ends and after and touching(after)):
            return True
        at = text.find(form, at + 1)
    return False


def _in_word(character: str) -> bool:
    return character == "_" or character.isalnum()


_OPENS_A_SENTENCE = frozenset(".!?:…»”\"'*•–¿¡([_-")
_AFTER_SYMBOL = ("So", "Sk", "Mn", "Cf")
"""Unicode categories that emoji end with: pictures, skin tones, variation selectors, joiners."""


def _unknown_name(name: str, text: str, match: re.Match[str], known: str, german: bool) -> bool:
    if name.lower() in _FREE_NAMES or _stands_in(known, name.lower(), _in_word, ends=False):
        return False
    before = text[max(0, match.start() - 200) : match.start()]
    bare = before.rstrip()
    if not bare or bare[-1] in _OPENS_A_SENTENCE or "\n" in before[len(bare) :]:
        return False
    if unicodedata.category(before.rstrip()[-1]) in _AFTER_SYMBOL:  # an emoji ends a sentence too
        return False
    if german:  # nouns have capitals there: only after a word that precedes names
        return bool(
            re.search(
                r"\b(?:herrn?|frau|dr\.|kollegin|kollege|kollegen|chefin|chef|an"
                r"|von)\s$",
                before,
                re.I,
            )
        )
    return not _title_cased(text) and not _plain_word(name)


@lru_cache(maxsize=8)
def _title_cased(text: str) -> bool:
    """Whether most words of a text begin with a capital."""
    capitals = len(re.findall(r"\b[A-Z][a-z]{2,}", text))
    return capitals * 2 > len(re.findall(r"\b\w+", text))


def _plain_word(word: str) -> bool:
    return (
        word.lower() in vocabulary().plain
        or word.lower() in vocabulary().verbs
        or word.lower() in _FREE_NAMES
    )
