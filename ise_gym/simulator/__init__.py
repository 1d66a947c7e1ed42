"""S: who asks. User simulators and the guard that keeps them users."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ise_gym.errors import UserError, nearest
from ise_gym.simulator.base import UserSimulator
from ise_gym.simulator.baselines import NaiveUser, SingleTurnUser
from ise_gym.simulator.guard import RoleGuard
from ise_gym.simulator.scripted import ScriptedUser

SIMULATORS: Mapping[str, Callable[[], UserSimulator]] = {
    "scripted": ScriptedUser,
    "single-turn": SingleTurnUser,
    "naive": NaiveUser,
}


def make_user(spec: str | Callable[[], UserSimulator], guard: bool = True) -> UserSimulator:
    """Build a user simulator from its name or from a function that makes one.

    ``single-turn`` and ``naive`` are the unguarded ablations, so ``guard`` does not apply to them.

    Raises:
        UserError: the name is not known.
    """
    if callable(spec):
        inner = spec()
    elif spec in SIMULATORS:
        inner = SIMULATORS[spec]()
    else:
        raise UserError(
            f"unknown user simulator '{spec}'; known: {', '.join(SIMULATORS)}.{nearest(spec, SIMULATORS)}"
        )
    return RoleGuard(inner) if guard and not isinstance(inner, (NaiveUser, SingleTurnUser)) else inner


__all__ = [
    "SIMULATORS",
    "NaiveUser",
    "RoleGuard",
    "ScriptedUser",
    "SingleTurnUser",
    "UserSimulator",
    "make_user",
]
