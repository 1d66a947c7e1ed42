"""Replays a whole store in parallel, in constant memory, and counts what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

from ise_gym.errors import UserError, WorkspaceError
from ise_gym.processes import Pool
from ise_gym.replay.episode import (
    BROKEN,
    REFUSED,
    STATUSES,
    Rebuild,
    Replayed,
    limits_of,
    recorded_scenario,
    replay,
)
from ise_gym.trajectory.conversation import find_episode
from ise_gym.trajectory.record import Trajectory, to_line
from ise_gym.trajectory.store import parse_line, raw_records
from ise_gym.workspace import Workspace, open_workspace
from ise_gym.workspace.snapshots.template import Template, read_template

_AHEAD = 3
"""Records handed out per worker before one has to come back."""


@dataclass(frozen=True)
class Options:
    """How to replay; see `replay_store`. ``template``: the folder that episodes with a template started from."""

    backend: str = ""
    exact: bool = False
    template: str = ""
    rebuild: Rebuild = recorded_scenario


@dataclass
class Summary:
    """Counts of a store's replay.

    Attributes:
        statuses: status → episodes. ``rules``: rule → episodes that needed it.
        calls, digests: how many were compared and agreed.
        failed: episodes whose record does not hold, in order of completion.
    """

    statuses: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATUSES, 0))
    rules: dict[str, int] = field(default_factory=dict)
    calls: int = 0
    digests: int = 0
    failed: list[Replayed] = field(default_factory=list)

    @property
    def episodes(self) -> int:
        """How many were replayed."""
        return sum(self.statuses.values())

    @property
    def ok(self) -> bool:
        """Whether there are episodes and every record holds."""
        return self.episodes > 0 and not self.failed

    def add(self, result: Replayed) -> None:
        """Count one."""
        self.statuses[result.status] += 1
        self.calls += result.calls
        self.digests += result.digests
        for rule in result.rules:
            self.rules[rule] = self.rules.get(rule, 0) + 1
        if not result.ok:
            self.failed.append(result)


def replay_store(
    store: str | Path,
    *,
    episode: str = "",
    workers: int = 2,
    limit: int | None = None,
    options: Options | None = None,
    on_result: Callable[[Replayed, Summary], None] | None = None,
) -> Summary:
    """Replay the episodes of a store (not those that the infrastructure broke).

    Args:
        store: a store's folder or a JSONL file.
        episode: only this one: its id, an id's beginning, or its number from 1.
        workers: processes, each with a workspace of its own.
        limit: only the first so many.
        options: backend ("" takes each record's own), exactness, template, and how scenarios are rebuilt (must
            pickle). A record that names a template is replayed from that very one or not at all.
        on_result: called in this process after each episode.

    Raises:
        UserError: no store there, no such episode, or a backend that can't run here.
    """
    chosen = options or Options()
    summary = Summary()
    if episode:
        results = _here([to_line(find_episode(store, episode))], chosen)
    else:
        lines = islice((line for _, _, line in raw_records(store)), limit)
        results = _here(lines, chosen) if workers <= 1 else _spread(lines, chosen, workers)
    for result in results:
        summary.add(result)
        if on_result is not None:
            on_result(result, summary)
    return summary


def _here(lines: Iterable[bytes], options: Options) -> Iterator[Replayed]:
    player = _Player(options)
    try:
        for line in lines:
            yield player.play(line)
    finally:
        player.close()


def _spread(lines: Iterable[bytes], options: Options, workers: int) -> Iterator[Replayed]:
    with Pool(workers, _open, options) as pool:
        try:
            source = iter(lines)
            waiting: set[Future[Replayed]] = {
                pool.submit(_play, line) for line in islice(source, _AHEAD * workers)
            }
            while waiting:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                waiting |= {pool.submit(_play, line) for line in islice(source, len(done))}
                for future in done:
                    yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


_player: _Player | None = None


def _open(options: Options) -> None:
    """Begin a worker process; its workspace is closed when the process ends."""
    global _player
    _player = _Player(options)
    Finalize(None, _player.close, exitpriority=10)


def _play(line: bytes) -> Replayed:
    assert _player is not None
    return _player.play(line)


class _Player:
    """Replays record after record in one workspace, changed when a record needs another kind or other limits."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._kind: Any = None
        self._workspace: Workspace | None = None
        self._given: Template | None = None

    def play(self, line: bytes) -> Replayed:
        """Replay one record; a sandbox that breaks is replaced once."""
        trajectory = parse_line(line, "a stored record")
        options, problem = self._options, ""
        try:
            template = self._template_of(trajectory)
        except UserError as error:
            return Replayed(trajectory.episode_id, REFUSED, reason=str(error))
        for _ in range(2):
            try:
                box = self._fitting(trajectory, template)
                return replay(trajectory, box, rebuild=options.rebuild, exact=options.exact)
            except WorkspaceError as error:
                problem = str(error)
                self.close()
        return Replayed(trajectory.episode_id, BROKEN, reason=f"the sandbox failed twice: {problem}")

    def _template_of(self, trajectory: Trajectory) -> str | None:
        """Return the folder that an episode starts from.

        Raises:
            UserError: it is not given, or is another one.
        """
        named = trajectory.env.get("template")
        if not isinstance(named, Mapping):
            return None
        what = (
            f"it started from the template '{named.get('name')}' (SHA-256 {str(named.get('sha256'))[:12]}…)"
        )
        if not self._options.template:
            raise UserError(f"{what}: give that folder with --template")
        if self._given is None:
            self._given = read_template(self._options.template)
        if self._given.digest != named.get("sha256"):
            raise UserError(f"{what}, and {self._options.template} is another ({self._given.digest[:12]}…)")
        return self._given.path

    def _fitting(self, trajectory: Trajectory, template: str | None) -> Workspace:
        backend = self._options.backend or str(trajectory.env.get("backend") or "auto")
        kind = (backend, limits_of(trajectory), template)
        if self._workspace is None or kind != self._kind:
            self.close()
            self._workspace, self._kind = open_workspace(*kind), kind
        return self._workspace

    def close(self) -> None:
        """End the workspace; idempotent."""
        if self._workspace is not None:
            workspace, self._workspace = self._workspace, None
            workspace.close()
