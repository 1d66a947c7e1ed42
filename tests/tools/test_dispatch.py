from __future__ import annotations

import json
import sys
import types
from typing import Any

import pytest

from ise_gym.errors import UserError, WorkspaceError
from ise_gym.messages import tool_call, tool_calls_of
from ise_gym.models.parsing import parse_completion
from ise_gym.scenario import DEFAULT_TOOLS
from ise_gym.tools import TOOLS, get_tools, schema_hash, tool_schemas
from ise_gym.tools.base import Tool
from ise_gym.tools.dispatch import Toolbox
from ise_gym.tools.schema import function_tool
from ise_gym.workspace.base import Workspace
from tools.tool_fixtures import Caller

OPENCLAW = {
    "exec": {"command", "workdir", "env", "timeout", "background", "yieldMs", "pty"},
    "process": {"action", "sessionId", "data", "keys", "text", "eof", "offset", "limit", "timeout"},
    "read": {"path", "offset", "limit"},
    "write": {"path", "content"},
    "edit": {"path", "oldText", "newText", "edits"},
}


def test_default_schemas_have_the_agreed_parameters_and_are_small() -> None:
    schemas = tool_schemas(DEFAULT_TOOLS)
    found = {s["function"]["name"]: set(s["function"]["parameters"]["properties"]) for s in schemas}
    assert found == OPENCLAW
    assert len(json.dumps(schemas)) < 4000


@pytest.mark.parametrize("name", list(TOOLS))
def test_every_schema_is_a_valid_closed_json_schema(name: str) -> None:
    from jsonschema import Draft202012Validator

    parameters = TOOLS[name].schema["function"]["parameters"]
    Draft202012Validator.check_schema(parameters)
    assert parameters["additionalProperties"] is False
    assert set(parameters["required"]) <= set(parameters["properties"])
    assert TOOLS[name].schema["function"]["description"]


def test_schema_hash_depends_on_content_and_order() -> None:
    both, other = tool_schemas(["read", "write"]), tool_schemas(["write", "read"])
    assert schema_hash(both) == schema_hash(json.loads(json.dumps(both)))
    assert schema_hash(both) != schema_hash(other)
    assert len(schema_hash(both)) == 64


def test_unknown_tool_name_in_a_scenario_is_a_user_error() -> None:
    with pytest.raises(UserError, match=r"no tool 'raed'\. Did you mean 'read'\?"):
        get_tools(["exec", "raed"])


