"""``ise judge``: a model's verdict on recorded episodes that no check decided."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(judge)


def judge(
    store: Annotated[Path, typer.Argument(help="Trajectory store, or a JSONL file of trajectories.")],
    model: Annotated[str, typer.Option(help="Model that judges, by its name at the endpoint.")],
    out: Annotated[Path, typer.Option(help="Folder of the new store; an earlier attempt is resumed.")],
    judge_option: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE for the judge, e.g. base_url=http://127.0.0.1:8000/v1. Repeatable."),
    ] = None,
    allow_own: Annotated[
        bool, typer.Option("--allow-own", help="Also judge episodes in which this same model acted.")
    ] = False,
    limit: Annotated[
        int,
        typer.Option(min=2_000, help="Maximum number of characters of an episode that the judge is shown."),
    ] = 24_000,
    concurrency: Annotated[
        int, typer.Option("--concurrency", "-j", min=1, help="Episodes judged at once.")
    ] = 4,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no report.")] = False,
) -> None:
    """Judge the episodes that no check decided, and say of each that it is judged.

    Each is read twice, the second time in the other order; a point of its rubric counts only where both readings quote
    words for it that are there. Verified episodes stay as they are. No reward ever holds a judgement.
    """
    from rich.console import Console

    from ise_gym.evaluation.judging.agreement import sentence
    from ise_gym.evaluation.judging.judge import RubricJudge
    from ise_gym.evaluation.judging.run import FOLDER, Judged, judge_store
    from ise_gym.intents.llm.cache import AnswerCache
    from ise_gym.models.options import options_of
    from ise_gym.trajectory.store import TrajectoryStore

    with TrajectoryStore(out, run=None):  # makes or checks the folder before anything is put into it
        pass
    cache = AnswerCache(out / FOLDER / "answers.jsonl")
    console = Console(stderr=True)

    def show(counts: Judged) -> None:
        if not quiet and counts.seen % 10 == 0:
            console.print(
                f"judged {counts.seen - counts.verified:,} of {counts.seen:,} episodes", highlight=False
            )

    try:
        rater = RubricJudge(
            model, cache, allow_own=allow_own, limit=limit, **options_of(judge_option, "--judge-option")
        )
        counts = judge_store(store, out, rater, concurrency=concurrency, on_progress=show)
    finally:
        cache.close()
    if quiet:
        return
    total = counts.passed + counts.failed
    for line in (
        f"{counts.seen:,} episodes: {counts.verified:,} were verified and stay as they are; "
        f"{counts.passed:,} of {total:,} judged to have passed, {counts.without_verdict:,} without a verdict → {out}",
        f"the judge's two readings agree on {sentence(counts.self_agreement())} of the points",
        f"{counts.unquoted:,} points were called met with grounds that are nowhere in the episode: they don't count",
        f"spent: {', '.join(f'{name} {value:,}' for name, value in rater.usage.items() if value)}"
        f" ({counts.cached:,} episodes from the cache)",
    ):
        console.print(line, highlight=False, markup=False)
