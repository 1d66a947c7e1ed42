"""What readers and writers of other people's formats share: ids, texts, and a way to refuse a record."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from typing import Any

from ise_gym.foreign.text import printable
from ise_gym.foreign.values import Json
from ise_gym.messages import arguments_text, is_object
from ise_gym.models.words.thinking import apart

_NAMESPACE = uuid.UUID("6e1f0f9c-51bd-5a53-9d0c-2b6a3a3f7c11")
"""Of the session ids made from episode ids; an arbitrary constant."""


class Unusable(Exception):
    """A record that can't become a trajectory; the message is the reason that is counted."""


class InItsEpisode(Unusable):
    """A record of what another record holds too: passing over it loses nothing."""


def session_id(episode: str) -> str:
    """Return the UUID that formats with such ids get; equal for equal episode ids."""
    return str(uuid.uuid5(_NAMESPACE, printable(episode)))


def text_of(content: Json, repairs: Counter[str]) -> str:
    """Return a message's content as text; counts what had to be mended.

    >>> text_of([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], Counter())
    'ab'
    """
    if isinstance(content, str):
        return content
    if content is None:
        repairs["null content"] += 1
        return ""
    repairs["content that is not text"] += 1
    if isinstance(content, list):  # content parts, of which only text can be kept
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return json.dumps(content, ensure_ascii=False, default=str)


def decoded(value: Json, what: str, repairs: Counter[str]) -> Any:
    """Return a value that some writers put in as JSON text (as columns of a table hold it), decoded and counted."""
    if not isinstance(value, str) or not value.strip().startswith(("[", "{")):
        return value
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return value
    repairs[f"{what} given as JSON text"] += 1
    return found


def list_of(value: Json, what: str, repairs: Counter[str]) -> list[Any]:
    """Return a list, decoded where it is JSON text; anything else that is there is left out and counted."""
    found = decoded(value, what, repairs)
    if isinstance(found, list | tuple):
        return list(found)
    if found:
        repairs[f"{what} that are no list left out"] += 1
    return []


def schemas_of(value: Json, repairs: Counter[str]) -> list[dict[str, Any]]:
    """Return tool definitions in OpenAI's form; bare function schemas are wrapped, what is neither is left out.

    >>> schemas_of('[{"name": "ls", "parameters": {}}]', Counter())
    [{'type': 'function', 'function': {'name': 'ls', 'parameters': {}}}]
    """
    tools: list[dict[str, Any]] = []
    for one in list_of(value, "tools", repairs):
        tool = decoded(one, "tool definition", repairs)
        if isinstance(tool, dict) and isinstance(tool.get("function"), dict):
            tools.append(tool)
        elif isinstance(tool, dict) and isinstance(tool.get("name"), str):
            repairs["bare function schema wrapped"] += 1
            tools.append({"type": "function", "function": {k: v for k, v in tool.items() if k != "type"}})
        else:
            repairs["tool definition of an unknown form left out"] += 1
    return tools


def arguments_of(value: Json, repairs: Counter[str]) -> str:
    """Return a call's arguments as JSON text; none at all are those of a call without any."""
    if not isinstance(value, str):
        repairs["arguments that are not a JSON string"] += 1
        return json.dumps({} if value is None else value, ensure_ascii=False)
    text = arguments_text(value)
    if text != value:
        repairs["empty arguments"] += 1
    if not is_object(text):
        repairs["arguments that are no JSON object (kept, never taught)"] += 1
    return text


def set_apart(message: dict[str, Any], repairs: Counter[str]) -> None:
    """Set thinking apart that stands inside of an assistant message's words."""
    thought, words, among = apart(message["content"])
    if among:  # which stood before which would be lost
        repairs["thinking among the words (kept, never taught)"] += 1
    elif words != message["content"]:
        repairs["thinking inside of the words"] += 1
        thoughts = [str(message.get("reasoning_content") or ""), thought.strip()]
        message["content"] = words.strip()
        message["reasoning_content"] = "\n".join(filter(None, thoughts))


def dict_of(value: Json) -> dict[str, Any]:
    """Return a JSON object, or {} for anything else."""
    return value if isinstance(value, dict) else {}
