"""What a user says in reaction: short lines by kind and register, in the persona's spelling.

A scripted user that always says the same five sentences teaches a model those five sentences. The lines are data
(``envs/os/phrases.yaml``), so that they can grow without touching code.
"""

from __future__ import annotations

import random
import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path

from pydantic import RootModel

from ise_gym.errors import UserError, nearest
from ise_gym.personas.data import Text, validated
from ise_gym.personas.protected import protected_spans
from ise_gym.personas.voice import join, run_on, surface
from ise_gym.resources import os_world
from ise_gym.scenario import Persona, Register

# What each kind needs; `thing` is derived from `missing`.
SLOTS: Mapping[str, frozenset[str]] = {
    "accept": frozenset(),
    "next": frozenset(),
    "nudge": frozenset({"missing"}),
    "nudge_again": frozenset({"missing"}),
    "failure_seen": frozenset(),
    "answer": frozenset({"request"}),
    "refused": frozenset({"request"}),
    "false_claim": frozenset({"missing"}),
    "done": frozenset(),
    "give_up": frozenset(),
    "double_check": frozenset(),
}
_LEADING = frozenset({"accept", "next"})  # something follows: the final stop stays
_LED_IN = re.compile(
    r"(?:then|also|next|now|and|after|afterwards|finally|first|great|good|nice|perfect|lovely|thanks|thank you|thx"
    r"|ta|one more|another|while|once|additionally|thereafter|furthermore|in addition|lastly|ok|okay|oh|ah|so"
    r"|that looks|looks good|i see|as (?:a|the) next|with that|following)\b",
    re.IGNORECASE,
)
_NO_PATH = re.compile(r"[\s\"']")
_SLOT = re.compile(r"\{(\w+)\}")


class _Phrases(RootModel[dict[str, dict[Register, tuple[Text, ...]]]]):
    """``phrases.yaml``: kind → register → lines."""


@lru_cache(maxsize=4)
def load_phrases(path: Path | None = None) -> Mapping[str, Mapping[Register, tuple[str, ...]]]:
    """Return all lines, by kind and register.

    Raises:
        UserError: the file is wrong (names the file, the kind and the line).
    """
    path = path or os_world() / "phrases.yaml"
    phrases = validated(path, _Phrases).root
    for kind, needed in SLOTS.items():
        allowed = needed | ({"thing"} if "missing" in needed else set())
        for register in ("casual", "collaborative", "analytical", "formal"):
            lines = phrases.get(kind, {}).get(register, ())
            if not lines:
                raise UserError(
                    f"{path}: {kind}.{register}: no line; every kind needs lines in every register"
                )
            for line in lines:
                used = set(_SLOT.findall(line))
                if not used <= allowed or (needed and len(used) != 1):
                    raise UserError(
                        f"{path}: {kind}.{register}: {line!r} has slots {sorted(used)}; "
                        f"it needs exactly one of {sorted(allowed)}"
                        if needed
                        else f"{path}: {kind}.{register}: {line!r} has a slot, but {kind!r} takes none"
                    )
    for kind in phrases:
        if kind not in SLOTS:
            raise UserError(f"{path}: unknown kind {kind!r}.{nearest(kind, SLOTS)}")
    return phrases


def phrase(
    kind: str, persona: Persona, rng: random.Random, *, avoid: Collection[str] = (), **slots: str
) -> str:
    """Return one reactive line of a user.

    Args:
        kind: one of ``SLOTS``.
        persona: gives the register and the spelling habits.
        rng: the only source of chance.
        avoid: lines said before; they are not said again while others are left.
        slots: what the kind needs: ``missing`` (a path, or a clause that should hold) or ``request`` (the ask again).

    Returns:
        The line. Slot texts are in it unchanged, except that a request goes on in lower case after its colon, and
        that a stop may follow.

    Raises:
        UserError: unknown kind, or a slot that is missing, empty or unknown.
    """
    if kind not in SLOTS:
        raise UserError(f"no phrases of kind {kind!r}.{nearest(kind, SLOTS)} Known: {', '.join(SLOTS)}")
    given = {name: text.strip() for name, text in slots.items()}
    if set(given) != SLOTS[kind] or not all(given.values()):
        needed = ", ".join(sorted(SLOTS[kind])) or "none"
        raise UserError(
            f"phrases of kind {kind!r} take these slots, none of them empty: {needed}; got {given}"
        )
    if "request" in given:  # every line has it after a colon
        given["request"] = run_on(given["request"]) or given["request"]
    missing = given.get("missing", "")
    if _is_path(missing):
        given["thing"] = missing
    lines = [
        line for line in load_phrases()[kind][persona.register] if set(_SLOT.findall(line)) <= set(given)
    ]
    order = rng.sample(lines, len(lines))
    said = {_bare(text) for text in avoid}
    state = rng.getstate()
    first = ""
    for line in order:
        rng.setstate(state)
        text = _fill(line, persona, rng, given, kind)
        first = first or text
        if _bare(text) not in said:
            return text
    return first


def lead_in(text: str, persona: Persona, rng: random.Random, *, avoid: Collection[str] = ()) -> str:
    """Return the next request with a connective before it ("next up: can you …"), in proper case.

    A request that brings its own ("then …", "also …", "great, now …") is returned as it is: two would stutter.
    """
    if _LED_IN.match(text):
        return text
    return join(phrase("next", persona, rng, avoid=avoid), text, persona)


def _fill(line: str, persona: Persona, rng: random.Random, given: Mapping[str, str], kind: str) -> str:
    if line.endswith("}") and given[_SLOT.findall(line)[-1]][-1] not in ".!?:…)\"`'”":
        line += "."
    return surface(line, persona, rng, slots=given, ends=kind not in _LEADING, emoji=kind != "next")


def _is_path(text: str) -> bool:
    return protected_spans(text) == (text,) and not _NO_PATH.search(text) and ("." in text or "/" in text)


def _bare(text: str) -> str:
    """Return the letters only: two lines that differ in case, stop or emoji are the same line."""
    return "".join(c for c in text.lower() if c.isalnum())
