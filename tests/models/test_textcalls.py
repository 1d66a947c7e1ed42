"""Calls in plain words: what models really write is read as the call it is, and nothing else is taken for one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ise_gym.messages import assistant, system, tool_call, tool_calls_of, tool_result, user
from ise_gym.models.parsing import INVALID_TOOL_CALL
from ise_gym.models.textcalls import FORMATS, mark, text_messages, tools_prompt
from ise_gym.models.words.calls import holds_call, read_words
from ise_gym.tools import tool_schemas

TOOLS = tool_schemas(["exec", "read", "process"])
LS = '{"name": "exec", "arguments": {"command": "ls"}}'
EXEC = tool_call("exec", {"command": "ls"})

CALLS = {
    "hermes": (f"I look.\n<tool_call>\n{LS}\n</tool_call>", "I look.", [EXEC]),
    "two of them": (f"<tool_call>{LS}</tool_call><tool_call>{LS}</tool_call>", "", [EXEC, EXEC]),
    "a fence": (f"I look.\n```json\n{LS}\n```\nWait.", "I look.\nWait.", [EXEC]),
    "a fence without a language": (f"```\n{LS}\n```", "", [EXEC]),
    "a list in a fence": (f"```json\n[{LS}, {LS}]\n```", "", [EXEC, EXEC]),
    "bare": (LS, "", [EXEC]),
    "bare among words": (f"I will do it: {LS} – now.", "I will do it:\n– now.", [EXEC]),
    "parameters for arguments": ('{"name": "exec", "parameters": {"command": "ls"}}', "", [EXEC]),
    "OpenAI's own shape": ('{"type": "function", "function": ' + LS + "}", "", [EXEC]),
    "arguments as text": ('{"name": "exec", "arguments": "{\\"command\\": \\"ls\\"}"}', "", [EXEC]),
    "other tags": (f"<tools>\n{LS}\n</tools>", "", [EXEC]),
    "one more tag": (f"<function_call>{LS}</function_call>", "", [EXEC]),
    "parameters inside tags": (
        '<tool_call>{"name": "exec", "parameters": {"command": "ls"}}</tool_call>', "", [EXEC],
    ),
    "a fence inside tags": (f"<tool_call>\n```json\n{LS}\n```\n</tool_call>", "", [EXEC]),
    "Qwen3-Coder's XML": (
        "<tool_call>\n<function=exec>\n<parameter=command>\nls\n</parameter>\n<parameter=timeout>\n7\n</parameter>\n"
        "</function>\n</tool_call>",
        "",
        [tool_call("exec", {"command": "ls", "timeout": 7})],
    ),
    "XML without tags around": ("Now.\n<function=exec><parameter=command>ls</parameter></function>", "Now.", [EXEC]),
    "text that looks like a number stays text": (
        "<function=exec><parameter=command>7</parameter></function>", "", [tool_call("exec", {"command": "7"})],
    ),
    "a tool that is not there": (
        '```json\n{"name": "browse", "arguments": {}}\n```', "", [tool_call("browse", {})],
    ),
    "after a thought": (f"<think>Hm.</think>{LS}", "", [EXEC]),
    "real line breaks in a string": (
        '{"name": "exec", "arguments": {"command": "a\nb"}}', "", [tool_call("exec", {"command": "a\nb"})],
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", CALLS)
def test_a_call_is_read_however_it_was_written(way: str) -> None:
    text, words, calls = CALLS[way]
    message = read_words(text, TOOLS)
    assert (message["content"], tool_calls_of(message)) == (words, calls)
    assert holds_call(text, TOOLS)


@pytest.mark.parametrize(
    "text",
    [
        "Done.",
        'The file holds {"name": "Ada", "age": 7}.',
        '```json\n{"name": "Ada", "arguments": ["a", "b"]}\n```',
        'A person: {"name": "Ada", "arguments": {"x": 1}, "city": "Rome"}',
        "```bash\nls -l\n```",
        "[1, 2] and {1}",
        "{" * 500,
        "[" * 5000,
        '{"a":' * 300,
    ],
)
def test_what_is_no_call_stays_words(text: str) -> None:
    assert read_words(text, TOOLS) == assistant(text)
    assert not holds_call(text, TOOLS)


def test_a_tagged_call_that_cannot_be_read_is_answered_with_what_was_wrong() -> None:
    (call,) = tool_calls_of(read_words('<tool_call>{"name": "exec", "arguments": {oops}}</tool_call>', TOOLS))
    assert call["function"]["name"] == INVALID_TOOL_CALL


def test_a_conversation_goes_as_plain_texts_in_the_form_that_was_asked_for() -> None:
    talk = [
        system("You work."),
        user("Go."),
        assistant(
            "I look.", [tool_call("exec", {"command": "ls"}, "call_1"), tool_call("read", "{bro", "call_2")]
        ),
        tool_result("call_1", "exec", "a.txt", success=True),
        tool_result("call_2", "read", "no JSON", success=False),
        assistant("Done."),
    ]
    for form in FORMATS:
        if form == "template":
            assert tools_prompt(TOOLS, form) == ""
            continue
        sent = text_messages(talk, TOOLS, form, {})
        assert [m["role"] for m in sent] == ["system", "user", "assistant", "user", "assistant"]
        assert all(set(m) == {"role", "content"} for m in sent)
        assert "make no more calls" in sent[0]["content"]  # or a model never ends its turn
        assert (
            sent[0]["content"].startswith("You work.\n\n# Tools")
            and json.dumps(TOOLS[0]) in sent[0]["content"]
        )
        assert "{bro" in sent[2]["content"] and "not_json" not in str(sent)
        assert "a.txt" in sent[3]["content"] and "no JSON" in sent[3]["content"]
        whole = read_words(
            text_messages([*talk[:2], assistant("I look.", [EXEC])], TOOLS, form, {})[2]["content"], TOOLS
        )
        assert tool_calls_of(whole) == [EXEC] and whole["content"] == "I look."


def test_what_the_model_wrote_itself_goes_back_word_for_word() -> None:
    said = f"Sure:\n```json\n{LS}\n```"
    message = read_words(said, TOOLS)
    again = assistant(message["content"], [tool_call("exec", {"command": "ls"}, "call_9")])
    assert text_messages([again], TOOLS, "hermes", {mark(message): said})[1]["content"] == said


pieces = st.sampled_from(
    [LS, "```json\n", "\n```", "<tool_call>", "</tool_call>", "<function=exec>", "<parameter=a>", "</parameter>", "{", "]", "["]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(pieces | st.text(max_size=5), max_size=12).map("".join))
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert read_words(text, TOOLS)["role"] == "assistant"


@pytest.mark.parametrize(
    "words",
    [
        '{"name": "exec", "arguments": {"command": "ls"}',
        '```json\n{"name": "exec", "arguments": {"command": "ls"}\n```',
        '<tool_call>\n{"name": "exec", "arguments": {"command": "ls"}\n</tool_call>',
        'I look.\n{"name": "exec", "arguments": {"command": "ls"}\n',
    ],
)
def test_a_call_that_lacks_only_its_last_brace_is_one(words: str) -> None:
    (call,) = read_words(words, tool_schemas(["exec"]))["tool_calls"]
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == (
        "exec",
        {"command": "ls"},
    )


@pytest.mark.parametrize(
    "words",
    [
        '{"name": "exec", "arguments": {"command": "rm -rf a',
        '{"name": "exec", "arguments": {"command": "ls", ',
        '{"title": "a", "text": {"b": "c"}',
    ],
)
def test_what_lacks_more_is_none(words: str) -> None:
    assert "tool_calls" not in read_words(words, tool_schemas(["exec"]))


@pytest.mark.parametrize("form", ["{}", "```json\n{}\n```", "<tool_call>\n{}\n</tool_call>"])
def test_arguments_beside_the_name_of_a_tool_are_its_arguments(form: str) -> None:
    words = form.replace("{}", '{"name": "exec", "command": "ls", "timeout": 5}')
    (call,) = read_words(words, tool_schemas(["exec"]))["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"command": "ls", "timeout": 5}


@pytest.mark.parametrize(
    "words", ['{"name": "exec", "title": "a"}', '{"name": "Ada", "command": "ls"}', '{"name": "exec"}']
)
def test_an_object_that_only_has_a_name_is_no_call(words: str) -> None:
    assert "tool_calls" not in read_words(words, tool_schemas(["exec"]))


FAMILIES = {
    "Mistral": '[TOOL_CALLS][{"name": "exec", "arguments": {"command": "ls"}}]',
    "Mistral, newer": '[TOOL_CALLS]exec[ARGS]{"command": "ls"}',
    "Mistral, with an id": '[TOOL_CALLS]exec[CALL_ID]abc123def[ARGS]{"command": "ls"}',
    "Llama 3": '<|python_tag|>{"name": "exec", "parameters": {"command": "ls"}}',
    "Llama 4": '[exec(command="ls")]',
    "Gemma": '```tool_code\nprint(exec(command="ls"))\n```',
    "GLM": "<tool_call>exec\n<arg_key>command</arg_key>\n<arg_value>ls</arg_value>\n</tool_call>",
    "DeepSeek V3": '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>exec\n```json\n{"command": "ls"}\n```'
    "<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    "DeepSeek V3.1": '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>exec<｜tool▁sep｜>{"command": "ls"}<｜tool▁call▁end｜>',
    "Kimi": "<|tool_calls_section_begin|><|tool_call_begin|>functions.exec:0<|tool_call_argument_begin|>"
    '{"command": "ls"}<|tool_call_end|><|tool_calls_section_end|>',
    "gpt-oss": '<|channel|>commentary to=functions.exec <|constrain|>json<|message|>{"command": "ls"}<|call|>',
    "MiniMax": '<minimax:tool_call>\n<invoke name="exec">\n<parameter name="command">ls</parameter>\n</invoke>\n</minimax:tool_call>',
    "tags around an invocation": '<function_calls><invoke name="exec"><parameter name="command">ls</parameter></invoke></function_calls>',
    "Functionary": '<function=exec>{"command": "ls"}</function>',
    "Granite": '<|tool_call|>[{"name": "exec", "arguments": {"command": "ls"}}]',
    "ReAct": 'Action: exec\nAction Input: {"command": "ls"}',
    "a whole message": '{"tool_calls": [{"function": {"name": "exec", "arguments": "{\\"command\\": \\"ls\\"}"}}]}',
    "other names for the keys": '{"tool": "exec", "args": {"command": "ls"}}',
    "LangChain's names for the keys": '```json\n{"action": "exec", "action_input": {"command": "ls"}}\n```',
}


@pytest.mark.parametrize("family", FAMILIES)
def test_calls_are_read_in_the_form_of_every_family(family: str) -> None:
    tools = tool_schemas(["exec"])
    message = read_words(FAMILIES[family], tools)
    (call,) = message["tool_calls"]
    assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == (
        "exec",
        {"command": "ls"},
    )
    assert message["content"] == "" and holds_call(FAMILIES[family], tools)


@pytest.mark.parametrize("family", [name for name in FAMILIES if name != "Llama 4"])
def test_words_before_a_call_stay_words(family: str) -> None:
    message = read_words(f"I look:\n\n  1. here\n{FAMILIES[family]}", tool_schemas(["exec"]))
    assert message["content"] == "I look:\n\n  1. here" and len(message["tool_calls"]) == 1


@pytest.mark.parametrize(
    "words",
    [
        'Run this:\n```python\nimport os\nexec(command="ls")\n```',
        '```python\nexec("ls")\n```',
        "```python\nexec(command=name)\n```",
        "[exec(command=b'ls')]",
        '[see(the="note")]',
        '{"tool": "hammer", "args": {"size": 3}}',
        "Action: none\nAction Input: nothing",
        "Write to=someone about it.",
    ],
)
def test_what_only_looks_like_a_call_is_none(words: str) -> None:
    message = read_words(words, tool_schemas(["exec"]))
    assert "tool_calls" not in message and message["content"] == words
