"""Declarative checks on the final workspace: what a task file may say under ``checks`` (see ``docs/tasks.md``).

Each check reads bytes out of the box and compares them on the harness side, so expected values never enter
it and nothing in the box decides whether it passes. Every failure says what was found instead.
"""

from __future__ import annotations

from ise_gym.checks.base import BaseCheck
from ise_gym.foreign.values import Json
from ise_gym.registry import Registered

CHECKS: Registered[type[BaseCheck]] = Registered("check")
"""The checks by the name that a task file uses; see `ise_gym.registry`."""


def build_check(kind: str, spec: Json) -> BaseCheck:
    """Make a check from its name and its rendered mapping (or lone path).

    Raises:
        ValueError: unknown name or key, or a value of the wrong type.

    >>> build_check("exists", "harbour/report.txt")
    ExistsCheck(path='harbour/report.txt')
    """
    if kind not in CHECKS:
        raise ValueError(f"no check is named '{kind}'")
    return CHECKS[kind].from_spec(spec)


__all__ = ["CHECKS", "BaseCheck", "build_check"]
