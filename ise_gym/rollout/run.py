"""Plays many scenarios into a store: what the store lacks, with what any crash leaves to be resumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from contextlib import AbstractContextManager
from pathlib import Path

from ise_gym.foreign.values import Json
from ise_gym.rollout.engine import Status, drive
from ise_gym.rollout.limits import NO_LIMITS, Limits
from ise_gym.rollout.players import EpisodeCrew, crew_of, result_of, without_scenario
from ise_gym.rollout.pool import ProcessPool
from ise_gym.rollout.record import build
from ise_gym.rollout.spec import Item, Result, RolloutSpec, probed, settings_of
from ise_gym.rollout.work import GIVE_UP_AFTER, Lost, Pool
from ise_gym.scenario import ScenarioSource
from ise_gym.storage.locks import held_alone
from ise_gym.trajectory.record import episode_id
from ise_gym.trajectory.shards import Compression
from ise_gym.trajectory.store import TrajectoryStore, read_trajectories


def run(
    spec: RolloutSpec,
    out: str | Path,
    *,
    describe: Mapping[str, Json],
    workers: int = 2,
    retries: int = 2,
    retry_failed: bool = True,
    give_up_after: int = GIVE_UP_AFTER,
    limits: Limits = NO_LIMITS,
    compression: Compression = "none",
    sync_s: float = 1.0,
    on_progress: Callable[[Status], None] | None = None,
    on_attempt: Callable[[Result], None] | None = None,
    make_pool: Callable[[EpisodeCrew, int], Pool[Item, Result]] = ProcessPool,
) -> Status:
    """Play every scenario of the spec that the store does not hold yet.

    Ctrl-C (or SIGTERM) drains: what is running is finished and stored; a second one stops at once. In both cases
    the same call resumes. Records don't depend on ``workers``, ``spec.slots`` or the order of completion.

    Args:
        spec: source, agent, env.
        out: store folder; refused when it holds another run.
        describe: the run's arguments as JSON, kept in the manifest and compared on resume.
        workers: processes; each plays ``spec.slots`` episodes at once.
        retries: how often an episode that the infrastructure broke is played again.
        retry_failed: play episodes again that earlier runs recorded as infrastructure failures.
        give_up_after: consecutive infrastructure failures (after retries) that end the run: something is down.
        limits: what the run may spend before it ends, resumable, by itself.
        compression, sync_s: of a new store, see `TrajectoryStore`.
        on_progress: called with the status after every change and at least four times a second.
        on_attempt: called with every result before it is stored, those of episodes that are played again too.
        make_pool: where episodes are played.

    Raises:
        UserError: another run or another process in that folder, a spec that can't be played, or everything
            broken for ``give_up_after`` episodes.
    """
    with (
        TrajectoryStore(
            out, run=describe, told=settings_of(spec.make_env), compression=compression, sync_s=sync_s
        ) as store,
        only_driver(store),
    ):
        work = EpisodeWork(spec, store, retry_failed=retry_failed, on_attempt=on_attempt)
        if work.total > work.already:
            probed(spec.make_agent, spec.make_env)
        status = drive(
            work,
            crew_of(spec),
            workers=workers,
            retries=retries,
            give_up_after=give_up_after,
            limits=limits,
            on_progress=on_progress,
            make_pool=make_pool,
        )
        status.gone = work.gone
        return status


class EpisodeWork:
    """Episodes that a store lacks; see `ise_gym.rollout.work.Work`.

    Args:
        spec: what is played.
        store: where records go; infrastructure failures apart from the others.
        retry_failed: count the store's infrastructure failures as not done.
        on_attempt: called with every result before it is stored.
    """

    noun = "episodes"

    def __init__(
        self,
        spec: RolloutSpec,
        store: TrajectoryStore,
        *,
        retry_failed: bool = True,
        on_attempt: Callable[[Result], None] | None = None,
    ) -> None:
        self.torn = len(store.torn)
        self.gone = len(store.gone)
        self._spec = spec
        self._store = store
        self._on_attempt = on_attempt or (lambda result: None)
        ids = scenario_ids(spec.source)
        self.total = len(ids) * spec.samples
        done = store.ids() if retry_failed else store.ids() | store.failed_ids()
        if done:
            name = self._name_in_store()
            rest = [i for i in spec.items(ids) if episode_id(i.scenario_id, i.seed, name) not in done]
            self.already = self.total - len(rest)
            self._todo = iter(rest)
        else:
            self.already = 0
            self._todo = spec.items(ids)

    def todo(self) -> Iterator[Item]:
        """Yield the episodes that the store lacks."""
        return self._todo

    def lost(self, item: Item, loss: Lost[Item], about: Mapping[str, Json]) -> Result:
        """Record an episode whose worker died."""
        how = f"stuck: no episode ended in {loss.stuck_s:g} s" if loss.stuck_s else loss.how
        try:
            scenario = self._spec.source.scenario(item.index)
        except Exception as error:  # the worker may have died of it
            return without_scenario(item, about, error)
        trajectory = build(
            scenario,
            item.seed,
            about,
            outcome="infrastructure_error",
            reason=f"worker: the process died ({how})",
        )
        return result_of(item, trajectory)

    def take(self, result: Result, *, again: bool) -> None:
        """Store an episode's record, unless it is played again."""
        self._on_attempt(result)
        if not again:
            self._store.append_line(result.line, failed=result.failed)

    def _name_in_store(self) -> str:
        for failures in (False, True):
            for trajectory in read_trajectories(self._store.path, failures=failures):
                return str(trajectory.agent["name"])
        return ""


def scenario_ids(source: ScenarioSource) -> Sequence[str]:
    """Return the ids of a finite source's scenarios, without building them where it can say."""
    if callable(ids := getattr(source, "ids", None)):
        found: Sequence[str] = ids()
        return found
    if isinstance(source, Sized):
        return [id_at(source, place) for place in range(len(source))]
    return [scenario.id for scenario in source]


def id_at(source: ScenarioSource, place: int) -> str:
    """Return a scenario's id; of one that can't be had a name by its place, under which the failure is recorded."""
    try:
        return source.scenario(place).id
    except Exception:
        return f"{source.name}-{place}"


def only_driver(store: TrajectoryStore) -> AbstractContextManager[None]:
    """Keep two drivers from playing the same episodes into one folder."""
    refusal = f"{store.path}: another rollout is writing there. Wait for it, or give another folder."
    return held_alone(store.path / ".driver", refusal)
