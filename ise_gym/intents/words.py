"""Says what is asked without a model: each request in the persona's voice.

What the checks depend on is in the tasks' own wordings and start files; the voice leaves paths, names and
figures untouched (`ise_gym.personas.protected`).
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from ise_gym.personas.voice import speak
from ise_gym.scenario import Persona
from ise_gym.tasks.instance import DraftedTask


def choose_wordings(drafts: Sequence[DraftedTask], persona: Persona, rng: random.Random) -> list[str]:
    """Choose one wording of the persona's register for each request of the tasks, in order."""
    return [
        rng.choice(request.wordings[persona.register]) for drafted in drafts for request in drafted.requests
    ]


def utter(wordings: Sequence[str], persona: Persona, rng: random.Random) -> list[str]:
    """Say the wordings one turn each, in the persona's voice: greeting in the first, sign-off in the last."""
    last = len(wordings) - 1
    return [
        speak(text, persona, rng, opening=at == 0, closing=at == last) for at, text in enumerate(wordings)
    ]
