"""Finds the worlds-as-data folder ``envs/``, which sits beside the package in a checkout and inside it in a wheel.

Nothing else in the project builds a path to it, so that both layouts stay alike to every reader.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from ise_gym.errors import UserError

_PACKAGE = Path(__file__).resolve().parent


@lru_cache(maxsize=1)
def envs_dir() -> Path:
    """Return the ``envs`` folder.

    Raises:
        UserError: neither layout has one (a broken installation).
    """
    for candidate in (_PACKAGE.parent / "envs", _PACKAGE / "_envs"):
        if (candidate / "os" / "domains").is_dir():
            return candidate
    raise UserError(
        f"the environment data is missing: neither {_PACKAGE.parent / 'envs'} nor {_PACKAGE / '_envs'} "
        "has os/domains; reinstall the package"
    )


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
