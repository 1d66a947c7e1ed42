"""A user played by a model behind any OpenAI-compatible endpoint.

The model sees the conversation from the user's own side, the user's wishes and what the user could see in the
workspace. It says what to do next and in which words; where it stands in its list comes from the episode, so that a
turn which the guard replaced leaves no trace.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

from ise_gym.messages import sha256_of
from ise_gym.models.chat import JsonChat, read_object, without_thinking
from ise_gym.models.endpoint import EndpointOptions
from ise_gym.scenario import Scenario
from ise_gym.simulator.base import UserTurn, UserView
from ise_gym.simulator.knowledge import UserKnowledge, knowledge_of
from ise_gym.simulator.principles import PRINCIPLES
from ise_gym.simulator.prompt import ANSWER_SCHEMA, FORMAT, MOVES, prompt_messages, role_prompt

_DONE = re.compile(
    r"(?<!\s)\s*(?:\[(?:DONE|END|STOP|FINISHED)\]|###\s?STOP\s?###|<(?:DONE|STOP|END)>)\s*", re.IGNORECASE
)


class LLMUser:
    """Plays the user with a model.

    Args:
        model: name at the endpoint; ``options`` are `ise_gym.models.endpoint.EndpointOptions` (``base_url``,
            ``temperature``, …).

    Raises:
        UserError: the ``openai`` package is missing, or there is no endpoint.
    """

    syntax = "llm:MODEL (an OpenAI-compatible endpoint)"

    options_from: ClassVar[type] = EndpointOptions
    """Whose parameters the options are."""

    def __init__(self, model: str, **options: Any) -> None:
        self.name = f"llm:{model}"
        self._chat = JsonChat(model, **options)
        self._scenario: Scenario | None = None
        self._known: UserKnowledge | None = None
        self._seed = 0
        self._asked = 0

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
        self._seed, self._asked = seed, 0
        self._chat.meter.reset()
        return self._answer(None, "")

    def respond(self, view: UserView, feedback: str = "") -> UserTurn:
        """Answer the agent's finished turn.

        Raises:
            AgentError: the endpoint failed (infrastructure).
        """
        return self._answer(view, feedback)

    def state(self) -> Any:
        """Return scenario, seed and the count of answers; the rest is in the conversation."""
        return (self._scenario, self._seed, self._asked)

    def set_state(self, state: Any) -> None:
        """Continue from a saved position."""
        scenario, self._seed, asked = state
        # a resample must not draw the same answer again, so the count never goes back within an episode
        self._asked = max(asked, self._asked) if scenario is self._scenario else asked
        self._take(scenario)

    def describe(self) -> dict[str, Any]:
        """Return model, sampling, what this episode spent, and the hashes of the prompt and of its template."""
        template = sha256_of([[p.prompt for p in PRINCIPLES.values()], FORMAT, ANSWER_SCHEMA])
        own = sha256_of(role_prompt(self._known)) if self._known else ""
        return {
            "name": self.name,
            **self._chat.sampling(),
            "usage": dict(self._chat.meter.usage),
            "prompt_sha256": own,
            "prompt_template_sha256": template,
        }

    def _take(self, scenario: Scenario | None) -> None:
        if scenario is not self._scenario or self._known is None:
            self._scenario = scenario
            self._known = knowledge_of(scenario) if scenario is not None else None

    def _answer(self, view: UserView | None, feedback: str) -> UserTurn:
        known = self._known
        assert known is not None, "call reset() first"
        self._asked += 1
        # every answer of an episode has a seed of its own, which is the same in every run
        seed = int(sha256_of([self._seed, self._asked])[:7], 16)
        raw = self._chat.ask(prompt_messages(known, view, feedback), ANSWER_SCHEMA, seed)
        move, text = read_answer(raw)
        if view is None:
            return UserTurn(text, known.wishes[0].name)
        position = max(known.index(view.request), 0)
        if move == "next" and position + 1 < len(known.wishes):
            return UserTurn(text, known.wishes[position + 1].name)
        return UserTurn(text, known.wishes[position].name, done=move == "leave", gave_up=move == "give_up")


def read_answer(raw: str) -> tuple[str, str]:
    """Return (move, words) of a model's answer; an answer that is no JSON is taken as plain words.

    >>> read_answer('{"move": "next", "say": "Good. Now the other one."}')
    ('next', 'Good. Now the other one.')
    >>> read_answer("Thanks, that is all. [DONE]")
    ('leave', 'Thanks, that is all.')
    """
    value = read_object(raw)
    if value is not None and isinstance(value.get("say"), str):
        move, text = str(value.get("move", "stay")).strip().lower(), value["say"]
        move = move if move in MOVES else "stay"
    else:
        move, text = "stay", without_thinking(raw)
    if _DONE.search(text):
        move, text = ("leave" if move == "stay" else move), _DONE.sub(" ", text).strip()
    return move, text.strip()
