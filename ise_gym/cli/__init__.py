"""The ``ise`` command: every stage of the project from a shell.

Each module here holds one group of commands and imports what it needs inside them, so that ``ise --help`` is quick.
A `UserError` becomes one line and exit code 2; a bug keeps its traceback.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from ise_gym.cli import corpus, doctor, gc, guard, intents, play, plugins, replay, rollout, tasks
from ise_gym.errors import UserError
from ise_gym.foreign_text import printable

app = typer.Typer(
    name="ise",
    help="Intent → Simulate → Execute: draw intents, play them in a live OS workspace, record, look and export.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="markdown",
)
app.add_typer(tasks.app, name="tasks")
app.add_typer(intents.app, name="intents")
app.add_typer(guard.app, name="guard")
doctor.register(app)
rollout.register(app)
play.register(app)
corpus.register(app)
replay.register(app)
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
    """Intent → Simulate → Execute: draw intents, play them in a live OS workspace, record, look and export."""


def main() -> None:
    """Run the command line."""
    try:
        app()
    except UserError as error:
        print(f"ise: {printable(str(error))}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("ise: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except BrokenPipeError:  # the reader of our output (head, less) went away, which is no error of ours
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
