"""Backends by name: one that can't be loaded is reported, and takes nothing else with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ise_gym.workspace.backends.choice import available_backends, self_check


def test_a_plug_in_that_can_not_be_loaded_fails_its_self_check_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "torn-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: torn\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ise_gym.backend]\ntorn-box = torn_box:Box\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "torn-box" in available_backends()
    check = self_check("torn-box")
    assert not check.ok and check.message.startswith("backend 'torn-box' of torn 1.0 can't be loaded")
    assert self_check("dummy").ok and not self_check("dummy").isolates
