"""``ise doctor``: what works on this machine, and what to do about what doesn't."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from importlib import metadata
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

PURPOSES: Mapping[str, str] = {
    "docker": "backend docker",
    "llm": "agents, users and judges behind an endpoint",
    "train": "training, local models, TRL and Parquet exports",
    "dedup": "finding near-duplicate intents",
    "embed": "embeddings, Vendi scores and plots of intents",
    "claweval": "Claw-Eval",
    "zstd": "compressed stores",
    "ray": "rollouts on a cluster",
}
"""What the extras of ise-gym are for; which packages each brings is in the metadata of the installed one."""

_REQUIREMENT = re.compile(r"""([A-Za-z0-9._-]+).*;.*\bextra == ["']([a-z]+)["']""")


def optional_packages() -> dict[str, str]:
    """Return package → the extra of ise-gym that brings it, for all that only some commands need."""
    try:
        wanted = metadata.requires("ise-gym") or []
    except metadata.PackageNotFoundError:  # run from a source tree that was never installed
        return {}
    found: dict[str, str] = {}
    for match in filter(None, map(_REQUIREMENT.match, wanted)):
        if match[2] in PURPOSES:
            found.setdefault(match[1], match[2])
    return found


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Check this machine: which sandboxes work, what they really enforce, which optional packages are there.

    Exit code 0 when at least one isolating backend works, else 1.
    """
    report = examine()
    if as_json:
        from ise_gym.cli.printing import print_json

        print_json(report)
    else:
        _show(report)
    if not any(b["ok"] and b["isolates"] for b in report["backends"].values()):
        raise typer.Exit(1)


def examine() -> dict[str, Any]:
    """Return what `doctor` shows, as JSON."""
    from ise_gym import __version__
    from ise_gym.workspace import available_backends, self_check

    backends: dict[str, Any] = {}
    for name in available_backends():
        check = self_check(name)
        capabilities = check.capabilities
        backends[name] = {
            "ok": check.ok,
            "isolates": check.isolates,
            "message": check.message,
            "enforced": dict(capabilities.enforced) if capabilities else {},
            "notes": list(capabilities.notes) if capabilities else [],
        }
    return {
        "ise_gym": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "user": "root" if os.geteuid() == 0 else "ordinary user",
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "backends": backends,
        "packages": {name: _is_installed(name) for name in optional_packages()},
    }


def _is_installed(package: str) -> bool:
    try:
        metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _show(report: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    from ise_gym.foreign.screen import Screen

    console = Screen()
    console.print(
        f"ise_gym {report['ise_gym']}, Python {report['python']}, {report['system']}, "
        f"{report['cpus']} CPUs, {report['user']}",
        highlight=False,
    )
    table = Table(title="Workspace backends", title_justify="left")
    for column in ("backend", "works", "self-check"):
        table.add_column(column)
    for name, backend in report["backends"].items():
        kind = "" if backend["isolates"] else " (no isolation)"
        mark = Text("yes", style="green") if backend["ok"] else Text("no", style="red")
        table.add_row(name + kind, mark, str(backend["message"]))
    console.print(table)
    for name, backend in report["backends"].items():
        if backend["ok"] and backend["isolates"]:
            _show_capabilities(console, name, backend)
    packages = Table(title="Optional packages", title_justify="left")
    for column in ("package", "installed", "needed for", "comes with"):
        packages.add_column(column)
    extras = optional_packages()
    for name, there in report["packages"].items():
        mark = Text("yes", style="green") if there else Text("no")
        packages.add_row(name, mark, PURPOSES[extras[name]], f"ise-gym[{extras[name]}]")
    console.print(packages)


def _show_capabilities(console: Console, name: str, backend: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"What {name} enforces here", title_justify="left")
    table.add_column("limit")
    table.add_column("enforced")
    for limit, how in backend["enforced"].items():
        word = {True: Text("yes", style="green"), False: Text("no", style="yellow")}.get(how)
        table.add_row(limit, word or str(how))
    console.print(table)
    for note in backend["notes"]:
        console.print(f"note: {note}", markup=False, highlight=False)
