"""What the index holds of an episode: figures to filter and sort by, names to count, and texts to search."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.stats import recoveries
from ise_gym.trajectory.wellformed import amount, whole
from ise_gym.view.index.words import BREAK

INTENT_KEPT = 320
LONGEST_TEXT = 20_000
"""Characters of one message, call or result that are searched: of what is longer, its beginning and its end."""

FIGURES: Mapping[str, str] = {
    "episode_id": "TEXT", "scenario_id": "TEXT", "seed": "INTEGER", "outcome": "TEXT", "reason": "TEXT",
    "score": "REAL", "held": "INTEGER", "goals": "INTEGER", "first_attempt": "INTEGER", "judged": "INTEGER",
    "complexity": "TEXT", "split": "TEXT", "agent": "TEXT", "user": "TEXT", "who": "TEXT", "intent": "TEXT",
    "turns": "INTEGER", "messages": "INTEGER", "calls": "INTEGER", "failed": "INTEGER", "recovered": "INTEGER",
    "verified": "INTEGER", "refused": "INTEGER", "fallbacks": "INTEGER", "cut": "INTEGER", "sessions": "INTEGER",
    "tokens": "INTEGER", "cost": "REAL", "seconds": "REAL", "started": "TEXT",
}  # fmt: skip
"""Column → type of its value."""
TAGS = ("domain", "task", "tool")


@dataclass(frozen=True)
class Facts:
    """One episode: values of `FIGURES` in order, (kind, value) tags, and a text for each searched column."""

    figures: tuple[Any, ...]
    tags: tuple[tuple[str, str], ...]
    texts: tuple[str, ...]


def facts_of(trajectory: Trajectory) -> Facts:
    """Return what the index holds of an episode."""
    found, tools = figures_of(trajectory), sorted(_tools(trajectory))
    tags = [
        *(("domain", name) for name in dict.fromkeys(trajectory.domains)),
        *(("task", name) for name in dict.fromkeys(trajectory.tasks)),
        *(("tool", name) for name in tools),
    ]
    return Facts(tuple(found[name] for name in FIGURES), tuple(tags), texts_of(trajectory))


def figures_of(trajectory: Trajectory) -> dict[str, Any]:
    """Return the value of each of `FIGURES`."""
    t, repaired = trajectory, recoveries(trajectory)
    guard = t.user.get("guard")
    guard = guard if isinstance(guard, Mapping) else {}
    spent = [side["usage"] for side in (t.agent, t.user) if isinstance(side.get("usage"), Mapping)]
    costs = [cost for usage in spent if (cost := amount(usage.get("cost"))) is not None]
    return {
        "episode_id": t.episode_id,
        "scenario_id": t.scenario_id,
        "seed": str(t.seed) if abs(t.seed) >> 62 else t.seed,
        "outcome": t.outcome,
        "reason": t.reason[:INTENT_KEPT],
        "score": t.score,
        "held": sum(t.subgoals.values()),
        "goals": len(t.subgoals),
        "first_attempt": t.first_attempt,
        "judged": bool(t.judged),
        "complexity": t.complexity,
        "split": t.split,
        "agent": str(t.agent.get("name") or ""),
        "user": str(t.user.get("name") or ""),
        "who": who(t),
        "intent": t.intent[:INTENT_KEPT],
        "turns": sum(m["role"] == "user" for m in t.messages),
        "messages": sum(m["role"] != "system" for m in t.messages),
        "calls": sum(len(m.get("tool_calls") or ()) for m in t.messages),
        "failed": repaired.failed,
        "recovered": repaired.recovered,
        "verified": repaired.verified,
        "refused": whole(guard.get("drifted")),
        "fallbacks": whole(guard.get("fallbacks")),
        "cut": sum(s.completion is not None and s.completion.ended == "cut" for s in t.steps),
        "sessions": len(t.sessions),
        "tokens": sum(whole(u.get("prompt_tokens")) + whole(u.get("completion_tokens")) for u in spent),
        "cost": sum(costs) if costs else None,
        "seconds": t.timings.total_s,
        "started": t.timings.started_at,
    }


def who(trajectory: Trajectory) -> str:
    """Return the persona's name and role."""
    return ", ".join(str(trajectory.persona.get(k) or "") for k in ("name", "role")).strip(", ")


def _tools(trajectory: Trajectory) -> set[str]:
    return {c["function"]["name"] for m in trajectory.messages for c in m.get("tool_calls") or ()}


def texts_of(trajectory: Trajectory) -> tuple[str, ...]:
    """Return what is searched, in the order of `ise_gym.view.index.words.COLUMNS`; sub-sessions included."""
    said: dict[str, list[str]] = {"user": [], "agent": [], "thought": [], "call": [], "result": []}
    for messages in (trajectory.messages, *(_own(session) for session in trajectory.sessions)):
        for message in messages:
            for column, text in parts_of(message):
                said[column].append(bounded(text))
    t = trajectory
    goals = [text for f in t.findings for text in (f.expected, f.found)]
    guarded = [text for event in t.guard_events for text in (event.detector, event.words, event.said)]
    about = [
        *(t.episode_id, t.scenario_id, t.intent, t.brief, t.outcome, t.reason, t.complexity),
        *(str(value) for key, value in t.persona.items() if key != "voice"),
        *(*t.domains, *t.tasks, *t.subgoals, *goals, *guarded, str(t.agent.get("name") or "")),
    ]
    joint = f" {BREAK} "
    return (*(joint.join(texts) for texts in said.values()), joint.join(bounded(text) for text in about))


def parts_of(message: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Yield (column, text) of what a message says; the system prompt, the same everywhere, is not searched."""
    role, content = message["role"], message.get("content")
    content = content if isinstance(content, str) else ""
    if role in ("user", "tool") and content:
        yield ("user" if role == "user" else "result"), content
    elif role == "assistant":
        if content:
            yield "agent", content
        if isinstance(thought := message.get("reasoning_content"), str) and thought:
            yield "thought", thought
        for call in message.get("tool_calls") or ():
            yield "call", call["function"]["name"]
            yield from (("call", text) for _, text in arguments_of(call["function"]["arguments"]))


def arguments_of(text: str) -> list[tuple[str, str]]:
    """Return (name, value as it is read) of a call's arguments; ("", all of it) where they are no JSON object.

    >>> arguments_of('{"path": "a", "lines": [1, 2]}')
    [('path', 'a'), ('lines', '[1, 2]')]
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return [("", text)]
    if not isinstance(value, dict):
        return [("", text)]
    return [(k, v if isinstance(v, str) else json.dumps(v, ensure_ascii=False)) for k, v in value.items()]


def _own(session: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    messages: list[Mapping[str, Any]] = session["messages"]
    return messages[whole(session.get("inherited")) :]


def bounded(text: str) -> str:
    """Return a text's beginning and end."""
    if len(text) <= LONGEST_TEXT:
        return text
    return f"{text[: LONGEST_TEXT // 2]} {BREAK} {text[-LONGEST_TEXT // 2 :]}"
