"""``ise select``: from a store of many samples to a training set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ise_gym.cli.corpus import Workers
from ise_gym.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(select)


def select(
    store: Annotated[Path, typer.Argument(help="Trajectory store, or a JSONL file of trajectories.")],
    out: Annotated[Path, typer.Option(help="Folder of the new store; an earlier attempt is resumed.")],
    outcome: Annotated[
        list[str] | None,
        typer.Option(help="Outcome to keep. Repeatable.", show_default="passed, judged_passed"),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(
            help="Switch a rule off: " + "outcome, claims, grounding, whole, guard, secrets, personal, …"
        ),
    ] = None,
    best: Annotated[int, typer.Option(min=0, help="Maximum number of episodes per intent; 0: no limit.")] = 1,
    best_by: Annotated[
        str, typer.Option(help="Order of preference, most important first: grounded, failed, short.")
    ] = "grounded,failed,short",
    thinking: Annotated[
        float, typer.Option(min=0, max=1, help="Minimum share of the agent's messages that have a thought.")
    ] = 0.0,
    near: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Similarity from which two agent sides count as the same; 0: not compared."
        ),
    ] = 0.9,
    per_task: Annotated[
        int, typer.Option(min=0, help="Maximum number of episodes with the same task; 0: no limit.")
    ] = 0,
    per_skeleton: Annotated[
        int, typer.Option(min=0, help="Maximum number of episodes with the same plan; 0: no limit.")
    ] = 0,
    per_sentence: Annotated[
        int, typer.Option(min=0, help="Maximum number of episodes with the same sentence; 0: no limit.")
    ] = 0,
    language: Annotated[
        list[str] | None, typer.Option(help="Maximum share of a language, e.g. en=0.8,zh=0.2.")
    ] = None,
    length: Annotated[
        list[str] | None,
        typer.Option(help="Maximum share of a length, e.g. short=0.3 (short, medium, long)."),
    ] = None,
    recovery: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Minimum share of episodes with a recovered failure.",
            show_default="as in the store",
        ),
    ] = None,
    count: Annotated[int, typer.Option(min=0, help="Maximum number of episodes; 0: no limit.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the order in which episodes are chosen.")] = 0,
    license: Annotated[str, typer.Option(help="Licence for the datasheet, e.g. cc-by-4.0.")] = "",
    embedder: Annotated[
        str, typer.Option(help="Model for Vendi scores on the card; empty: none.", show_default="none")
    ] = "",
    cache: Annotated[
        Path | None, typer.Option(help="Folder of embeddings.", show_default="selection/embeddings in --out")
    ] = None,
    preview: Annotated[int, typer.Option(min=0, help="Episodes on the preview page; 0: no page.")] = 40,
    workers: Workers = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no report.")] = False,
) -> None:
    """Choose a training set: what passed, is true, whole and grounded, the best of each intent, nothing twice.

    Writes a store, what every other episode fell to, a card, a datasheet and a preview page.
    """
    from rich.console import Console

    from ise_gym.trajectory.select.card import make_card
    from ise_gym.trajectory.select.rules import FOLDER, Selection
    from ise_gym.trajectory.select.run import select_store

    rules = Selection(
        outcomes=_outcomes(outcome),
        without=tuple(part for text in without or () for part in _parts(text)),
        best=best,
        best_by=tuple(_parts(best_by)),
        thinking=thinking,
        near=near,
        per_task=per_task,
        per_skeleton=per_skeleton,
        per_sentence=per_sentence,
        languages=_shares("language", language),
        lengths=_shares("length", length),
        recovery=recovery,
        count=count,
        seed=seed,
    )
    console = Console(stderr=True)
    with _Progress(console, quiet) as progress:
        chosen, facts = select_store(store, out, rules, progress, workers=workers)
    measure = _measure(embedder, cache or out / FOLDER / "embeddings") if embedder else None
    card = make_card(store, out, rules, chosen, facts, license=license, measure=measure)
    if preview:
        from ise_gym.view import write_selection

        write_selection(out / FOLDER / "preview.html", store, out, card, most=preview)
    if not quiet:
        _report(console, card, out)


def _outcomes(given: Sequence[str] | None) -> tuple[str, ...]:
    from typing import get_args

    from ise_gym.errors import nearest
    from ise_gym.trajectory.record import Outcome

    known = get_args(Outcome)
    for name in given or ():
        if name not in known:
            raise UserError(f"unknown outcome '{name}'; known: {', '.join(known)}.{nearest(name, known)}")
    return tuple(given or ("passed", "judged_passed"))


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _shares(kind: str, given: Sequence[str] | None) -> dict[str, float]:
    """Read ``name=share`` pairs.

    Raises:
        UserError: one is no such pair.
    """
    found: dict[str, float] = {}
    for part in (part for text in given or () for part in _parts(text)):
        name, _, share = part.partition("=")
        try:
            found[name.strip()] = float(share)
        except ValueError:
            raise UserError(
                f"--{kind} {part}: give NAME=SHARE, such as {(kind == 'length' and 'short') or 'en'}=0.3."
            ) from None
    return found


def _measure(embedder: str, cache: Path) -> Callable[[Sequence[str]], Mapping[str, Any]]:
    from ise_gym.intents.diversity.embedding import EmbeddingCache, SentenceEmbedder
    from ise_gym.intents.diversity.vendi import vendi

    kept = EmbeddingCache(cache, SentenceEmbedder(embedder))

    def measure(texts: Sequence[str]) -> Mapping[str, Any]:
        embedded = kept.embed(texts)
        return {
            "score": vendi(embedded.vectors),
            "n": len(texts),
            "embedder": embedded.label,
            "texts_cut": embedded.cut,
        }

    return measure


class _Progress:
    """A line that counts episodes, on a terminal only."""

    def __init__(self, console: Console, quiet: bool) -> None:
        self._status = None if quiet or not console.is_terminal else console.status("reading")

    def __enter__(self) -> Callable[[str, int], None]:
        if self._status is not None:
            self._status.start()
        return self._show

    def __exit__(self, *error: object) -> None:
        if self._status is not None:
            self._status.stop()

    def _show(self, stage: str, count: int) -> None:
        if self._status is not None and count % 20 == 0:
            self._status.update(f"{'reading' if stage == 'read' else 'writing'} {count:,} episodes")


def _report(console: Console, card: Mapping[str, Any], out: Path) -> None:
    from rich.table import Table

    episodes = card["episodes"]
    table = Table(title="What fell to which rule", title_justify="left")
    for column in ("rule", "first", "breaking", "only"):
        table.add_column(column, justify="left" if column == "rule" else "right")
    for rule, counts in card["fell"].items():
        if counts["breaking"] or counts["first"]:
            first = f"{counts['first']:,}" if counts["on"] else "off"
            table.add_row(rule, first, f"{counts['breaking']:,}", f"{counts['alone']:,}")
    console.print(table)
    from ise_gym.trajectory.text.variety import variety_table

    console.print(variety_table(card["figures"]["variety"]))
    for kind, score in card["vendi"].items():
        console.print(
            f"Vendi of {kind}: {score['score']:.2f} (n = {score['n']}, {score['embedder']})", highlight=False
        )
    console.print(
        f"kept {episodes['kept']:,} of {episodes['seen']:,} episodes → {out}", highlight=False, markup=False
    )
