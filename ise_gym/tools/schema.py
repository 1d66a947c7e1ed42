"""Tool schemas, and what is told to a model whose arguments don't fit them.

A small model has to read every schema in each prompt, so they are short; and it has to fix its call from
one error text, so that text names the argument, what is wrong with it and what would be right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ise_gym.errors import nearest
from ise_gym.foreign.values import Json
from ise_gym.messages import ToolSchema, sha256_of

_MAX_PROBLEMS = 5


def function_tool(
    name: str, description: str, properties: Mapping[str, Mapping[str, object]], required: Sequence[str] = ()
) -> ToolSchema:
    """Build an OpenAI tool definition that accepts the listed properties and no others."""
    parameters = {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": parameters},
    }


def schema_hash(schemas: Sequence[ToolSchema]) -> str:
    """Return the hex SHA-256 of the schemas' canonical JSON, in the order in which a model sees them."""
    return sha256_of(list(schemas))


def without_blanks(parameters: Mapping[str, Any], arguments: Mapping[str, Json]) -> dict[str, Any]:
    """Leave out optional arguments that say nothing: null, an empty list or object, and a 0 or "" that can't be meant.

    Weak models fill in every argument they were told of. An empty text is kept where any text may stand, since there
    it says something ("newText": "" deletes).

    >>> tool = function_tool("wait", "", {"s": {"type": "number", "exclusiveMinimum": 0}, "env": {"type": "object"}})
    >>> without_blanks(tool["function"]["parameters"], {"s": 0, "env": {}})
    {}
    """
    required = parameters.get("required", ())
    properties = parameters.get("properties", {})
    return {
        name: value
        for name, value in arguments.items()
        if name in required or name not in properties or not _is_blank(properties[name], value)
    }


def _is_blank(schema: Mapping[str, Any], value: Json) -> bool:
    if value is None or (isinstance(value, list | dict) and not value):
        return True
    if isinstance(value, int | float) and not isinstance(value, bool) and value == 0:
        return bool(schema.get("minimum", 0) > 0 or schema.get("exclusiveMinimum", -1) >= 0)
    return value == "" and ("enum" in schema or schema.get("minLength", 0) > 0)


def argument_problems(parameters: Mapping[str, Json], arguments: Mapping[str, Json]) -> list[str]:
    """Return what is wrong with arguments under a JSON schema (2020-12), one phrase a problem; [] if nothing.

    >>> schema = function_tool("read", "", {"path": {"type": "string"}}, ["path"])["function"]["parameters"]
    >>> argument_problems(schema, {"paht": "notes.txt"})
    ["missing argument 'path'", "unknown argument 'paht'. Did you mean 'path'?"]
    """
    from jsonschema import Draft202012Validator  # here, since it costs a tenth of a second to import

    problems: list[str] = []
    errors = sorted(
        Draft202012Validator(parameters).iter_errors(arguments),
        key=lambda e: (e.validator == "additionalProperties", [str(part) for part in e.absolute_path]),
    )
    for error in errors:
        for phrase in _phrases(error):
            if phrase not in problems:
                problems.append(phrase)
    if len(problems) > _MAX_PROBLEMS:
        problems = [*problems[:_MAX_PROBLEMS], f"and {len(problems) - _MAX_PROBLEMS} more"]
    return problems


def _phrases(error: Any) -> list[str]:
    where = _location(error.absolute_path)
    value, expected = error.instance, error.validator_value
    match error.validator:
        case "required":
            inside = f" in {where}" if where else ""
            return [f"missing argument '{name}'{inside}" for name in expected if name not in value]
        case "additionalProperties":
            known = list(error.schema.get("properties", ()))
            inside = f" in {where}" if where else ""
            return [
                f"unknown argument '{_short(name)}'{inside}.{nearest(name, known) or ' Known: ' + ', '.join(known)}"
                for name in value
                if name not in known
            ]
        case "type":
            return [f"'{where}' must be {_article(expected)}, not {_article(_json_type(value))}"]
        case "enum":
            close = nearest(value, expected) if isinstance(value, str) else ""
            return [f"'{where}' must be one of {', '.join(map(str, expected))}.{close}"]
        case "minimum":
            return [f"'{where}' must be at least {expected}"]
        case "exclusiveMinimum":
            return [f"'{where}' must be more than {expected}"]
        case "minLength" | "minItems":
            return [f"'{where}' must not be empty"]
        case _:
            return [f"'{where}': {_short(error.message)}"]


def _location(path: Sequence[str | int]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _article(kind: str) -> str:
    return kind if kind == "null" else f"an {kind}" if kind[0] in "aio" else f"a {kind}"


def _json_type(value: Json) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    names = {str: "string", int: "integer", float: "number", list: "array", dict: "object"}
    return names.get(type(value), type(value).__name__)


def _short(text: str, limit: int = 200) -> str:
    return text if len(text) <= limit else text[:limit] + "…"
