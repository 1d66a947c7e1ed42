"""``ise claweval``: play the benchmark Claw-Eval from a checkout of it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from ise_gym.cli.evaluation.run import (
    Adapter,
    GiveUpAfter,
    Limit,
    Out,
    Price,
    Quiet,
    Seed,
    Trials,
    Workers,
    conclude,
)
from ise_gym.cli.seats import (
    DRAIN_S,
    AgentOptions,
    DrainLimit,
    MaxCost,
    MaxHours,
    MaxTokens,
    read_limits,
    read_options,
)
from ise_gym.cli.voice import resumable
from ise_gym.errors import UserError
from ise_gym.rollout.work import GIVE_UP_AFTER

app = typer.Typer(
    help="Play Claw-Eval from a checkout, with the benchmark's own loop and graders or through ISE-OS-v0.",
    no_args_is_help=True,
)

Checkout = Annotated[Path, typer.Option(help="Checkout of github.com/claw-eval/claw-eval.")]
Selection = Annotated[str, typer.Option(help="T, C, M, a tag, a file of ids, ids, or a glob.")]
Judge = Annotated[str, typer.Option(help="none (only tasks that need no judge), stub:SCORE or openai:MODEL.")]
UserModel = Annotated[
    str,
    typer.Option(help="openai:MODEL that plays the user of multi-turn tasks.", show_default="none"),
]
Sandbox = Annotated[
    str, typer.Option(help="Workspace backend of the nine sandbox tools; none leaves the tools out.")
]
Protocol = Annotated[str, typer.Option(help="upstream (the benchmark's own loop) or env (ISE-OS-v0).")]


@app.command()
def run(
    checkout: Checkout,
    agent: Annotated[
        str, typer.Option(help="Who acts: openai:MODEL, transformers:DIR, vacuous, explorer, diligent.")
    ],
    out: Out,
    adapter: Adapter = None,
    agent_option: AgentOptions = None,
    price: Price = None,
    give_up_after: GiveUpAfter = GIVE_UP_AFTER,
    tasks: Selection = "T",
    protocol: Protocol = "upstream",
    judge: Judge = "none",
    judge_base_url: Annotated[
        str, typer.Option(help="Endpoint of the judge, up to /v1.", show_default="OpenAI's own")
    ] = "",
    judge_cache: Annotated[
        str, typer.Option(help="Folder of cached judge answers.", show_default="none")
    ] = "",
    judge_concurrency: Annotated[
        int, typer.Option(min=0, help="Judge requests in flight, all workers together; 0: no limit.")
    ] = 0,
    user_model: UserModel = "",
    user_base_url: Annotated[
        str, typer.Option(help="Endpoint of that model, up to /v1.", show_default="OpenAI's own")
    ] = "",
    sandbox: Sandbox = "auto",
    services: Annotated[
        str, typer.Option(help="Mock services: process (inside each worker) or subprocess (as upstream).")
    ] = "process",
    clock: Annotated[
        str, typer.Option(help="upstream (today) or task (fixtures keep their dates).")
    ] = "upstream",
    trials: Trials = 1,
    limit: Limit = None,
    seed: Seed = 0,
    workers: Workers = 1,
    max_tokens_total: MaxTokens = None,
    max_cost: MaxCost = None,
    max_hours: MaxHours = None,
    drain_limit: DrainLimit = DRAIN_S,
    quiet: Quiet = False,
) -> None:
    """Play tasks of the benchmark and print pass@1 with its interval.

    The judge and the simulated user take their key from OPENAI_API_KEY. Exit code 0 when every trial has a verdict,
    1 when some ended in an error, 130 when interrupted.
    """
    require_packages()
    from ise_gym.evaluation.claweval.models.judge import parse_judge
    from ise_gym.evaluation.claweval.runner import run_claweval
    from ise_gym.evaluation.spending import parse_prices
    from ise_gym.foreign.screen import Screen
    from ise_gym.rollout.progress import RolloutProgress

    agent_options, _ = read_options(agent_option)
    if adapter is not None:
        agent_options["adapter"] = str(adapter)
    prices = parse_prices(price)
    price_in, price_out = prices.pair("judge")
    user_in, user_out = prices.pair("user")
    judged_by = parse_judge(
        judge,
        base_url=judge_base_url,
        cache=judge_cache,
        concurrency=judge_concurrency,
        price_in=price_in,
        price_out=price_out,
    )
    priced = {"price_in": 0} if price else {}
    limits = read_limits(max_tokens_total, max_cost, max_hours, drain_limit, priced, agent_options)
    with resumable(), RolloutProgress(Screen(stderr=True, quiet=quiet), title="claweval") as progress:
        summary = run_claweval(
            checkout,
            agent,
            out,
            tasks=tasks,
            judge=judged_by,
            user=parse_judge(user_model, base_url=user_base_url, price_in=user_in, price_out=user_out)
            if user_model
            else None,
            sandbox="" if sandbox == "none" else sandbox,
            protocol=protocol,
            services=services,
            clock=clock,
            agent_options=agent_options,
            agent_prices=prices.pair("agent"),
            give_up_after=give_up_after,
            trials=trials,
            limit=limit,
            seed=seed,
            workers=workers,
            limits=limits,
            on_progress=progress,
        )
    conclude(summary, quiet=quiet)


@app.command("tasks")
def list_tasks(
    checkout: Checkout,
    tasks: Selection = "T",
    judge: Judge = "none",
    user_model: UserModel = "",
    sandbox: Sandbox = "auto",
    protocol: Protocol = "upstream",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the tasks that `ise claweval run` would play with these options, and why others are left out."""
    require_packages()
    from rich.table import Table

    from ise_gym.cli.printing import print_json, wide_console
    from ise_gym.evaluation.claweval.models.judge import parse_judge
    from ise_gym.evaluation.claweval.runner import playable
    from ise_gym.evaluation.claweval.tasks import load_tasks, open_checkout, select

    chosen, left_out = playable(
        select(load_tasks(open_checkout(checkout).root), tasks),
        parse_judge(judge),
        parse_judge(user_model) if user_model else None,
        "" if sandbox == "none" else sandbox,
        in_env=protocol == "env",
    )
    if as_json:
        print_json({"tasks": {task.id: task.labels() for task in chosen}, "left_out": left_out})
        return
    table = Table("task", "labels", "left out because", caption=f"{len(chosen)} tasks can be played")
    for task in chosen:
        table.add_row(task.id, ", ".join(f"{k} {v}" for k, v in task.labels().items()), "")
    for name, why in left_out.items():
        table.add_row(name, "", why)
    wide_console().print(table)


def require_packages() -> None:
    """Say what Claw-Eval needs and is missing; `UserError`."""
    missing = [name for name in ("httpx", "openai", "fastapi") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"Claw-Eval needs {', '.join(missing)}: pip install 'ise-gym[claweval]'")
