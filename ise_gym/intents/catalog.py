"""The whole catalog as one thing with one hash: tasks, personas, word lists, system prompt.

An intents file says which catalog it is from, so that rebuilding its scenarios from another one is
noticed instead of silently giving other work.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from ise_gym.intents.blueprint import COMPOSITION_VERSION, SAMPLER_VERSION
from ise_gym.messages import sha256_of
from ise_gym.personas.catalog import load_personas
from ise_gym.resources import os_world, read_text
from ise_gym.scenario import Persona
from ise_gym.tasks.file import TaskSpec, load_tasks

_loading = threading.Lock()


def tasks_of(folders: tuple[Path, ...] | None) -> dict[str, TaskSpec]:
    """Load tasks once a process; None is the catalog's own folder.

    Threads that ask at the same time wait for the first: a cache alone would have each of them load everything.
    """
    with _loading:
        return _tasks_of(folders)


@lru_cache(maxsize=8)
def _tasks_of(folders: tuple[Path, ...] | None) -> dict[str, TaskSpec]:
    return load_tasks(folders)


def personas() -> Sequence[Persona]:
    """Return the catalog's personas."""
    return load_personas()


@lru_cache(maxsize=1)
def system_prompt() -> str:
    """Return the plain system prompt: of lessons, and of scenarios from elsewhere."""
    return read_text("os/system_prompt.txt").strip()


@lru_cache(maxsize=8)
def catalog_hash(folders: tuple[Path, ...] | None = None) -> str:
    """Return 16 hex digits over everything that a scenario depends on."""
    shared = [os_world() / "words.yaml", os_world() / "system_prompt.txt"]
    shared += sorted((os_world() / "personas").rglob("*.yaml"))
    shared += sorted(path for path in (os_world() / "prompts").rglob("*") if path.is_file())
    texts = {str(path.relative_to(os_world())): _digest(path) for path in shared}
    tasks = {name: task.digest for name, task in tasks_of(folders).items()}
    return sha256_of([SAMPLER_VERSION, COMPOSITION_VERSION, texts, tasks])[:16]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
