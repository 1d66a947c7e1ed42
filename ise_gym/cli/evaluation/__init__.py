"""``ise eval``: play frozen suites, compare runs in pairs, report with intervals."""

from __future__ import annotations

import typer

from ise_gym.cli.evaluation import results, run, submissions, suites

app = typer.Typer(
    help="Play a suite of held-out tasks through ISE-OS-v0, compare runs in pairs, report with intervals.",
    no_args_is_help=True,
)
run.register(app)
results.register(app)
submissions.register(app)
app.add_typer(suites.app, name="suite")
