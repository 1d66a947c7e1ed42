"""The command line: ``python -m eval run | compare | reproduce-ise | report | suite``.

A `UserError` becomes one line and exit code 2; a bug keeps its traceback.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ise_gym.atomic import replacing
from ise_gym.errors import UserError
from ise_gym.evaluation import suites_cli
from ise_gym.evaluation.options import parse_options, parse_price, refuse_unused
from ise_gym.foreign_text import printable, printable_json
from ise_gym.screen import Screen

app = typer.Typer(
    name="eval",
    help="Play a benchmark through ISE-OS-v0, compare runs in pairs, report with intervals.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(suites_cli.app, name="suite")


@app.callback()
def _root() -> None:
    """Play a benchmark through ISE-OS-v0, compare runs in pairs, report with intervals."""


@app.command()
def run(
    context: typer.Context,
    suite: Annotated[str, typer.Option(help="Suite by name (builtin, demo-easy, claweval) or a YAML file.")],
    agent: Annotated[
        str,
        typer.Option(
            help="Who acts: expert, openai:MODEL, transformers:DIR; claweval: vacuous, explorer, diligent."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Run folder; the same command resumes it.")],
    adapter: Annotated[
        Path | None, typer.Option(help="LoRA adapter folder on top of transformers:DIR.", show_default="none")
    ] = None,
    agent_option: Annotated[
        list[str] | None,
        typer.Option("--agent-option", help="KEY=VALUE for the agent, such as base_url or temperature."),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="Trials a task.")] = 1,
    workers: Annotated[int, typer.Option("--workers", "-w", min=1, help="Worker processes.")] = 1,
    slots: Annotated[
        int | None,
        typer.Option(
            min=1, help="Episodes a worker plays at once.", show_default="16 for a local model, else 1"
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only so many tasks, spread over the suite.", show_default="all")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of user simulator and sampling, not of the tasks.")] = 0,
    user: Annotated[str, typer.Option(help="User simulator.")] = "scripted",
    backend: Annotated[str, typer.Option(help="Workspace backend: auto, bubblewrap, docker, …")] = "auto",
    trained_on: Annotated[
        list[Path] | None,
        typer.Option(help="Store that the model was trained on; checked for tasks of the suite. Repeatable."),
    ] = None,
    allow_contaminated: Annotated[
        bool, typer.Option("--allow-contaminated", help="Run although training and suite share tasks.")
    ] = False,
    claw_eval: Annotated[
        Path | None, typer.Option(help="claweval: checkout of the benchmark.", show_default="none")
    ] = None,
    protocol: Annotated[str, typer.Option(help="claweval: upstream (its own loop) or env.")] = "upstream",
    tasks: Annotated[
        str, typer.Option(help="claweval: T, C, M, a tag, a file of ids, ids, or a glob.")
    ] = "T",
    judge: Annotated[str, typer.Option(help="claweval: none, stub:SCORE or openai:MODEL.")] = "none",
    judge_base_url: Annotated[str, typer.Option(help="claweval: endpoint of the judge.")] = "",
    judge_cache: Annotated[str, typer.Option(help="claweval: folder of cached judge answers.")] = "",
    judge_concurrency: Annotated[
        int, typer.Option(min=0, help="claweval: judge requests at once, all workers together; 0: no limit.")
    ] = 0,
    judge_price: Annotated[
        str, typer.Option(help="claweval: IN,OUT dollars a million tokens of the judge.", show_default="none")
    ] = "",
    agent_price: Annotated[
        str, typer.Option(help="claweval: the same of the agent.", show_default="none")
    ] = "",
    user_model: Annotated[
        str,
        typer.Option(
            help="claweval: openai:MODEL that plays the user of multi-turn tasks.", show_default="none"
        ),
    ] = "",
    user_base_url: Annotated[str, typer.Option(help="claweval: endpoint of that model.")] = "",
    sandbox: Annotated[
        str, typer.Option(help="claweval: workspace backend of the nine sandbox tools; none leaves them out.")
    ] = "auto",
    services: Annotated[
        str, typer.Option(help="claweval: mock services in process, or as subprocess like the benchmark's.")
    ] = "process",
    clock: Annotated[
        str, typer.Option(help="claweval: upstream (today), or task (fixtures keep their dates).")
    ] = "upstream",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no table.")] = False,
) -> None:
    """Play a suite and print pass@1 with its interval.

    Exit code 0 when every trial has a verdict, 1 when some ended in an error, 130 when interrupted.
    """
    from ise_gym.evaluation.builtin import run_suite
    from ise_gym.evaluation.results.tables import summary_table
    from ise_gym.rollout.progress import RolloutProgress

    refuse_unused(context, suite)
    options = parse_options(agent_option or [])
    if adapter is not None:
        options["adapter"] = str(adapter)
    console = Screen(stderr=True, quiet=quiet)
    with RolloutProgress(console, title="eval") as progress:
        shared: dict[str, Any] = {
            "agent_options": options,
            "trials": trials,
            "limit": limit,
            "seed": seed,
            "workers": workers,
            "on_progress": progress,
        }
        if suite == "claweval":
            # Only here: these need packages that playing one's own suites does not.
            require_packages()
            from ise_gym.evaluation.claweval.models.judge import parse_judge
            from ise_gym.evaluation.claweval.runner import run_claweval

            read, written = parse_price(judge_price)
            chosen = parse_judge(
                judge,
                base_url=judge_base_url,
                cache=judge_cache,
                concurrency=judge_concurrency,
                price_in=read,
                price_out=written,
            )
            plays_user = parse_judge(user_model, base_url=user_base_url) if user_model else None
            place = "" if sandbox == "none" else sandbox
            summary = run_claweval(
                _given(claw_eval),
                agent,
                out,
                tasks=tasks,
                judge=chosen,
                user=plays_user,
                sandbox=place,
                protocol=protocol,
                services=services,
                clock=clock,
                agent_prices=parse_price(agent_price),
                **shared,
            )
        else:
            summary = run_suite(
                suite,
                agent,
                out,
                user=user,
                backend=backend,
                slots=slots,
                trained_on=trained_on or (),
                allow_contaminated=allow_contaminated,
                **shared,
            )
    if not quiet:
        Screen().print(summary_table(summary))
    if not summary.complete:
        raise typer.Exit(1)


def require_packages() -> None:
    """Say what Claw-Eval needs and is missing; `UserError`."""
    missing = [name for name in ("httpx", "openai", "fastapi") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"Claw-Eval needs {', '.join(missing)}: pip install 'ise-gym[claweval]'")


def _given(checkout: Path | None) -> Path:
    if checkout is None:
        raise UserError(
            "--suite claweval needs --claw-eval DIR, a checkout of github.com/claw-eval/claw-eval."
        )
    return checkout


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run folders; the first is the baseline.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    for_report: Annotated[
        Path | None, typer.Option(help="Also write what `ise report --comparison` reads to this file.")
    ] = None,
) -> None:
    """Compare runs of one suite, task by task.

    Over the tasks that every run was judged on: pass@1 with its Wilson interval, the paired difference with its
    bootstrap interval, the exact McNemar p-value. Beside it: the fixed task list, missing counted as not passed.
    """
    from ise_gym.evaluation.results.compare import compare as compare_runs
    from ise_gym.evaluation.results.tables import comparison_view

    found = compare_runs(*runs)
    if for_report is not None:
        with replacing(for_report) as file:
            file.write(json.dumps(found.for_report(), ensure_ascii=False, indent=2).encode())
    if as_json:
        print_json(found.to_json())
    else:
        wide_console().print(comparison_view(found))


@app.command("reproduce-ise")
def reproduce_ise(
    runs: Annotated[list[Path] | None, typer.Argument(help="Run folders of the suite claweval.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")] = False,
) -> None:
    """Print the paper's Claw-Eval table beside your runs, over the tasks that each of them was graded on."""
    from ise_gym.evaluation.results.reproduce import reproduce
    from ise_gym.evaluation.run import load_run

    found = reproduce([load_run(path) for path in runs or ()])
    if as_json:
        print_json(found.to_json())
    elif as_markdown:
        sys.stdout.write(found.to_markdown())
    else:
        wide_console().print(found.table(), *found.remarks())


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Run folders.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, one line a trial.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")] = False,
    html: Annotated[
        Path | None,
        typer.Option(help="Write a page with every trial's conversation, calls and judgement to this file."),
    ] = None,
) -> None:
    """Report runs: by difficulty, by outcome, with every error counted."""
    from ise_gym.evaluation.results import report as reports
    from ise_gym.evaluation.results.summary import summarise
    from ise_gym.evaluation.results.tables import broken_text, summary_table
    from ise_gym.evaluation.run import load_run

    if as_json + as_csv + as_markdown > 1:
        raise UserError("give one of --json, --csv and --markdown.")
    loaded = [load_run(path) for path in runs]
    if html is not None:
        from ise_gym.evaluation.results.page import write_html

        write_html(loaded, html)
    if as_json:
        print_json(reports.to_json(loaded))
    elif as_csv:
        sys.stdout.write(reports.to_csv(loaded))
    elif as_markdown:
        sys.stdout.write(reports.to_markdown(loaded))
    else:
        for one in loaded:
            wide_console().print(summary_table(summarise(one)), *broken_text(one))


def print_json(value: Any) -> None:
    """Print JSON to standard output."""
    sys.stdout.write(printable_json(value) + "\n")


def wide_console() -> Screen:
    """A console for tables; in a pipe it is wide enough not to break them."""
    console = Screen()
    return console if console.is_terminal else Screen(width=200)


def main() -> None:
    """Run the command line."""
    try:
        app()
    except UserError as error:
        print(f"eval: {printable(str(error))}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("eval: interrupted; the same command resumes", file=sys.stderr)
        raise SystemExit(130) from None
