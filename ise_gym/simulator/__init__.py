"""S: who asks. User simulators and the guard that keeps them users."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from ise_gym.errors import UserError
from ise_gym.registry import entries, make, usage
from ise_gym.simulator.base import UserSimulator
from ise_gym.simulator.baselines import NaiveUser, SingleTurnUser
from ise_gym.simulator.guard import Judge, RoleGuard
from ise_gym.simulator.human import HumanUser
from ise_gym.simulator.scripted import ScriptedUser


def known_users() -> dict[str, str]:
    """Return every kind of user simulator, those of installed packages included, and how it is written."""
    return {name: usage("user", name) for name in entries("user")}


def make_user(
    spec: str | Callable[..., UserSimulator],
    guard: bool = True,
    judge: Judge | None = None,
    **options: object,
) -> UserSimulator:
    """Build a user simulator from its name or from a function that makes one.

    Args:
        spec: scripted, single-turn, naive, human, ``llm:MODEL`` (an OpenAI-compatible endpoint), the name of a
            package's simulator, ``module:Name``, or a function. See `ise_gym.registry`.
        guard: put a `RoleGuard` around it, unless the simulator says of itself that it wants none (``guarded``).
        judge: the guard's second opinion, such as `ise_gym.simulator.judge.LLMJudge`.
        options: keyword arguments of the simulator (``patience``; of a model ``base_url``, ``temperature``, …).

    Raises:
        UserError: the name or an option is not known, or a model has no endpoint.
    """
    if isinstance(spec, str):
        inner = cast("UserSimulator", make("user", spec, options, ("reset", "respond")))
    else:
        inner = _called(spec, options)
    return RoleGuard(inner, judge=judge) if guard and getattr(inner, "guarded", True) else inner


def make_judge(spec: str | Judge, **options: object) -> Judge:
    """Make the guard's second opinion from its name, such as ``llm:MODEL``, a package's, or ``module:Name``.

    Raises:
        UserError: the name or an option is not known, or a model has no endpoint.
    """
    return cast("Judge", make("judge", spec, options, ("__call__",))) if isinstance(spec, str) else spec


def _called(spec: Callable[..., UserSimulator], options: Mapping[str, object]) -> UserSimulator:
    try:
        return spec(**options)
    except TypeError as error:
        if options and "unexpected keyword argument" in str(error):
            raise UserError(f"user '{spec}': {str(error).partition('() ')[2]}") from error
        raise


__all__ = [
    "HumanUser",
    "NaiveUser",
    "RoleGuard",
    "ScriptedUser",
    "SingleTurnUser",
    "UserSimulator",
    "known_users",
    "make_judge",
    "make_user",
]
