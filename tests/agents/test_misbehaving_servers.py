"""A server that misbehaves in every way that was seen or reported: whose fault it is, and that its words are said.

Each way is one row: what the server answers, and what an agent must make of it. A mistake here either throws away an
episode that was good, or teaches a model something that nobody said.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from ise_gym.agents.openai import OpenAIAgent
from ise_gym.errors import AgentError, UserError
from ise_gym.messages import assistant, system, tool_call, user
from ise_gym.tools import tool_schemas
from openai_server import Answer, Item, choice, failing, hang_up, raw, reply, serve, streamed

TALK = [system("You work."), user("Count.")]
TOOLS = tool_schemas(["exec", "read", "session_status"])
LS = {"command": "ls"}
CALL = {"id": "1", "type": "function", "function": {"name": "exec", "arguments": json.dumps(LS)}}


@pytest.fixture(autouse=True)
def _no_outer_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def asked(*script: Item, **options: Any) -> Any:
    """What an agent makes of it: a message, or the error that it raises."""
    with serve(*script) as server:
        agent = OpenAIAgent("tiny", base_url=server.url, **{"timeout": 5.0, "max_retries": 0, **options})
        try:
            return agent.act(TALK, TOOLS)
        except (AgentError, UserError) as error:
            return error


def error(message: str, under: int = 400, /, **fields: Any) -> Answer:
    return failing(under, {"error": {"message": message, **fields}})


TAKEN: dict[str, tuple[Answer, Any]] = {
    "content in parts": (
        choice({"role": "assistant", "content": [{"type": "text", "text": "It "}, {"type": "text", "text": "is."}]}),
        assistant("It is."),
    ),
    "content in output_text parts": (
        choice({"content": [{"type": "output_text", "text": "Done."}]}),
        assistant("Done."),
    ),
    "content as a list of strings": (choice({"content": ["It ", "is."]}), assistant("It is.")),
    "thinking as a part": (
        choice({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "So."}]}),
        assistant("So.", (), "Hm."),
    ),
    "reasoning as a list": (
        choice({"content": "So.", "reasoning": [{"type": "text", "text": "Hm."}, "Hm?"]}),
        assistant("So.", (), "Hm.Hm?"),
    ),
    "reasoning details": (
        choice({"content": "So.", "reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]}),
        assistant("So.", (), "Hm."),
    ),
    "thinking inside the words": (
        reply("<think>\nsecret plan\n</think>\n\nIt is done."),
        assistant("It is done.", (), "secret plan"),
    ),
    "thinking whose opening tag the template wrote": (
        reply("secret plan\n</think>\n\nIt is done."),
        assistant("It is done.", (), "secret plan"),
    ),
    "thinking that never ends": (reply("<think>\nsecret plan"), assistant("", (), "secret plan")),
    "thinking in Magistral's tags": (reply("[THINK]plan[/THINK]So."), assistant("So.", (), "plan")),
    "thinking in Kimi's tags": (reply("◁think▷plan◁/think▷So."), assistant("So.", (), "plan")),
    "thinking in capitals": (reply("<Thinking>plan</Thinking>\n\nSo."), assistant("So.", (), "plan")),
    "thinking in gpt-oss' channels": (
        reply("<|channel|>analysis<|message|>plan<|end|><|start|>assistant<|channel|>final<|message|>So."),
        assistant("So.", (), "plan"),
    ),
    "thinking in two blocks": (reply("<think>a</think>\n<think>b</think>So."), assistant("So.", (), "a\nb")),
    "tags around the reasoning": (
        reply("So.", reasoning_content="<think>\nplan\n</think>"),
        assistant("So.", (), "plan"),
    ),
    "thinking in both places": (
        reply("<think>b</think>So.", reasoning_content="a"),
        assistant("So.", (), "a\nb"),
    ),
    "null content beside calls": (
        choice({"content": None, "tool_calls": [CALL]}),
        assistant("", [tool_call("exec", LS)]),
    ),
    "no content at all": (choice({"role": "assistant"}), assistant("")),
    "tool_calls null": (choice({"content": "Hi.", "tool_calls": None}), assistant("Hi.")),
    "the older function_call": (
        choice({"content": None, "function_call": {"name": "exec", "arguments": json.dumps(LS)}}),
        assistant("", [tool_call("exec", LS)]),
    ),
    "a refusal": (choice({"content": None, "refusal": "I can't."}), assistant("I can't.")),
    "arguments empty": (reply(None, [("session_status", "")]), assistant("", [tool_call("session_status", {})])),
    "arguments blank": (reply(None, [("session_status", " \n")]), assistant("", [tool_call("session_status", {})])),
    "arguments null": (
        choice({"tool_calls": [{"function": {"name": "session_status", "arguments": None}}]}),
        assistant("", [tool_call("session_status", {})]),
    ),
    "arguments the text null": (reply(None, [("session_status", "null")]), assistant("", [tool_call("session_status", {})])),
    "arguments missing": (
        choice({"tool_calls": [{"function": {"name": "session_status"}}]}),
        assistant("", [tool_call("session_status", {})]),
    ),
    "arguments an object": (
        choice({"tool_calls": [{"function": {"name": "exec", "arguments": LS}}]}),
        assistant("", [tool_call("exec", LS)]),
    ),
    "arguments encoded twice": (
        reply(None, [("exec", json.dumps(json.dumps(LS)))]),
        assistant("", [tool_call("exec", LS)]),
    ),
    "usage that is none": (choice({"content": "Hi."}, body_usage="n/a"), assistant("Hi.")),
    "usage of strings": (choice({"content": "Hi."}, body_usage={"prompt_tokens": "7"}), assistant("Hi.")),
    "usage of nonsense": (choice({"content": "Hi."}, body_usage={"prompt_tokens": [1], "completion_tokens": -3}), assistant("Hi.")),
    "no usage": (choice({"content": "Hi."}), assistant("Hi.")),
    "no finish reason": (choice({"content": "Hi."}, finish_reason=None), assistant("Hi.")),
    "a model that is no name": (choice({"content": "Hi."}, body_model=7, body_id=None), assistant("Hi.")),
    "logprobs of nonsense": (choice({"content": "Hi."}, logprobs={"content": [{"logprob": None}]}), assistant("Hi.")),
    "an error that is null": (choice({"content": "Hi."}, body_error=None), assistant("Hi.")),
    "a second choice": (
        raw(json.dumps({"choices": [{"message": {"content": "a"}}, {"message": {"content": "b"}}]})),
        assistant("a"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", TAKEN)
def test_what_is_plain_is_taken_and_nothing_is_marked(way: str) -> None:
    answer, expected = TAKEN[way]
    message = asked(answer)
    completion = message.pop("completion")
    assert message == expected
    assert completion["faults"] == [] and completion["ended"] in ("", "stop")


MARKED: dict[str, tuple[Answer, str, list[str]]] = {
    "words cut": (reply("I have written the gree", finish="length"), "cut", []),
    "words cut, in Google's word": (reply("I have", finish="MAX_TOKENS"), "cut", []),
    "words cut, in Mistral's word": (reply("I have", finish="model_length"), "cut", []),
    "words cut, as Anthropic calls a full context": (reply("I", finish="model_context_window_exceeded"), "cut", []),
    "words cut, as Vertex has it": (reply("I", finish="FINISH_REASON_MAX_TOKENS"), "cut", []),
    "broken, as Gemini has it": (reply("", finish="UNEXPECTED_TOOL_CALL"), "broken", []),
    "filtered, as Cohere has it": (reply("I", finish="ERROR_TOXIC"), "filtered", []),
    "a thought among the words": (reply("Sure. <think>plan</think> So."), "stop", ["thinking"]),
    "all spent on thinking": (reply(None, finish="length", reasoning_content="Hm, let me"), "cut", []),
    "a think block cut": (reply("<think>Hm, let me", finish="length"), "cut", []),
    "arguments cut": (reply(None, [("write", '{"path": "g", "content": "h')], finish="length"), "cut", ["arguments"]),
    "arguments cut, and not said": (reply(None, [("exec", '{"command": "l')]), "stop", ["arguments"]),
    "arguments a list": (reply(None, [("exec", '["ls"]')]), "stop", ["arguments"]),
    "arguments plain words": (reply(None, [("exec", "ls -l")]), "stop", ["arguments"]),
    "arguments with NaN": (reply(None, [("exec", '{"command": NaN}')]), "stop", ["arguments"]),
    "arguments with half a pair": (reply(None, [("exec", '{"command": "\\ud83d"}')]), "stop", ["arguments"]),
    "a call without a name": (choice({"tool_calls": [{"function": {"arguments": "{}"}}]}), "stop", ["arguments"]),
    "words with half a pair": (raw('{"choices": [{"message": {"content": "a \\ud83d b"}}]}'), "", ["surrogate"]),
    "filtered": (reply("I ", finish="content_filter"), "filtered", []),
    "filtered, in Google's word": (reply("", finish="SAFETY"), "filtered", []),
    "given up by the server": (reply("I ", finish="abort"), "broken", []),
    "a call that the server's parser broke": (reply("", finish="MALFORMED_FUNCTION_CALL"), "broken", []),
    "a call as tags in the words": (
        reply('<tool_call>\n{"name": "exec", "arguments": {"command": "ls"}}\n</tool_call>'), "stop", ["call in words"],
    ),
    "a call as a fence in the words": (
        reply('I look.\n```json\n{"name": "exec", "arguments": {"command": "ls"}}\n```'), "stop", ["call in words"],
    ),
    "a call as bare JSON": (reply('{"name": "exec", "parameters": {"command": "ls"}}'), "stop", ["call in words"]),
    "a call in Qwen3-Coder's form": (
        reply("<tool_call>\n<function=exec>\n<parameter=command>\nls\n</parameter>\n</function>\n</tool_call>"),
        "stop", ["call in words"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", MARKED)
def test_what_is_no_finished_turn_is_played_and_marked(way: str) -> None:
    answer, ended, faults = MARKED[way]
    completion = asked(answer)["completion"]
    assert (completion["ended"], completion["faults"]) == (ended, faults)


FULL: dict[str, Answer] = {
    "OpenAI": error("This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens. Please reduce the length of the messages.", code="context_length_exceeded", type="invalid_request_error"),
    "OpenAI, newer": error("Your input exceeds the context window of this model. Please adjust your input and try again."),
    "vLLM": failing(400, {"object": "error", "message": "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4000 in the messages, 1000 in the completion).", "type": "BadRequestError", "code": 400}),
    "vLLM, longer prompt": error("The decoder prompt (length 5000) is longer than the maximum model length of 4096. Make sure that `max_model_len` is no smaller than the number of text tokens.", type="BadRequestError", code=400),
    "SGLang": failing(400, {"object": "error", "message": "The input (5000 tokens) is longer than the model's context length (4096 tokens).", "type": "BadRequestError", "code": 400}),
    "SGLang, with the answer": error("Requested token count exceeds the model's maximum context length of 4096 tokens."),
    "llama.cpp": error("request (33056 tokens) exceeds the available context size (32768 tokens), try increasing it", code=400, type="exceed_context_size_error"),
    "llama.cpp, while answering": error("Context size has been exceeded.", 500, code=500, type="server_error"),
    "TGI": failing(422, {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 `inputs` tokens and 1000 `max_new_tokens`", "error_type": "validation"}),
    "TGI, long input": failing(422, {"error": "Input validation error: `inputs` must have less than 1024 tokens. Given: 1500", "error_type": "validation"}),
    "Groq": error("Please reduce the length of the messages or completion.", code="context_length_exceeded", param="messages"),
    "Groq, by size": error("Request Entity Too Large", 413, code="request_too_large"),
    "Anthropic": failing(400, {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 215000 tokens > 200000 maximum"}}),
    "Anthropic, with the answer": error("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length or `max_tokens` and try again"),
    "Gemini": failing(400, [{"error": {"code": 400, "message": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048575).", "status": "INVALID_ARGUMENT"}}]),
    "Mistral": failing(400, {"object": "error", "message": "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length", "type": "invalid_request_prompt", "code": "3051"}),
    "Ollama": failing(400, {"error": {"message": "the input length exceeds the context length", "type": "invalid_request_error"}}),
    "Ollama, newer": failing(400, {"error": "prompt too long; exceeded max context length by 4 tokens"}),
    "Together": failing(422, {"error": {"message": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4097. Given: 5000 `inputs` tokens and 512 `max_new_tokens`", "type": "invalid_request_error", "code": None}}),
    "DeepSeek": error("This model's maximum context length is 65536 tokens. However, you requested 70000 tokens (65904 in the messages, 4096 in the completion). Please reduce the length of the messages or completion.", type="invalid_request_error", code="invalid_request_error"),
    "Fireworks": error("The prompt is too long: 9000, model maximum context length: 8191"),
    "xAI": failing(400, {"code": "Client specified an invalid argument", "error": "This model's maximum prompt length is 131072 but the request contains 140000 tokens."}),
    "Cohere": failing(400, {"message": "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5000."}),
    "OpenRouter": error("This endpoint's maximum context length is 131072 tokens. However, you requested about 140000 tokens. Please reduce the length of either one", code=400, metadata={"provider_name": None}),
    "OpenRouter, the provider's words": error("Provider returned error", code=400, metadata={"raw": '{"error":"prompt is too long: 9 tokens > 8 maximum"}'}),
    "Qwen": error("<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 30720]", code="invalid_parameter_error"),
    "Moonshot": error("Invalid request: Your request exceeded model token limit: 8192", type="invalid_request_error"),
    "Zhipu": error("Prompt exceeds max length", code="1261"),
    "Bedrock": failing(400, {"message": "Input is too long for requested model."}),
    "LM Studio": error("The number of tokens to keep from the initial prompt is greater than the context length"),
    "Azure, GitHub": error("Request body too large for gpt-4o model. Max size: 8000 tokens.", 413, code="tokens_limit_reached"),
    "Copilot": error("prompt token count of 150000 exceeds the limit of 128000", code="model_max_prompt_tokens_exceeded"),
    "LiteLLM": error("litellm.ContextWindowExceededError: Bad request", type="ContextWindowExceededError"),
    "TensorRT-LLM": failing(400, {"message": "The sum of prompt length (5000.0), query length (0) and max_tokens (1) should not exceed max_num_tokens (4096)"}),
    "NIM": failing(422, {"detail": "Input prompt is 9000 tokens long, but the model only supports 8192."}),
    "Databricks": failing(400, {"error_code": "BAD_REQUEST", "message": "prompt token count (9000) cannot exceed 8192."}),
    "under status 200": failing(200, {"error": {"message": "This model's maximum context length is 10 tokens.", "code": 400}}),
    "MLC": failing(400, {"object": "error", "message": "Request prompt has 5000 tokens in total, larger than the model input length limit 4096."}),
}  # fmt: skip


@pytest.mark.parametrize("server", FULL)
def test_a_full_context_is_the_agents_own_whatever_the_server_calls_it(server: str) -> None:
    found = asked(FULL[server])
    assert isinstance(found, AgentError) and "longer than the model's context" in str(found)
    assert (found.kind, found.infrastructure) == ("context", False)


MENDABLE: dict[str, tuple[Answer, str]] = {
    "no credits": (error("Insufficient credits", 402, code=402), "top it up"),
    "no credits, DeepSeek": (error("Insufficient Balance", 402, type="unknown_error"), "top it up"),
    "no credits, told as a rate": (error("You exceeded your current quota, please check your plan and billing details.", 429, type="insufficient_quota", code="insufficient_quota"), "top it up"),
    "no credits, Anthropic": (error("Your credit balance is too low to access the Anthropic API."), "top it up"),
    "no credits, OpenRouter": (error("This request requires more credits, or fewer max_tokens.", 402), "top it up"),
    "no credits, Alibaba": (error("Access denied, please make sure your account is in good standing.", code="Arrearage"), "top it up"),
    "no credits, told as forbidden": (error("Your account has run out of credit.", 403), "top it up"),
    "no tools, Gemini": (error("Function calling is not enabled for models/gemma-3"), "calls=text"),
    "no tools, told by the choice": (error("`tool_choice` is only allowed when tool calling is enabled"), "calls=text"),
    "no tool parser, vLLM": (failing(400, {"object": "error", "message": '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set', "type": "BadRequestError"}), "calls=text"),
    "no tools, llama.cpp": (error("tools param requires --jinja flag", 500), "calls=text"),
    "no tools, Ollama": (error("registry.ollama.ai/library/smollm:135m does not support tools"), "calls=text"),
    "no tools, OpenRouter": (error("No endpoints found that support tool use.", 404), "calls=text"),
    "wrong key": (error("Incorrect API key provided: sk-1.", 401, code="invalid_api_key"), "check the API key"),
    "wrong key under 400": (failing(400, [{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key.", "status": "INVALID_ARGUMENT"}}]), "check the API key"),
    "forbidden": (error("Country not supported", 403), "check the API key"),
    "unknown model": (error("The model `tiny` does not exist", 404, code="model_not_found"), "check the model's name"),
    "unknown model, Ollama": (failing(404, {"error": 'model "tiny" not found, try pulling it first'}), "check the model's name"),
    "unknown model, DeepSeek": (error("Model Not Exist"), "check the model's name"),
    "unknown model, OpenRouter": (error("tiny is not a valid model ID"), "check the model's name"),
    "unknown model, transformers serve": (failing(400, {"detail": "Server is pinned to 'a/b'; requested 'tiny'."}), "check the model's name"),
    "another path": (failing(404, {"detail": "Not Found"}), "check base_url"),
    "another path, a page": (failing(404, "<html><title>404 Not Found</title></html>"), "check base_url"),
    "another method": (failing(405, {"detail": "Method Not Allowed"}), "check base_url"),
}  # fmt: skip


@pytest.mark.parametrize("way", MENDABLE)
def test_what_the_user_can_mend_ends_with_one_line_and_is_not_tried_again(way: str) -> None:
    answer, remedy = MENDABLE[way]
    with serve(answer, reply("never")) as server, pytest.raises(UserError) as caught:
        OpenAIAgent("tiny", base_url=server.url, max_retries=3).act(TALK, TOOLS)
    assert remedy in str(caught.value) and "\n" not in str(caught.value)
    assert len(server.requests) == 1


@pytest.mark.parametrize("way", ["content_filter", "moderation"])
def test_a_conversation_that_the_providers_filter_refuses_is_not_infrastructure(way: str) -> None:
    found = asked({
        "content_filter": error("The response was filtered due to the prompt triggering the content management policy.", code="content_filter"),
        "moderation": error("Your chosen model requires moderation and your input was flagged for violence.", 403),
    }[way])  # fmt: skip
    assert isinstance(found, AgentError) and (found.kind, found.infrastructure) == ("filtered", False)


BROKEN: dict[str, tuple[Answer, str, str]] = {
    "overloaded under 200": (failing(200, {"error": {"message": "model overloaded"}}), "busy", "model overloaded"),
    "a provider's 502 under 200": (failing(200, {"error": {"message": "upstream broke", "code": 502}}), "failed", "upstream broke"),
    "an error in the choice": (choice({"content": ""}, error={"message": "upstream broke", "code": 502}, finish_reason="error"), "failed", "upstream broke"),
    "an error as text": (failing(200, {"error": "out of memory"}), "failed", "out of memory"),
    "FastAPI's detail under 200": (failing(200, {"detail": "worker is gone"}), "failed", "worker is gone"),
    "FastAPI's list of details": (failing(422, {"detail": [{"loc": ["body"], "msg": "value is odd"}]}), "refused", "value is odd"),
    "choices null": (failing(200, {"choices": None}), "answer", "no choice"),
    "choices empty": (failing(200, {"choices": []}), "answer", "no choice"),
    "choices an object": (failing(200, {"choices": {"0": {}}}), "answer", "no choice"),
    "a choice that is null": (failing(200, {"choices": [None]}), "answer", "no choice"),
    "a message that is null": (choice(None), "answer", "without a message"),
    "a message that is text": (choice("Hi."), "answer", "without a message"),
    "content that is a number": (choice({"content": 3}), "answer", "'content' must be a string"),
    "content that is a picture": (choice({"content": [{"type": "image_url", "image_url": {"url": "x"}}]}), "answer", "'content' must be a string"),
    "reasoning that is a number": (choice({"content": "", "reasoning": 3}), "answer", "'reasoning' must be a string"),
    "tool_calls that are text": (choice({"tool_calls": "exec"}), "answer", "'tool_calls' must be a list"),
    "a call that is text": (choice({"tool_calls": ["exec"]}), "answer", "a tool call that is not an object"),
    "a list": (failing(200, []), "answer", "JSON that is not an object"),
    "a number": (raw("7"), "answer", "JSON that is not an object"),
    "half of the JSON": (raw('{"choices": [{"mess'), "answer", "not JSON"),
    "nothing": (raw(""), "answer", "an empty body"),
    "a page": (raw("<html><head><title>Welcome</title></head></html>", "text/html"), "answer", "a web page titled 'Welcome'"),
    "deep nesting": (raw("[" * 100_000), "answer", "not JSON"),
    "a rate limit": (error("Rate limit reached for gpt-4 on tokens per min (TPM): Limit 10000", 429, code="rate_limit_exceeded"), "busy", "Rate limit reached"),
    "a rate told as a size": (error("Request too large for model on tokens per minute (TPM): Limit 6000, Requested 7000, please reduce your message size", 413, code="rate_limit_exceeded"), "busy", "Request too large"),
    "overload": (failing(529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}), "busy", "Overloaded"),
    "no seat": (error("The engine is currently overloaded, please try again later", 503), "busy", "overloaded"),
    "broken inside": (error("CUDA error", 500), "failed", "CUDA error"),
    "a gateway's page": (failing(502, "<html><title>502 Bad Gateway</title></html>"), "failed", "502 Bad Gateway"),
    "a gateway without words": (failing(504, ""), "failed", "without a word"),
    "a proxy without its own key": (error("Unauthorized upstream", 500), "failed", "Unauthorized upstream"),
    "a field it does not know": (error("Unsupported parameter: 'top_k'"), "field", "top_k"),
    "roles it does not like": (error("Conversation roles must alternate user/assistant/user/assistant/..."), "refused", "must alternate"),
    "control characters": (error("bad\x1b]0;owned\x07 thing\r\nInjected: x", 500), "failed", "bad ]0;owned  thing"),
    "the connection closed": (hang_up(), "connection", "Connection error"),
    "half of the body": (dataclasses.replace(reply("Hi."), cut_after=20), "connection", "Connection error"),
    "a body that drips": (dataclasses.replace(reply("Hi." * 500), drip=0.05), "timeout", "timed out after 0.4 s"),
    "headers that drip": (dataclasses.replace(reply("Hi."), drip=0.05, drip_head=True), "timeout", "timed out"),
}  # fmt: skip


@pytest.mark.parametrize("way", BROKEN)
def test_what_is_the_endpoints_fault_says_its_own_words(way: str) -> None:
    answer, kind, words = BROKEN[way]
    found = asked(answer, timeout=0.4 if "drip" in way else 5.0)
    assert isinstance(found, AgentError) and found.infrastructure is True
    assert found.kind == kind
    assert " ".join(words.split()) in str(found)
    assert str(found).isprintable() and len(str(found)) < 500


@pytest.mark.parametrize(
    "passing",
    [failing(200, {"error": {"message": "model overloaded"}}), raw("{"), hang_up(), error("x", 500)],
)
def test_what_may_pass_is_asked_again(passing: Answer) -> None:
    message = asked(passing, reply("ok"), max_retries=1)
    assert message["content"] == "ok" and message["completion"]["tries"] == 2


def test_a_key_that_a_server_repeats_is_not_shown() -> None:
    found = asked(error("Incorrect API key provided: sk-very-secret", 401), api_key="sk-very-secret")
    assert "Incorrect API key" in str(found) and "very-secret" not in str(found)


def test_half_a_pair_does_not_end_the_episode() -> None:
    bad = raw('{"choices": [{"message": {"content": "a \\ud83d b"}}]}')
    with serve(bad, reply("ok")) as server:
        agent = OpenAIAgent("tiny", base_url=server.url, max_retries=0)
        said = agent.act(TALK, TOOLS)
        assert agent.act([*TALK, assistant("\ud83d"), user(said["content"])], TOOLS)["content"] == "ok"
    assert (
        server.bodies[1]["messages"][2]["content"] == "\ufffd"
        and server.bodies[1]["messages"][3]["content"] == "a \ufffd b"
    )


def test_a_model_that_wants_another_name_for_its_longest_answer_gets_it() -> None:
    wants = error(
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
        code="unsupported_parameter",
    )
    with serve(wants, reply("ok")) as server:
        agent = OpenAIAgent("tiny", base_url=server.url, max_retries=0, max_tokens=9)
        assert agent.act(TALK, TOOLS)["content"] == "ok"
    assert server.bodies[1]["max_completion_tokens"] == 9 and "max_tokens" not in server.bodies[1]


def fits(words: str, answer: Answer) -> Any:
    """A server that takes no more than 1,000 tokens for an answer, and says so in its words."""

    def given(body: dict[str, Any]) -> Answer:
        asked_for = body.get("max_tokens") or body["max_completion_tokens"]
        said = words.replace("ASKED", str(asked_for)).replace("SUM", str(3000 + asked_for))
        return answer if asked_for <= 1000 else error(said)

    return given


NARROW = {
    "vLLM": "This model's maximum context length is 4000 tokens. However, you requested SUM tokens (3000 in the messages, ASKED in the completion). Please reduce the length of the messages or completion.",
    "vLLM, newer": "'max_tokens' or 'max_completion_tokens' is too large: ASKED. This model's maximum context length is 4000 tokens and your request has 3000 input tokens (ASKED > 4000 - 3000).",
    "vLLM, newest": "This model's maximum context length is 4000 tokens. However, you requested ASKED output tokens and your prompt contains at least 1 input tokens, for a total of at least 4001 tokens. Please reduce the length of the input prompt or the number of requested output tokens.",
    "SGLang": "Requested token count exceeds the model's maximum context length of 4000 tokens. You requested a total of SUM tokens: 3000 tokens from the input messages and ASKED tokens for the completion.",
    "TGI": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4000. Given: 3000 `inputs` tokens and ASKED `max_new_tokens`",
    "Anthropic": "input length and `max_tokens` exceed context limit: 3000 + ASKED > 4000, decrease input length or `max_tokens` and try again",
    "OpenRouter": "This endpoint's maximum context length is 4000 tokens. However, you requested about SUM tokens (3000 of text input, ASKED in the output). Please reduce the length of either one",
    "OpenAI's longest answer": "max_tokens is too large: ASKED. This model supports at most 1000 completion tokens, whereas you provided ASKED.",
    "DeepSeek's longest answer": "Invalid max_tokens value, the valid range of max_tokens is [1, 1000]",
    "Groq's longest answer": "`max_tokens` must be less than or equal to `1000`, the maximum value for `max_tokens` is less than the `context_window` for this model",
}  # fmt: skip


@pytest.mark.parametrize("server", NARROW)
def test_a_server_that_wants_a_shorter_answer_gets_one_and_the_context_is_not_full(server: str) -> None:
    message = asked(fits(NARROW[server], reply("ok")))
    assert message["content"] == "ok" and message["completion"]["tries"] == 1


def test_an_answer_that_hardly_any_room_is_left_for_is_a_full_context() -> None:
    words = NARROW["vLLM"].replace("ASKED", "4096").replace("SUM", "8080").replace("3000", "3984")
    found = asked(error(words))
    assert isinstance(found, AgentError) and (found.kind, found.infrastructure) == ("context", False)


@pytest.mark.parametrize(("longest", "ended"), [(3, "cut"), (4, "stop")])
def test_an_answer_with_all_its_tokens_is_cut_though_its_server_says_stop(longest: int, ended: str) -> None:
    assert asked(reply("I have writ"), max_tokens=longest)["completion"]["ended"] == ended


STREAMS: dict[str, tuple[Answer, Any]] = {
    "words": (streamed(({"role": "assistant", "content": "It "}, None), ({"content": "is."}, "stop")), assistant("It is.")),
    "a call in pieces": (
        streamed(
            ({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "exec", "arguments": ""}}]}, None),
            ({"tool_calls": [{"index": 0, "function": {"arguments": '{"comm'}}]}, None),
            ({"tool_calls": [{"index": 0, "function": {"arguments": 'and": "ls"}'}}]}, None),
            ({}, "tool_calls"),
        ),
        assistant("", [tool_call("exec", LS)]),
    ),
    "two calls in turns": (
        streamed(
            ({"tool_calls": [{"index": 0, "function": {"name": "exec", "arguments": "{"}}, {"index": 1, "function": {"name": "read", "arguments": ""}}]}, None),
            ({"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}, {"index": 0, "function": {"arguments": "}"}}]}, "tool_calls"),
        ),
        assistant("", [tool_call("exec", {}), tool_call("read", {})]),
    ),
    "reasoning": (
        streamed(({"reasoning_content": "Hm"}, None), ({"reasoning_content": "."}, None), ({"content": "So."}, "stop")),
        assistant("So.", (), "Hm."),
    ),
    "no end mark": (streamed(({"content": "Hi."}, "stop"), done=False), assistant("Hi.")),
}  # fmt: skip


@pytest.mark.parametrize("way", STREAMS)
def test_a_streamed_answer_is_the_same_as_a_whole_one(way: str) -> None:
    answer, expected = STREAMS[way]
    with serve(answer) as server:
        message = OpenAIAgent("tiny", base_url=server.url, stream=True, max_retries=0).act(TALK, TOOLS)
    completion = message.pop("completion")
    assert message == expected and completion["model"] == "streamed" and completion["id"] == "s-1"
    assert server.bodies[0]["stream"] is True


@pytest.mark.parametrize(
    "answer",
    [streamed(({"content": "Hi"}, None), {"error": {"message": "engine died", "code": 500}}), streamed()],
)
def test_a_stream_that_breaks_is_no_answer(answer: Answer) -> None:
    found = asked(answer, stream=True)
    assert isinstance(found, AgentError) and found.kind in ("answer", "failed")


def test_there_are_at_least_sixty_ways() -> None:
    ways = [*TAKEN, *MARKED, *FULL, *MENDABLE, *BROKEN, *STREAMS]
    assert len(ways) >= 60
