"""The user in mode ``open``: it holds a whole intent and decides for itself what to ask for next.

The users of the paper had no list of checked wishes, only an intent and a persona, and went on from what happened. So
here nothing is dealt out: the model takes the intent apart, one step a turn, may ask for more within it or change its
mind, and may name a path or a figure of its own, to which it is held afterwards. What the words have asked for by then
is what counts as asked (`ise_gym.simulator.telling`), so that checks, where a scenario has any, judge what was heard.
"""

from __future__ import annotations

from collections.abc import Sequence

from ise_gym.simulator.base import UserTurn, UserView
from ise_gym.simulator.briefing.thoughts import OPEN_CHINESE, OPEN_ENGLISH
from ise_gym.simulator.claims import FalseClaim
from ise_gym.simulator.knowledge import UserKnowledge
from ise_gym.simulator.telling import begun

MODE = "open"
STEPS_BEFORE_PATIENCE_ENDS = 3

RULES = (
    "- You are the person who wants something, never the one who does it. The other side has the keyboard: you "
    "ask, look at what came of it, and go on. You do not report work as your own, offer help, ask what the task "
    "is, explain how it is done, write code or commands, or act in brackets and asterisks.\n"
    "- What you want is one piece. Take it apart yourself: ask for one step at a time, as little as makes sense, "
    "and let what comes back decide the next. Details that matter now, you say now; the rest, when it is their "
    "turn or when you are asked.\n"
    "- Within what you want you may ask for more, or change your mind; say so when you do. Where you must decide "
    "a name or a number that nobody gave, decide it once and keep to it.\n"
    "- Believe what you see in the folder over what you are told. If something is wrong or missing, say what.\n"
    "- Write the way this person writes, in the language of what you want. Leave once you have what you wanted."
)
MOVES = {
    "stay": "“That is not it yet.” or “That one, yes.”",
    "next": "“Good. Next: …”",
    "leave": "“Thanks, that was all.”",
    "give_up": "“Never mind, I'll ask somebody else.”",
}


def moves_open(view: UserView | None) -> tuple[str, ...]:
    """Return what the user can do now, as far as the evidence decides it."""
    if view is None or not view.history:
        return ("next",)
    if view.evidence.failed:
        return ("stay", "give_up") if view.turn >= STEPS_BEFORE_PATIENCE_ENDS else ("stay",)
    return ("next", "stay", "leave") if view.turn > 1 else ("next", "stay")


def thoughts(
    language: str,
    view: UserView | None,
    seen: str,
    lies: Sequence[FalseClaim] = (),
    refused: tuple[str, str] = ("", ""),
) -> str:
    """Return what goes through the person's mind; see `ise_gym.simulator.briefing.prompt.thoughts`."""
    words = OPEN_CHINESE if language == "zh" else OPEN_ENGLISH
    if view is None or not view.history:
        parts = [words["first"]]
    else:
        parts = [words["lie"].format(said=lie.words.strip()) for lie in lies[:2]]
        if view.evidence.failed:
            parts.append(words["missing"].format(what="; ".join(view.evidence.failed[:3])))
        parts.append(words["seen"].format(what=seen) if seen else words["unseen"])
        parts.append(words["onward"])
    draft, why = refused
    if draft or why:
        parts.append(words["refused"].format(draft=" ".join(draft.split())[:300], why=why))
    return " ".join(parts)


def booked(move: str, text: str, view: UserView | None, known: UserKnowledge) -> UserTurn:
    """Return the turn; the current request is the last of those that the user's words have made so far, in order."""
    said = [m["content"] for m in view.history if m["role"] == "assistant"] if view is not None else []
    current = known.index(view.request) if view is not None and view.request else -1
    reached = max(current, 0)  # an opening opens the whole, however little of it is said
    while reached + 1 < len(known.wishes) and begun(known.wishes[reached + 1], [*said, text]):
        reached += 1
    name = known.wishes[reached].name
    return UserTurn(text, name, done=move == "leave", gave_up=move == "give_up")
