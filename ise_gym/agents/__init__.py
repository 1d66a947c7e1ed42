"""Who acts: the scripted expert, an OpenAI-compatible endpoint, a local transformers model, or a package's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ise_gym.agents.base import Agent
from ise_gym.errors import UserError, nearest
from ise_gym.models.fitting import check_options

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
    kind, colon, rest = _parts(spec)
    if kind not in AGENTS:
        from ise_gym.agents.plugins import make_plugin

        return make_plugin(kind, rest, options)
    make = _built_in(kind)
    options, first = _arguments(kind, rest, colon, options)
    check_options(make, options, f"agent '{spec}'", given=len(first))
    return make(*first, **options)


def check_agent(spec: str, **options: Any) -> None:
    """Check a description and its options as `make_agent` would, without loading a local model.

    Raises:
        UserError: as `make_agent`.
    """
    kind, *_ = _parts(spec)
    if kind == "transformers":
        check_options(_built_in(kind), options, f"agent '{spec}'", given=1)
    else:
        make_agent(spec, **options).close()


def _parts(spec: str) -> tuple[str, str, str]:
    """Split a description into kind, colon and the rest, and refuse an unknown or incomplete one."""
    kind, colon, rest = spec.partition(":")
    known = AGENTS if kind in AGENTS else known_agents()
    if kind not in known:
        raise UserError(f"unknown agent '{spec}'.{nearest(kind, known)} Known: {'; '.join(known.values())}.")
    if kind in ("openai", "transformers") and not rest:
        raise UserError(f"'{spec}' is incomplete: write {AGENTS[kind]}")
    if kind == "lazy" and colon:
        raise UserError(f"'{spec}': write {AGENTS[kind]}")
    return kind, colon, rest


def _built_in(kind: str) -> Callable[..., Agent]:
    """Return the class of a kind; only here, since some bring heavy packages."""
    match kind:
        case "expert":
            from ise_gym.agents.expert import ExpertAgent

            return ExpertAgent
        case "lazy":
            from ise_gym.agents.expert import LazyAgent

            return LazyAgent
        case "openai":
            from ise_gym.agents.openai import OpenAIAgent

            return OpenAIAgent
        case _:
            from ise_gym.agents.transformers import TransformersAgent

            return TransformersAgent


def _arguments(
    kind: str, rest: str, colon: str, options: dict[str, Any]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return keyword and positional arguments: what stands after the colon is one of either."""
    if kind == "expert" and colon:
        return {**options, "quality": _quality(rest)}, ()
    return options, (rest,) if kind in ("openai", "transformers") else ()


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"'expert:{text}': the quality must be a number from 0 to 1") from None


__all__ = ["AGENTS", "Agent", "check_agent", "known_agents", "make_agent"]
