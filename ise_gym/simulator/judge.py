"""An optional second opinion for the guard: a model that judges the turns which no detector refused.

It sees what the detectors see, and answers in JSON. It costs a request a turn, so it is off unless asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ise_gym.messages import system, user
from ise_gym.models.chat import JsonChat, read_object
from ise_gym.models.endpoint import EndpointOptions
from ise_gym.simulator.base import UserTurn, UserView
from ise_gym.simulator.briefing.prompt import role_prompt
from ise_gym.simulator.knowledge import UserKnowledge
from ise_gym.simulator.principles import PRINCIPLES

VERDICT_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"in_role": {"type": "boolean"}, "reason": {"type": "string"}},
    "required": ["in_role", "reason"],
    "additionalProperties": False,
}
_TURNS_SHOWN = 8


class LLMJudge:
    """Judges user turns with a model; ``options`` are `ise_gym.models.endpoint.EndpointOptions`.

    Raises:
        UserError: the ``openai`` package is missing, or there is no endpoint.
    """

    options_from: ClassVar[type] = EndpointOptions
    """Whose parameters the options are."""

    def __init__(self, model: str, **options: object) -> None:
        self._chat = JsonChat(model, who="judge", **{"temperature": 0.0, **options})

    def __call__(self, turn: UserTurn, view: UserView | None, known: UserKnowledge) -> str:
        """Return why the turn is adrift; "" when it is in role, or when the verdict cannot be read.

        Raises:
            AgentError: the endpoint failed (infrastructure).
        """
        rules = "\n".join(f"- {p.name}: {p.prompt}" for p in PRINCIPLES.values())
        history = view.history[-_TURNS_SHOWN:] if view is not None else ()
        talk = "\n".join(
            f"{'USER' if m['role'] == 'assistant' else 'AGENT'}: {m['content']}" for m in history
        )
        task = (
            "A person was to be played by these rules:\n"
            f"{rules}\n\nThe briefing was:\n{role_prompt(known)}\n\nThe chat so far:\n{talk or '(nothing yet)'}\n\n"
            f"The next message of USER:\n{turn.text}\n\n"
            'Does it keep the rules? Answer with JSON: {"in_role": true or false, "reason": "one short sentence"}.'
        )
        value = read_object(self._chat.ask([system("You judge role play."), user(task)], VERDICT_SCHEMA))
        if value is None or value.get("in_role") is not False:
            return ""
        return str(value.get("reason") or "out of role")[:200]
