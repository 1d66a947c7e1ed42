"""Whatever a model writes as a call, it gets a tool message back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ise_gym.episode.floor import Floor
from ise_gym.messages import tool_call
from ise_gym.tools import TOOLS
from ise_gym.tools.dispatch import Toolbox
from ise_gym.workspace.base import Workspace

SETTINGS = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
COMMANDS = st.sampled_from(["echo hé", "exit 3", "cat", "no-such-command", "kill -9 $$", "("])
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**20) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


def plausible(schema: Any) -> Any:
    """Values that fit a parameter's schema, most of them useless."""
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "string":
            return st.sampled_from(
                ["a.txt", "d", "../x", "proc_1", "main", "*** Begin Patch\n*** End Patch"]
            ) | st.text(max_size=6)
        case "integer":
            return st.integers(max(1, schema.get("minimum", 1)), 10**30)
        case "number":
            return st.sampled_from([0.001, 0.2, 1, 10**400])
        case "boolean":
            return st.booleans()
        case "array":
            return st.lists(plausible(schema["items"]), max_size=3)
        case _:
            if "properties" not in schema:
                return st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2)
            return st.fixed_dictionaries(
                {key: plausible(schema["properties"][key]) for key in schema.get("required", ())},
                optional={
                    key: plausible(inner)
                    for key, inner in schema["properties"].items()
                    if key not in schema.get("required", ())
                },
            )


def check(message: Any) -> None:
    assert message["role"] == "tool" and isinstance(message["success"], bool)
    assert message["content"] and len(message["content"]) < 60_000
    assert message["exit_code"] is None or (message["exit_code"] == 0) == message["success"]
    json.dumps(message).encode("utf-8")


@pytest.fixture
def floor(workspace: Workspace) -> Any:
    workspace.write("a.txt", b"one\ntwo\n")
    workspace.write("d/x", b"")
    return Floor(Toolbox(TOOLS, workspace))


@pytest.mark.parametrize("name", list(TOOLS))
@SETTINGS
@given(data=st.data())
def test_arguments_that_fit_the_schema(floor: Floor, name: str, data: Any) -> None:
    parameters = TOOLS[name].schema["function"]["parameters"]
    arguments = data.draw(plausible({"type": "object", **parameters}))
    if name == "exec":
        arguments["command"] = data.draw(COMMANDS)
        if arguments.get("timeout", 1) < 1:
            del arguments["timeout"]
    if arguments.get("command") == "cat":
        arguments.pop("yieldMs", None)  # would wait as long as the fuzz says
    check(floor.play(tool_call(name, json.dumps(arguments), "call_1")))


@pytest.mark.parametrize("name", [*TOOLS, "invalid_tool_call", "nothing"])
@SETTINGS
@given(data=st.data())
def test_arguments_that_fit_nothing(floor: Floor, name: str, data: Any) -> None:
    known = TOOLS[name].schema["function"]["parameters"]["properties"] if name in TOOLS else ("a",)
    keys = st.sampled_from(sorted(known)) | st.text(max_size=5)
    junk = st.dictionaries(keys, JUNK, max_size=4).filter(lambda d: "command" not in d).map(json.dumps)
    text = data.draw(junk | st.text(max_size=30) | JUNK.map(json.dumps))
    check(floor.play(tool_call(name, text, "call_1")))
