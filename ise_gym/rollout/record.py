"""Builds an episode's record: the one place that says what of a scenario, an agent and an episode is kept.

A finished episode, one that broke halfway and one of which nothing is left but why it broke are recorded by the same
lines, so whatever went wrong, who asked for what stays known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ise_gym.episode.episode import Episode
from ise_gym.foreign.values import Json
from ise_gym.messages import sha256_of
from ise_gym.rollout.explained import findings, guard_events
from ise_gym.scenario import Scenario
from ise_gym.scenario.carried import packed
from ise_gym.trajectory.record import Outcome, Timings, Trajectory, episode_id


def build(
    scenario: Scenario,
    seed: int,
    agent: Mapping[str, Any],
    episode: Episode | None = None,
    *,
    outcome: Outcome | None = None,
    reason: str = "",
    env: Mapping[str, Any] | None = None,
    detail: str = "",
) -> Trajectory:
    """Build the record of one episode.

    Args:
        scenario: what was to be played.
        seed: of env and agent.
        agent: ``name``, and what `ise_gym.agents.base.Agent.describe` gave.
        episode: the env's episode, over or not; without one only the scenario's and the agent's part is filled.
        outcome: how it ended, when that isn't for the episode to say; an infrastructure error when nobody says.
        reason: why, together with ``outcome``.
        env: the env's description.
        detail: a traceback, kept in the metadata.
    """
    messages: list[dict[str, Any]] = [dict(m) for m in episode.messages] if episode else []
    tools: list[dict[str, Any]] = [dict(t) for t in episode.tool_schemas] if episode else []
    hashes = {"tools": sha256_of(tools)}
    if messages and messages[0]["role"] == "system":
        hashes["system_prompt"] = sha256_of(messages[0]["content"])
    if template := agent.get("chat_template_sha256"):
        hashes["chat_template"] = template
    if outcome is None:
        outcome = cast("Outcome", (episode.outcome if episode else "") or "infrastructure_error")
        reason = episode.reason if episode else reason or "the episode did not start"
    metadata: dict[str, Any] = plain(scenario.metadata)
    return Trajectory(
        episode_id=episode_id(scenario.id, seed, agent["name"]),
        scenario_id=scenario.id,
        seed=seed,
        intent=scenario.intent,
        brief=scenario.brief,
        persona=scenario.persona.to_json(),
        domains=list(scenario.domains),
        tasks=list(scenario.tasks),
        complexity=scenario.complexity,
        split=scenario.split,
        outcome=outcome,
        reason=reason,
        score=episode.score if episode and episode.subgoals else None,
        subgoals=dict(episode.subgoals) if episode else {},
        findings=findings(scenario, episode) if episode else [],
        first_attempt=episode.first_attempt if episode and outcome == episode.outcome else None,
        counts=dict(episode.counts) if episode else {},
        messages=messages,
        tools=tools,
        steps=list(episode.steps) if episode else [],
        sessions=[plain(session) for session in episode.sessions] if episode else [],
        agent=plain(agent),
        user=plain(episode.user_report) if episode else {},
        hashes=hashes,
        env=plain(env or {}),
        guard_events=guard_events(episode.user_report, messages) if episode else [],
        scenario=packed(scenario),
        metadata={**metadata, "detail": detail} if detail else metadata,
        timings=episode.timings.model_copy(deep=True) if episode else Timings(),
    )


def plain(value: Json) -> Any:
    """Turn mappings and sequences of any kind into the dicts and lists that JSON has."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        items = sorted(value) if isinstance(value, set | frozenset) else value
        return [plain(item) for item in items]
    return value
