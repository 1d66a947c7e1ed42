"""``ise eval suite``: freeze a suite, look at one, check that the catalog still draws it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from ise_gym.errors import UserError
from ise_gym.foreign.screen import Screen

app = typer.Typer(help="Freeze suites of held-out tasks and check them.", no_args_is_help=True)


@app.command()
def freeze(
    name: Annotated[str, typer.Argument(help="Name of the suite.")],
    easy: Annotated[int, typer.Option(min=0, help="Number of easy tasks.")] = 0,
    medium: Annotated[int, typer.Option(min=0, help="Number of medium tasks.")] = 0,
    hard: Annotated[int, typer.Option(min=0, help="Number of hard tasks.")] = 0,
    chains: Annotated[
        int, typer.Option(min=0, help="Number of chains (scenarios of several tasks in a row).")
    ] = 0,
    chain_length: Annotated[int, typer.Option(min=2, max=6, help="Tasks per chain.")] = 3,
    domains: Annotated[list[str] | None, typer.Option(help="Only these domains. Repeatable.")] = None,
    tasks: Annotated[
        list[str] | None, typer.Option(help="Only these tasks, e.g. file-io/write-note. Repeatable.")
    ] = None,
    held_out: Annotated[
        bool | None,
        typer.Option(
            "--held-out/--no-held-out",
            help="Only tasks of families that are never drawn for training, or only the others.",
            show_default="both",
        ),
    ] = None,
    first_seed: Annotated[int, typer.Option(min=0, help="First seed to draw from.")] = 0,
    trials: Annotated[int, typer.Option(min=1, help="Trials per task that its figures are based on.")] = 1,
    description: Annotated[str, typer.Option(help="One line saying what the suite is for.")] = "",
    out: Annotated[
        Path | None, typer.Option(help="File to write.", show_default="among the shipped suites")
    ] = None,
) -> None:
    """Draw held-out scenarios, freeze them, and write the manifest.

    The scenarios themselves are kept in a file beside it, so the suite stays as it is when the catalog changes.
    """
    from ise_gym.evaluation.carrying import beside, save_scenarios
    from ise_gym.evaluation.drawing import catalog_tasks, chained, singles
    from ise_gym.evaluation.manifest import SUITES, Terms, save_suite
    from ise_gym.evaluation.suite import SuiteSource
    from ise_gym.evaluation.suite import freeze as freeze_suite

    found = catalog_tasks(domains or [], tasks or [], held_out)
    wanted = [
        part
        for tier, count in (("easy", easy), ("medium", medium), ("hard", hard))
        for part in singles(found, tier, count)
    ]
    wanted += chained(found, chains, chain_length)
    if not wanted:
        raise UserError("nothing to freeze: give --easy, --medium, --hard or --chains a number.")
    manifest = freeze_suite(
        name, wanted, first_seed=first_seed, description=description, terms=Terms(trials=trials)
    )
    file = out or SUITES / f"{name}.yaml"
    save_scenarios(SuiteSource(manifest), beside(file))
    save_suite(manifest, file)
    Screen().print(
        f"{file}: {len(manifest.numbered())} tasks, sha256 {manifest.sha256()[:12]}, with content "
        f"{manifest.content_sha256()[:12]}",
        highlight=False,
    )


@app.command()
def seal(
    suite: Annotated[str, typer.Argument(help="Suite by name or file.")],
    out: Annotated[
        Path | None, typer.Option(help="File to write.", show_default="over the suite's own file")
    ] = None,
) -> None:
    """Add to a suite of before what its tasks are today, so that no later catalog changes it.

    The scenarios are written beside it, and the hashes of their content into a suite of protocol 1. What it draws, its
    ids and its hash stay as they are.
    """
    from ise_gym.evaluation.carrying import beside, save_scenarios
    from ise_gym.evaluation.manifest import load_suite, save_suite, suite_file
    from ise_gym.evaluation.suite import SuiteSource, with_content

    manifest = load_suite(suite)
    sealed = with_content(manifest) if manifest.protocol == 1 else manifest
    file = out or suite_file(suite)
    save_scenarios(SuiteSource(manifest), beside(file))
    save_suite(sealed, file)
    Screen().print(
        f"{file}: sha256 {sealed.sha256()[:12]}, with content {sealed.content_sha256()[:12]}", highlight=False
    )


@app.command()
def check(
    suite: Annotated[str, typer.Argument(help="Suite by name or file.")],
    trained_on: Annotated[
        list[Path] | None,
        typer.Option(help="Training data (store or export) to look for the suite's tasks in. Repeatable."),
    ] = None,
) -> None:
    """Hold every scenario of a suite to its hashes; look for its tasks in training data."""
    from ise_gym.evaluation.contamination import check_training_data
    from ise_gym.evaluation.content import differing, shared_content
    from ise_gym.evaluation.manifest import load_suite
    from ise_gym.evaluation.results.terms import changed_text
    from ise_gym.evaluation.suite import SuiteSource

    manifest = load_suite(suite)
    source = SuiteSource(manifest)
    tasks = source.tasks()
    console = Screen()
    console.print(
        f"{manifest.name}: {len(tasks)} of {len(source.ids())} scenarios are as frozen.",
        highlight=False,
    )
    shared = shared_content(manifest.terms.user, manifest.terms.user_options)
    if changed := source.changed(tasks) + differing(manifest.content, shared):
        console.print(f"{manifest.name}: {changed_text(changed)}.", highlight=False)
    if trained_on:
        overlap = check_training_data(manifest, trained_on)
        console.print(overlap.text() + ".", highlight=False)
        overlap.require_clean(manifest.name)


@app.command()
def tiers(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, of any agents and suites.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="File to write the measured tiers to (YAML).", show_default="none"),
    ] = None,
) -> None:
    """Print pass@1 and first attempts by tier, and the tier of each catalog task as these runs measure it.

    Add a run and ask again: the tiers are computed anew from all runs given. They are provisional as long as only
    scripted agents are among them.
    """
    import yaml

    from ise_gym.cli.printing import print_json
    from ise_gym.evaluation.results.tables import tiers_view
    from ise_gym.evaluation.results.tiers import measure
    from ise_gym.evaluation.run import load_run
    from ise_gym.storage.atomic import replacing

    found = measure([load_run(path) for path in runs])
    if out is not None:
        rows = {
            task.task: {"tier": task.tier, "first_attempt": round(task.share, 3), "agents": task.agents}
            for task in found.tasks
        }
        with replacing(out) as file:
            file.write(yaml.safe_dump(rows, sort_keys=True).encode())
    if as_json:
        print_json(found.to_json())
    else:
        Screen().print(tiers_view(found))


@app.command("list")
def list_suites() -> None:
    """List the shipped suites."""
    from ise_gym.evaluation.manifest import SUITES, load_suite

    table = Table("suite", "tasks", "by tier", "description")
    for file in sorted(SUITES.glob("*.yaml")):
        manifest = load_suite(str(file))
        counted = Counter(part.labels.get("tier", "") for part, _ in manifest.numbered())
        tiers = ", ".join(f"{count} {tier}" for tier, count in counted.items())
        table.add_row(manifest.name, str(len(manifest.numbered())), tiers, manifest.description)
    Screen().print(table)
