"""``ise replay`` proves records by running them again; ``ise upgrade`` makes them last longer than a catalog."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from ise_gym.replay.episode import Replayed
    from ise_gym.replay.store import Summary
    from ise_gym.scenario import Scenario
    from ise_gym.trajectory.record import Trajectory

NAMED = 10
"""Episodes without a scenario that ``ise upgrade`` names on the screen."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(replay)
    app.command()(upgrade)


def replay(
    store: Annotated[Path, typer.Argument(help="Trajectory store, or a JSONL file of trajectories.")],
    verify: Annotated[
        bool,
        typer.Option(
            "--verify",
            help="Exit with 1 unless every episode is identical; without it, differences are only shown.",
        ),
    ] = False,
    episode: Annotated[
        str,
        typer.Option(
            help="Only this episode: its id (a unique prefix is enough), or its number, counted from 1."
        ),
    ] = "",
    workers: Annotated[int, typer.Option("--workers", "-w", min=1, help="Worker processes.")] = 2,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first N episodes.", show_default="all")
    ] = None,
    backend: Annotated[str, typer.Option(help="Workspace backend.", show_default="the recorded one")] = "",
    template: Annotated[
        str, typer.Option(help="The template folder that the episodes started from.", show_default="none")
    ] = "",
    exact: Annotated[
        bool,
        typer.Option(
            "--exact", help="Compare byte by byte, without the rules for clocks, process ids and the like."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Run every recorded tool call again in a fresh workspace and compare results and workspace digests.

    For an episode that differs, the first differing step is shown.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from ise_gym.cli.printing import print_json
    from ise_gym.foreign.screen import Screen
    from ise_gym.replay.store import Options, replay_store
    from ise_gym.trajectory.store import raw_records

    console, errors = Screen(), Screen(stderr=True)
    total = 1 if episode else sum(1 for _ in raw_records(store))
    columns = (
        TextColumn("[bold]replay"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, TimeElapsedColumn(), console=errors, disable=not errors.is_terminal) as progress:
        bar = progress.add_task("", total=min(total, limit or total))

        def advance(result: Replayed, summary: Summary) -> None:
            bad = f"{len(summary.failed)} differ" if summary.failed else "all agree"
            progress.update(bar, completed=summary.episodes, description=bad)

        summary = replay_store(
            store,
            episode=episode,
            workers=workers,
            limit=limit,
            options=Options(backend=backend, exact=exact, template=template),
            on_result=advance,
        )
    if as_json:
        print_json({"ok": summary.ok, **dataclasses.asdict(summary)})
    else:
        for result in summary.failed:
            _show(console, result)
        _conclude(console, summary)
    if verify and not summary.ok:
        raise typer.Exit(1)


def _show(console: Console, result: Replayed) -> None:
    """Print one episode that does not hold; nothing recorded is read as markup."""
    from rich.text import Text

    found = result.difference
    if found is None:
        console.print(Text(f"{result.episode_id}: {result.status}: {result.reason}"), soft_wrap=True)
        return
    where = f"step {found.step} (message {found.message})"
    call = f", {found.tool} {found.arguments[:200]}" if found.tool else ""
    console.print(Text(f"{result.episode_id}: {where}{call}: {found.what} differs"), soft_wrap=True)
    for line in found.diff().splitlines():
        style = "red" if line.startswith("-") else "green" if line.startswith("+") else ""
        console.print(Text(f"    {line}", style=style), soft_wrap=True)


def _conclude(console: Console, summary: Summary) -> None:
    from rich.text import Text

    counts = summary.statuses
    text = f"{counts['identical']} of {summary.episodes} episodes identical"
    text += "".join(
        f", {number} {status}" for status, number in counts.items() if number and status != "identical"
    )
    if summary.rules:
        text += f" ({', '.join(f'{rule}: {number}' for rule, number in sorted(summary.rules.items()))})"
    console.print(
        Text(f"{text}; {summary.calls} tool results and {summary.digests} digests agree"), soft_wrap=True
    )


def upgrade(
    store: Annotated[Path, typer.Argument(help="Trajectory store, or a JSONL file of trajectories.")],
    out: Annotated[
        Path, typer.Option(help="Folder of the new store; an interrupted copy is completed there.")
    ],
    intents: Annotated[
        Path | None,
        typer.Option(
            help="Intents file that the episodes were played from, for intents that a model worded.",
            show_default="the catalog",
        ),
    ] = None,
) -> None:
    """Copy a store into the present schema version and write each episode's scenario into its record.

    Such a record replays under any later catalog. Run it while the catalog is still the one that drew the episodes;
    those that it no longer draws are copied as they are and named.
    """
    from rich.progress import Progress

    from ise_gym.cli.rollout import open_intents
    from ise_gym.foreign.screen import Screen
    from ise_gym.replay.episode import catalog_scenario
    from ise_gym.replay.upgrade import FromSource
    from ise_gym.replay.upgrade import upgrade as copied
    from ise_gym.trajectory.store import raw_records

    console, errors = Screen(), Screen(stderr=True)
    rebuild: Callable[[Trajectory], Scenario] = catalog_scenario
    if intents is not None:
        rebuild = FromSource(open_intents(intents / "intents.jsonl" if intents.is_dir() else intents, None))
    total = sum(1 for _ in raw_records(store))
    with Progress(console=errors, disable=not errors.is_terminal) as progress:
        bar = progress.add_task("upgrade", total=total)
        done = copied(
            store, out, rebuild=rebuild, on_record=lambda now: progress.update(bar, completed=now.episodes)
        )
    for name, why in list(done.without.items())[:NAMED]:
        console.print(f"{name}: no scenario: {why}", markup=False, soft_wrap=True)
    if len(done.without) > NAMED:
        console.print(f"… and {len(done.without) - NAMED:,} more without a scenario")
    console.print(
        f"{done.written:,} of {done.episodes:,} episodes got their scenario, {done.had:,} had it, "
        f"{len(done.without):,} can't get it"
        + (f", {done.already:,} were there already" if done.already else "")
        + f"; {out}",
        markup=False,
        soft_wrap=True,
    )
