"""Versions of other projects are said in one place and pinned; one that moved or is missing is one clear line."""

from __future__ import annotations

import importlib
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from peer_packages import EXTRAS, ROOT

from ise_gym.adapters.peers import TESTED, MissingPeer

ADAPTERS = ROOT / "ise_gym" / "adapters"
MODULES = {
    "mcp_server": ("mcp", "mcp"),
    "mini": ("mini", "minisweagent"),
    "inspect_tasks": ("inspect", "inspect_ai"),
    "inspect_logs": ("inspect", "inspect_ai"),
    "verifiers_env": ("verifiers", "verifiers"),
    "harbor": ("harbor", "harbor"),
    "openenv_env": ("openenv", "openenv"),
}
"""Adapter → its extra, and the other project's package."""


@pytest.mark.parametrize("extra", TESTED)
def test_the_tested_version_is_pinned_and_said_in_the_docs(extra: str) -> None:
    name, tested = TESTED[extra]
    assert f"{name}=={tested}" in [pin.partition(";")[0].strip() for pin in EXTRAS[extra]]
    said = (ROOT / "docs" / "use-with.md").read_text("utf-8")
    (section,) = (part for part in said.split("\n## ") if f"'ise-gym[{extra}]'" in part)
    assert tested in section


def test_every_adapter_is_under_250_lines_and_is_listed_here() -> None:
    for module in ADAPTERS.glob("*.py"):
        text = module.read_text("utf-8")
        assert len(text.splitlines()) < 250, module.name
        assert "with interface_of(" not in text or module.stem in (*MODULES, "inspect_messages", "peers"), (
            module.name
        )


@pytest.mark.parametrize("adapter", MODULES)
def test_a_project_whose_interface_moved_is_one_clear_line(
    adapter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra, package = MODULES[adapter]
    name, tested = TESTED[extra]
    hollow(tmp_path, package, name)
    for known in [
        m for m in sys.modules if m.partition(".")[0] == package or m.startswith("ise_gym.adapters.")
    ]:
        monkeypatch.delitem(sys.modules, known)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(Exception) as caught:  # the class is made anew with its module
        importlib.import_module(f"ise_gym.adapters.{adapter}")
    assert type(caught.value).__name__ == MissingPeer.__name__
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{name} 99.0 lacks what {tested} has") and line.endswith(
        f"pip install 'ise-gym[{extra}]'"
    )


@pytest.mark.parametrize("adapter", MODULES)
def test_a_project_that_is_missing_is_one_clear_line(adapter: str) -> None:
    extra, _ = MODULES[adapter]
    name, _ = TESTED[extra]
    try:
        version(name)
    except PackageNotFoundError:
        with pytest.raises(MissingPeer, match=f"^{name} is not installed .*'ise-gym.{extra}.'$"):
            importlib.import_module(f"ise_gym.adapters.{adapter}")
    else:
        pytest.skip(f"{name} is installed here")


def hollow(where: Path, package: str, name: str) -> None:
    """Make an installed package that has nothing of what it had."""
    (where / package).mkdir()
    (where / package / "__init__.py").write_text("")
    about = where / f"{name.replace('-', '_')}-99.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 99.0\n")
