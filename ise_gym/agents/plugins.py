"""Agents of other packages: what installed distributions register under the entry point group ``ise_gym.agents``.

An entry point names a class, or a function, that makes an agent (`ise_gym.agents.base.Agent` or ``BatchAgent``). It is
called with the text after the colon of ``--agent NAME:TEXT``, when there is one, and with the options as keywords.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from ise_gym.agents.base import Agent
from ise_gym.errors import UserError
from ise_gym.models.fitting import check_options

GROUP = "ise_gym.agents"
_ALWAYS = ("name", "describe", "close")


def plugins() -> dict[str, list[EntryPoint]]:
    """Return the entry points by name; several when distributions claim the same one. Loads nothing."""
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        others = found.setdefault(point.name, [])
        # a distribution that is on the path twice is no conflict; equality alone would also hide a real one
        if (point.value, _origin(point)) not in [(other.value, _origin(other)) for other in others]:
            others.append(point)
    return found


def make_plugin(name: str, argument: str, options: dict[str, Any]) -> Agent:
    """Make the agent that a distribution registered.

    Args:
        name: of the entry point.
        argument: the text after the colon; "" is none.
        options: keyword arguments.

    Raises:
        UserError: two distributions claim the name, the code can't be loaded, or what it makes is no agent.
    """
    points = plugins()[name]
    if len(points) > 1:
        origins = ", ".join(map(_origin, points))
        raise UserError(
            f"agent '{name}' is registered by several packages ({origins}): uninstall all but one"
        )
    (point,) = points
    try:
        factory = point.load()
    except (ImportError, AttributeError) as error:
        raise UserError(
            f"agent '{name}' of {_origin(point)} can't be loaded ({point.value}: {error})"
        ) from error
    if not callable(factory):
        raise UserError(
            f"agent '{name}' of {_origin(point)}: {point.value} is neither a class nor a function"
        )
    given = [argument] if argument else []
    check_options(factory, options, f"agent '{name}'", given=len(given))
    agent = factory(*given, **options)
    missing = [part for part in _ALWAYS if not hasattr(agent, part)]
    if not hasattr(agent, "act_batch"):
        missing += [part for part in ("reset", "act") if not hasattr(agent, part)]
    if missing:
        raise UserError(
            f"agent '{name}' of {_origin(point)} is no agent: it lacks {', '.join(missing)} "
            "(see ise_gym.agents.base.Agent)"
        )
    return cast("Agent", agent)


def _origin(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "an unnamed package"
