"""Trajectories as ATIF, the Agent Trajectory Interchange Format, version 1.8, and back.

ATIF has steps where we have messages: a tool's results belong to the step that called it. What it has no place for
goes into the ``extra`` objects that it allows everywhere, so that our own export gives back the very same
trajectory. Source: the ATIF specification (RFC 0001 of the Harbor project) and the models of the ``harbor`` package.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from ise_gym.errors import UserError
from ise_gym.foreign.values import Json
from ise_gym.messages import sha256_of
from ise_gym.trajectory.conversations import Conversation, conversations, session_name
from ise_gym.trajectory.exchange.foreign import (
    Unusable,
    dict_of,
    list_of,
    schemas_of,
    session_id,
    set_apart,
    text_of,
)
from ise_gym.trajectory.migrate import upgraded
from ise_gym.trajectory.record import Trajectory, episode_id

VERSION = "ATIF-v1.8"
_SOURCES: Mapping[str, str] = {"system": "system", "user": "user", "assistant": "agent"}
_ROLES: Mapping[str, str] = {source: role for role, source in _SOURCES.items()}
_SCRIPTED = ("expert", "lazy", "random")
_APART = {"episode_id", "messages", "tools", "steps", "agent", "sessions"}
"""Fields of a trajectory that stand elsewhere than in the root's ``extra``."""
_KNOWN = ("role", "content", "reasoning_content", "tool_calls")


def to_atif(trajectory: Trajectory) -> dict[str, Any]:
    """Return an episode as one ATIF trajectory.

    Each agent step carries its reward, score and workspace digest in ``extra``; each result its tool's name, the
    truth of ``success`` and the exit code.

    Raises:
        UserError: it has no messages, which ATIF can't express.
    """
    if not trajectory.messages:
        raise UserError(f"{trajectory.episode_id}: it has no messages, and ATIF has no empty trajectories.")
    agent, counts = trajectory.agent, trajectory.counts
    parts = conversations(trajectory)
    steps = list(_steps(trajectory, next(parts)))
    return _without_none(
        {
            "schema_version": VERSION,
            "session_id": session_id(trajectory.episode_id),
            "trajectory_id": trajectory.episode_id,
            "agent": {**_agent(trajectory), "tool_definitions": trajectory.tools, "extra": dict(agent)},
            "steps": steps,
            "final_metrics": {
                "total_prompt_tokens": counts.get("prompt_tokens"),
                "total_completion_tokens": counts.get("completion_tokens"),
                "total_cached_tokens": counts.get("cached_tokens"),
                "total_cost_usd": dict_of(agent.get("usage")).get("cost"),
                "total_steps": len(steps),
            },
            "extra": {"ise_gym": trajectory.model_dump(exclude=_APART)},
            "subagent_trajectories": [_embedded(trajectory, part) for part in parts] or None,
        }
    )


def _agent(trajectory: Trajectory) -> dict[str, Any]:
    agent = trajectory.agent
    version = str(trajectory.env.get("ise_gym", "unknown"))
    return {"name": str(agent.get("name", "unknown")), "version": version, "model_name": agent.get("model")}


def _embedded(trajectory: Trajectory, part: Conversation) -> dict[str, Any]:
    """Return a sub-session as a trajectory within its episode's; its ``session_id`` is the run's, so it has none."""
    steps = list(_steps(trajectory, part))
    return _without_none(
        {
            "schema_version": VERSION,
            "trajectory_id": part.id,
            "agent": {**_agent(trajectory), "tool_definitions": part.tools},
            "steps": steps,
            "final_metrics": {"total_steps": len(steps)},
            "extra": {"ise_gym": dict(part.session)},
        }
    )


def _sub_session(record: Mapping[str, Json], repairs: Counter[str]) -> dict[str, Any]:
    """Put a sub-session back together that `_embedded` took apart."""
    messages, rewards = _read(record, repairs, own=True)
    return {**dict_of(dict_of(record.get("extra")).get("ise_gym")), "messages": messages, "steps": rewards}


def from_atif(record: Json, repairs: Counter[str], where: str = "record") -> Trajectory:
    """Turn one ATIF trajectory into ours: the very same when `to_atif` made it, else ``unverified``.

    Args:
        record: the decoded JSON, of any ATIF version.
        repairs: counts of what had to be fixed.
        where: for messages.

    Raises:
        Unusable: no ATIF trajectory, or one without an agent's step.
        UserError: our own part of it was changed into something invalid.
    """
    if not isinstance(record, dict) or not str(record.get("schema_version", "")).startswith("ATIF-"):
        raise Unusable("not an ATIF trajectory (no schema_version ATIF-…)")
    own = dict_of(record.get("extra")).get("ise_gym")
    agent = dict_of(record.get("agent"))
    tools = list_of(agent.get("tool_definitions"), "tools", repairs)
    if not isinstance(own, dict):
        tools = schemas_of(tools, repairs)
    messages, rewards = _read(record, repairs, isinstance(own, dict))
    inside = [
        part
        for part in list_of(record.get("subagent_trajectories"), "sub-agents' trajectories", repairs)
        if isinstance(part, dict)
    ]
    if not isinstance(own, dict):
        repairs.update({"sub-agent's trajectory left out": len(inside)} if inside else {})
        return _foreign(record, agent, tools, messages)
    try:
        whole = {
            **own,
            "episode_id": record.get("trajectory_id"),
            "messages": messages,
            "tools": tools,
            "steps": rewards,
            # files of an earlier version kept them whole beside the other fields
            "sessions": [_sub_session(part, repairs) for part in inside] or own.get("sessions", []),
            "agent": dict_of(agent.get("extra")),
        }
        return Trajectory.model_validate(upgraded(whole))
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(f"{where}: extra.ise_gym: {first['loc']}: {first['msg']}") from error


