"""Tests with other projects' packages run where they are asked for, see `peer_packages`."""

from __future__ import annotations

import os

import pytest

collect_ignore = ["peers"]
"""Run by the tests in other environments, where what they import is installed."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("ISE_PEERS") == "1":
        return
    for item in items:
        if item.get_closest_marker("peers"):
            item.add_marker(pytest.mark.skip(reason="other projects' packages are tested by `make adapters`"))
