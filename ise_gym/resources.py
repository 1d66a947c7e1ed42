"""Finds the data that comes with the package: beside it in a checkout, inside it in a wheel.

Worlds (``envs/``), recipes, chat template and tiny base (``training/``) and suites (``eval/``) are what a user reads
and edits, so they are at the top of a checkout. Nothing else in the project builds a path to them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ise_gym.errors import UserError

_PACKAGE = Path(__file__).resolve().parent
_MARKS = {"envs": "os/domains", "training": "recipes", "eval": "suites"}
"""Folder → what is in it: a project around the package may have folders of these names too."""


@cache
def data_dir(name: str) -> Path:
    """Return ``envs``, ``training`` or ``eval``.

    Raises:
        UserError: neither layout has it (a broken installation).
    """
    places = (_PACKAGE.parent / name, _PACKAGE / "_data" / name)
    for place in places:
        if (place / _MARKS[name]).is_dir() and (place == places[1] or checkout() is not None):
            return place
    raise UserError(
        f"data of the package is missing: neither {places[0]} nor {places[1]} has {_MARKS[name]}; "
        "reinstall the package"
    )


def checkout() -> Path | None:
    """Return the top of the checkout that the package is imported from, None where it was installed."""
    return _PACKAGE.parent if (_PACKAGE.parent / "pyproject.toml").is_file() else None


def envs_dir() -> Path:
    """Return the ``envs`` folder: worlds as data."""
    return data_dir("envs")


def os_world() -> Path:
    """Return ``envs/os``: domains, tasks, word lists, personas and the system prompt of ``ISE-OS-v0``."""
    return envs_dir() / "os"


def read_text(relative: str) -> str:
    """Return the text of a file below ``envs/`` (UTF-8).

    Raises:
        UserError: there is no such file.
    """
    path = envs_dir() / relative
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path} is missing from the installation; reinstall the package") from None
