"""The ``ise`` command: every stage of the project from a shell.

Each module here holds one group of commands and imports what it needs inside them, so that ``ise --help`` is quick.
How commands end is said once, in `ise_gym.cli.voice`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from ise_gym.cli import (
    corpus,
    doctor,
    evaluation,
    experiment,
    gc,
    guard,
    play,
    plugins,
    replay,
    rollout,
    tasks,
    train,
)
from ise_gym.cli.curation import authoring, judge, select, verify
from ise_gym.cli.evaluation import claweval
from ise_gym.cli.serving import serve, view
from ise_gym.cli.voice import OneVoice

app = typer.Typer(
    name="ise",
    cls=OneVoice,
    help="Intent → Simulate → Execute: draw intents, play them in a live OS workspace, record, train and evaluate.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
)
doctor.register(app)
app.add_typer(tasks.app, name="tasks")
app.add_typer(authoring.app, name="intents")
app.add_typer(guard.app, name="guard")
rollout.register(app)
play.register(app)
serve.register(app)
corpus.register(app)
view.register(app)
judge.register(app)
select.register(app)
verify.register(app)
replay.register(app)
app.add_typer(train.app, name="train")
app.add_typer(evaluation.app, name="eval")
app.add_typer(claweval.app, name="claweval")
app.add_typer(experiment.app, name="experiment")
gc.register(app)
plugins.register(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        from ise_gym import __version__

        typer.echo(f"ise_gym {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and exit.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Intent → Simulate → Execute: draw intents, play them in a live OS workspace, record, train and evaluate."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line, by default this process's own, and exit."""
    app(args=None if arguments is None else list(arguments), prog_name="ise")
