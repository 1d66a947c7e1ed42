"""What a user may know, apart from what only the harness knows.

Scenarios carry both: the user's own wishes and files, and the checks, expert plans and replies that must never
reach a prompt. Whatever speaks or judges for the user works from this view of a scenario, which cannot leak what it
does not hold.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from ise_gym.scenario import Persona, Scenario

_FILE_BYTES = 20_000


@dataclass(frozen=True)
class Wish:
    """One thing the user will ask for: its name for bookkeeping, the words, and what it says of it when asked."""

    name: str
    text: str
    facts: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)  # equal only to itself: what is derived from it is cached by it
class UserKnowledge:
    """The user's side of a scenario.

    Attributes:
        persona: who the user is.
        wishes: what it wants, in order.
        files: (path, text) of the files that it owns from the start; "" for binary ones.
        mode: "checked" (the wishes are made one by one) or "open" (`ise_gym.simulator.briefing.open`).
        intent: the whole of what it wants, in mode open.
    """

    persona: Persona
    wishes: tuple[Wish, ...]
    files: tuple[tuple[str, str], ...] = ()
    mode: str = "checked"
    intent: str = ""

    def index(self, name: str) -> int:
        """Return the position of a wish by name, or -1."""
        return next((i for i, wish in enumerate(self.wishes) if wish.name == name), -1)

    def paths(self) -> tuple[str, ...]:
        """Return the paths of its files."""
        return tuple(path for path, _ in self.files)

    def words(self) -> str:
        """Return everything it knows as one text, to look names and figures up in."""
        return _words(self)


def knowledge_of(scenario: Scenario, mode: str = "checked") -> UserKnowledge:
    """Return the user's side of a scenario."""
    return UserKnowledge(
        scenario.persona,
        tuple(
            Wish(r.name, r.text, r.facts, tuple(str(a["say"]) for a in r.answers)) for r in scenario.requests
        ),
        tuple((f.path, _text(f.content)) for f in scenario.files),
        mode,
        scenario.intent if mode == "open" else "",
    )


@lru_cache(maxsize=64)
def _words(known: UserKnowledge) -> str:
    persona = known.persona
    about = [persona.name, persona.role, persona.industry, persona.experience_level, persona.work_context]
    about += [*persona.expertise, *(str(v) for v in persona.voice.values() if isinstance(v, str))]
    wishes = [text for wish in known.wishes for text in (wish.text, *wish.facts, *wish.answers)]
    files = [text for file in known.files for text in file]
    return "\n".join(part for part in (*about, known.intent, *wishes, *files) if part)


def _text(content: bytes) -> str:
    head = content[:_FILE_BYTES]
    if b"\0" in head:
        return ""
    return re.sub(r"\s+", " ", head.decode("utf-8", "ignore"))
