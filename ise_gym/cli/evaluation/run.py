"""``ise eval run``: play a frozen suite of the catalog's held-out tasks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ise_gym.cli.printing import wide_console
from ise_gym.cli.seats import (
    DRAIN_S,
    AgentOptions,
    Backend,
    DrainLimit,
    MaxCost,
    MaxHours,
    MaxTokens,
    UserOptions,
    check_seats,
    read_limits,
    read_options,
)
from ise_gym.cli.voice import resumable
from ise_gym.errors import UserError
from ise_gym.rollout.work import GIVE_UP_AFTER

if TYPE_CHECKING:
    from ise_gym.evaluation.results.summary import RunSummary

Adapter = Annotated[
    Path | None, typer.Option(help="LoRA adapter folder on top of transformers:DIR.", show_default="none")
]
Trials = Annotated[int, typer.Option(min=1, help="Trials per task.")]
Price = Annotated[
    list[str] | None,
    typer.Option(
        help="[SEAT=]IN,OUT: dollars per million tokens of the agent, or of SEAT (agent, user, judge). Repeatable.",
        metavar="[SEAT=]IN,OUT",
        show_default="as the models tell",
    ),
]
GiveUpAfter = Annotated[
    int, typer.Option(min=1, help="End the run after N trials in a row without a verdict.", metavar="N")
]
Workers = Annotated[int, typer.Option("--workers", "-w", min=1, help="Worker processes.")]
Limit = Annotated[
    int | None,
    typer.Option(min=1, help="Only N tasks, spread evenly over the suite.", metavar="N", show_default="all"),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of user simulator and sampling, not of the tasks.")]
Out = Annotated[Path, typer.Option(help="Run folder; the same command resumes it.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no table.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(run)


def run(
    suite: Annotated[
        str, typer.Option(help="Suite by name (`ise eval suite list` lists them), or a YAML file.")
    ],
    agent: Annotated[
        str, typer.Option(help="Who acts: expert, openai:MODEL, transformers:DIR, or a plug-in.")
    ],
    out: Out,
    adapter: Adapter = None,
    agent_option: AgentOptions = None,
    user: Annotated[
        str | None,
        typer.Option(
            help="User simulator: scripted, single-turn, naive, llm:MODEL.", show_default="the suite's"
        ),
    ] = None,
    user_option: UserOptions = None,
    backend: Backend = "auto",
    trials: Annotated[
        int | None, typer.Option(min=1, help="Trials per task.", show_default="the suite's")
    ] = None,
    limit: Limit = None,
    seed: Seed = 0,
    workers: Workers = 1,
    slots: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Episodes that each worker plays at once.",
            show_default="16 for a local model, else 1",
        ),
    ] = None,
    price: Price = None,
    give_up_after: GiveUpAfter = GIVE_UP_AFTER,
    max_tokens_total: MaxTokens = None,
    max_cost: MaxCost = None,
    max_hours: MaxHours = None,
    drain_limit: DrainLimit = DRAIN_S,
    trained_on: Annotated[
        list[Path] | None,
        typer.Option(
            help="What the model was trained on: a store, or an export of one (openai, trl, isetrace; JSONL or "
            "Parquet). Checked for tasks of the suite. Repeatable."
        ),
    ] = None,
    allow_contaminated: Annotated[
        bool,
        typer.Option("--allow-contaminated", help="Run even though training data and suite share tasks."),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Play a suite and print pass@1 with its interval.

    Exit code 0 when every trial has a verdict, 1 when some ended in an error or a limit ended the run, 130 when
    interrupted.
    """
    from ise_gym.evaluation.builtin import run_suite
    from ise_gym.evaluation.spending import parse_prices
    from ise_gym.foreign.screen import Screen
    from ise_gym.rollout.progress import RolloutProgress

    if suite == "claweval":
        raise UserError("claweval has a command of its own: ise claweval run --checkout DIR …")
    agent_options, user_options = read_options(agent_option, user_option)
    if adapter is not None:
        agent_options["adapter"] = str(adapter)
    prices = parse_prices(price)
    for seat, spec, options in (("agent", agent, agent_options), ("user", user or "", user_options)):
        if seat in prices.seats and spec.partition(":")[0] in ("openai", "llm"):  # they count it as they go
            options["price_in"], options["price_out"] = prices.pair(seat)
    check_seats(agent, user or "scripted", backend, agent_options=agent_options, user_options=user_options)
    limits = read_limits(max_tokens_total, max_cost, max_hours, drain_limit, agent_options, user_options)
    with resumable(), RolloutProgress(Screen(stderr=True, quiet=quiet), title="eval") as progress:
        summary = run_suite(
            suite,
            agent,
            out,
            agent_options=agent_options,
            user=user,
            user_options=user_options,
            backend=backend,
            trials=trials,
            limit=limit,
            seed=seed,
            workers=workers,
            slots=slots,
            prices=prices,
            give_up_after=give_up_after,
            limits=limits,
            trained_on=trained_on or (),
            allow_contaminated=allow_contaminated,
            on_progress=progress,
            on_checked=(lambda told: None) if quiet else Screen(stderr=True, highlight=False).print,
        )
    conclude(summary, quiet=quiet)


def conclude(summary: RunSummary, *, quiet: bool) -> None:
    """Print a run's table; exit code 1 when a trial has no verdict."""
    from ise_gym.evaluation.results.tables import summary_table

    if not quiet:
        wide_console().print(summary_table(summary))
    if not summary.complete:
        raise typer.Exit(1)
