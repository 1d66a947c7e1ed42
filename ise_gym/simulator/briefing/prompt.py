"""What a model that plays the user is told, built from the user's side of the scenario and nothing else.

The functions here take `UserKnowledge` and `UserView`, never a `Scenario`: checks, expert plans and the harness's own
notes cannot reach a prompt, because they are not within reach.

Three things about the form were learnt from small models. What never changes comes first and what changes comes last,
behind the conversation, so that a server reads each part once. What changes is put as the person's own thoughts: a
weak model says its notes aloud, and a thought said aloud is still the person speaking. For the same reason a wish is
told when its time has come, not before: what a model does not know yet it can neither dump nor take out of turn. And a
draft that was refused is shown with the reason, in words that name nothing of the harness.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ise_gym.messages import Message, assistant, system, user
from ise_gym.scenario import Persona
from ise_gym.simulator.base import Evidence, UserView
from ise_gym.simulator.briefing import open as open_mode
from ise_gym.simulator.briefing.examples import examples
from ise_gym.simulator.briefing.thoughts import ENGLISH, THOUGHTS
from ise_gym.simulator.claims import FalseClaim, false_claims
from ise_gym.simulator.detectors.language import languages_known
from ise_gym.simulator.knowledge import UserKnowledge
from ise_gym.simulator.principles import PRINCIPLES
from ise_gym.simulator.roles import MOVES
from ise_gym.simulator.telling import untold

FILES_NAMED = 12
FILES_SEEN = 4
LOSES_PATIENCE_AFTER = 3
"""User turns about one wish before giving up is one of the moves."""

INTRODUCTION = (
    "You write one side of a chat: the messages of the person described below, in that person's words. On the other "
    "side is an assistant that has the keyboard and does the work for this person."
)
ANSWER = (
    'Write one JSON object: {"move": …, "say": …}. "say" is the message, nothing but what the person types; '
    '"move" says what kind of message it is:'
)
FORMAT = "\n".join((ANSWER, *(f"- {move}: {meaning}" for move, meaning in MOVES.items())))
EMPTY_CHAT = "(The chat window is open and empty.)"


def answer_schema(moves: Sequence[str] = tuple(MOVES)) -> dict[str, Any]:
    """Return the JSON schema of the model's answer at a moment when these moves are open."""
    return {
        "type": "object",
        "properties": {
            "move": {"type": "string", "enum": list(moves)},
            "say": {"type": "string", "minLength": 1},
        },
        "required": ["move", "say"],
        "additionalProperties": False,
    }


def role_prompt(known: UserKnowledge) -> str:
    """Return the system prompt: the same for the whole episode, and its first half the same for all."""
    if known.mode == open_mode.MODE:
        return _open_prompt(known)
    persona = known.persona
    return (
        f"{_rules()}\n\n{FORMAT}\n\n"
        f"This is how such people write (the manner counts, the matter is made up):\n"
        f"{examples(persona.register, _language(known))}\n\n"
        f"You are this person:\n{_person(persona)}\n\n"
        f"Files you had before the chat:\n{_files(known)}"
    )


def moves_open(view: UserView | None, known: UserKnowledge) -> tuple[str, ...]:
    """Return what the user can do now, as far as the evidence decides it."""
    if view is None or not view.request:
        return ("next",)
    index = known.index(view.request)
    tired = view.turn - index >= LOSES_PATIENCE_AFTER
    if view.evidence.failed:
        return ("stay", "give_up") if tired else ("stay",)
    onward = "next" if index + 1 < len(known.wishes) else "leave"
    return (onward, "stay") if view.evidence.passed else (onward, "stay", "give_up")


