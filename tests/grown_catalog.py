"""A catalog that has grown: five tasks more than today's, so that almost every seed draws something else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ise_gym.intents import catalog
from ise_gym.replay import episode
from ise_gym.tasks.file import TaskSpec, load_tasks
from made_tasks import write_task

DOMAINS = ("agent-memory", "code-runtime", "file-io", "multimedia", "web-extraction")


@contextmanager
def grown(folder: Path) -> Iterator[str]:
    """Let the catalog have five more tasks for the length of a block, in this process; gives its hash."""
    for domain in DOMAINS:
        write_task(folder, name=f"count-{domain}", domain=domain)
    more = load_tasks([folder])
    drawn = catalog._tasks_of

    def with_more(folders: tuple[Path, ...] | None) -> dict[str, TaskSpec]:
        return dict(sorted({**drawn(folders), **(more if folders is None else {})}.items()))

    catalog._tasks_of = with_more  # type: ignore[assignment]
    _forget()
    try:
        yield catalog.catalog_hash()
    finally:
        catalog._tasks_of = drawn
        _forget()


def _forget() -> None:
    catalog.catalog_hash.cache_clear()
    episode._sources.clear()
