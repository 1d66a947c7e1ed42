"""Other projects' packages, installed where a test needs them: apart from this project's own, and once a machine.

They are big and pin what others pin otherwise, so they are asked for: ``make adapters`` (and ``make nightly``) sets
``ISE_PEERS=1``. ``ISE_PEERS_DIR`` says where they are kept.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ise_gym.trajectory.untaught import ENDED, FAULTS

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
PEERS = Path(os.environ.get("ISE_PEERS_DIR", Path.home() / ".cache" / "ise-gym-peers"))

Run = Callable[..., str]


def with_extra(extra: str, python: str = "3.11") -> Run:
    """Return what runs a script of ``peers/``, or a program, where an extra of this project is installed.

    Args:
        extra: its name, or several with commas. ``python``: the oldest version that will do.
    """
    pinned = " ".join(str(EXTRAS[one]) for one in extra.split(","))
    wanted = hashlib.sha256(f"{ROOT} {python} {pinned}".encode()).hexdigest()[:12]
    folder = PEERS / f"{extra}-{wanted}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([python_for(python), "-m", "venv", str(folder)], check=True)
        # torch, too, comes in the version that is tested here
        tested = ["-c", str(ROOT / "constraints.txt")] if "train" in extra else []
        command = [str(folder / "bin" / "pip"), "install", "-q", *tested, "-e", f"{ROOT}[{extra}]"]
        installed(folder, command, fresh=False)
    return lambda *arguments, **more: ran(folder / "bin", *arguments, **more)


def python_for(version: str) -> str:
    """Return an interpreter of at least a version, for a package that wants a newer one."""
    if sys.version_info >= tuple(map(int, version.split("."))):
        return sys.executable
    places = [shutil.which(f"python{version}"), *Path.home().glob(f".pyenv/versions/{version}*/bin/python")]
    for place in filter(None, places):  # a shim may be there without what it stands for
        if subprocess.run([str(place), "-c", ""], capture_output=True).returncode == 0:
            return str(place)
    pytest.skip(f"NOT TESTED: there is no Python {version} here")


def installed(folder: Path, command: list[str], fresh: bool = True) -> Path:
    """Run an installation into a folder; one that was cut off is begun anew."""
    done = folder / "complete"
    if not done.exists() or done.read_text() != " ".join(command):
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        made = subprocess.run(command, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr[-3000:]
        done.write_text(" ".join(command))
    return folder


def ran(programs: Path, *arguments: str | Path, timeout: float = 600, **env: str) -> str:
    """Run ``peers/SCRIPT.py`` or a program of the environment; return what it printed."""
    first, *rest = map(str, arguments)
    script = Path(__file__).parent / "peers" / first
    command = [str(programs / "python"), str(script)] if first.endswith(".py") else [str(programs / first)]
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [*command, *rest],
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**clean, "PATH": f"{programs}:{clean['PATH']}", "PYTHONPATH": str(ROOT), **env},
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-5000:]}"
    return done.stdout


def expected_of_faults(found: dict[str, list[Any]]) -> None:
    """Hold what our records say of the episodes of ``peers/faulty.py`` against what happened in them."""
    for kind, (outcome, reason, *_) in found.items():
        wanted = {"drip": "infrastructure_error", "down": "infrastructure_error", "full": "truncated"}
        assert outcome == wanted.get(kind, "passed"), (kind, reason)
    assert found["cut"][2] == [ENDED["cut"]] and found["words"][2] == [FAULTS["call in words"]]
    assert found["broken"][2] == [FAULTS["arguments"]] and found["none"][2] == []