def _read(
    record: Mapping[str, Json], repairs: Counter[str], own: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the messages of a trajectory, and what `to_atif` put beside its agent's steps."""
    messages: list[dict[str, Any]] = []
    rewards = []
    for step in list_of(record.get("steps"), "steps", repairs):
        if not isinstance(step, dict):
            repairs["step that is no object dropped"] += 1
            continue
        if own and "ise_gym" in dict_of(step.get("extra")):
            rewards.append({"message": len(messages), **dict_of(step["extra"]["ise_gym"])})
        messages += _messages(step, repairs, own)
    return messages, rewards


def _steps(trajectory: Trajectory, part: Conversation) -> Iterator[dict[str, Any]]:
    rewards = {step.message: step.model_dump(exclude={"message"}) for step in part.steps}
    opened: dict[str, list[dict[str, str]]] = {}
    for session in trajectory.sessions if not part.parent else ():
        for call in session.get("opened_by") or ():
            opened.setdefault(call, []).append({"trajectory_id": session_name(trajectory, session)})
    step: dict[str, Any] | None = None
    number = 0
    for position, message in enumerate(part.messages):
        if message["role"] == "tool" and step is not None:
            result = _result(message, step)
            if refs := opened.get(str(message.get("tool_call_id"))):
                result["subagent_trajectory_ref"] = refs
            step.setdefault("observation", {"results": []})["results"].append(result)
            continue
        if step is not None:
            yield _without_none(step)
        number += 1
        step = _step(number, message, rewards.get(position))
        if position < part.inherited:
            step["is_copied_context"] = True
        if number == 1 and trajectory.timings.started_at and not part.parent:
            step["timestamp"] = trajectory.timings.started_at
        if step["source"] == "agent" and position >= part.inherited:
            if "model" in trajectory.agent:
                step["llm_call_count"] = 1
            elif trajectory.agent.get("agent") in _SCRIPTED and "reasoning_content" not in step:
                step["llm_call_count"] = 0
    if step is not None:
        yield _without_none(step)


def _step(number: int, message: Mapping[str, Any], reward: Mapping[str, Json] | None) -> dict[str, Any]:
    """Begin a step with a message; a tool's result that follows nothing becomes one of the system."""
    step: dict[str, Any] = {
        "step_id": number,
        "source": _SOURCES.get(message["role"], "system"),
        "message": message["content"] if message["role"] != "tool" else "",
    }
    if message["role"] == "tool":
        step["extra"] = {"no_message": True}
        step["observation"] = {"results": [_result(message, step)]}
        return step
    if "reasoning_content" in message:
        step["reasoning_content"] = message["reasoning_content"]
    if "tool_calls" in message:
        step["tool_calls"] = [_call(call) for call in message["tool_calls"]]
    if other := {key: value for key, value in message.items() if key not in _KNOWN}:
        step["extra"] = {"message": other}
    if reward is not None:
        step.setdefault("extra", {})["ise_gym"] = dict(reward)
    return step


def _call(call: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a call's JSON text into an object; text that the object does not give back is kept beside it."""
    function = call["function"]
    text = function["arguments"]
    made = {"tool_call_id": call["id"], "function_name": function["name"], "arguments": {}}
    again = None
    try:
        decoded = json.loads(text)
        if isinstance(decoded, dict):
            again = json.dumps(decoded, ensure_ascii=False, allow_nan=False)
            made["arguments"] = decoded
    except (ValueError, RecursionError):
        pass  # what a model wrote need not be JSON; the text itself is kept below
    if again != text:
        made["extra"] = {"arguments_text": text}
    return made


def _result(message: Mapping[str, object], step: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a tool message into a result; it may name a call only when its own step made it."""
    extra = {k: v for k, v in message.items() if k not in ("role", "content", "tool_call_id")}
    result: dict[str, Any] = {"content": message["content"], "extra": extra}
    if message.get("tool_call_id") in {call["tool_call_id"] for call in step.get("tool_calls") or ()}:
        result["source_call_id"] = message["tool_call_id"]
    elif "tool_call_id" in message:
        extra["tool_call_id"] = message["tool_call_id"]
    return result


def _messages(step: Mapping[str, Json], repairs: Counter[str], own: bool) -> Iterator[dict[str, Any]]:
    """Yield the message and the results of one step; ``own`` when `to_atif` made it."""
    extra = dict_of(step.get("extra")) if own else {}
    asked = list_of(step.get("tool_calls"), "tool calls", repairs)
    calls = [call for call in asked if isinstance(call, dict) and (own or call.get("function_name"))]
    if len(calls) < len(asked):
        repairs["tool call without a function dropped"] += len(asked) - len(calls)
    if not extra.get("no_message"):
        role = _ROLES.get(str(step.get("source")), "")
        if not role:
            repairs["step of an unknown source dropped"] += 1
            return
        message: dict[str, Any] = {"role": role, "content": text_of(step.get("message"), repairs)}
        if step.get("reasoning_content") is not None:
            message["reasoning_content"] = text_of(step["reasoning_content"], repairs)
            if not own and message["content"] and message["reasoning_content"] == message["content"]:
                repairs["thinking that repeats the words left out"] += 1
                del message["reasoning_content"]
        if calls or (own and "tool_calls" in step):
            message["tool_calls"] = [_own_call(call) for call in calls]
        if role == "assistant" and not own:
            set_apart(message, repairs)
        yield {**message, **dict_of(extra.get("message"))}
    names = {str(call.get("tool_call_id", "")): str(call.get("function_name", "")) for call in calls}
    found = list_of(dict_of(step.get("observation")).get("results"), "results", repairs)
    results = [_result_of(one, names, repairs) for one in found]
    if not own:
        _answered_in_order(results, list(names), repairs)
    for result in results:
        call_id = result.get("source_call_id")
        if own:
            known = {} if call_id is None else {"tool_call_id": call_id}
            yield {"role": "tool", "content": result["content"], **known, **dict_of(result.get("extra"))}
        elif str(call_id) in names:
            text = text_of(result.get("content"), repairs)
            yield {"role": "tool", "content": text, "tool_call_id": str(call_id), "name": names[str(call_id)]}
        else:
            repairs["result that answers no call dropped"] += 1


def _result_of(raw: Json, names: Mapping[str, str], repairs: Counter[str]) -> dict[str, Any]:
    """Return one result as an object; a bare text answers the step's call where it made just one."""
    if isinstance(raw, dict):
        return raw
    repairs["result that is no object"] += 1
    only = next(iter(names)) if len(names) == 1 else None
    return {"content": raw if isinstance(raw, str) else text_of(raw, repairs), "source_call_id": only}


def _answered_in_order(results: list[dict[str, Any]], calls: Sequence[str], repairs: Counter[str]) -> None:
    """Give results that name no call to the calls of their step, in order: Harbor's converters leave the names out."""
    if len(results) > len(calls) or any(result.get("source_call_id") is not None for result in results):
        return
    for place, call in enumerate(calls[: len(results)]):
        results[place] = {**results[place], "source_call_id": call}
        repairs["result without its call given to the call at its place"] += 1


def _own_call(call: Mapping[str, Json]) -> dict[str, Any]:
    kept = dict_of(call.get("extra")).get("arguments_text")
    given = call.get("arguments") or {}
    text = (
        kept
        if isinstance(kept, str)
        else given
        if isinstance(given, str)
        else json.dumps(given, ensure_ascii=False)
    )
    return {
        "id": str(call.get("tool_call_id", "")),
        "type": "function",
        "function": {"name": str(call.get("function_name", "")), "arguments": text},
    }


def _foreign(
    record: Mapping[str, Any],
    agent: Mapping[str, Any],
    tools: list[dict[str, Any]],
    messages: Sequence[dict[str, Any]],
) -> Trajectory:
    """Build the record of an episode that another program recorded."""
    if not any(m["role"] == "assistant" for m in messages):
        raise Unusable("no agent step")
    name = str(record.get("trajectory_id") or record.get("session_id") or sha256_of(list(messages))[:12])
    first = next((m["content"] for m in messages if m["role"] == "user"), "")
    metrics = dict_of(record.get("final_metrics"))
    tokens = {k: metrics.get(f"total_{k}") for k in ("prompt_tokens", "completion_tokens", "cached_tokens")}
    return Trajectory(
        episode_id=episode_id(name, 0, f"atif:{agent.get('name', '')}"),
        scenario_id=name,
        seed=0,
        intent=first,
        outcome="unverified",
        reason="recorded elsewhere, without checks",
        score=None,
        counts={
            "user_turns": sum(m["role"] == "user" for m in messages),
            "messages": sum(m["role"] != "system" for m in messages),
            "tool_calls": sum(len(m.get("tool_calls") or ()) for m in messages),
            **{key: count for key, count in tokens.items() if isinstance(count, int)},
        },
        messages=list(messages),
        tools=tools,
        agent={"name": str(agent.get("name", "atif"))}
        | ({"model": str(agent["model_name"])} if agent.get("model_name") else {}),
        user={"name": "atif"},
        metadata={"imported": "atif", "schema_version": record["schema_version"]},
    )


def _without_none(value: Mapping[str, Json]) -> dict[str, Any]:
    """Leave out optional fields that are unknown, one level deep and in ``agent`` and ``final_metrics``."""
    kept = {}
    for key, item in value.items():
        if key in ("agent", "final_metrics") and isinstance(item, Mapping):
            item = {k: v for k, v in item.items() if v is not None}
        if item is not None:
            kept[key] = item
    return kept