def test_a_call_is_answered_by_its_tool_message(call: Caller) -> None:
    message = call("exec", command="echo hi")
    assert message == {
        "role": "tool",
        "tool_call_id": "call_1",
        "name": "exec",
        "content": "hi",
        "success": True,
        "exit_code": 0,
    }


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("exec", '{"command": "ls"', "not a JSON object: Expecting ',' delimiter at character 17"),
        ("exec", '["ls"]', "not a JSON object: found list"),
        ("exec", "null", "not a JSON object: found NoneType"),
        ("exec", '{"command": "a", "timeout": NaN}', "not a JSON object: NaN is not JSON"),
        ("exec", '{"command": "a", "timeout": 1e999}', "out of range"),
        ("exec", '{"command": "\\ud800"}', "unpaired surrogate"),
        ("exec", '{"command": ' + "[" * 100_000, "nested too deeply"),
        (
            "exce",
            "{}",
            "Unknown tool 'exce'. Did you mean 'exec'? Available: exec, read, write, edit, process.",
        ),
        ("", "{}", "Unknown tool ''. Available:"),
        ("append", '{"team": "blue"}', 'read, write, edit, process. For example: exec {"command": "ls -la"}'),
        (
            "notes/run.sh",
            '{"command": "echo x", "timeout": 0, "env": {}}',
            'edit, process. Perhaps you mean: exec {"command": "echo x"}',
        ),
        ("save", '{"path": "a", "content": "b"}', 'Perhaps you mean: write {"path": "a", "content": "b"}'),
        ("append", '{"command": "' + "x" * 400 + '"}', 'process. For example: exec {"command": "ls -la"}'),
        ("append", '{"command": ', 'process. For example: exec {"command": "ls -la"}'),
        ("read", "{}", "read: bad arguments: missing argument 'path'"),
        ("read", "", "missing argument 'path'"),
        ("read", '{"path": 3}', "'path' must be a string, not an integer"),
        ("read", '{"path": null}', "'path' must be a string, not null"),
        ("read", '{"path": "a", "offset": "2"}', "'offset' must be an integer, not a string"),
        ("read", '{"path": "a", "offset": 1.5}', "'offset' must be an integer, not a number"),
        ("read", '{"path": "a", "offset": true}', "'offset' must be an integer, not a boolean"),
        ("read", '{"path": "a", "offset": -1}', "'offset' must be at least 1"),
        ("read", '{"paht": "a"}', "missing argument 'path'; unknown argument 'paht'. Did you mean 'path'?"),
        (
            "write",
            '{"path": "a", "content": "b", "mode": 3}',
            "unknown argument 'mode'. Known: path, content",
        ),
        ("exec", '{"command": "a", "timeout": -1}', "'timeout' must be more than 0"),
        ("exec", '{"command": "a", "env": {"A": 1}}', "'env.A' must be a string, not an integer"),
        ("edit", '{"path": "a", "edits": []}', "oldText is missing: send"),
        ("edit", '{"path": "a", "edits": [{"oldText": "x"}]}', "missing argument 'newText' in edits[0]"),
        ("edit", '{"path": "a", "edits": [{"oldText": "x", "newText": "y", "z": 1}]}', "'z' in edits[0]"),
        ("process", '{"action": "pol"}', "'action' must be one of list, poll, "),
    ],
)
def test_a_wrong_call_comes_back_as_a_failed_tool_message(
    idle_call: Caller, name: str, arguments: Any, says: str
) -> None:
    message = idle_call.toolbox.call(tool_call(name, arguments, "call_9"))
    assert message["role"] == "tool" and message["tool_call_id"] == "call_9" and message["name"] == name  # type: ignore[index]
    assert message["success"] is False and message["exit_code"] is None  # type: ignore[index]
    assert says in message["content"]  # type: ignore[index]
    assert len(message["content"]) < 1000  # type: ignore[index]


def test_many_problems_are_summed_up(idle_call: Caller) -> None:
    message = idle_call("write", path="a", content="b", **{f"extra{n}": n for n in range(9)})
    assert message["content"].count("unknown argument") == 5
    assert "and 4 more" in message["content"]


def test_a_block_that_could_not_be_parsed_is_answered_with_the_reason(idle_call: Caller) -> None:
    (broken,) = tool_calls_of(parse_completion('<tool_call>{"name": "exec"}</tool_call>'))
    message = idle_call.toolbox.call(broken)
    assert message["success"] is False  # type: ignore[index]
    assert "could not be read: it has no 'arguments'" in message["content"]  # type: ignore[index]


def test_whole_floats_pass_as_integers(call: Caller, workspace: Workspace) -> None:
    workspace.write("a.txt", b"one\ntwo\n")
    message = call.toolbox.call(tool_call("read", '{"path": "a.txt", "offset": 2.0, "limit": 1.0}'))
    assert message["content"] == "two\n"  # type: ignore[index]


def test_a_dead_sandbox_is_no_tool_failure(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(context: Any, arguments: Any) -> None:
        raise WorkspaceError("the sandbox is gone")

    own = types.SimpleNamespace(BROKEN=Tool(function_tool("broken", "Breaks.", {}), broken))  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "own_tools", own)
    toolbox = Toolbox(["own_tools:BROKEN"], call.toolbox._context.workspace)
    with pytest.raises(WorkspaceError):
        toolbox.call(tool_call("broken", {}))


def test_reset_forgets_the_last_episode(call: Caller, workspace: Workspace) -> None:
    call("exec", command="sleep 30", background=True)
    assert "proc_1" in call("process", action="list")["content"]
    workspace.reset()
    call.toolbox.reset(workspace)
    assert call("process", action="list")["content"] == "(no background processes)"


def test_state_can_be_carried_over(call: Caller, workspace: Workspace) -> None:
    call.toolbox.state["mark"] = 1
    other = Toolbox(DEFAULT_TOOLS, workspace)
    other.reset(workspace, call.toolbox.state)
    assert other.state == {"mark": 1}
