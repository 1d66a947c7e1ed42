"""Who acts: the scripted expert, an OpenAI-compatible endpoint, a local transformers model, or a package's own."""

from __future__ import annotations

from typing import Any

from ise_gym.agents.base import Agent
from ise_gym.errors import UserError, nearest

AGENTS = {
    "expert": "expert or expert:QUALITY (scripted; quality from 0 to 1)",
    "lazy": "lazy (claims without acting)",
    "openai": "openai:MODEL (an OpenAI-compatible endpoint)",
    "transformers": "transformers:DIR (a local model)",
}
"""Kind of agent → how it is written. Other packages add to these, see `ise_gym.agents.plugins`."""


def known_agents() -> dict[str, str]:
    """Return every kind of agent, those of installed packages included, and how it is written."""
    from ise_gym.agents.plugins import plugins

    return {**{name: f"{name} or {name}:… (a plug-in)" for name in plugins()}, **AGENTS}


def make_agent(spec: str, **options: Any) -> Agent:
    """Make an agent from its short description.

    Args:
        spec: ``expert``, ``expert:0.7``, ``lazy``, ``openai:MODEL``, ``transformers:DIR``, or the name of a package's
            agent with or without ``:ARGUMENT``. A package can't replace an agent of this project.
        options: keyword arguments of the agent's class (``base_url``, ``temperature``, ``adapter``, …).

    Raises:
        UserError: unknown kind, a part missing or too much, or an option the agent does not know.

    >>> make_agent("expert:0.7").name
    'expert:0.7'
    """
    kind, colon, rest = spec.partition(":")
    known = AGENTS if kind in AGENTS else known_agents()
    if kind not in known:
        raise UserError(f"unknown agent '{spec}'.{nearest(kind, known)} Known: {'; '.join(known.values())}.")
    if kind in ("openai", "transformers") and not rest:
        raise UserError(f"'{spec}' is incomplete: write {AGENTS[kind]}")
    if kind == "lazy" and colon:
        raise UserError(f"'{spec}': write {AGENTS[kind]}")
    try:
        return _make(kind, rest, colon, options)
    except TypeError as error:
        if "unexpected keyword argument" in str(error):
            raise UserError(f"agent '{spec}': {str(error).partition('() ')[2]}") from error
        raise


def _make(kind: str, rest: str, colon: str, options: dict[str, Any]) -> Agent:
    match kind:
        case "expert":
            from ise_gym.agents.expert import ExpertAgent

            if colon:
                options = {**options, "quality": _quality(rest)}
            return ExpertAgent(**options)
        case "lazy":
            from ise_gym.agents.expert import LazyAgent

            return LazyAgent(**options)
        case "openai":
            from ise_gym.agents.openai import OpenAIAgent

            return OpenAIAgent(rest, **options)
        case "transformers":
            from ise_gym.agents.transformers import TransformersAgent

            agent: Agent = TransformersAgent(rest, **options)
            return agent
        case _:
            from ise_gym.agents.plugins import make_plugin

            return make_plugin(kind, rest, options)


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"'expert:{text}': the quality must be a number from 0 to 1") from None


__all__ = ["AGENTS", "Agent", "known_agents", "make_agent"]
