"""Starts a new task from one that already proves itself, so that an author changes a working thing step by step."""

from __future__ import annotations

import re
from pathlib import Path

from ise_gym.errors import UserError
from ise_gym.resources import checkout, os_world, read_text

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def default_folder() -> Path:
    """Return where a new task goes when no folder is given."""
    domains = os_world() / "domains"
    root = checkout()
    return domains if root is not None and Path.cwd().resolve().is_relative_to(root) else Path("tasks")


def new_task(domain: str, name: str, folder: Path | None = None) -> Path:
    """Write ``<folder>/<domain>/<name>.yaml``: a small task that passes ``ise tasks check`` as it is.

    Args:
        domain: one of the catalog, or any other name for a folder of one's own.
        name: of the task, lower-case words joined by hyphens.
        folder: where domains lie. By default that is the catalog when the current folder lies in a checkout of the
            package, else ``tasks`` below the current folder: what was installed is nobody's place for work.

    Raises:
        UserError: a name of another form, a file that is already there, or a folder that can't be written.
    """
    for what, text in (("domain", domain), ("task", name)):
        if not _NAME.fullmatch(text):
            raise UserError(
                f"'{text}' can't be the name of a {what}: lower-case letters, digits and single hyphens only"
            )
    path = (folder or default_folder()) / domain / f"{name}.yaml"
    title = name.replace("-", " ").capitalize()
    text = read_text("os/new-task.yaml").replace("THIS-FILE", str(path)).replace("Total of a table", title)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UserError(f"{path} is already there; choose another name") from None
    except OSError as error:
        raise UserError(
            f"{path} can't be written ({error.strerror}); give a folder of your own: --folder"
        ) from None
    return path
