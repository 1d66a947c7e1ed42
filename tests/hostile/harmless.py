"""What "harmless" means: a hostile input fails a check with a reason, and costs the harness next to nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ise_gym.scenario import CheckResult

MOST_CPU_S = 1.0
MOST_GROWTH = 200 << 20


def resident() -> int:
    """Return the bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def harmless(check: Callable[[], CheckResult]) -> CheckResult:
    """Run a check; it must not raise, nor take the harness's processor or memory."""
    cpu, memory = time.process_time(), resident()
    result = check()
    assert time.process_time() - cpu < MOST_CPU_S
    assert resident() - memory < MOST_GROWTH
    return result


def refused(check: Callable[[], CheckResult]) -> str:
    """Run a check that must fail, and return its reason."""
    result = harmless(check)
    assert not result.passed and result.reason and len(result.reason) <= 400
    return result.reason


def named(items: dict[str, Any]) -> dict[str, Any]:
    """Return arguments for ``pytest.mark.parametrize`` from a mapping of names to values."""
    return {"argvalues": list(items.values()), "ids": list(items)}
