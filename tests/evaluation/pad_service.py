"""The fixture suite's one mock service, as a task declares it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ise_gym.evaluation.claweval.tasks import Service

SUITE = Path(__file__).parent / "fixture_suite"


def pad(**changes: Any) -> Service:
    values = {
        "name": "pad",
        "command": "python mock_services/pad/server.py",
        "port": 19301,
        "health_check": "http://localhost:19301/pad/list",
        "health_check_method": "GET",
        "env": {"PAD_FIXTURES": str(SUITE / "mock_services/pad/notes.json"), "PAD_OWNER": "me"},
    }
    return Service(**{**values, **changes})
