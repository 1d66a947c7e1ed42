"""``ise rollout``: play intents into a store of trajectories."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sized
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ise_gym.cli.seats import (
    DRAIN_S,
    AgentOptions,
    Backend,
    DrainLimit,
    JudgeOptions,
    MaxCost,
    MaxHours,
    MaxTokens,
    SourceOptions,
    UserOptions,
    check_seats,
    read_limits,
    read_options,
)
from ise_gym.errors import UserError, nearest
from ise_gym.storage.digest import file_sha256

if TYPE_CHECKING:
    from ise_gym.foreign.screen import Screen
    from ise_gym.rollout.engine import Status
    from ise_gym.scenario import Scenario, ScenarioSource

ENGINES = ("local", "ray")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(rollout)


def rollout(
    out: Annotated[
        Path, typer.Option(help="Folder of the trajectory store; created if missing, otherwise resumed.")
    ],
    intents: Annotated[
        Path | None,
        typer.Option(
            help="JSONL file of intents, or the folder that holds intents.jsonl.", show_default=False
        ),
    ] = None,
    source: Annotated[
        str,
        typer.Option(
            help="Where scenarios come from instead of --intents: catalog, a plug-in, or module:Name.",
            show_default=False,
        ),
    ] = "",
    source_option: SourceOptions = None,
    agent: Annotated[
        str, typer.Option(help="Who acts, e.g. expert, openai:MODEL, transformers:PATH, or a plug-in.")
    ] = "expert",
    agent_option: AgentOptions = None,
    user: Annotated[
        str, typer.Option(help="User simulator: scripted, single-turn, naive, llm:MODEL, or a plug-in.")
    ] = "scripted",
    user_option: UserOptions = None,
    guard: Annotated[bool, typer.Option(help="Guard the simulator against role drift.")] = True,
    judge: Annotated[
        str,
        typer.Option(
            help="Who the guard asks about turns that no detector refused: llm:MODEL, or a plug-in.",
            show_default="nobody",
        ),
    ] = "",
    judge_option: JudgeOptions = None,
    backend: Backend = "auto",
    workers: Annotated[int, typer.Option("--workers", "-w", min=1, help="Worker processes.")] = 2,
    episodes_per_worker: Annotated[
        int, typer.Option(min=1, help="Episodes that each worker plays at once; raise it for slow endpoints.")
    ] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of user and agent, not of the intents.")] = 0,
    samples: Annotated[int, typer.Option(min=1, help="Episodes per intent, each with its own seed.")] = 1,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first N intents.", show_default="all")
    ] = None,
    retries: Annotated[
        int, typer.Option(min=0, help="Retries per episode after an infrastructure failure.")
    ] = 2,
    retry_failed: Annotated[
        bool, typer.Option(help="On resume, retry episodes that ended in an infrastructure failure.")
    ] = True,
    give_up_after: Annotated[
        int, typer.Option(min=1, help="End the run after N infrastructure failures in a row.")
    ] = 20,
    stuck_after: Annotated[
        float,
        typer.Option(
            min=0, help="Replace a worker that has finished no episode for this many seconds; 0: never."
        ),
    ] = 3600.0,
    max_tokens_total: MaxTokens = None,
    max_cost: MaxCost = None,
    max_hours: MaxHours = None,
    drain_limit: DrainLimit = DRAIN_S,
    compress: Annotated[bool, typer.Option(help="Write zstd-compressed shards (a new store only).")] = False,
    engine: Annotated[str, typer.Option(help="Where workers run: local or ray.")] = "local",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no tables.")] = False,
) -> None:
    """Play every intent and append the trajectories to a store.

    Ctrl-C finishes the running episodes and stops; the same command plays what is missing. Records do not depend on the
    number of workers. Exit code 0 when every episode is recorded, 1 when some failed for good or a limit ended the run,
    130 when interrupted.
    """
    from ise_gym.foreign.screen import Screen
    from ise_gym.intents.catalog import catalog_hash
    from ise_gym.models.options import a_workers_share, binding, options_of
    from ise_gym.rollout.progress import RolloutProgress
    from ise_gym.rollout.run import run
    from ise_gym.rollout.spec import RolloutSpec, agent_factory, env_factory

    if engine not in ENGINES:
        raise UserError(f"unknown engine '{engine}'; known: {', '.join(ENGINES)}.{nearest(engine, ENGINES)}")
    if user == "human":
        raise UserError("--user human: a rollout has nobody to ask; use `ise play` to be the user yourself.")
    for_agent, for_user = read_options(agent_option, user_option)
    check_seats(agent, user, backend, agent_options=for_agent, user_options=for_user)
    for_judge = options_of(judge_option, "--judge-option")
    _check_judge(judge, for_judge, guard)
    scenarios, described = _scenarios(intents, source, options_of(source_option, "--source-option"), limit)
    limits = read_limits(max_tokens_total, max_cost, max_hours, drain_limit, for_agent, for_user)
    spec = RolloutSpec(
        source=scenarios,
        make_agent=agent_factory(agent, **a_workers_share(for_agent, workers)),
        make_env=env_factory(
            backend=backend,
            user=user,
            user_options=a_workers_share(for_user, workers),
            guard=guard,
            judge=judge or None,
            judge_options=a_workers_share(for_judge, workers),
        ),
        seed=seed,
        samples=samples,
        slots=episodes_per_worker,
        stuck_after_s=stuck_after,
    )
    console = Screen(stderr=True, quiet=quiet)
    _note_compression(console, out, compress)
    options: dict[str, Any] = {}
    if engine == "ray":
        from ise_gym.rollout.ray_pool import RayPool

        options["make_pool"] = RayPool
    with RolloutProgress(console) as progress:
        status = run(
            spec,
            out,
            describe={
                **described,
                "catalog": catalog_hash(),
                "agent": agent,
                "user": user,
                "guard": guard,
                "backend": backend,
                "seed": seed,
                "samples": samples,
                **binding("agent_options", for_agent),
                **binding("user_options", for_user),
                **({"judge": judge} if judge else {}),
                **binding("judge_options", for_judge),
            },
            workers=workers,
            retries=retries,
            retry_failed=retry_failed,
            give_up_after=give_up_after,
            limits=limits,
            compression="zstd" if compress else "none",
            on_progress=progress,
            **options,
        )
    if not quiet:
        _conclude(console, out, status)
    if status.interrupted:
        raise typer.Exit(130)
    if status.broken or status.stopped:
        raise typer.Exit(1)


def _note_compression(console: Screen, out: Path, compress: bool) -> None:
    """Say that a store which holds episodes stays compressed or not, whatever this run asks for."""
    from ise_gym.trajectory.store import MANIFEST, has_records, read_manifest

    if not (out / MANIFEST).is_file() or not has_records(out):
        return
    kept = read_manifest(out)["compression"]
    if compress != (kept == "zstd"):
        which = "compressed" if kept == "zstd" else "uncompressed"
        console.print(
            f"note: {out} is {which} and stays that way.", markup=False, highlight=False, soft_wrap=True
        )


def open_intents(file: Path, limit: int | None) -> ScenarioSource:
    """Open an intents file; with a limit only its first scenarios exist."""
    from ise_gym.intents.foreign import open_intent_file

    source = open_intent_file(file)
    return source if limit is None else First(source, limit)


def _scenarios(
    intents: Path | None, source: str, options: Mapping[str, object], limit: int | None
) -> tuple[ScenarioSource, dict[str, Any]]:
    """Open what is played; returns it with what the manifest keeps of it."""
    from ise_gym.env.settings import open_source
    from ise_gym.models.options import binding

    if (intents is None) == (not source):
        raise UserError("ise rollout: give either --intents FILE or --source NAME.")
    if intents is not None:
        if options:
            raise UserError("ise rollout: --source-option belongs to --source, and --intents takes none.")
        file = intents / "intents.jsonl" if intents.is_dir() else intents
        return open_intents(file, limit), {"intents": file_sha256(file)}
    found = open_source({**options, "name": source})
    assert found is not None
    if limit is None and not (hasattr(found, "ids") or hasattr(found, "__len__")):
        raise UserError(f"--source {source} has no end: say how many episodes with --limit N.")
    told = {"source": source, **binding("source_options", options)}
    return (found if limit is None else First(found, limit)), told


def _check_judge(judge: str, options: Mapping[str, object], guard: bool) -> None:
    """Refuse an unknown judge, options that do not fit it, and one that nobody would ask."""
    from ise_gym.simulator import make_judge

    if judge:
        if not guard:
            raise UserError("--judge: the guard asks the judge, so leave --no-guard out.")
        make_judge(judge, **options)
    elif options:
        raise UserError("--judge-option belongs to --judge, which is not given.")


@dataclasses.dataclass(frozen=True)
class First:
    """The first ``count`` scenarios of a source."""

    source: ScenarioSource
    count: int

    @property
    def name(self) -> str:
        """The inner source's."""
        return self.source.name

    def ids(self) -> list[str]:
        """Ids of the scenarios that are left."""
        if (ids := getattr(self.source, "ids", None)) is not None:
            return list(islice(ids(), self.count))
        size = len(self.source) if isinstance(self.source, Sized) else self.count
        return [self.source.scenario(number).id for number in range(min(size, self.count))]

    def scenario(self, seed: int) -> Scenario:
        """The inner source's scenario."""
        return self.source.scenario(seed)

    def __iter__(self) -> Iterator[Scenario]:
        return (self.scenario(n) for n in range(len(self.ids())))


def _conclude(console: Screen, out: Path, status: Status) -> None:
    from ise_gym.foreign.screen import Screen
    from ise_gym.trajectory.drift import drift_table, spoken_by
    from ise_gym.trajectory.stats import store_stats
    from ise_gym.trajectory.tables import outcome_table, shape_table

    if status.torn:
        console.print(f"{status.torn} half-written record(s) of an earlier run moved to {out}/torn.")
    if status.already:
        console.print(f"{status.already} of {status.total} episodes were already in the store.")
    if status.interrupted:
        console.print(
            f"Interrupted: {status.missing} episodes are missing. Run the same command again to resume."
        )
    elif status.broken:
        console.print(
            f"{status.broken} episodes ended in an infrastructure failure ({out}/failures). "
            "Run the same command again to retry them."
        )
    summary = store_stats(out)
    tables = Screen(quiet=console.quiet)
    tables.print(outcome_table(summary))
    tables.print(shape_table(summary))
    if drift := summary["drift"]:
        if drift["refused"]["count"] or drift["false_claims"]:
            tables.print(drift_table(drift))
            tables.print(f"False claims of the agent, against the evidence: {drift['false_claims']:,}.")
        for line in spoken_by(drift):
            tables.print(line)
