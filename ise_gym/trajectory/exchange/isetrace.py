"""ISETrace's records → trajectories, in both released forms, with every repair counted.

The example's form has ``intent`` and no system message; the newest converter's has ``source_intents``, a system message
first, and ``arguments`` as an object. Files from the hub also hold null contents, tool messages that answer no call,
and a ``success`` that is true for most failures; what a call's text says of its exit code is believed instead.
Older dialects of the chat format (``developer``, ``function_call``, ``function``) are read as today's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from ise_gym.errors import UserError
from ise_gym.foreign.values import Json
from ise_gym.messages import sha256_of
from ise_gym.trajectory.exchange.foreign import (
    InItsEpisode,
    Unusable,
    arguments_of,
    decoded,
    dict_of,
    list_of,
    schemas_of,
    set_apart,
    text_of,
)
from ise_gym.trajectory.migrate import upgraded
from ise_gym.trajectory.record import Trajectory, episode_id

_EXIT = re.compile(r"\(?Command exited with code (-?\d{1,10})\)?\s*$")
_ROLES = ("system", "user", "assistant", "tool")
_TODAY = {"developer": "system", "function": "tool"}
"""Roles of other dialects → ours."""


def from_isetrace(record: Json, repairs: Counter[str], where: str = "record") -> Trajectory:
    """Turn one ISETrace record of either form into a trajectory; counts what had to be mended in ``repairs``.

    A record that `ise_gym.trajectory.exchange.export.to_isetrace` wrote gives back the trajectory it was made from.
    """
    if not isinstance(record, dict):
        raise Unusable("no list of messages")
    raw = decoded(record.get("messages"), "messages", repairs)
    if not isinstance(raw, list):
        raise Unusable("no list of messages")
    metadata = _object(record, "metadata", repairs)
    own = metadata.get("ise_gym")
    if "sub_session" in metadata and "parent_session_id" in metadata:
        raise InItsEpisode("sub-session, held by its episode's record")
    if isinstance(own, dict):
        return _own({**record, "messages": raw}, metadata, own, where)
    messages = chat_messages(raw, repairs)
    if not any(m["role"] == "assistant" for m in messages):
        raise Unusable("no assistant message")
    intents = list_of(record.get("source_intents"), "source intents", repairs)
    ids = list_of(record.get("source_intent_ids"), "source intent ids", repairs)
    scenario = str(record.get("intent_id") or (ids[0] if ids else "") or record.get("session_id") or "")
    if not scenario:
        scenario = sha256_of(messages)[:12]
        repairs["record without an id"] += 1
    domains = [
        d if isinstance(d, dict) else {"name": d}
        for d in list_of(metadata.get("domains"), "domains", repairs)
    ]
    tools = schemas_of(record.get("tools"), repairs) or schemas_of(record.get("functions"), repairs)
    return Trajectory(
        episode_id=episode_id(scenario, 0, f"isetrace:{record.get('session_id', '')}"),
        scenario_id=scenario,
        seed=0,
        intent=str(record.get("intent") or "\n".join(map(_intent_text, intents))),
        persona=_object(metadata, "persona", repairs),
        domains=[str(d.get("name", "")) for d in domains],
        tasks=[
            str(t.get("name", "") if isinstance(t, dict) else t)
            for d in domains
            for t in list_of(d.get("selected_tasks"), "selected tasks", repairs)
        ],
        complexity=str(metadata.get("complexity") or ""),
        outcome="unverified",
        reason="recorded elsewhere, without checks",
        score=None,
        counts={
            "user_turns": sum(m["role"] == "user" for m in messages),
            "messages": len(messages),
            "tool_calls": sum(len(m.get("tool_calls") or ()) for m in messages),
        },
        messages=messages,
        tools=tools,
        agent={"name": "isetrace"},
        user={"name": "isetrace"},
        metadata={
            "imported": "isetrace",
            "status": record.get("status"),
            "session_id": record.get("session_id"),
            "source_intent_ids": ids,
            **{k: v for k, v in metadata.items() if k not in ("persona", "domains")},
        },
    )


def _own(record: dict[str, Any], metadata: dict[str, Json], own: dict[str, Json], where: str) -> Trajectory:
    """Put back together what `to_isetrace` took apart."""
    rest = {k: v for k, v in own.items() if k != "system_messages"}
    messages = list(record["messages"])
    try:
        for position, message in sorted(
            dict_of(own.get("system_messages")).items(), key=lambda item: int(item[0])
        ):
            messages.insert(int(position), message)
        whole = {
            **rest,
            "messages": messages,
            "tools": record.get("tools") or [],
            "intent": record.get("intent") or "",
            "persona": metadata.get("persona") or {},
        }
        return Trajectory.model_validate(upgraded(whole))
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{where}: metadata.ise_gym: {first['loc']}: {first['msg']}") from error
    except ValueError as error:
        raise UserError(f"{where}: metadata.ise_gym.system_messages: {error}") from error


def chat_messages(raw: Sequence[Json], repairs: Counter[str]) -> list[dict[str, Any]]:
    """Bring messages into the project's form; drop what no reader could use, and count it."""
    messages: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for message in (_in_todays_form(one, names, repairs) for one in raw):
        role = message.get("role") if message is not None else None
        if message is None or role not in _ROLES:
            repairs["message of an unknown role dropped"] += 1
            continue
        clean: dict[str, Any] = {"role": role, "content": text_of(message.get("content"), repairs)}
        if role == "assistant":
            if message.get("reasoning_content"):
                clean["reasoning_content"] = text_of(message["reasoning_content"], repairs)
            set_apart(clean, repairs)
            asked = list_of(message.get("tool_calls"), "tool calls", repairs)
            made = [_call(c, len(messages), n, repairs) for n, c in enumerate(asked)]
            if calls := [call for call in made if call is not None]:
                clean["tool_calls"] = calls
                names.update((c["id"], c["function"]["name"]) for c in calls)
        elif role == "tool":
            if str(message.get("tool_call_id")) not in names:
                repairs["tool message that answers no call dropped"] += 1
                continue
            clean.update(_tool_fields(message, clean["content"], names, repairs))
        messages.append(clean)
    return messages


