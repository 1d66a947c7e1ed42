"""What a user says when it is asked something that its request left open."""

from __future__ import annotations

from ise_gym.checks.heard import asks
from ise_gym.scenario import Request


def answer_to(request: Request, words: str) -> str:
    """Return the user's answer to a question about the request; "" where it asks nothing that has an answer.

    >>> invite = Request("a/b", answers=({"about": [["which", "who"], "Anna"], "say": "Anna Berg."},))
    >>> answer_to(invite, "Which Anna do you mean?"), answer_to(invite, "I have invited Anna.")
    ('Anna Berg.', '')
    """
    found = [str(answer["say"]) for answer in request.answers if asks(words, answer["about"])]
    return " ".join(found)
