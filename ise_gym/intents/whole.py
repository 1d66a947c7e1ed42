"""Writes the whole intent as one text: who is asking, and every request, so that nothing is lost.

Beside it stands the brief (`ise_gym.intents.brief`), which says the same in a few sentences without details.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence

from ise_gym.personas.voice import introduce, speak
from ise_gym.scenario import Persona, Register

_LEADS: Mapping[Register, Sequence[str]] = {
    "casual": (
        "Few things I need sorted:",
        "So here's what's on my plate:",
        "Got some stuff for you:",
        "Okay, the list:",
        "Here's the deal:",
        "What I need today:",
    ),
    "collaborative": (
        "There are a few things I could use your help with:",
        "Here is what we need to get through:",
        "Could we work through these together?",
        "This is what I have in mind for today:",
        "I'd like us to get the following done:",
        "A handful of things are waiting:",
    ),
    "analytical": (
        "Requirements, in order:",
        "Work items:",
        "The following needs to be done, one step at a time:",
        "Scope of this session:",
        "Sequence of tasks:",
        "Deliverables:",
    ),
    "formal": (
        "I would be grateful for your assistance with the following matters:",
        "The following items require attention:",
        "May I ask you to attend to these points in turn:",
        "I should like to have the following carried out:",
        "Please see to the following:",
        "The tasks at hand are these:",
    ),
}
_FIRST: Mapping[Register, Sequence[str]] = {
    "casual": ("First up: ", "To start: ", "", "First off: "),
    "collaborative": ("To begin with: ", "First: ", "", "Let's start here: "),
    "analytical": ("Step one: ", "First: ", "", "Start: "),
    "formal": ("Firstly: ", "To begin: ", "", "In the first place: "),
}
_NEXT: Mapping[Register, Sequence[str]] = {
    "casual": ("Then: ", "Next: ", "Also: ", "Oh, and: ", "After that: ", ""),
    "collaborative": ("Next: ", "After that: ", "Then: ", "While we're at it: ", "Another thing: ", ""),
    "analytical": ("Next: ", "Then: ", "Following that: ", "Subsequently: ", "", ""),
    "formal": ("Thereafter: ", "Furthermore: ", "In addition: ", "Next: ", "", ""),
}
_LAST: Mapping[Register, Sequence[str]] = {
    "casual": ("Last one: ", "And finally: ", "Then we're done: ", ""),
    "collaborative": ("Finally: ", "One last thing: ", "To round it off: ", ""),
    "analytical": ("Finally: ", "Last step: ", "To conclude: ", ""),
    "formal": ("Finally: ", "Lastly: ", "In conclusion: ", ""),
}
_LED_IN = re.compile(
    r"(?:then|also|next|now|and|after|afterwards|finally|first|great|one more|another|while|once|additionally|"
    r"thereafter|furthermore|in addition|lastly|ok|okay|oh|ah)\b",
    re.IGNORECASE,
)
"""Wordings of follow-ups often bring their own connective; a second one would stutter."""


def whole_text(wordings: Sequence[str], persona: Persona, rng: random.Random) -> str:
    """Write the full intent: who is asking and why, then everything that is wanted, in one of four layouts."""
    asks = [speak(text, persona, rng) for text in wordings]
    story = _closed(introduce(persona, rng))
    lead = rng.choice(_LEADS[persona.register]) if len(asks) > 1 else ""
    layout = rng.choice(("prose", "paragraphs", "numbered", "bulleted")) if len(asks) > 1 else "prose"
    if layout in ("numbered", "bulleted"):
        marks = [f"{n}. " if layout == "numbered" else "- " for n in range(1, len(asks) + 1)]
        body = "\n".join(mark + _indented(ask) for mark, ask in zip(marks, asks, strict=True))
    else:
        joined = [
            prefix + _closed(ask) for prefix, ask in zip(_prefixes(asks, persona, rng), asks, strict=True)
        ]
        body = (" " if layout == "prose" else "\n\n").join(joined)
    opening = " ".join(part for part in (story, lead) if part)
    return f"{opening}\n\n{body}" if opening else body


def _prefixes(asks: Sequence[str], persona: Persona, rng: random.Random) -> list[str]:
    """Choose how each ask is led in; the same words don't follow each other."""
    if len(asks) == 1:
        return [""]
    register = persona.register
    chosen = [rng.choice(_FIRST[register])]
    for _ in asks[1:-1]:
        chosen.append(rng.choice([form for form in _NEXT[register] if not form or form != chosen[-1]]))
    return [*chosen, rng.choice(_LAST[register])]


def _closed(ask: str) -> str:
    """End an ask with a stop, so that the next one doesn't run into it (paths stay as they are)."""
    return f"{ask}." if ask[-1:].isalnum() else ask


def _indented(ask: str) -> str:
    return ask.replace("\n", "\n   ")
