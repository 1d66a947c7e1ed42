"""What a model that plays the user is told, built from the user's side of the scenario and nothing else.

The functions here take `UserKnowledge` and `UserView`, never a `Scenario`: checks, expert plans and the harness's own
notes cannot reach a prompt, because they are not within reach.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ise_gym.messages import Message, assistant, system, user
from ise_gym.scenario import Persona
from ise_gym.simulator.base import UserView
from ise_gym.simulator.claims import FalseClaim, false_claims
from ise_gym.simulator.evidence import render
from ise_gym.simulator.knowledge import UserKnowledge
from ise_gym.simulator.principles import PRINCIPLES

MOVES: Mapping[str, str] = {
    "stay": "go on about the present wish: answer, complain, point at what is missing",
    "next": "the present wish is settled: say so briefly and make the next one",
    "leave": "everything you wanted is there: say goodbye",
    "give_up": "you have lost patience and leave without it",
}
"""What the user may do → what it means."""

ANSWER_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "move": {"type": "string", "enum": list(MOVES)},
        "say": {"type": "string"},
    },
    "required": ["move", "say"],
    "additionalProperties": False,
}
"""JSON schema of the model's answer."""

FILES_NAMED = 30
FORMAT = (
    "Answer with one JSON object and nothing else: "
    '{"move": one of '
    + ", ".join(f'"{move}"' for move in MOVES)
    + ', "say": your message}.\n'
    + "\n".join(f"- {move}: {meaning}" for move, meaning in MOVES.items())
)
OPENING = "(The chat window is open and empty. Write your first message, with your first wish.)"


def role_prompt(known: UserKnowledge) -> str:
    """Return the part of the system prompt that stays the same for the whole episode."""
    wishes = "\n".join(f"{n}. {wish.text}" for n, wish in enumerate(known.wishes, 1))
    paths = known.paths()
    files = "\n".join(f"- {path}" for path in paths[:FILES_NAMED])
    if len(paths) > FILES_NAMED:
        files += f"\n- and {len(paths) - FILES_NAMED} more"
    rules = "\n\n".join(principle.prompt for principle in PRINCIPLES.values())
    return (
        f"You write one side of a chat. You are this person:\n{_person(known.persona)}\n\n"
        "On the other side is an assistant with access to your files that does the work for you.\n\n"
        f"{rules}\n\nWhat you want, in this order:\n{wishes}\n\n"
        f"Files you had before the chat:\n{files or '- none'}\n\n{FORMAT}"
    )


def notes(known: UserKnowledge, view: UserView, lies: Sequence[FalseClaim], feedback: str = "") -> str:
    """Return the part that changes: where the user stands, what it saw, and why an attempt was refused."""
    index = known.index(view.request)
    parts = []
    if index >= 0:
        parts.append(f"Wishes already made: 1 to {index + 1}. The present one is number {index + 1}.")
    if view.remaining:
        parts.append(f"Wishes you have not made yet: {view.remaining}.")
    parts.append("What you found when you looked just now:\n" + render(view.evidence))
    if lies:
        parts.append(
            "The assistant says things that are not so:\n"
            + "\n".join(
                f'- "{lie.words.strip()}"' + (f" ({lie.subject})" if lie.subject else "") for lie in lies
            )
        )
    if view.evidence.failed:
        parts.append('The present wish is not settled: neither "next" nor "leave" is possible.')
    elif view.evidence.passed and view.remaining:
        parts.append('The present wish is settled: your move is "next".')
    elif view.evidence.passed:
        parts.append('All wishes are settled: your move is "leave".')
    if feedback:
        parts.append(
            "Your last draft was not sent, since a person in your place would not write so "
            f"({feedback}). Write another."
        )
    return "\n\n".join(parts)


def prompt_messages(known: UserKnowledge, view: UserView | None, feedback: str = "") -> list[Message]:
    """Return the chat that the model completes: roles are the user's own, so the agent's words have role "user"."""
    fixed = role_prompt(known)
    if view is None:
        return [system(fixed), user(OPENING)]
    words = view.history[-1]["content"] if view.history else ""
    lies = false_claims(words, view.evidence)
    talk: list[Message] = [user(OPENING)]
    talk += [
        assistant(m["content"]) if m["role"] == "assistant" else user(m["content"]) for m in view.history
    ]
    return [system(f"{fixed}\n\nYour notes:\n{notes(known, view, lies, feedback)}"), *talk]


def _person(persona: Persona) -> str:
    facts = {
        "name": persona.name,
        "work": ", ".join(part for part in (persona.role, persona.industry) if part),
        "experience": persona.experience_level,
        "knows": ", ".join(persona.expertise),
        "situation": persona.work_context,
        "writes": ", ".join(part for part in (persona.register, persona.communication_style) if part),
        "habits": _habits(persona.voice),
    }
    return "\n".join(f"- {name}: {value}" for name, value in facts.items() if value)


def _habits(voice: Mapping[str, Any]) -> str:
    told = {
        ("case", "lower"): "writes in lower case",
        ("stop", "drop"): "leaves out the last full stop",
        ("stop", "exclaim"): "likes exclamation marks",
        ("length", "short"): "short sentences",
        ("length", "long"): "long sentences",
        ("polite", "blunt"): "blunt",
        ("polite", "courtly"): "very polite",
        ("contract", "never"): "no contractions",
        ("jargon", "high"): "uses trade terms",
        ("jargon", "low"): "avoids trade terms",
    }
    found = [text for (trait, value), text in told.items() if voice.get(trait) == value]
    if voice.get("emoji"):
        found.append("an emoji now and then")
    return ", ".join(found)
