"""One workspace a module for the tests that run commands."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ise_gym.errors import UserError
from ise_gym.workspace import Workspace, open_workspace


@pytest.fixture(scope="module")
def box() -> Iterator[Workspace]:
    try:
        workspace = open_workspace("auto")
    except UserError as problem:
        pytest.skip(f"no sandbox on this machine: {problem}")
    yield workspace
    workspace.close()
