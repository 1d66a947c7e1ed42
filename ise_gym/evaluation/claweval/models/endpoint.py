"""One request to an OpenAI-compatible chat endpoint, and what can go wrong with it by name.

The harness needs no more than this of a client library: it does its own retries, and loading a library takes a worker
longer than grading a task.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from ise_gym.credentials import scrubbed

FINAL = frozenset({400, 401, 403, 404, 422})
"""Statuses that the same request would meet again."""


class EndpointError(Exception):
    """A request without a usable answer.

    Attributes:
        kind: timeout, connection, status, or answer (not a chat completion).
        final: asking again would not help.
        retry_after: seconds that the endpoint asks to wait, 0 when it names none.
    """

    def __init__(self, kind: str, text: str, *, final: bool = False, retry_after: float = 0.0) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind, self.final, self.retry_after = kind, final, retry_after


class ChatEndpoint:
    """A chat-completions endpoint.

    Args:
        base_url: such as ``https://host/v1``.
        api_key: sent as a bearer token; "" for none.
        timeout_s: of one request.
    """

    def __init__(self, base_url: str, api_key: str, timeout_s: float) -> None:
        self._url = base_url.rstrip("/") + "/chat/completions"
        self._key = api_key
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._client = httpx.Client(timeout=timeout_s, headers=headers)

    def ask(self, request: Mapping[str, Any]) -> tuple[str, tuple[int, int]]:
        """Send a request; return the answer's text and its token counts, in and out.

        Raises:
            EndpointError: no usable answer.
        """
        body = {**request, **request.get("extra_body", {})}
        body.pop("extra_body", None)
        try:
            reply = self._client.post(self._url, json=body)
        except httpx.TimeoutException as error:
            raise EndpointError("timeout", type(error).__name__) from error
        except httpx.HTTPError as error:
            raise EndpointError("connection", self._public(str(error)) or type(error).__name__) from error
        if reply.status_code >= 400:
            raise EndpointError(
                "status",
                f"{reply.status_code} {self._public(reply.text)[:200]}".strip(),
                final=reply.status_code in FINAL,
                retry_after=_seconds(reply.headers.get("retry-after", "")),
            )
        try:
            value = reply.json()
            text = value["choices"][0]["message"].get("content") or ""
            usage = value.get("usage") or {}
            return str(text), (int(usage.get("prompt_tokens", 0)), int(usage.get("completion_tokens", 0)))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise EndpointError(
                "answer", f"not a chat completion: {self._public(reply.text)[:200]}"
            ) from error

    def _public(self, text: str) -> str:
        """Return an endpoint's words without the key, which some servers repeat when they refuse it."""
        return scrubbed(text, self._key)


def _seconds(text: str) -> float:
    try:
        return min(60.0, max(0.0, float(text)))
    except ValueError:  # a date, or nothing
        return 0.0
