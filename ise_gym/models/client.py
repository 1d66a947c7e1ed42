"""The one client: every seat of a model (agent, user, judge, writer, grader) asks through it.

It owns what no server or library agrees on: a deadline for the whole of a try, retries, pace, what counts as an answer,
and whose fault it is when there is none.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from tenacity import RetryCallState

from ise_gym.credentials import scrubbed
from ise_gym.errors import AgentError, UserError
from ise_gym.foreign.values import Json
from ise_gym.messages import sha256_of
from ise_gym.models import loop
from ise_gym.models.answer import Answer, NoAnswer, answer_of
from ise_gym.models.blame import MENDABLE, Fault, Kind, fault_of
from ise_gym.models.congestion import LATE, shared_gate
from ise_gym.models.endpoint import EndpointOptions
from ise_gym.models.metering import Meter, prices_of, shared_pace
from ise_gym.models.room import adapted, unsaid_end
from ise_gym.models.streaming import Assembled
from ise_gym.models.wire import sendable

LONGEST_WAIT_S = 60.0
"""A server that asks to wait longer than this is asked again after it all the same."""

_ADAPTATIONS = 5
"""Times that one try is put the way in which a server wants it."""


class Client:
    """A model at an endpoint; safe to use from several threads.

    Args:
        model: its name there.
        options: see `EndpointOptions`.
        who: what messages call it, e.g. ``openai:tiny``.
        needs: what wants the ``openai`` package, for the message when it is missing.

    Attributes:
        meter: what all answers spent.

    Raises:
        UserError: the ``openai`` package is missing, or there is no endpoint.
    """

    def __init__(self, model: str, options: EndpointOptions, who: str, needs: str = "") -> None:
        try:
            import openai  # noqa: F401  (said here, where the message can name who needs it)
            import tenacity  # noqa: F401
        except ImportError as error:
            raise UserError(
                f"{needs or who} needs the {error.name or 'openai'} package: pip install 'ise-gym[llm]'"
            ) from error
        self.model, self.options, self.who = model, options, who
        self.where = f"{who} at {options.where}"
        self.meter = Meter(prices_of(options.price_in, options.price_out, options.price_cached))
        self._key = self._found_key()
        self._pace = shared_pace(
            ",".join(filter(None, options.urls)),
            model,
            options.requests_per_minute,
            options.tokens_per_minute,
        )

    def ask(
        self,
        messages: Sequence[Mapping[str, object]],
        *,
        session: str = "",
        meter: Meter | None = None,
        **fields: object,
    ) -> Answer:
        """Return one answer.

        Args:
            messages: as they go over the wire.
            session: whose conversation it is: keeps it with one server of a fleet.
            meter: counts the answer too.
            fields: of the request body; they go before the options. None leaves one out.

        Raises:
            AgentError: no answer after all tries (infrastructure), or the conversation is too long for the model or
                refused by the provider's filter (not infrastructure). Its ``kind`` is that of `blame.Fault`.
            UserError: what the user can fix: key, model, URL, credits, tools.
        """
        request = self._request(messages, fields)
        began = time.monotonic()
        self._pace.wait()
        answer, tries = loop.run(self._tried(request, session))
        answer = replace(answer, seconds=time.monotonic() - began, tries=tries)
        self._pace.spent(self.meter.add(answer))
        if meter is not None:
            meter.add(answer)
        return answer

    def _request(
        self, messages: Sequence[Mapping[str, object]], fields: Mapping[str, object]
    ) -> dict[str, Any]:
        options = self.options
        request: dict[str, Any] = {"model": self.model, "messages": sendable(list(messages))}
        request |= {
            "temperature": options.temperature,
            "max_tokens": options.max_tokens,
            "seed": options.seed,
        }
        if options.logprobs:
            request["logprobs"] = True
        request |= {**options.extra, **fields}
        return {name: value for name, value in request.items() if value is not None}

    async def _tried(self, request: dict[str, Json], session: str) -> tuple[Answer, int]:
        import tenacity

        tries = 0
        async for attempt in tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(self.options.max_retries + 1),
            wait=_pause,
            retry=tenacity.retry_if_exception(lambda e: isinstance(e, Trouble) and e.fault.passing),
            retry_error_callback=_last_error,
        ):
            with attempt:
                tries += 1
                try:
                    return await self._let_through(request, session, tries - 1), tries
                except Trouble as trouble:
                    if not trouble.fault.passing:
                        raise self._blamed(trouble.fault) from trouble
                    trouble.final = self._blamed(trouble.fault)
                    raise
        raise AssertionError("tenacity returns or raises")

    async def _let_through(self, request: dict[str, Json], session: str, number: int) -> Answer:
        """Ask once, when as many others as the endpoint bears leave a place."""
        gate = shared_gate(self.options.where, self.model, self.options.concurrency)
        began = await gate.enter()
        busy = good = False
        try:
            answer = await self._once(request, session, number)
            busy = time.monotonic() - began > LATE * self.options.timeout
            good = not busy
        except Trouble as trouble:
            busy = trouble.fault.kind in ("busy", "timeout")
            raise
        finally:
            gate.leave(began, busy=busy, good=good)
        return answer

    async def _once(self, request: dict[str, Json], session: str, number: int) -> Answer:
        """Ask once; a server that only wants ``max_tokens`` otherwise is asked again that way."""
        left = _ADAPTATIONS
        while True:
            try:
                return unsaid_end(await self._attempt(request, session, number), request)
            except Trouble as trouble:
                better = adapted(request, trouble.fault) if left else None
                if better is None:
                    raise
                request, left = better, left - 1

    async def _attempt(self, request: dict[str, Json], session: str, number: int) -> Answer:
        import openai

        urls = self.options.urls
        first = int(sha256_of(session)[:8], 16) if session and len(urls) > 1 else 0
        client = self._connection(urls[(first + number) % len(urls)])
        timeout = self.options.timeout
        try:
            async with asyncio.timeout(timeout):
                return await self._sent(client, request, session)
        except NoAnswer as error:
            raise Trouble(self._masked(error.fault)) from error
        except (TimeoutError, openai.APITimeoutError) as error:
            raise Trouble(Fault("timeout", f"the request timed out after {timeout:g} s")) from error
        except openai.APIStatusError as error:
            body, text = _body_of(error)
            fault = self._masked(fault_of(error.status_code, body, text))
            raise Trouble(fault, _asked_to_wait(error.response.headers)) from error
        except openai.APIError as error:
            kind: Kind = "connection" if isinstance(error, openai.APIConnectionError) else "failed"
            raise Trouble(self._masked(Fault(kind, _first_line(error)))) from error

    def _found_key(self) -> str:
        return self.options.key(self.who)

    def _connection(self, url: str | None) -> Any:
        """Return what `_sent` sends through."""
        return loop.shared_client(url, self._key)

    async def _sent(self, client: Any, request: dict[str, Json], session: str) -> Answer:
        known = {name: request[name] for name in request if name in _KNOWN}
        more: dict[str, Any] = {"extra_body": {n: v for n, v in request.items() if n not in _KNOWN} or None}
        if self.options.session_header and session:
            more["extra_headers"] = {self.options.session_header: sha256_of(session)[:32]}
        more["timeout"] = self.options.timeout
        create = client.chat.completions.with_raw_response.create
        if self.options.stream:
            assembled = Assembled()
            response = await create(**known, **more, stream=True, stream_options={"include_usage": True})
            async for chunk in response.parse():
                assembled.add(chunk.model_dump(exclude_unset=True))
            return answer_of(assembled.body())
        response = await create(**known, **more)
        text = response.http_response.text
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            words = fault_of(200, None, text).words if text.strip() else "an empty body"
            raise NoAnswer(Fault("answer", f"it answered with {words}, which is not JSON")) from None
        return answer_of(body, text)

    def _masked(self, fault: Fault) -> Fault:
        """Leave the key out, should a server repeat it."""
        return replace(fault, words=scrubbed(fault.words, self._key))

    def _blamed(self, fault: Fault) -> Exception:
        if fault.kind in MENDABLE:
            return UserError(f"{self.where} refused: {fault.words}; {MENDABLE[fault.kind]}")
        if fault.kind == "context":
            said = f"{self.where}: the conversation is longer than the model's context ({fault.words})"
            return AgentError(said, infrastructure=False, kind=fault.kind)
        if fault.kind == "filtered":
            said = f"{self.where}: the provider's filter refused the conversation ({fault.words})"
            return AgentError(said, infrastructure=False, kind=fault.kind)
        verb = "refused the request" if fault.kind in ("refused", "field") else "failed"
        return AgentError(f"{self.where} {verb}: {fault.words}", kind=fault.kind)


class Trouble(Exception):
    """A try without an answer; ``final`` is what the caller gets when it was the last."""

    def __init__(self, fault: Fault, wait: float = 0.0) -> None:
        super().__init__(fault.words)
        self.fault, self.wait = fault, wait
        self.final: Exception | None = None


_KNOWN = frozenset(
    [
        "messages",
        "model",
        "temperature",
        "max_tokens",
        "max_completion_tokens",
        "seed",
        "logprobs",
        "tools",
        "tool_choice",
        "response_format",
    ]
)
"""Fields that the client library knows under every version that is supported; others go into the body as they are."""


def _pause(state: RetryCallState) -> float:
    """Return the seconds before the next try: what the server asks for, else growing ones with jitter."""
    import tenacity

    if wait := _trouble_of(state).wait:
        return wait
    growing = tenacity.wait_exponential(multiplier=0.5, max=8.0) + tenacity.wait_random(0, 0.25)
    return float(growing(state))


def _trouble_of(state: RetryCallState) -> Trouble:
    assert state.outcome is not None, "it is asked after a try"
    trouble = state.outcome.exception()
    assert isinstance(trouble, Trouble), "nothing else is tried again"
    return trouble


def _last_error(state: RetryCallState) -> NoReturn:
    trouble = _trouble_of(state)
    raise trouble.final or trouble from trouble


def _asked_to_wait(headers: Mapping[str, str]) -> float:
    """Read ``Retry-After`` (seconds or a date) or ``Retry-After-Ms``; 0 where there is none."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name, "")
        try:
            return min(LONGEST_WAIT_S, max(0.0, float(text) * unit))
        except ValueError:
            if date := email.utils.parsedate_tz(text):
                return min(LONGEST_WAIT_S, max(0.0, email.utils.mktime_tz(date) - time.time()))
    return 0.0


def _body_of(error: Any) -> tuple[Any, str]:
    text = error.response.text
    try:
        return json.loads(text), text
    except (ValueError, RecursionError):
        if text.strip():
            return None, text
    if type(error).__module__.startswith("openai"):  # its own "Error code: 504" are nobody's words
        return None, ""
    # a library that spoke with the provider in its own way: the error's name is the code, its words are the provider's
    said = str(getattr(error, "message", error))
    return {"error": {"message": said, "type": type(error).__name__}}, said


def _first_line(error: Exception) -> str:
    cause = error.__cause__
    lines = str(error).splitlines() or [type(error).__name__]
    return f"{lines[0][:200]} ({str(cause)[:100]})" if cause and str(cause) else lines[0][:300]
