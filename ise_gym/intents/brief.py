"""Says in a few sentences what a persona wants, before any detail: the intent as it stands before the conversation.

A user doesn't open with every path and format; those come turn by turn. So an intent has a *brief*: who is asking, why,
and each task in one phrase (the task file's ``gist``), in the persona's voice. The whole text with every request stays
what checks, deduplication and single-turn play are made from (`ise_gym.intents.whole`).
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence

from ise_gym.personas.data import BriefForms, load_brief_forms, load_habits
from ise_gym.personas.voice import surface, tell
from ise_gym.scenario import Persona
from ise_gym.tasks.instance import DraftedTask

_LAYOUTS: Mapping[str, Mapping[str, int]] = {
    "short": {"terse": 4, "whole": 3, "list": 2, "groups": 2},
    "medium": {"terse": 1, "whole": 3, "list": 2, "groups": 4, "steps": 2},
    "long": {"whole": 2, "list": 2, "groups": 4, "steps": 4},
}
"""Layout → weight, by how long a persona likes to write."""

_CUTS: Mapping[int, Sequence[tuple[int, ...]]] = {
    2: ((1, 1),),
    3: ((2, 1), (1, 2)),
    4: ((2, 2), (1, 3), (3, 1), (1, 2, 1)),
    5: ((3, 2), (2, 3), (2, 1, 2)),
}
_STORY_LAST = 0.25
_LONGEST_SENTENCE = 4
"""Tasks in one sentence; more are hard to follow."""

_POLITE = re.compile(r"\b(?:please|kindly|could|would|may I|grateful)\b", re.IGNORECASE)


def choose_gists(drafts: Sequence[DraftedTask], rng: random.Random) -> list[str]:
    """Choose one gist a task; what a task that comes twice would say twice is said once."""
    chosen: list[str] = []
    for drafted in drafts:
        fresh = [gist for gist in drafted.gists if gist not in chosen]
        pick = rng.random()
        if fresh:
            chosen.append(fresh[int(pick * len(fresh))])
    return chosen


def brief_text(asks: Sequence[str], persona: Persona, rng: random.Random) -> str:
    """Write the brief: the persona's story and what is wanted, in one of five layouts.

    Args:
        asks: one phrase a task, each a bare infinitive ("merge the sales exports").
        persona: whose register, manners and spelling apply.
        rng: the only source of chance.

    Returns:
        Some 30 to 70 words, on one line except where the tasks are listed. Every ask is in it as it is, apart from its
        first letter and the persona's contractions.
    """
    forms = load_brief_forms()[persona.register]
    weights = _LAYOUTS[persona.voice.get("length", "medium")]
    layout = rng.choices(list(weights), list(weights.values()))[0]
    last = rng.random() < _STORY_LAST
    if len(asks) == 1:
        layout = "whole"
    elif layout == "whole" and len(asks) > _LONGEST_SENTENCE:
        layout = "groups"
    body, lines = _body(layout, asks, persona, forms, rng), layout == "list"
    story = tell(rng.choice(forms.after), persona) if last else _story(persona, rng)
    parts = [body, story] if last else [story, body]
    gap = "\n\n" if lines and last else " "
    return surface(gap.join(part for part in parts if part), persona, rng)


def _story(persona: Persona, rng: random.Random) -> str:
    return tell(rng.choice(load_habits().introductions[persona.register]), persona)


def _body(layout: str, asks: Sequence[str], persona: Persona, forms: BriefForms, rng: random.Random) -> str:
    if layout in ("list", "terse"):
        lead = _cased(rng.choice(forms.leads), persona)
        if layout == "terse":
            return f"{lead} {'; '.join(asks)}."
        numbered = rng.random() < 0.5
        marks = [f"{n}. " if numbered else "- " for n in range(1, len(asks) + 1)]
        return lead + "".join(f"\n{mark}{_item(ask, persona)}" for mark, ask in zip(marks, asks, strict=True))
    if layout == "whole":
        return _framed(forms.whole, [], persona, rng).replace("{all}", _joined(asks, rng))
    groups = [[ask] for ask in asks] if layout == "steps" else _groups(asks, rng)
    chosen: list[str] = []
    for position in range(len(groups)):
        final = position == len(groups) - 1
        kind = forms.first if position == 0 else forms.last if final else forms.next
        chosen.append(_framed(kind, chosen[-1:], persona, rng))
    return " ".join(
        form.replace("{ask}", _joined(group, rng)) for form, group in zip(chosen, groups, strict=True)
    )


def _framed(forms: Sequence[str], used: Sequence[str], persona: Persona, rng: random.Random) -> str:
    """Choose a form that fits the persona's manners and isn't the one just used."""
    manners = persona.voice.get("polite", "plain")
    fitting = [form for form in forms if _cased(form, persona) not in used]
    if manners == "blunt":
        fitting = [form for form in fitting if not _POLITE.search(form)] or fitting
    elif manners == "courtly":
        fitting = [form for form in fitting if _POLITE.search(form)] or fitting
    return _cased(rng.choice(fitting), persona)


def _groups(asks: Sequence[str], rng: random.Random) -> list[Sequence[str]]:
    """Cut the asks into sentences of one to three."""
    pairs = (2,) * (len(asks) // 2) + (1,) * (len(asks) % 2)
    cut = rng.choice(_CUTS.get(len(asks), (pairs,)))
    groups, start = [], 0
    for size in cut:
        groups.append(asks[start : start + size])
        start += size
    return groups


def _joined(asks: Sequence[str], rng: random.Random) -> str:
    """Join phrases to one: "a, b and then c"; a comma keeps an "and" inside a phrase from running into the next."""
    pick = rng.random()
    if len(asks) == 1:
        return asks[0]
    inner = any(" and " in ask for ask in asks)
    links = (", and then ", ", then ") if inner else (" and ", " and then ", ", then ", ", and ")
    return ", ".join(asks[:-1]) + links[int(pick * len(links))] + asks[-1]


def _cased(form: str, persona: Persona) -> str:
    """Return a form as somebody begins a sentence who may write no capitals ("I" is the voice's affair)."""
    lower = persona.voice.get("case") == "lower" and not re.match(r"I\b", form)
    return form[:1].lower() + form[1:] if lower else form


def _item(ask: str, persona: Persona) -> str:
    return ask if persona.voice.get("case") == "lower" else ask[:1].upper() + ask[1:]
