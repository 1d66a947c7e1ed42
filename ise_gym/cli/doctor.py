"""``ise doctor``: what works on this machine, and what to do about what doesn't."""

from __future__ import annotations

import importlib.util
import os
import platform
from typing import Annotated, Any

import typer

OPTIONAL: dict[str, tuple[str, str]] = {
    "docker": ("backend docker", "docker"),
    "openai": ("agents and users behind an endpoint", "llm"),
    "torch": ("training and local models", "train"),
    "transformers": ("training and local models", "train"),
    "trl": ("training", "train"),
    "peft": ("training", "train"),
    "datasets": ("training, TRL and Parquet exports", "train"),
    "zstandard": ("compressed stores", "zstd"),
    "ray": ("rollouts on a cluster", "ray"),
    "datasketch": ("finding near-duplicate intents", "dedup"),
    "sentence_transformers": ("embeddings of intents", "embed"),
    "vendi_score": ("Vendi scores of intents", "embed"),
    "matplotlib": ("plots of diversity", "embed"),
    "httpx": ("Claw-Eval", "claweval"),
    "fastapi": ("Claw-Eval", "claweval"),
}
"""Packages that only some commands need → what for, and the extra of ise-gym that brings it."""


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
    from ise_gym.workspace.backends.choice import isolates

    backends: dict[str, Any] = {}
    for name in available_backends():
        check = self_check(name)
        capabilities = check.capabilities
        backends[name] = {
            "ok": check.ok,
            "isolates": isolates(name),
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
        "packages": {name: importlib.util.find_spec(name) is not None for name in OPTIONAL},
    }


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
    for name, there in report["packages"].items():
        purpose, extra = OPTIONAL[name]
        mark = Text("yes", style="green") if there else Text("no")
        packages.add_row(name, mark, purpose, f"ise-gym[{extra}]")
    console.print(packages)


def _show_capabilities(console: Any, name: str, backend: dict[str, Any]) -> None:
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
