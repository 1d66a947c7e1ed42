"""What evaluation harnesses record → trajectories: logs of inspect_ai, traces of verifiers, results of τ²-bench.

All three hold chat messages in dialects of their own; they are brought into OpenAI's, and from there on read as any
other conversation is, with the same repairs. Scores are kept in the metadata as they stand: they are those of the
harness's own checks, so an imported episode is ``unverified`` here.

Sources: ``EvalLog`` of inspect_ai (log version 2; ``.json``, and ``.eval`` archives), ``WireEpisode`` of verifiers 0.4
(``traces.jsonl``; a trace is a tree of messages, of which the main branch is read), ``Results`` of τ²-bench.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ise_gym.foreign.values import Json
from ise_gym.trajectory.exchange.foreign import Unusable, dict_of, list_of, schemas_of
from ise_gym.trajectory.exchange.isetrace import chat_messages
from ise_gym.trajectory.record import Trajectory, episode_id

_ATTACHMENT = "attachment://"


# -- inspect_ai ------------------------------------------------------------------------------------


def inspect_samples(log: Json) -> Iterator[Any]:
    """Yield the samples of a log, each with what the log says of all; a sample that stands alone is one already."""
    if not isinstance(log, dict) or "samples" not in log:
        yield log
        return
    spec = dict_of(log.get("eval"))
    for sample in log["samples"] or ():
        yield {**dict_of(sample), "eval": {"task": spec.get("task"), "model": spec.get("model")}}


def from_inspect(record: Json, repairs: Counter[str], where: str = "record") -> Trajectory:
    """Turn one sample of an inspect log into a trajectory; counts what had to be mended.

    Raises:
        Unusable: no sample, or one in which no model spoke.
    """
    sample = dict_of(record)
    if "messages" not in sample or "id" not in sample:
        raise Unusable("not a sample of an inspect log")
    texts = dict_of(sample.get("attachments"))
    raw = [_attached(m, texts) for m in list_of(sample.get("messages"), "messages", repairs)]
    spec, scores = dict_of(sample.get("eval")), dict_of(sample.get("scores"))
    return _episode(
        "inspect",
        name=str(sample["id"]),
        number=int(sample.get("epoch") or 1),
        messages=[_of_inspect(dict_of(m)) for m in raw],
        tools=_inspect_tools(sample, texts, repairs),
        agent=str(spec.get("model") or next((m["model"] for m in raw if dict_of(m).get("model")), "inspect")),
        metadata={
            "task": spec.get("task"),
            "scores": {name: dict_of(score).get("value") for name, score in scores.items()},
            "error": dict_of(sample.get("error")).get("message"),
            "limit": dict_of(sample.get("limit")).get("type"),
        },
        repairs=repairs,
    )


def _attached(value: object, texts: Mapping[str, object]) -> Any:
    """Put back the long texts that a log keeps once."""
    if isinstance(value, str) and value.startswith(_ATTACHMENT):
        return texts.get(value.removeprefix(_ATTACHMENT), value)
    if isinstance(value, list):
        return [_attached(item, texts) for item in value]
    if isinstance(value, dict):
        return {key: _attached(item, texts) for key, item in value.items()}
    return value


def _of_inspect(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    parts = [dict_of(part) for part in content] if isinstance(content, list) else []
    thoughts = [str(p.get("reasoning") or "") for p in parts if p.get("type") == "reasoning"]
    words = [p for p in parts if p.get("type") != "reasoning"]
    made = {"role": message.get("role"), "content": words if parts else content}
    if message.get("role") == "tool":
        made |= {"tool_call_id": message.get("tool_call_id"), "name": message.get("function")}
        made |= {"success": False} if message.get("error") else {}
        if isinstance(code := dict_of(message.get("metadata")).get("exit_code"), int):
            made["exit_code"] = code
    if message.get("tool_calls"):
        made["tool_calls"] = [_called(dict_of(c), "function") for c in message["tool_calls"]]
    return made | ({"reasoning_content": "\n".join(thoughts)} if any(thoughts) else {})


def _called(call: Mapping[str, object], name: str) -> dict[str, Any]:
    function = {"name": call.get(name), "arguments": call.get("arguments")}
    return {"id": call.get("id"), "type": "function", "function": function}


def _inspect_tools(sample: Mapping[str, Json], texts: Mapping[str, Json], repairs: Counter[str]) -> list[Any]:
    """Return the tools of the first event in which a model was asked; those pooled elsewhere are not looked for."""
    for event in list_of(sample.get("events"), "events", repairs):
        if dict_of(event).get("event") == "model" and isinstance(event.get("tools"), list) and event["tools"]:
            return [{"type": "function", "function": tool} for tool in _attached(event["tools"], texts)]
    return []


# -- verifiers -------------------------------------------------------------------------------------


def verifiers_traces(episode: Json) -> Iterator[Any]:
    """Yield the traces of an episode: one an agent."""
    found = dict_of(episode)
    if not isinstance(found.get("traces"), list):
        yield episode
        return
    for trace in found["traces"]:
        yield {**dict_of(trace), "episode": found.get("id")}


def from_verifiers(record: Json, repairs: Counter[str], where: str = "record") -> Trajectory:
    """Turn one trace into a trajectory; of several branches the longest that begins at the root is read.

    Raises:
        Unusable: no trace, or one in which no model spoke.
    """
    trace = dict_of(record)
    nodes = [dict_of(node) for node in list_of(trace.get("nodes"), "nodes", repairs)]
    if not nodes:
        raise Unusable("not a trace of verifiers (no nodes)")
    branch = _longest(nodes)
    if len(branch) < len(nodes):
        repairs["message of another branch left out"] += len(nodes) - len(branch)
    task, agent = dict_of(dict_of(trace.get("task")).get("data")), dict_of(trace.get("agent"))
    rewards = {name: dict_of(one).get("score") for name, one in dict_of(trace.get("rewards")).items()}
    tools = [
        {"type": "function", "function": {k: v for k, v in dict_of(t).items() if k != "type"}}
        for t in list_of(trace.get("tools"), "tools", repairs)
    ]
    return _episode(
        "verifiers",
        name=str(task.get("name") or trace.get("id")),
        number=str(trace.get("id")),
        messages=[_of_verifiers(dict_of(nodes[n].get("message"))) for n in branch],
        tools=tools,
        agent=str(dict_of(agent.get("config")).get("model") or agent.get("name") or "verifiers"),
        metadata={
            "rewards": rewards,
            "metrics": trace.get("metrics"),
            "ok": trace.get("ok"),
            "episode": trace.get("episode"),
        },
        repairs=repairs,
    )


def _longest(nodes: Sequence[Mapping[str, object]]) -> list[int]:
    best: list[int] = []
    depth: list[int] = []
    for number, node in enumerate(nodes):
        parent = node.get("parent")
        above = parent if isinstance(parent, int) and 0 <= parent < number else -1
        depth.append(1 if above < 0 else depth[above] + 1)
    at: int | None = max(range(len(nodes)), key=depth.__getitem__)
    while at is not None and at >= 0:
        best.append(at)
        parent = nodes[at].get("parent")
        at = parent if isinstance(parent, int) and 0 <= parent < at else None
    return best[::-1]


def _of_verifiers(message: dict[str, Any]) -> dict[str, Any]:
    calls = [
        _called(dict_of(c), "name") for c in message.get("tool_calls") or () if "function" not in dict_of(c)
    ]
    made = {**message, "content": message.get("content") or ""}
    return made | ({"tool_calls": calls} if calls else {})


# -- τ²-bench --------------------------------------------------------------------------------------


def tau2_simulations(results: Json) -> Iterator[Any]:
    """Yield the simulations of a results file, each with who acted."""
    found = dict_of(results)
    if not isinstance(found.get("simulations"), list):
        yield results
        return
    info = dict_of(found.get("info"))
    for simulation in found["simulations"]:
        yield {**dict_of(simulation), "info": info}


def from_tau2(record: Json, repairs: Counter[str], where: str = "record") -> Trajectory:
    """Turn one simulation into a trajectory; what its user did with tools of its own is left out and counted.

    Raises:
        Unusable: no simulation, or one in which no agent spoke.
    """
    run = dict_of(record)
    if "task_id" not in run or "messages" not in run:
        raise Unusable("not a simulation of τ²-bench")
    info = dict_of(run.get("info"))
    reward, agent = dict_of(run.get("reward_info")), dict_of(info.get("agent_info"))
    policy = dict_of(info.get("environment_info")).get("policy")
    messages = [{"role": "system", "content": policy}] if isinstance(policy, str) and policy else []
    messages += _of_tau2(list_of(run.get("messages"), "messages", repairs), repairs)
    return _episode(
        "tau2",
        name=str(run["task_id"]),
        number=str(run.get("id") or run.get("trial") or 0),
        messages=messages,
        tools=[],
        agent=str(agent.get("llm") or agent.get("implementation") or "tau2"),
        metadata={
            "reward": reward.get("reward"),
            "domain": dict_of(info.get("environment_info")).get("domain_name"),
            "termination_reason": run.get("termination_reason"),
            "trial": run.get("trial"),
        },
        repairs=repairs,
    )


def _of_tau2(raw: Sequence[Json], repairs: Counter[str]) -> list[dict[str, Any]]:
    messages = []
    for message in map(dict_of, raw):
        results = message.get("tool_messages")  # several at once are one message there
        for one in map(dict_of, results if isinstance(results, list) else [message]):
            if one.get("role") == "tool":
                if one.get("requestor") == "user":
                    repairs["result of a user's own tool left out"] += 1
                    continue
                kept = {"role": "tool", "content": one.get("content"), "tool_call_id": one.get("id")}
                messages.append({**kept, **({"success": False} if one.get("error") else {})})
                continue
            made = {"role": one.get("role"), "content": one.get("content") or ""}
            calls = [dict_of(c) for c in one.get("tool_calls") or ()]
            if calls and one.get("role") == "user":
                repairs["call of a user's own tool left out"] += len(calls)
                if not made["content"]:
                    continue
            elif calls:
                made["tool_calls"] = [_called(c, "name") for c in calls]
            messages.append(made)
    return messages


# -- all -------------------------------------------------------------------------------------------


def _episode(
    format: str,
    *,
    name: str,
    number: int | str,
    messages: Sequence[Json],
    tools: Sequence[Any],
    agent: str,
    metadata: Mapping[str, Json],
    repairs: Counter[str],
) -> Trajectory:
    found = chat_messages(messages, repairs)
    if not any(m["role"] == "assistant" for m in found):
        raise Unusable("no assistant message")
    return Trajectory(
        episode_id=episode_id(name, 0, f"{format}:{agent}:{number}"),
        scenario_id=name,
        seed=0,
        intent=next((m["content"] for m in found if m["role"] == "user"), ""),
        outcome="unverified",
        reason="recorded elsewhere, without checks of ours",
        score=None,
        counts={
            "user_turns": sum(m["role"] == "user" for m in found),
            "messages": sum(m["role"] != "system" for m in found),
            "tool_calls": sum(len(m.get("tool_calls") or ()) for m in found),
        },
        messages=found,
        tools=schemas_of(list(tools), repairs),
        agent={"name": agent},
        user={"name": format},
        metadata={"imported": format, **{k: v for k, v in metadata.items() if v is not None}},
    )
