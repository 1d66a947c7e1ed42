"""What pytest must not import (a benchmark's own files, and scripts), and where services are reached."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ise_gym.evaluation.claweval.services.asgi import Router

collect_ignore_glob = ["fixture_suite/*", "claweval/upstream_reference.py"]


@pytest.fixture
def router() -> Iterator[Router]:
    # Only here: the tests of one's own suites run without Claw-Eval's packages.
    from ise_gym.evaluation.claweval.services.asgi import Router, routed_clients

    made = Router()
    with routed_clients(made):
        yield made
    made.close()