def thoughts(
    known: UserKnowledge, view: UserView | None, lies: Sequence[FalseClaim] = (), refused: Refused = ("", "")
) -> str:
    """Return what goes through the person's mind: where it stands, what it saw, and what it won't say.

    Args:
        known: the user's side of the scenario.
        view: what it saw; None before the opening.
        lies: what the agent said and the evidence contradicts.
        refused: a draft of this message that was not sent, and why.
    """
    words = THOUGHTS.get(_language(known), ENGLISH)
    index = known.index(view.request) if view is not None and view.request else -1
    parts = []
    if view is None or index < 0:
        parts.append(words["first"].format(wish=known.wishes[0].text))
    else:
        seen = view.evidence
        said = [m["content"] for m in view.history if m["role"] == "assistant"]
        missing = untold(known.wishes[index], said)
        parts += [words["lie"].format(said=lie.words.strip()) for lie in lies[:2]]
        if seen.failed:
            parts.append(words["missing"].format(what="; ".join(seen.failed[:3])))
            parts.append(words["again"].format(wish=known.wishes[index].text))
            if answers := known.wishes[index].answers:
                parts.append(words["answers"].format(answers=" ".join(answers)))
        parts += [words["untold"].format(facts=", ".join(missing))] if missing else []
        if changed := _seen(seen):
            parts.append(words["seen"].format(what=changed))
        if not seen.failed:
            upcoming = known.wishes[index + 1].text if index + 1 < len(known.wishes) else ""
            parts.append(words["settled"] if seen.passed else words["unclear"])
            parts.append(words["onward"].format(wish=upcoming) if upcoming else words["all"])
    draft, why = refused
    if draft or why:
        parts.append(words["refused"].format(draft=" ".join(draft.split())[:300], why=why))
    return " ".join(parts)


Refused = tuple[str, str]


def prompt_messages(
    known: UserKnowledge, view: UserView | None, feedback: str = "", draft: str = ""
) -> list[Message]:
    """Return the chat that the model completes: roles are the user's own, so the agent's words have role "user".

    All but the last message is what it was a turn ago, with the last exchange added.
    """
    words = THOUGHTS.get(_language(known), ENGLISH)
    history = view.history if view is not None else ()
    lies = false_claims(history[-1]["content"], view.evidence) if view is not None and history else ()
    talk: list[Message] = [user(EMPTY_CHAT)]
    talk += [assistant(m["content"]) if m["role"] == "assistant" else user(m["content"]) for m in history]
    refused = (draft, feedback)
    if known.mode == open_mode.MODE:
        seen = _seen(view.evidence) if view is not None else ""
        mind = open_mode.thoughts(_language(known), view, seen, lies, refused)
    else:
        mind = thoughts(known, view, lies, refused)
    last = talk[-1]["content"] if talk[-1]["role"] == "user" else ""
    kept = talk[:-1] if last else talk
    return [system(role_prompt(known)), *kept, user(words["frame"].format(said=last, mind=mind).strip())]


def _open_prompt(known: UserKnowledge) -> str:
    moves = "\n".join(f"- {move}: {meaning}" for move, meaning in open_mode.MOVES.items())
    return (
        f"{INTRODUCTION}\n\n{open_mode.RULES}\n\n{ANSWER}\n{moves}\n\n"
        f"This is how such people write (the manner counts, the matter is made up):\n"
        f"{examples(known.persona.register, _language(known))}\n\n"
        f"You are this person:\n{_person(known.persona)}\n\n"
        f"What you want, all of it:\n{known.intent}\n\nFiles you had before the chat:\n{_files(known)}"
    )


def _rules() -> str:
    rules = "\n".join(f"- {principle.prompt}" for principle in PRINCIPLES.values())
    return f"{INTRODUCTION}\n\n{rules}"


def _language(known: UserKnowledge) -> str:
    languages = languages_known(known)
    return next(iter(languages)) if len(languages) == 1 else "en"


def _files(known: UserKnowledge) -> str:
    paths = known.paths()
    listed = "\n".join(f"- {path}" for path in paths[:FILES_NAMED])
    return (
        listed + (f"\n- and {len(paths) - FILES_NAMED} more" if len(paths) > FILES_NAMED else "")
    ) or "- none"


def _seen(evidence: Evidence) -> str:
    """Name the changed files, with the first line of each, as one would after a glance at the folder."""
    notes = []
    for note in evidence.files[:FILES_SEEN]:
        first = f": {note.lines[0]}" if note.lines else ""
        notes.append(f"{note.path} ({note.change}{first})")
    more = len(evidence.diff.created) + len(evidence.diff.changed) + len(evidence.diff.deleted) - len(notes)
    if more > 0 and notes:
        notes.append(f"+{more}")
    return "; ".join(notes)


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


def _habits(voice: Mapping[str, object]) -> str:
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
