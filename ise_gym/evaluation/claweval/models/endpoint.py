"""The project's client as the benchmark's judge and user ask: one try a call, and what went wrong by name.

Their own retries stand around it, since they hold one of a limited number of slots only while they ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ise_gym.errors import AgentError, UserError
from ise_gym.models.blame import MENDABLE, Kind
from ise_gym.models.client import Client, Trouble
from ise_gym.models.endpoint import endpoint_options

_KINDS: Mapping[Kind, str] = {"timeout": "timeout", "connection": "connection", "answer": "answer"}


class EndpointError(Exception):
    """A request without a usable answer.

    Attributes:
        kind: timeout, connection, status, or answer (not a chat completion).
        final: asking again would not help.
        remedy: what the user has to fix, since asking anything else would not help either (the key, the account, the
            model's name, the address); "" where that is not so.
        retry_after: seconds that the endpoint asks to wait, 0 when it names none.
    """

    def __init__(
        self, kind: str, text: str, *, final: bool = False, remedy: str = "", retry_after: float = 0.0
    ) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind, self.final, self.remedy, self.retry_after = kind, final, remedy, retry_after


class ChatEndpoint:
    """A chat-completions endpoint.

    Args:
        base_url: such as ``https://host/v1``.
        api_key: sent as a bearer token; "" for none.
        timeout_s: of one request.

    Raises:
        UserError: the URL is none.
    """

    def __init__(self, base_url: str, api_key: str, timeout_s: float) -> None:
        given = {
            "base_url": base_url,
            "api_key": api_key or "none",
            "timeout": float(timeout_s),
            "max_retries": 0,
        }
        self._client = Client("", endpoint_options("the judge", {}, given), "the judge's model")

    def ask(self, request: Mapping[str, Any]) -> tuple[str, tuple[int, int]]:
        """Send a request; return the answer's text and its token counts, in and out.

        Raises:
            EndpointError: no usable answer.
        """
        body = {**request, **request.get("extra_body", {})}
        body.pop("extra_body", None)
        messages = body.pop("messages", [])
        try:
            answer = self._client.ask(messages, **body)
        except (AgentError, UserError) as error:
            raise _as_error(error) from error
        return answer.text, answer.usage[:2]


def _as_error(error: Exception) -> EndpointError:
    trouble = error.__cause__
    if not isinstance(trouble, Trouble):
        return EndpointError("status", str(error), final=True)
    fault = trouble.fault
    status = f"{fault.status} " if fault.status else ""
    return EndpointError(
        _KINDS.get(fault.kind, "status"),
        f"{status}{fault.words}",
        final=not fault.passing,
        remedy=MENDABLE.get(fault.kind, ""),
        retry_after=trouble.wait,
    )
