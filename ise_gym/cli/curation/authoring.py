"""``ise intents write`` and ``ise intents prove``: intents that a model invents, and checks that are shown to work."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ise_gym.cli.intents import app as app
from ise_gym.cli.intents import progress_bar
from ise_gym.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from ise_gym.intents.llm.cache import AnswerCache


@app.command()
def write(
    out: Annotated[
        Path, typer.Option(help="Folder to write into; an earlier attempt at the same is resumed.")
    ],
    model: Annotated[str, typer.Option(help="Model that writes, by its name at the endpoint.")],
    count: Annotated[int, typer.Option(min=1, help="Number of intents to try.")] = 100,
    author_option: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=VALUE for the author, e.g. base_url=http://127.0.0.1:8000/v1, requests_per_minute=60, "
            "price_in=0.5. Repeatable."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of what the intents ask for.")] = 0,
    languages: Annotated[str, typer.Option(help="Shares of the languages en and zh.")] = "en=0.8,zh=0.2",
    tries: Annotated[int, typer.Option(min=1, max=16, help="Maximum number of drafts per intent.")] = 3,
    concurrency: Annotated[int, typer.Option("--concurrency", "-j", min=1, help="Questions in flight.")] = 8,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Write only a few, and estimate what all of them will cost.")
    ] = False,
    pilot: Annotated[
        int, typer.Option(min=2, help="Number of intents that --estimate writes; they are kept.")
    ] = 20,
    embedder: Annotated[
        str, typer.Option(help="Model for semantic duplicates and Vendi scores; none: skip both.")
    ] = "none",
    threshold: Annotated[
        float, typer.Option(min=0, max=1, help="Cosine similarity from which two intents count as the same.")
    ] = 0.95,
) -> None:
    """Have a model write new intents: a request in a person's own words, its files, a rubric, and checks.

    What comes back passes gates (length, voice, language, files, consistency, rubric, checks, no copy of its prompt)
    or is sent back with the reasons. Checks count once `ise intents prove` has shown that they work.
    Exit code 1 when the endpoint failed for some (the same command tries them again).
    """
    from ise_gym.foreign.screen import Screen
    from ise_gym.intents.author.drawing import shares_of
    from ise_gym.intents.author.writing import ANSWERS, INTENTS, Author, spent, write_intents
    from ise_gym.intents.llm.cache import AnswerCache
    from ise_gym.models.options import options_of

    options = options_of(author_option, "--author-option")
    shares = shares_of(languages)
    console = Screen(stderr=True)
    cache = AnswerCache(out / ANSWERS)
    try:
        author = Author(model, cache, tries=tries, **options)
        wanted = min(pilot, count) if estimate else count
        with progress_bar(console, "intents", wanted) as advance:
            result = write_intents(
                author, out, wanted, seed=seed, languages=shares, concurrency=concurrency, on_progress=advance
            )
        usage = spent(cache)
        if estimate:
            _show_estimate(console, cache, count, options)
    finally:
        cache.close()
    total = result.written + result.without
    console.print(
        f"{result.written:,} of {total:,} intents passed the gates ({100 * result.written / max(total, 1):.1f} %); "
        f"{usage['calls']:,} answers, {usage['prompt_tokens']:,} + {usage['completion_tokens']:,} tokens in all",
        markup=False,
    )
    for gate, dropped in result.gates.most_common():
        console.print(f"  drafts sent back by {gate}: {dropped:,}", markup=False)
    if embedder != "none" and result.written > 1:
        _measure(console, out / INTENTS, embedder, threshold)
    typer.echo(str(out / INTENTS))
    if result.unreached:
        console.print(
            f"{result.unreached:,} got no answer; run the same command again to retry them.", markup=False
        )
        raise typer.Exit(1)


def _show_estimate(console: Console, cache: AnswerCache, count: int, options: Mapping[str, Any]) -> None:
    from ise_gym.intents.author.estimate import estimate
    from ise_gym.intents.author.writing import costs_by_intent

    costs = costs_by_intent(cache)
    if not costs:
        raise UserError("--estimate: the endpoint gave no answer, so nothing can be estimated")
    found = estimate(costs, count)
    for what, (mean, low, high) in (("prompt", found.prompt), ("completion", found.completion)):
        console.print(
            f"{count:,} intents: about {mean:,.0f} {what} tokens [{low:,.0f}, {high:,.0f}]", markup=False
        )
    prices = options.get("price_in"), options.get("price_out")
    if any(prices):
        mean, low, high = found.cost(prices[0] or 0.0, prices[1] or 0.0)
        console.print(
            f"{count:,} intents: costs about {mean:,.4g} [{low:,.4g}, {high:,.4g}], from {found.pilot} of them",
            markup=False,
        )


def _measure(console: Console, path: Path, embedder: str, threshold: float) -> None:
    from ise_gym.intents.diversity.embedding import EmbeddingCache, SentenceEmbedder
    from ise_gym.intents.diversity.pool import read_pool
    from ise_gym.intents.diversity.pruning import prune
    from ise_gym.intents.diversity.report import diversity_report, show_report

    def open_cache(folder: Path) -> EmbeddingCache:
        return EmbeddingCache(folder / "embeddings", SentenceEmbedder(embedder))

    distinct = path.with_name("intents.distinct.jsonl")
    pruned = prune(path, distinct, threshold, open_cache)
    console.print(
        f"{pruned.removed:,} of {pruned.texts:,} left out at cosine ≥ {threshold} ({pruned.label}) → {distinct}",
        markup=False,
    )
    report, _ = diversity_report(read_pool(distinct), open_cache(path.parent))
    console.print(show_report(report))


@app.command()
def prove(
    file: Annotated[Path, typer.Argument(help="What `ise intents write` wrote, or its folder.")],
    out: Annotated[
        Path, typer.Option(help="File to write the intents to, each saying whether it is proved.")
    ],
    agent: Annotated[str, typer.Option(help="Agent that tries to solve them, e.g. openai:MODEL.")],
    agent_option: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE for the agent. Repeatable.")
    ] = None,
    attempts: Annotated[int, typer.Option(min=1, help="Attempts per intent.")] = 2,
    backend: Annotated[str, typer.Option(help="Workspace backend.")] = "auto",
) -> None:
    """Prove the checks of written intents: an idle agent must fail them, and an agent must pass them.

    Checks that are not proved are left out of the file; the rubric stays, for `ise judge`. Proofs are beside the file
    and are not made twice.
    """
    import gymnasium as gym

    import ise_gym  # noqa: F401
    from ise_gym.agents import make_agent
    from ise_gym.foreign.screen import Screen
    from ise_gym.intents.author.written import WrittenFileSource
    from ise_gym.intents.llm.cache import AnswerCache
    from ise_gym.messages import canonical_json, sha256_of
    from ise_gym.models.options import options_of
    from ise_gym.proving.written import prove as prove_line
    from ise_gym.storage.atomic import replacing

    source = WrittenFileSource(file / "intents.jsonl" if file.is_dir() else file)
    solver = make_agent(agent, **options_of(agent_option, "--agent-option"))
    proofs = AnswerCache(out.with_suffix(".proofs.jsonl"))
    console, verdicts = Screen(stderr=True), Counter[str]()
    env = gym.make("ISE-OS-v0", backend=backend)
    try:
        with replacing(out) as target, progress_bar(console, "intents", len(source)) as advance:
            for place in range(len(source)):
                line = source.line(place)
                key = sha256_of([line.model_dump(), agent, attempts])
                if (kept := proofs.get(key)) is None:
                    proof = prove_line(env, line, solver, attempts=attempts, seed=place)
                    kept = {"verdict": proof.verdict, "calls": [list(call) for call in proof.calls]}
                    if proof.verdict != "broken":  # another time it may hold
                        proofs.put(key, {**kept, "intent": line.id, "idle": dict(proof.idle)})
                verdicts[str(kept["verdict"])] += 1
                proved = kept["verdict"] == "proved"
                told = line.model_copy(update={"proved": proved, "checks": line.checks if proved else []})
                target.write((canonical_json(told.model_dump()) + "\n").encode())
                advance(place + 1, len(source))
    finally:
        env.close()
        solver.close()
        proofs.close()
    console.print(json.dumps(dict(verdicts.most_common())), markup=False)
    typer.echo(str(out))
