"""An agent behind any OpenAI-compatible endpoint: vLLM, SGLang, llama.cpp, or a hosted service.

The record must say truthfully who failed. An endpoint that is down, overloaded or talks nonsense is an
infrastructure failure; a conversation that outgrew the model's context is the agent's own; a wrong key or
model name is the user's to fix. And it must say truthfully what was said: an answer that was cut, or a call that
nobody could read, is played and marked, and never passed off as a finished turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from ise_gym.errors import AgentError, UserError, nearest
from ise_gym.messages import Message, ToolSchema, assistant, tool_calls_of
from ise_gym.models.answer import Answer
from ise_gym.models.client import Client
from ise_gym.models.endpoint import PROBE_TOKENS, EndpointOptions, endpoint_options
from ise_gym.models.metering import Meter
from ise_gym.models.summary import MAX_TOKENS, TELLING, Summaries, border, question
from ise_gym.models.textcalls import FORMATS, CallFormat, mark, text_messages
from ise_gym.models.wire import clipped, wire_messages
from ise_gym.models.words.calls import holds_call, read_words
from ise_gym.models.words.thinking import apart
from ise_gym.scenario import Scenario

DEFAULTS = {"temperature": 0.0, "max_tokens": 4096, "timeout": 120.0, "max_retries": 5}

CHOICES = {
    "calls": ("server", "text"),
    "call_format": FORMATS,
    "continue_cut": ("no", "prefill", "again"),
    "when_full": ("stop", "clip", "summarise"),
}
"""Options of this agent that name one of several ways."""

CLIPS = ((6, 400), (3, 100), (1, 20))
"""How a full context is clipped, step by step: messages at the end that stay whole, characters of older results."""

PROBE_TOOL: ToolSchema = {
    "type": "function",
    "function": {
        "name": "noop",
        "description": "Does nothing.",
        "parameters": {"type": "object", "properties": {}},
    },
}


class OpenAIAgent:
    """A model behind the chat-completions API.

    Args:
        model: its name at the endpoint.
        send_reasoning: hand earlier reasoning back to the server.
        calls: ``server`` leaves tool calls to the server's parser; ``text`` puts the tools into the prompt and reads
            the calls from the words, which any model on any server can do.
        call_format: how the prompt asks for calls with ``calls=text``, see `ise_gym.models.textcalls.CallFormat`.
        continue_cut: one more chance for an answer that was cut for its length: ``prefill`` hands its beginning back to
            be gone on with (vLLM, SGLang, llama.cpp), ``again`` asks anew with twice the ``max_tokens``.
        when_full: what to do when the conversation is longer than the model's context: ``stop`` (the episode is
            truncated, the agent's own failure); ``clip`` old tool results and ask again, three times at most; or
            ``summarise``: have the model tell what happened before its last messages, and go on from that.
        endpoint: ``base_url``, ``api_key``, ``temperature``, ``timeout``, … of
            `ise_gym.models.endpoint.EndpointOptions`.

    Raises:
        UserError: the ``openai`` package is missing, neither a key nor a URL is given, or an option is wrong.
    """

    syntax = "openai:MODEL (an OpenAI-compatible endpoint)"

    options_from: ClassVar[type] = EndpointOptions
    """Whose parameters the further options are."""

    kind: ClassVar[str] = "openai"
    speaks_through: ClassVar[type[Client]] = Client

    def __init__(
        self,
        model: str,
        *,
        send_reasoning: bool = False,
        calls: str = "server",
        call_format: CallFormat = "hermes",
        continue_cut: str = "no",
        when_full: str = "stop",
        **endpoint: object,
    ) -> None:
        if not model:
            raise UserError(f"the agent '{self.kind}:MODEL' needs a model name after the colon")
        self.name = f"{self.kind}:{model}"
        chosen = {
            "calls": calls,
            "call_format": call_format,
            "continue_cut": continue_cut,
            "when_full": when_full,
        }
        for option, value in chosen.items():
            if value not in CHOICES[option]:
                known = ", ".join(CHOICES[option])
                raise UserError(
                    f"agent '{self.name}': {option}={value!r} is none of {known}.{nearest(str(value), CHOICES[option])}"
                )
        if not isinstance(send_reasoning, bool):
            raise UserError(f"agent '{self.name}': send_reasoning={send_reasoning!r}: give true or false")
        options = endpoint_options(f"agent '{self.name}'", DEFAULTS, endpoint)
        self.model = model
        self.send_reasoning, self.chosen = send_reasoning, chosen
        self._client = self.speaks_through(model, options, self.name, f"the agent '{self.name}'")
        self._episode = Meter(self._client.meter.prices)
        self._session = ""
        self._said: dict[str, str] = {}
        self._summaries = Summaries()

    @property
    def usage(self) -> dict[str, Any]:
        """What the present episode spent, see `ise_gym.models.metering.Meter`."""
        return self._episode.usage

    @property
    def total_usage(self) -> dict[str, Any]:
        """What all episodes spent."""
        return self._client.meter.usage

    def reset(self, scenario: Scenario, seed: int) -> None:
        """Start counting anew; a model never sees the scenario."""
        self._episode.reset()
        self._said.clear()
        self._summaries.clear()
        self._session = f"{scenario.id} {seed}"

    def probe(self) -> None:
        """Ask once for a few tokens, with a tool where the server is to read calls: what is wrong shows before a run.

        Raises:
            UserError: no answer; says why, and what to do.
        """
        tools = [PROBE_TOOL] if self._server_calls else None
        choice = "none" if self.chosen["calls"] == "text" and tools else None
        try:
            self._client.ask(
                [{"role": "user", "content": "Say OK."}],
                tools=tools,
                tool_choice=choice,
                max_tokens=PROBE_TOKENS,
            )
        except AgentError as error:
            raise UserError(f"{error}; is it up, and is base_url right?") from error

    def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Message:
        """Ask the endpoint for the next assistant message.

        Call ids are left for the env to give: servers' own are random, or repeat from turn to turn.

        Returns:
            The message; its ``completion`` holds what the server said of it.

        Raises:
            AgentError: the endpoint failed after all retries (infrastructure), or the conversation is longer
                than the model's context (not infrastructure).
            UserError: the endpoint refused the key, or does not know the model.
        """
        answer = self._fitting(messages, tools)
        if self.chosen["calls"] == "text":
            answer = self._read(answer, tools)
        elif not tool_calls_of(answer.message) and holds_call(answer.text, tools):
            answer = replace(answer, faults=(*answer.faults, "call in words"))
            self._note("call in words")
        message = answer.message
        message["completion"] = answer.completion()
        return message

    @property
    def _server_calls(self) -> bool:
        return self.chosen["calls"] == "server" or self.chosen["call_format"] == "template"

    def _fitting(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Answer:
        """Ask, and where the context is full do what the option says."""
        if self.chosen["when_full"] == "summarise":
            return self._told_shorter(messages, tools)
        steps = CLIPS if self.chosen["when_full"] == "clip" else ()
        try:
            return self._whole(messages, tools)
        except AgentError as error:
            if error.kind != "context":
                raise
            full = error
        for keep, longest in steps:
            try:
                answer = self._whole(clipped(messages, keep, longest), tools)
            except AgentError as error:
                if error.kind != "context":
                    raise
                full = error
            else:
                self._note("clipped")
                return replace(answer, faults=(*answer.faults, "clipped"))
        raise full

    def _told_shorter(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Answer:
        """Ask; a context that is full has what is older told by the model, once for all later turns."""
        known, told = self._summaries.apply(messages)
        try:
            answer = self._whole(known, tools)
        except AgentError as error:
            at = border(messages)
            if error.kind != "context" or at <= told:  # nothing more is left to tell
                raise
            self._summaries.add(
                messages, at, self._summary(known[: len(known) - (len(messages) - at)], error)
            )
            told = at
            answer = self._whole(self._summaries.apply(messages)[0], tools)
        if not told:
            return answer
        self._note("summarised")
        return replace(answer, faults=(*answer.faults, "summarised"))

    def _summary(self, older: Sequence[Message], full: AgentError) -> str:
        for longest in TELLING:
            try:
                answer = self._ask(
                    {"messages": wire_messages(question(older, longest)), "max_tokens": MAX_TOKENS}
                )
            except AgentError as error:
                if error.kind != "context":
                    raise
                continue
            if answer.text.strip():
                return answer.text
        raise full

    def _whole(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Answer:
        """Ask; an answer that was cut gets its one chance, where the option gives one and it is sound."""
        fields = self._fields(messages, tools)
        answer = self._ask(fields)
        if answer.ended != "cut" or self.chosen["continue_cut"] == "no":
            return answer
        longest = self._client.options.max_tokens
        try:
            if self.chosen["continue_cut"] == "again" and longest:
                more = self._ask({**fields, "max_tokens": 2 * longest})
                return replace(
                    _together(answer, more), message=more.message, faults=(*more.faults, "continued")
                )
            if (
                self.chosen["continue_cut"] == "prefill"
                and answer.text.strip()
                and not tool_calls_of(answer.message)
            ):
                return self._gone_on(answer, fields)
        except AgentError:
            return answer  # the chance is lost; what was said stays what it was, and marked as cut
        return answer

    def _gone_on(self, answer: Answer, fields: dict[str, Any]) -> Answer:
        begun = {"role": "assistant", "content": answer.text}
        going_on = {"continue_final_message": True, "add_generation_prompt": False}
        more = self._ask({**fields, "messages": [*fields["messages"], begun], **going_on})
        rest = more.text.removeprefix(answer.text)  # some servers repeat what they were given
        thought, words, among = apart(answer.text + rest)
        reasoning = "\n".join(filter(None, (answer.message.get("reasoning_content"), thought.strip())))
        message = assistant(words, tool_calls_of(more.message), reasoning or None)
        faults = (*more.faults, *(("thinking",) if among else ()), "continued")
        return replace(_together(answer, more), message=message, faults=faults)

    def _ask(self, fields: dict[str, Any]) -> Answer:
        messages = fields["messages"]
        rest = {name: value for name, value in fields.items() if name != "messages"}
        return self._client.ask(messages, session=self._session, meter=self._episode, **rest)

    def _fields(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> dict[str, Any]:
        if not self._server_calls:
            form = self.chosen["call_format"]
            return {"messages": text_messages(messages, tools, form, self._said)}  # type: ignore[arg-type]
        fields: dict[str, Any] = {"messages": wire_messages(messages, self.send_reasoning)}
        if tools:
            fields["tools"] = list(tools)
            if self.chosen["calls"] == "text":
                fields["tool_choice"] = "none"
        return fields

    def _read(self, answer: Answer, tools: Sequence[ToolSchema]) -> Answer:
        """Read the calls out of the words, and remember the words: they go back as the model wrote them."""
        if tool_calls_of(answer.message):  # the server did read one after all
            return answer
        read = read_words(answer.text, tools)
        if not tool_calls_of(read):
            return answer
        thoughts = [answer.message.get("reasoning_content"), read.get("reasoning_content")]
        reasoning = "\n".join(thought for thought in thoughts if thought)
        message = assistant(read["content"], tool_calls_of(read), reasoning or None)
        self._said[mark(message)] = answer.text
        return replace(answer, message=message, said=answer.text)

    def _note(self, fault: str) -> None:
        self._episode.note(fault)
        self._client.meter.note(fault)

    def describe(self) -> dict[str, Any]:
        """Return model, sampling parameters and the episode's token usage; no address and no key."""
        sampling = self._client.options.sampling()
        defaults = {"calls": "server", "continue_cut": "no", "when_full": "stop"}
        chosen = {name: self.chosen[name] for name, value in defaults.items() if self.chosen[name] != value}
        if self.chosen["calls"] == "text":
            chosen["call_format"] = self.chosen["call_format"]
        if sampling["seed"] is None:
            del sampling["seed"]
        return {"agent": self.kind, "model": self.model, **sampling, **chosen, "usage": dict(self.usage)}

    def close(self) -> None:
        """Nothing is held: the connections are the process', see `ise_gym.models.loop`."""


def _together(first: Answer, second: Answer) -> Answer:
    """Return the second answer with what both cost, and the tokens of both where both are known."""
    usage = tuple(a + b for a, b in zip(first.usage, second.usage, strict=True))
    both = bool(first.token_ids and second.token_ids)
    return replace(
        second,
        usage=(usage[0], usage[1], usage[2]),
        prompt_token_ids=first.prompt_token_ids,
        token_ids=(*first.token_ids, *second.token_ids) if both else (),
        logprobs=(*first.logprobs, *second.logprobs) if both else (),
        seconds=first.seconds + second.seconds,
        tries=first.tries + second.tries,
    )
