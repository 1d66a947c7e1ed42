"""Prints a constraints file of the lowest versions that pyproject.toml allows, for the core and the extras given.

    python scripts/lowest.py llm docker claweval > lowest.txt && pip install -c lowest.txt -e '.[llm,docker,claweval]'

Only what is named directly is held down; what those packages need themselves comes as pip chooses it.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
_NAMED = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?(?P<bounds>[^;]*)")
_LOWEST = re.compile(r"(?:>=|==|~=)\s*([0-9][0-9A-Za-z.]*)")


def lowest(requirements: Iterable[str]) -> dict[str, str]:
    """Return name → lowest version of those requirements that have one; the highest of them, should a name come twice.

    >>> lowest(["gymnasium>=1.4,<2", "openai>=1.40", "ise-gym[llm]", "torch>=2.6; python_version < '3.14'"])
    {'gymnasium': '1.4', 'openai': '1.40', 'torch': '2.6'}
    """
    found: dict[str, str] = {}
    for requirement in requirements:
        named = _NAMED.match(requirement)
        if named and (bound := _LOWEST.search(named["bounds"])):
            name = named["name"].lower()
            found[name] = max(found.get(name, "0"), bound[1], key=_parts)
    return found


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def wanted(project: Mapping[str, object], extras: Iterable[str]) -> list[str]:
    """Return the requirements of the core and of some extras.

    Raises:
        KeyError: there is no such extra.
    """
    about = project["project"]
    assert isinstance(about, dict)
    return [
        *about["dependencies"],
        *(line for name in extras for line in about["optional-dependencies"][name]),
    ]


if __name__ == "__main__":
    for name, version in lowest(wanted(tomllib.loads(PROJECT.read_text()), sys.argv[1:])).items():
        print(f"{name}=={version}")
