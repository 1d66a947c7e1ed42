"""A user played by a model behind any OpenAI-compatible endpoint.

The model sees the conversation from the user's own side, the user's wishes and what the user could see in the
workspace. It says what to do next and in which words; where it is in its list comes from the episode, so that a
turn which the guard replaced leaves no trace. A wish is booked when its words are there, whatever the model says it
did.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from ise_gym.errors import UserError, nearest
from ise_gym.messages import sha256_of
from ise_gym.models.chat import JsonChat, read_object, without_thinking
from ise_gym.models.endpoint import EndpointOptions
from ise_gym.scenario import Scenario
from ise_gym.simulator.base import UserTurn, UserView
from ise_gym.simulator.briefing import open as open_mode
from ise_gym.simulator.briefing.prompt import (
    FORMAT,
    answer_schema,
    moves_open,
    prompt_messages,
    role_prompt,
)
from ise_gym.simulator.briefing.thoughts import THOUGHTS
from ise_gym.simulator.knowledge import UserKnowledge, knowledge_of
from ise_gym.simulator.principles import PRINCIPLES
from ise_gym.simulator.roles import MOVES
from ise_gym.simulator.telling import begun

MODES = ("checked", open_mode.MODE)
ANSWER_TOKENS = 2048
"""Default limit of one answer: a model that thinks first needs room for it."""

_DONE = re.compile(
    r"(?<!\s)\s*(?:\[(?:DONE|END|STOP|FINISHED)\]|###\s?STOP\s?###|<(?:DONE|STOP|END)>)\s*", re.IGNORECASE
)


class LLMUser:
    """Plays the user with a model.

    Args:
        model: name at the endpoint; ``options`` are `ise_gym.models.endpoint.EndpointOptions` (``base_url``,
            ``temperature``, …; ``max_tokens`` is 2048 unless given).
        mode: "checked": the scenario's wishes one by one, in order, each made once it is said. "open": the whole
            intent, taken apart by the model, see `ise_gym.simulator.briefing.open`.

    Raises:
        UserError: the ``openai`` package is missing, or there is no endpoint.
    """

    syntax = "llm:MODEL (an OpenAI-compatible endpoint)"
    reopens = True  # an opening that was refused can be written again, by `respond` to an empty chat

    options_from: ClassVar[type] = EndpointOptions
    """Whose parameters the options are."""

    def __init__(self, model: str, mode: str = "checked", **options: Any) -> None:
        if mode not in MODES:
            raise UserError(
                f"mode of 'llm:{model}' is {mode!r}; known: {', '.join(MODES)}.{nearest(mode, MODES)}"
            )
        self.name = f"llm:{model}"
        self.mode = mode
        self._chat = JsonChat(model, **{"max_tokens": ANSWER_TOKENS, **options})
        self._scenario: Scenario | None = None
        self._known: UserKnowledge | None = None
        self._seed = 0
        self._asked = 0
        self._draft = ""

    def probe(self) -> None:
        """Ask the endpoint once for a few tokens.

        Raises:
            UserError: no answer; says why, and what to do.
        """
        self._chat.probe()

    def reset(self, scenario: Scenario, seed: int) -> UserTurn:
        """Write the opening message, with the first wish.

        Raises:
            AgentError: the endpoint failed (infrastructure).
        """
        self._take(scenario)
        self._seed, self._asked, self._draft = seed, 0, ""
        self._chat.meter.reset()
        return self._answer(None, "")

    def respond(self, view: UserView, feedback: str = "") -> UserTurn:
        """Answer the agent's finished turn.

        Raises:
            AgentError: the endpoint failed (infrastructure).
        """
        return self._answer(view, feedback)

    def state(self) -> tuple[Scenario | None, int, int]:
        """Return scenario, seed and the count of answers; the rest is in the conversation."""
        return (self._scenario, self._seed, self._asked)

    def set_state(self, state: tuple[Scenario | None, int, int]) -> None:
        """Continue from a saved position."""
        scenario, self._seed, asked = state
        # a resample must not draw the same answer again, so the count never goes back within an episode
        self._asked = max(asked, self._asked) if scenario is self._scenario else asked
        self._take(scenario)

    def describe(self) -> dict[str, Any]:
        """Return model, sampling, what this episode spent, and the hashes of the prompt and of its template."""
        template = sha256_of(
            [[p.prompt for p in PRINCIPLES.values()], FORMAT, answer_schema(), dict(THOUGHTS)]
        )
        own = sha256_of(role_prompt(self._known)) if self._known else ""
        return {
            "name": self.name,
            "mode": self.mode,
            **self._chat.sampling(),
            "usage": dict(self._chat.meter.usage),
            "prompt_sha256": own,
            "prompt_template_sha256": template,
        }

    def _take(self, scenario: Scenario | None) -> None:
        if scenario is not self._scenario or self._known is None:
            self._scenario = scenario
            self._known = knowledge_of(scenario, self.mode) if scenario is not None else None

    def _answer(self, view: UserView | None, feedback: str) -> UserTurn:
        known = self._known
        assert known is not None, "call reset() first"
        self._asked += 1
        # every answer of an episode has a seed of its own, which is the same in every run
        seed = int(sha256_of([self._seed, self._asked])[:7], 16)
        asked = prompt_messages(known, view, feedback, self._draft if feedback else "")
        moves = open_mode.moves_open(view) if self.mode == open_mode.MODE else moves_open(view, known)
        move, text = read_answer(self._chat.ask(asked, answer_schema(moves), seed))
        self._draft = text
        if self.mode == open_mode.MODE:
            return open_mode.booked(move, text, view, known)
        return self._booked(move, text, view, known)

    def _booked(self, move: str, text: str, view: UserView | None, known: UserKnowledge) -> UserTurn:
        """Return the turn, with the wish that its words make."""
        current = known.index(view.request) if view is not None and view.request else -1
        name = known.wishes[current].name if current >= 0 else ""
        if move in ("next", "stay") and current + 1 < len(known.wishes):
            upcoming = known.wishes[current + 1]
            said = (
                [m["content"] for m in view.history if m["role"] == "assistant"] if view is not None else []
            )
            if begun(upcoming, [text]) or (current < 0 and begun(upcoming, [*said, text])):
                return UserTurn(text, upcoming.name)
            if move == "next" or current < 0:
                return UserTurn(text, name, meant=upcoming.name)
        return UserTurn(text, name, done=move == "leave", gave_up=move == "give_up")


def read_answer(raw: str) -> tuple[str, str]:
    """Return (move, words) of a model's answer; an answer that is no JSON is taken as plain words.

    >>> read_answer('{"move": "next", "say": "Good. Now the other one."}')
    ('next', 'Good. Now the other one.')
    >>> read_answer("Thanks, that is all. [DONE]")
    ('leave', 'Thanks, that is all.')
    """
    value = read_object(raw)
    if value is not None and isinstance(value.get("say"), str):
        move, text = str(value.get("move", "stay")).strip().lower(), without_thinking(value["say"])
        move = move if move in MOVES else "stay"
    else:
        move, text = "stay", without_thinking(raw)
    if _DONE.search(text):
        move, text = ("leave" if move == "stay" else move), _DONE.sub(" ", text).strip()
    return move, text.strip()
