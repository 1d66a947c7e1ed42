"""``ise train``: fine-tuning, reinforcement learning, and what goes with them.

The modules of `ise_gym.training` are loaded inside the commands: they bring torch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar, cast

import typer

from ise_gym.errors import UserError
from ise_gym.messages import Message, ToolSchema
from ise_gym.storage.atomic import replacing

app = typer.Typer(
    help="Fine-tune on recorded episodes, or train on the env itself (needs ise-gym[train]).",
    no_args_is_help=True,
)

Read = TypeVar("Read")

Config = Annotated[
    str,
    typer.Option(help="Recipe: a YAML file, or the name of one that ships (`ise train recipes` lists them)."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...",
        help="Dotted keys of the recipe, e.g. train.max_steps=20.",
        show_default=False,
    ),
]


@app.command()
def sft(config: Config, overrides: Overrides = None) -> None:
    """Fine-tune on recorded episodes (TRL and PEFT): adapter, template and run card go to `output`."""
    from ise_gym.training.config import load_config
    from ise_gym.training.sft import run

    result = run(_said_once(lambda: load_config(config, overrides or ())))
    if not _is_first():
        return
    metrics = result.card.metrics
    typer.echo(
        f"trained {metrics['steps']} steps in {metrics['seconds']:.0f} s, loss {metrics['final_loss']:.4f}"
    )
    typer.echo(f"written to {result.output}")


@app.command()
def grpo(config: Config, overrides: Overrides = None) -> None:
    """Train on the env by reinforcement learning (GRPO); the reward is the share of verified sub-goals."""
    from ise_gym.training.config import load
    from ise_gym.training.grpo_config import GrpoConfig

    settings = _said_once(lambda: load(GrpoConfig, config, overrides or ()))
    from ise_gym.training.grpo import run
    from ise_gym.training.plot_rewards import means

    card = run(settings)
    if not _is_first():
        return
    first, last = means([reward for _, reward in card.rewards])
    typer.echo(
        f"mean reward {first:.3f} → {last:.3f} over {len(card.rewards)} steps (first and last fifth); "
        f"written to {settings.output}"
    )


@app.command()
def merge(
    adapter: Annotated[Path, typer.Argument(help="Output folder of `ise train sft` or `grpo`.")],
    out: Annotated[Path, typer.Argument(help="Folder to write the merged weights to.")],
) -> None:
    """Merge an adapter into its base, for servers that load no adapters."""
    from ise_gym.training.merge import merge as write_merged

    typer.echo(f"merged into {write_merged(adapter, out)}")


@app.command()
def success(
    config: Config,
    overrides: Overrides = None,
    count: Annotated[int, typer.Option(min=1, help="Candidates to play.")] = 32,
    between: Annotated[
        tuple[float, float], typer.Option(metavar="LOW HIGH", help="Mean rewards of the scenarios to choose.")
    ] = (0.05, 0.95),
    most: Annotated[int, typer.Option(min=1, help="Choose at most N scenarios.", metavar="N")] = 8,
    out: Annotated[
        Path | None, typer.Option(help="File for their seeds, a JSON list.", show_default="none")
    ] = None,
) -> None:
    """Measure how often a model, sampled, solves the scenarios of a GRPO recipe, and choose those in between."""
    from ise_gym.training.config import load
    from ise_gym.training.grpo_config import GrpoConfig

    settings = load(GrpoConfig, config, overrides or ())
    from ise_gym.training.success import between as those_between
    from ise_gym.training.success import play, table

    tried = play(settings, count)
    chosen = those_between(tried, *between, most)
    typer.echo("\n".join(table(tried)))
    typer.echo(f"all: mean reward {sum(one.mean for one in tried) / len(tried):.2f}; chosen:")
    for one in chosen:
        typer.echo(f"  seed {one.seed}  {one.task}  {one.mean:.2f}")
    if not chosen:
        raise UserError(
            "every scenario is solved either always or never: train the starting model longer, lower "
            "rollout.temperature, or choose other tasks"
        )
    if out is not None:
        with replacing(out) as file:
            file.write((json.dumps([one.seed for one in chosen]) + "\n").encode())


@app.command()
def parity(
    model: Annotated[
        Path, typer.Argument(help="Output folder of `ise train sft` or `grpo`, or a merged one.")
    ],
    store: Annotated[
        Path, typer.Argument(help="Store of episodes that it played, or will be compared with.")
    ],
) -> None:
    """Compare what recorded episodes offered with what a model was trained on; ends with code 1 where they differ."""
    from collections import Counter

    from ise_gym.agents.parity import check_offered
    from ise_gym.trajectory.store import read_trajectories

    found: Counter[str] = Counter()
    episodes = 0
    for episode in read_trajectories(store):
        episodes += 1
        template = episode.hashes.get("chat_template", "")
        found.update(
            check_offered(
                model,
                cast("list[Message]", episode.messages),
                cast("list[ToolSchema]", episode.tools),
                template,
            )
        )
    if not episodes:
        raise UserError(f"{store} holds no episodes: there is nothing to compare")
    for problem, count in found.most_common():
        typer.echo(f"{count} of {episodes} episodes: {problem}")
    if found:
        raise typer.Exit(1)
    typer.echo(f"{episodes} episodes: template, tools and system prompt are those of training")


@app.command("plot-rewards")
def plot_rewards(
    runs: Annotated[list[Path], typer.Argument(help="Output folders of `ise train grpo`.")],
    out: Annotated[Path, typer.Option(help="The picture (.png, .svg or .pdf).")] = Path("rewards.png"),
) -> None:
    """Draw the mean reward of GRPO runs, and print how it moved."""
    from ise_gym.training.plot_rewards import draw, read_rewards, summary_lines

    curves = read_rewards(runs)
    draw(curves, out)
    typer.echo("\n".join(summary_lines(curves)))
    typer.echo(f"written to {out}")


@app.command()
def recipes() -> None:
    """List the recipes that ship, with what each is for."""
    from rich.table import Table

    from ise_gym.cli.printing import wide_console
    from ise_gym.resources import data_dir
    from ise_gym.training.config import RunConfig, first_comment, shipped_recipes
    from ise_gym.training.grpo_config import GrpoConfig

    table = Table("command", "--config", "what it is for", caption=str(data_dir("training") / "recipes"))
    for command, kind in (("sft", RunConfig), ("grpo", GrpoConfig)):
        for name, file in shipped_recipes(kind).items():
            table.add_row(f"ise train {command}", name, first_comment(file))
    wide_console().print(table)


def _is_first() -> bool:
    """Whether this is the first of the processes that `torchrun` started, or the only one."""
    return os.environ.get("RANK", "0") == "0"


def _said_once(read: Callable[[], Read]) -> Read:
    """Read what every process of a run reads; a mistake in it is told by the first of them only."""
    try:
        return read()
    except UserError:
        if _is_first():
            raise
        raise typer.Exit(2) from None
