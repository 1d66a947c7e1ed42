"""S: who asks. User simulators and the guard that keeps them users."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ise_gym.errors import UserError, nearest
from ise_gym.models.fitting import check_options
from ise_gym.simulator.base import UserSimulator
from ise_gym.simulator.baselines import NaiveUser, SingleTurnUser
from ise_gym.simulator.guard import Judge, RoleGuard
from ise_gym.simulator.human import HumanUser
from ise_gym.simulator.scripted import ScriptedUser

SIMULATORS: Mapping[str, Callable[..., UserSimulator]] = {
    "scripted": ScriptedUser,
    "single-turn": SingleTurnUser,
    "naive": NaiveUser,
    "human": HumanUser,
}
UNGUARDED = (NaiveUser, SingleTurnUser, HumanUser)
"""The ablations are what they are, and a person needs no guard."""


def make_user(
    spec: str | Callable[[], UserSimulator], guard: bool = True, judge: Judge | None = None, **options: Any
) -> UserSimulator:
    """Build a user simulator from its name or from a function that makes one.

    Args:
        spec: scripted, single-turn, naive, human, ``llm:MODEL`` (an OpenAI-compatible endpoint), or a function.
        guard: put a `RoleGuard` around it; it does not apply to single-turn, naive and human.
        judge: the guard's second opinion, such as `ise_gym.simulator.judge.LLMJudge`.
        options: keyword arguments of the simulator (``patience``; of a model ``base_url``, ``temperature``, …).

    Raises:
        UserError: the name or an option is not known, or a model has no endpoint.
    """
    inner = _make(spec, options)
    return RoleGuard(inner, judge=judge) if guard and not isinstance(inner, UNGUARDED) else inner


def _make(spec: str | Callable[[], UserSimulator], options: dict[str, Any]) -> UserSimulator:
    make: Callable[..., UserSimulator]
    if callable(spec):
        make = spec
    elif spec == "llm":
        raise UserError(f"user '{spec}' is incomplete: write llm:MODEL (an OpenAI-compatible endpoint)")
    elif spec.startswith("llm:"):
        import functools

        from ise_gym.models.chat import JsonChat
        from ise_gym.simulator.llm import LLMUser

        check_options(JsonChat, options, f"user '{spec}'", given=1)
        make = functools.partial(LLMUser, spec.removeprefix("llm:"))
    elif spec in SIMULATORS:
        make = SIMULATORS[spec]
        check_options(make, options, f"user '{spec}'")
    else:
        known = (*SIMULATORS, "llm:MODEL")
        raise UserError(f"unknown user simulator '{spec}'; known: {', '.join(known)}.{nearest(spec, known)}")
    try:
        return make(**options)
    except TypeError as error:
        if options and "unexpected keyword argument" in str(error):
            raise UserError(f"user '{spec}': {str(error).partition('() ')[2]}") from error
        raise
    except ValueError as error:
        if options:
            raise UserError(f"user '{spec}': {error}.") from error
        raise


__all__ = [
    "SIMULATORS",
    "HumanUser",
    "NaiveUser",
    "RoleGuard",
    "ScriptedUser",
    "SingleTurnUser",
    "UserSimulator",
    "make_user",
]
