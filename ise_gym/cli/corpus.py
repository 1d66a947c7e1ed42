"""What is done with recorded trajectories: ``ise stats``, ``show``, ``filter``, ``export``, ``import``, ``report``."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated

import typer

from ise_gym.errors import UserError, nearest
from ise_gym.registry import Registered

Workers = Annotated[int, typer.Option(min=0, help="Processes that read; 0: as many as there are processors.")]
"""What every command takes that reads a whole store."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(stats)
    app.command()(show)
    app.command("filter")(filter_episodes)
    app.command()(export)
    app.command("import")(import_files)
    app.command()(report)


def stats(
    store: Annotated[Path, typer.Argument(help="Trajectory store, or a JSONL file of trajectories.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    workers: Workers = 0,
) -> None:
    """Show statistics of a store: its shape next to ISETrace's, outcomes, tools, recoveries and the role guard."""
    from ise_gym.trajectory.stats import store_stats

    summary = store_stats(store, workers=workers)
    if not summary["episodes"] and not summary["infrastructure_errors"]:
        raise UserError(f"{store}: it has no episodes, so there is nothing to count.")
    if as_json:
        from ise_gym.cli.printing import print_json

        print_json(summary)
        return
    from ise_gym.foreign.screen import Screen
    from ise_gym.trajectory import tables

    console = Screen()
    console.print(tables.shape_table(summary))
    if summary["variety"]:
        from ise_gym.trajectory.text.variety import variety_table

        console.print(variety_table(summary["variety"]))
    console.print(tables.outcome_table(summary))
    console.print(tables.tool_table(summary))
    for kind in ("complexity", "domains", "tasks"):
        console.print(tables.group_table(summary, kind))
    if summary["guard"]:
        console.print(tables.guard_table(summary))
    if summary["usage"]:
        from ise_gym.trajectory.usage import usage_table

        console.print(usage_table(summary["usage"]))
    if summary["drift"]:
        from ise_gym.trajectory.drift import drift_table, spoken_by

        console.print(drift_table(summary["drift"]))
        for line in spoken_by(summary["drift"]):
            console.print(line)


def show(
    store: Annotated[Path, typer.Argument(help="Trajectory store, or a JSONL file of trajectories.")],
    episode: Annotated[
        str, typer.Argument(help="Episode id (a unique prefix is enough), or its number, counted from 1.")
    ] = "1",
    full: Annotated[bool, typer.Option("--full", help="Print tool output in full.")] = False,
) -> None:
    """Print one episode's conversation: every turn, call and result."""
    from ise_gym.foreign.screen import Screen
    from ise_gym.trajectory.conversation import find_episode, print_conversation

    print_conversation(find_episode(store, episode), Screen(), full=full)


def filter_episodes(
    store: Annotated[Path, typer.Argument(help="Trajectory store, or a JSONL file of trajectories.")],
    out: Annotated[Path, typer.Option(help="Folder of the new store.")],
    outcome: Annotated[
        list[str] | None,
        typer.Option(help="Outcome to keep. Repeatable.", show_default="passed"),
    ] = None,
    min_score: Annotated[
        float, typer.Option(min=0, max=1, help="Minimum fraction of sub-goals that hold.")
    ] = 0.0,
    guard_clean: Annotated[
        bool, typer.Option("--guard-clean", help="Only episodes in which no user turn drifted.")
    ] = False,
    whole: Annotated[
        bool,
        typer.Option(
            "--whole", help="Only episodes without an answer that was cut, broken or can't be read back."
        ),
    ] = False,
    no_secrets: Annotated[
        bool,
        typer.Option("--no-secrets", help="Only episodes without anything that looks like a credential."),
    ] = False,
    no_personal: Annotated[
        bool,
        typer.Option("--no-personal", help="Only episodes without anything that looks like personal data."),
    ] = False,
    recovery: Annotated[
        bool, typer.Option("--recovery", help="Only episodes in which a failed call was recovered.")
    ] = False,
    min_user_turns: Annotated[
        int, typer.Option(min=0, help="Minimum number of user turns; 0: no limit.")
    ] = 0,
    max_user_turns: Annotated[
        int, typer.Option(min=0, help="Maximum number of user turns; 0: no limit.")
    ] = 0,
    max_messages: Annotated[int, typer.Option(min=0, help="Maximum number of messages; 0: no limit.")] = 0,
    max_tool_calls: Annotated[
        int, typer.Option(min=0, help="Maximum number of tool calls; 0: no limit.")
    ] = 0,
    domain: Annotated[
        list[str] | None, typer.Option(help="Only episodes all of whose domains are among these. Repeatable.")
    ] = None,
    unique: Annotated[
        bool, typer.Option("--unique", help="Keep only the first of identical conversations.")
    ] = False,
    workers: Workers = 0,
) -> None:
    """Copy the episodes that satisfy every rule into a new store, and count those that each rule dropped."""
    from typing import get_args

    from ise_gym.foreign.screen import Screen
    from ise_gym.trajectory.filter import Rules, filter_store
    from ise_gym.trajectory.record import Outcome

    outcomes = tuple(outcome or ["passed"])
    for name in outcomes:
        _known(name, get_args(Outcome), "outcome")
    _known_domains(store, domain or ())
    rules = Rules(
        outcomes=outcomes,
        min_score=min_score,
        guard_clean=guard_clean,
        whole=whole,
        no_secrets=no_secrets,
        no_personal=no_personal,
        recovery=recovery,
        min_user_turns=min_user_turns,
        max_user_turns=max_user_turns,
        max_messages=max_messages,
        max_tool_calls=max_tool_calls,
        domains=tuple(domain or ()),
        unique=unique,
    )
    counts = filter_store(store, out, rules, workers=workers)
    console = Screen(stderr=True)
    console.print(f"kept {counts.kept} of {counts.seen} episodes → {out}", highlight=False, markup=False)
    for rule, count in counts.dropped.most_common():
        console.print(f"dropped: {rule}: {count}", highlight=False, markup=False)


def export(
    store: Annotated[Path, typer.Argument(help="Trajectory store, or a JSONL file of trajectories.")],
    format: Annotated[
        str,
        typer.Option(
            "--format",
            "-f",
            help="isetrace, openai, trl, sharegpt, atif, inspect, harbor, a plug-in, or module:Name.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            help=".jsonl; for trl also .parquet; for trl and atif also a folder; harbor: a folder; inspect: .eval."
        ),
    ] = None,
    passed_only: Annotated[bool, typer.Option(help="Only episodes that passed.")] = False,
    push_to_hub: Annotated[
        str, typer.Option(help="Publish trl rows as this dataset of the Hugging Face hub: owner/name.")
    ] = "",
    public: Annotated[bool, typer.Option("--public", help="Make the dataset public if it is new.")] = False,
    license: Annotated[str, typer.Option(help="License for the dataset card, e.g. mit.")] = "",
    allow_findings: Annotated[
        bool,
        typer.Option(
            "--allow-findings",
            help="Publish even if something looks like a credential or personal data.",
        ),
    ] = False,
    workers: Workers = 0,
) -> None:
    """Write trajectories in another format, or publish them on the Hugging Face hub with a generated card."""
    if format not in _FOLDERS and ":" not in format:  # module:Name is loaded when it is used
        _known(format, (*Registered("exporter"), *_FOLDERS), "export format")
    if bool(out) == bool(push_to_hub):
        raise UserError("ise export: give either --out FILE or --push-to-hub OWNER/NAME.")
    if push_to_hub:
        from ise_gym.trajectory.exchange import hub

        if format != "trl":
            raise UserError("--push-to-hub publishes rows for training: give --format trl.")
        made, address = hub.push_to_hub(
            store,
            push_to_hub,
            passed_only=passed_only,
            public=public,
            allow_findings=allow_findings,
            license=license,
        )
        rows = ", ".join(f"{count} {split}" for split, count in made.rows.items())
        typer.echo(f"{rows} rows → {address}", err=True)
        return
    assert out is not None
    if format in _FOLDERS:
        _FOLDERS[format](store, out, passed_only)
        return
    if format == "trl" and not out.suffix:
        _export_dataset(store, out, passed_only, license)
        return
    from ise_gym.trajectory.exchange.export import export_file

    counts = export_file(store, format, out, passed_only=passed_only, workers=workers)
    left_out = f" ({counts.cut} cut off, without a row)" if format == "trl" and counts.cut else ""
    typer.echo(f"{_counted(counts.episodes, counts.sessions)}{left_out} → {out}", err=True)
    for kind, count in counts.secrets.most_common():
        typer.echo(
            f"looks like a credential: {kind}: {count} (`ise filter --no-secrets` leaves them out)", err=True
        )
    for kind, count in counts.personal.most_common():
        typer.echo(
            f"looks like personal data: {kind}: {count} (`ise filter --no-personal` leaves them out)",
            err=True,
        )


def _export_harbor(store: Path, out: Path, passed_only: bool) -> None:
    """Write the tasks that were played, each once."""
    from ise_gym.adapters.harbor_tasks import write_tasks
    from ise_gym.scenario.carried import carries, unpacked
    from ise_gym.trajectory.store import read_trajectories

    found = {
        record.scenario_id: record.scenario
        for record in read_trajectories(store)
        if carries(record.scenario) and (record.outcome == "passed" or not passed_only)
    }
    if not found:
        raise UserError(f"{store}: no record in it carries its scenario, so there is no task to write.")
    made = write_tasks((unpacked(one) for one in found.values()), out)
    typer.echo(f"{len(made)} tasks → {out}", err=True)


def _export_inspect(store: Path, out: Path, passed_only: bool) -> None:
    """Write one log of inspect_ai."""
    from ise_gym.adapters.inspect_logs import write_log

    typer.echo(f"{write_log(store, out, passed_only=passed_only)} episodes → {out}", err=True)


_FOLDERS = {"harbor": _export_harbor, "inspect": _export_inspect}
"""Formats that are not one record after the other."""


def _export_dataset(store: Path, out: Path, passed_only: bool, license: str) -> None:
    """Write the folder that would be published, for ``datasets.load_dataset(FOLDER)``."""
    from ise_gym.trajectory.exchange.hub import prepare

    made = prepare(store, out, str(out), passed_only=passed_only, license=license)
    typer.echo(
        f"{', '.join(f'{count} {split}' for split, count in made.rows.items())} rows → {out}", err=True
    )
    for kind, count in made.findings.most_common():
        typer.echo(f"looks like a credential or personal data: {kind}: {count}", err=True)


def import_files(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Files to read: JSON, JSONL, plain or .gz/.zst; or a folder of them (.json for atif, else .jsonl)."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the new trajectory store.")],
    source: Annotated[
        str,
        typer.Option(
            "--from", help="Format: isetrace, atif, inspect, verifiers, tau2, a plug-in, or module:Name."
        ),
    ] = "isetrace",
) -> None:
    """Import records of another format into a trajectory store, and report what was repaired or left out."""
    _known(source, Registered("importer"), "import format")
    from ise_gym.foreign.screen import Screen
    from ise_gym.trajectory.exchange import importer

    counts = importer.import_files(files, out, source)
    console = Screen(stderr=True)
    said = _counted(counts.imported, counts.sessions)
    console.print(f"{said} → {out}", highlight=False, markup=False)
    for what, count in sorted(counts.repairs.items()):
        console.print(f"repaired: {what}: {count}", highlight=False, markup=False)
    for what, count in sorted(counts.skipped.items()):
        first = counts.first.get(what, "")
        console.print(f"skipped: {what}: {count}{f' (first: {first})' if first else ''}", highlight=False)


