"""What a check may say: that it holds, or why not, in words of bounded length."""

from __future__ import annotations

from ise_gym.foreign.values import Json
from ise_gym.scenario import CheckResult

PASSED = CheckResult(True)


class Unreadable(Exception):
    """A file can't be read as the check needs it; the message becomes the check's reason."""


def failed(reason: str) -> CheckResult:
    """Return a failure; long reasons are cut, so that a hostile file can't fill the log."""
    return CheckResult(False, reason if len(reason) <= 400 else reason[:397] + "…")


def shown(value: Json) -> str:
    """Return a short printed form of a found value."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # an integer of too many digits, or nested too deeply
        return f"a {type(value).__name__} that can't be shown"
    return text if len(text) <= 120 else text[:117] + "…"
