"""``ise experiment``: a whole experiment as one plan of resumable stages."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from ise_gym.errors import UserError

app = typer.Typer(
    help="Plan a whole experiment, from intents to the paper's table, and run it stage by stage.",
    no_args_is_help=True,
)

Plan = Annotated[str, typer.Argument(help="A YAML file, or the name of a plan that ships, such as ise_8b.")]
Variables = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME=VALUE]...", help="Variables of the plan.", show_default=False),
]
Machine = Annotated[
    str, typer.Option("--hardware", help="Machine of the plan.", show_default="its first one")
]


@app.command()
def plan(
    experiment: Plan,
    variables: Variables = None,
    hardware: Machine = "",
    commands: Annotated[bool, typer.Option("--commands", help="Print the command of every stage.")] = False,
) -> None:
    """Print the stages with tokens, hours, cost, and what remains. All figures are the plan's estimates."""
    from rich.table import Table

    from ise_gym.cli.printing import wide_console
    from ise_gym.training.experiment import load_experiment, plan_for

    loaded = load_experiment(experiment, variables or ())
    stages = plan_for(loaded, hardware)
    table = Table("stage", "what", "tokens", "hours", "dollars", "state", title=loaded.what)
    for stage in stages:
        table.add_row(
            stage.name,
            stage.what,
            f"{stage.tokens / 1e6:,.1f} M",
            f"{stage.hours:,.1f}",
            f"{stage.dollars:,.0f}",
            stage.state,
        )
    left = [stage for stage in stages if stage.state != "done"]
    for name, some in (("all", stages), ("remains", left)):
        table.add_row(
            name,
            f"{len(some)} stages",
            f"{sum(stage.tokens for stage in some) / 1e6:,.1f} M",
            f"{sum(stage.hours for stage in some):,.1f}",
            f"{sum(stage.dollars for stage in some):,.0f}",
            "",
        )
    wide_console().print(table)
    if commands:
        for stage in stages:
            if stage.endpoint:
                typer.echo(f"# {stage.name} needs: {stage.endpoint}")
            typer.echo(shlex.join(stage.command))


@app.command()
def run(
    experiment: Plan,
    variables: Variables = None,
    hardware: Machine = "",
    until: Annotated[str, typer.Option(help="Last stage to run.", show_default="the last one")] = "",
) -> None:
    """Run what remains, stage by stage; the same command goes on after an interruption."""
    from ise_gym.training.experiment import load_experiment, plan_for, run_stage

    stages = plan_for(load_experiment(experiment, variables or ()), hardware)
    names = [stage.name for stage in stages]
    if until and until not in names:
        raise UserError(f"--until {until}: there is no such stage. Stages: {', '.join(names)}")
    again = False
    for stage in stages[: names.index(until) + 1] if until else stages:
        # What a stage makes is read by those after it, so that these are run again with it.
        if stage.state == "done" and not again:
            typer.echo(f"{stage.name}: done before")
            continue
        again = again or stage.state == "changed"
        typer.echo(f"{stage.name}: {shlex.join(stage.command)}")
        if stage.endpoint:
            typer.echo(f"  needs: {stage.endpoint}")
        seconds = run_stage(stage)
        typer.echo(f"{stage.name}: done in {seconds:.0f} s")
