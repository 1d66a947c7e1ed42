"""``ise serve-env`` and ``ise harbor-tasks``: episodes for agents and harnesses of others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ise_gym.cli.seats import Backend, SourceOptions, UserOptions, check_seats
from ise_gym.errors import UserError, nearest


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("serve-env")(serve_env)
    app.command("harbor-tasks")(harbor_tasks)


def serve_env(
    source: Annotated[
        str, typer.Option(help="Where the task comes from: suite:NAME, file:PATH, catalog, a plug-in.")
    ] = "catalog",
    source_option: SourceOptions = None,
    task: Annotated[int, typer.Option(min=0, help="Which one, counted from 0.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the run, as of `ise rollout`.")] = 0,
    user: Annotated[
        str, typer.Option(help="User simulator: scripted, llm:MODEL, or a plug-in.")
    ] = "scripted",
    user_option: UserOptions = None,
    backend: Backend = "auto",
    agent_name: Annotated[str, typer.Option(help="Who acts, for the record.")] = "external",
    out: Annotated[
        Path | None, typer.Option(help="Trajectory store for the record.", show_default="none is kept")
    ] = None,
    http: Annotated[
        int | None, typer.Option(help="Serve at this port of 127.0.0.1.", show_default="standard input")
    ] = None,
) -> None:
    """Serve one episode over MCP: the agent calls our tools, and reply_to_user blocks until the user answers."""
    import asyncio

    from ise_gym.adapters.mcp_server import EpisodeServer
    from ise_gym.adapters.seat import Seat, Tasks
    from ise_gym.models.options import options_of

    for_user = options_of(user_option, "--user-option")
    check_seats("expert", user, backend, user_options=for_user)
    tasks = Tasks(source, options_of(source_option, "--source-option"), seed)
    scenario = tasks.scenario(task)
    options = {"user": user, "user_options": for_user, "backend": backend}
    seat = Seat(scenario, tasks.seed(scenario), {"name": agent_name}, store=out, options=options)
    try:
        server = EpisodeServer(seat)
        asyncio.run(server.stdio() if http is None else server.http("127.0.0.1", http))
    finally:
        seat.close()
        record = seat.record()
        score = "" if record.score is None else f", score {record.score:g}"
        typer.echo(f"{record.episode_id}: {record.outcome}{score}", err=True)


def harbor_tasks(
    out: Annotated[Path, typer.Option(help="Folder for the task folders.")],
    source: Annotated[
        str, typer.Option(help="Where tasks come from: suite:NAME, file:PATH, catalog, a plug-in.")
    ] = "catalog",
    source_option: SourceOptions = None,
    kind: Annotated[
        str, typer.Option(help="live: one step, with our user; steps: a step per request, static.")
    ] = "live",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first N.", show_default="all, if the source ends")
    ] = None,
) -> None:
    """Write scenarios as Harbor task folders, for `harbor run` with the classes of ise_gym.adapters.harbor."""
    from typing import cast, get_args

    from ise_gym.adapters.harbor_tasks import Kind, write_tasks
    from ise_gym.adapters.seat import Tasks
    from ise_gym.models.options import options_of

    if kind not in get_args(Kind):
        raise UserError(
            f"unknown kind '{kind}'; known: {', '.join(get_args(Kind))}.{nearest(kind, get_args(Kind))}"
        )
    tasks = Tasks(source, options_of(source_option, "--source-option"))
    if limit is None and not hasattr(tasks.source, "ids"):
        raise UserError(f"the source '{source}' has no end: give --limit N")
    made = write_tasks((scenario for _, scenario in tasks.first(limit)), out, cast("Kind", kind))
    typer.echo(f"{len(made)} tasks → {out}", err=True)
