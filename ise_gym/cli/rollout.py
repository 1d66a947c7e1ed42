"""``ise rollout``: play intents into a store of trajectories."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from ise_gym.cli.seats import AgentOptions, Backend, UserOptions, check_seats, read_options
from ise_gym.errors import UserError, nearest

ENGINES = ("local", "ray")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(rollout)


def rollout(
    intents: Annotated[
        Path, typer.Option(help="JSONL file of intents, or the folder that holds intents.jsonl.")
    ],
    out: Annotated[
        Path, typer.Option(help="Folder of the trajectory store; created if missing, otherwise resumed.")
    ],
    agent: Annotated[
        str, typer.Option(help="Who acts, e.g. expert, openai:MODEL, transformers:PATH, or a plug-in.")
    ] = "expert",
    agent_option: AgentOptions = None,
    user: Annotated[
        str, typer.Option(help="User simulator: scripted, single-turn, naive, llm:MODEL.")
    ] = "scripted",
    user_option: UserOptions = None,
    guard: Annotated[bool, typer.Option(help="Guard the simulator against role drift.")] = True,
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
    compress: Annotated[bool, typer.Option(help="Write zstd-compressed shards (a new store only).")] = False,
    engine: Annotated[str, typer.Option(help="Where workers run: local or ray.")] = "local",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no tables.")] = False,
) -> None:
    """Play every intent and append the trajectories to a store.

    Ctrl-C finishes the running episodes and stops; the same command plays what is missing. Records do not depend on the
    number of workers. Exit code 0 when every episode is recorded, 1 when some failed for good, 130 when interrupted.
    """
    from ise_gym.foreign.screen import Screen
    from ise_gym.intents.catalog import catalog_hash
    from ise_gym.models.options import a_workers_share, binding
    from ise_gym.rollout.progress import RolloutProgress
    from ise_gym.rollout.run import run
    from ise_gym.rollout.spec import RolloutSpec, agent_factory, env_factory

    if engine not in ENGINES:
        raise UserError(f"unknown engine '{engine}'; known: {', '.join(ENGINES)}.{nearest(engine, ENGINES)}")
    if user == "human":
        raise UserError("--user human: a rollout has nobody to ask; use `ise play` to be the user yourself.")
    for_agent, for_user = read_options(agent_option, user_option)
    check_seats(agent, user, backend, agent_options=for_agent, user_options=for_user)
    file = intents / "intents.jsonl" if intents.is_dir() else intents
    spec = RolloutSpec(
        source=open_intents(file, limit),
        make_agent=agent_factory(agent, **a_workers_share(for_agent, workers)),
        make_env=env_factory(
            backend=backend, user=user, user_options=a_workers_share(for_user, workers), guard=guard
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
                "intents": hashlib.sha256(file.read_bytes()).hexdigest(),
                "catalog": catalog_hash(),
                "agent": agent,
                "user": user,
                "guard": guard,
                "backend": backend,
                "seed": seed,
                "samples": samples,
                **binding("agent_options", for_agent),
                **binding("user_options", for_user),
            },
            workers=workers,
            retries=retries,
            retry_failed=retry_failed,
            give_up_after=give_up_after,
            compression="zstd" if compress else "none",
            on_progress=progress,
            **options,
        )
    if not quiet:
        _conclude(console, out, status)
    if status.interrupted:
        raise typer.Exit(130)
    if status.broken:
        raise typer.Exit(1)


def _note_compression(console: Any, out: Path, compress: bool) -> None:
    """Say that a store which holds episodes stays compressed or not, whatever this run asks for."""
    from ise_gym.trajectory.store import MANIFEST, has_records, read_manifest

    if not (out / MANIFEST).is_file() or not has_records(out):
        return
    kept = read_manifest(out)["compression"]
    if compress != (kept == "zstd"):
        which = "compressed" if kept == "zstd" else "uncompressed"
        console.print(f"note: {out} is {which} and stays so.", markup=False, highlight=False, soft_wrap=True)


def open_intents(file: Path, limit: int | None) -> Any:
    """Open an intents file; with a limit only its first scenarios exist."""
    from ise_gym.intents.foreign import open_intent_file

    source = open_intent_file(file)
    return source if limit is None else First(source, limit)


@dataclasses.dataclass(frozen=True)
class First:
    """The first ``count`` scenarios of a source."""

    source: Any
    count: int

    @property
    def name(self) -> str:
        """The inner source's."""
        return str(self.source.name)

    def ids(self) -> list[str]:
        """Ids of the scenarios that are left."""
        from ise_gym.rollout.run import scenario_ids

        return list(scenario_ids(self.source))[: self.count]

    def scenario(self, seed: int) -> Any:
        """The inner source's scenario."""
        return self.source.scenario(seed)

    def __iter__(self) -> Iterator[Any]:
        return (self.scenario(n) for n in range(len(self.ids())))


def _conclude(console: Any, out: Path, status: Any) -> None:
    from ise_gym.foreign.screen import Screen
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