def report(
    stores: Annotated[list[Path], typer.Argument(help="Trajectory stores.")],
    out: Annotated[Path, typer.Option(help="HTML file to write.")],
    title: Annotated[str, typer.Option(help="Heading of the report.")] = "Trajectories",
    episodes: Annotated[int, typer.Option(min=0, help="Maximum number of episodes in the browser.")] = 300,
    episode: Annotated[
        list[str] | None, typer.Option(help="Id of an episode that is in it in any case. Repeatable.")
    ] = None,
    training: Annotated[
        Path | None, typer.Option(help="Output folder of `ise train sft`, whose loss curve is shown.")
    ] = None,
    comparison: Annotated[
        Path | None, typer.Option(help="File written by `ise eval compare --for-report`.")
    ] = None,
) -> None:
    """Write a self-contained HTML report: figures, charts and a browser for the episodes.

    Of several stores, episodes of the same task can be read side by side, as of a model before and after training.
    """
    from ise_gym.view import read_comparison, read_run_card, write_report

    write_report(
        out,
        stores,
        title=title,
        max_episodes=episodes,
        episodes=episode or (),
        training=None if training is None else read_run_card(training),
        comparison=None if comparison is None else read_comparison(comparison),
    )
    typer.echo(str(out))


def _counted(episodes: int, sessions: int) -> str:
    return f"{episodes} episodes" + (f" with {sessions} sub-sessions" if sessions else "")


def _known_domains(store: Path, names: Sequence[str]) -> None:
    """Refuse a domain that neither the catalog nor any episode has: it would drop everything, silently."""
    if not names:
        return
    from ise_gym.intents.catalog import tasks_of
    from ise_gym.trajectory.store import read_trajectories

    known = {name.partition("/")[0] for name in tasks_of(None)}
    if not known.issuperset(names):  # imported episodes have domains of their own
        known.update(domain for trajectory in read_trajectories(store) for domain in trajectory.domains)
    for name in names:
        _known(name, tuple(sorted(known)), "domain")


def _known(name: str, known: Collection[str], kind: str) -> None:
    if name not in known:
        raise UserError(f"unknown {kind} '{name}'; known: {', '.join(known)}.{nearest(name, known)}")
