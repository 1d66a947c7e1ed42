"""Who acts: the scripted expert, an OpenAI-compatible endpoint, a local transformers model, or a package's own."""

from __future__ import annotations

from typing import cast

from ise_gym.agents.base import Agent
from ise_gym.errors import UserError
from ise_gym.registry import entries, load, make, maker, origin, split, usage

_ALWAYS = ("name", "describe", "close")


def known_agents() -> dict[str, str]:
    """Return every kind of agent, those of installed packages included, and how it is written."""
    return {name: usage("agent", name) for name in entries("agent")}


def make_agent(spec: str, **options: object) -> Agent:
    """Make an agent from its short description.

    Args:
        spec: ``expert``, ``expert:0.7``, ``lazy``, ``openai:MODEL``, ``transformers:DIR``, the name of a package's
            agent, or ``module:Name``; the last two with or without ``:ARGUMENT``. See `ise_gym.registry`.
        options: keyword arguments of the agent's class (``base_url``, ``temperature``, ``adapter``, …).

    Raises:
        UserError: unknown kind, a part missing or too much, or an option the agent does not know.

    >>> make_agent("expert:0.7").name
    'expert:0.7'
    """
    name, _ = split("agent", spec)
    made = make("agent", spec, options, _ALWAYS)
    missing = [part for part in ("reset", "act") if not hasattr(made, part)]
    if missing and not hasattr(made, "act_batch"):
        raise UserError(
            f"agent '{name}' of {origin('agent', name)} is not an agent: it lacks {', '.join(missing)} "
            "(see ise_gym.agents.base.Agent)"
        )
    return cast("Agent", made)


def check_agent(spec: str, **options: object) -> None:
    """Check a description and its options as `make_agent` would, but load no model (a class that is ``heavy``).

    Raises:
        UserError: as `make_agent`.
    """
    name, _ = split("agent", spec)
    if getattr(load("agent", name), "heavy", False):
        maker("agent", spec, options)
    else:
        make_agent(spec, **options).close()


__all__ = ["Agent", "check_agent", "known_agents", "make_agent"]