def _in_todays_form(raw: Json, names: dict[str, str], repairs: Counter[str]) -> dict[str, Any] | None:
    """Return a message in today's dialect: ``developer`` is a system message, ``function_call`` a tool call."""
    message = decoded(raw, "message", repairs)
    if not isinstance(message, dict):
        return None
    role = message.get("role")
    if isinstance(role, str) and role in _TODAY:
        repairs[f"role {role} read as {_TODAY[role]}"] += 1
        message = {**message, "role": _TODAY[role]}
        if role == "function":  # it names the function, and answers its latest call
            name = message.get("name")
            latest = [key for key, called in names.items() if called == name]
            message.setdefault("tool_call_id", latest[-1] if latest else None)
    if message.get("function_call") and not message.get("tool_calls"):
        repairs["function_call read as a tool call"] += 1
        message = {**message, "tool_calls": [{"function": message["function_call"]}]}
    return message


def _object(record: dict[str, Json], key: str, repairs: Counter[str]) -> dict[str, Any]:
    """Return a record's object by key; anything else that is there is left out and counted."""
    value = decoded(record.get(key), key, repairs)
    if value and not isinstance(value, dict):
        repairs[f"{key} that is no object left out"] += 1
    return dict_of(value)


def _call(raw: Any, position: int, number: int, repairs: Counter[str]) -> dict[str, Any] | None:
    raw = decoded(raw, "tool call", repairs)
    function = raw.get("function") if isinstance(raw, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
        repairs["tool call without a function dropped"] += 1
        return None
    arguments = arguments_of(function.get("arguments"), repairs)
    call_id = raw.get("id")
    if not call_id:
        repairs["tool call without an id"] += 1
        call_id = f"call_{position}_{number}"
    return {
        "id": str(call_id),
        "type": "function",
        "function": {"name": str(function["name"]), "arguments": arguments},
    }


def _tool_fields(
    message: dict[str, Json], content: str, names: dict[str, str], repairs: Counter[str]
) -> dict[str, Any]:
    call_id = str(message["tool_call_id"])
    match = _EXIT.search(content)
    code = int(match[1]) if match else message.get("exit_code")
    if code is not None and (not isinstance(code, int) or isinstance(code, bool)):
        repairs["exit code that is no integer left out"] += 1
        code = None
    success = message.get("success") is not False
    if success and code:
        repairs["success that contradicts the exit code"] += 1
        success = False
    return {
        "tool_call_id": call_id,
        "name": str(message.get("name") or names[call_id]),
        "success": success,
        "exit_code": code,
    }


def _intent_text(intent: Json) -> str:
    if isinstance(intent, dict):
        return str(intent.get("natural_language_intent") or intent.get("intent") or "")
    return str(intent)
