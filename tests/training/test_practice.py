"""What practice expects of a trainer: a loss on held-out episodes and what goes by it, packing, choices of the loss."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_episodes import TOOLS, conversation, episode

from ise_gym.errors import UserError
from ise_gym.messages import assistant, system, tool_call, tool_result, user
from ise_gym.training import sft
from ise_gym.training.config import DataConfig, Loss, load_config, parse_config
from ise_gym.training.data import build_dataset
from ise_gym.training.modelcard import model_card, serve_command
from ise_gym.training.rows import RowOptions, rows_of
from ise_gym.training.runcard import read_card


def test_held_out_episodes_are_measured_and_never_trained(
    make_store: Callable[..., Path], tiny_tokenizer: Any
) -> None:
    store = make_store([episode(f"e{i}", conversation(i)) for i in range(40)])
    data = build_dataset(DataConfig(store=str(store), eval_fraction=0.25), tiny_tokenizer)
    trained, held_out = ({row.name.split("#")[0] for row in rows} for rows in (data.rows, data.held_out))
    assert trained and held_out and not trained & held_out
    assert 4 <= len(held_out) <= 16
    assert (data.report.eval_episodes, data.report.used) == (len(held_out), len(trained))
    more = build_dataset(DataConfig(store=str(store), eval_fraction=0.5), tiny_tokenizer)
    assert held_out < {row.name for row in more.held_out}


def test_a_run_that_stops_getting_better_stops_and_saves_its_best(settings: dict[str, Any]) -> None:
    """With a rate that spoils the model at once, the first loss is the best one."""
    train = {
        **settings["train"],
        "max_steps": 12,
        "learning_rate": 3.0,
        "schedule": "constant",
        "max_grad_norm": 1e9,
    }
    train |= {
        "warmup_ratio": 0.0,
        "eval_steps": 1,
        "save_steps": 1,
        "early_stopping": 2,
        "best_checkpoint": True,
    }
    data = {**settings["data"], "eval_fraction": 0.4}
    result = sft.run(parse_config({**settings, "data": data, "train": train}), quiet=True)
    losses = [loss for _, loss in result.card.eval_losses]
    best = min(range(len(losses)), key=losses.__getitem__)
    assert len(losses) == best + 3 < 12
    from safetensors.torch import load_file

    saved = load_file(result.output / "adapter_model.safetensors")
    kept = load_file(result.output / "checkpoints" / f"checkpoint-{best + 1}" / "adapter_model.safetensors")
    assert all(bool((saved[name] == kept[name]).all()) for name in kept)


def test_packed_rows_are_learned_like_rows_alone(settings: dict[str, Any]) -> None:
    train = {
        **settings["train"],
        "max_steps": 2,
        "packing": True,
        "packing_length": 8192,
        "batch_size": 1,
        "group_by_length": False,
    }
    packed = parse_config({**settings, "train": train, "lora": {"rank": 4, "alpha": 8, "rslora": True}})
    card = sft.run(packed, quiet=True).card
    assert card.finished_run and len(card.losses) == 2
    alone = {**settings, "output": settings["output"] + "-alone"}
    alone["train"] = {**settings["train"], "max_steps": 1, "batch_size": 8}
    # all eight rows fit one sequence of 8,192 tokens, so that its loss is the loss of the batch of all eight
    assert card.losses[0][1] == pytest.approx(
        sft.run(parse_config(alone), quiet=True).card.losses[0][1], abs=1e-3
    )


def _recovered() -> list[Any]:
    return [
        system("You work."),
        user("one"),
        assistant("", [tool_call("write", {"path": "/x"}, "c1")]),
        tool_result("c1", "write", "no such folder", success=False),
        assistant("", [tool_call("write", {"path": "x"}, "c2")]),
        tool_result("c2", "write", "ok", success=True),
        assistant("Repaired."),
        user("two"),
        assistant("Second."),
    ]


@pytest.mark.parametrize(
    ("loss", "mask", "learned"),
    [
        ("all", False, ["/x", '"x"', "Repaired.", "Second."]),
        ("all", True, ['"x"', "Repaired.", "Second."]),
        ("last", False, ["Second."]),
        ("after-recovery", False, ['"x"', "Repaired."]),
        ("after-recovery", True, ['"x"', "Repaired."]),
    ],
)
def test_which_answers_are_learned_is_a_choice(
    loss: Loss, mask: bool, learned: list[str], tiny_tokenizer: Any
) -> None:
    options = RowOptions(max_length=4096, mask_failed_calls=mask, loss=loss)
    [row] = rows_of(tiny_tokenizer, "e", _recovered(), TOOLS, options).rows
    text = tiny_tokenizer.decode([label for label in row.labels if label != -100])
    answers = [part for part in text.split("<|im_end|>") if part]
    assert len(answers) == len(learned)
    assert all(word in answer for word, answer in zip(learned, answers, strict=True))


def test_without_a_mistake_there_is_no_recovery_to_learn(tiny_tokenizer: Any) -> None:
    made = rows_of(
        tiny_tokenizer, "e", [user("hi"), assistant("ho")], (), RowOptions(4096, loss="after-recovery")
    )
    assert not made.rows and made.dropped == (("nothing to learn", "no token is in the loss"),)


def test_early_stopping_needs_something_to_go_by() -> None:
    for overrides, words in (
        (["train.best_checkpoint=true"], "set data.eval_fraction"),
        (
            ["train.early_stopping=2", "data.eval_fraction=0.1", "train.eval_steps=2", "train.save_steps=3"],
            "multiple",
        ),
    ):
        with pytest.raises(UserError, match=words):
            load_config("tiny_cpu", overrides)


def test_the_model_card_says_what_was_trained_and_how_to_serve_it(
    settings: dict[str, Any], make_store: Callable[..., Path]
) -> None:
    thinking = make_store(
        [episode(f"t{i}", conversation(i, reasoning=True)) for i in range(4)], name="thinking"
    )
    short = {**settings, "train": {**settings["train"], "max_steps": 1}}
    plain = sft.run(parse_config(short), quiet=True)
    other = {**short, "data": {"store": str(thinking)}, "output": settings["output"] + "-t"}
    card = read_card(sft.run(parse_config(other), quiet=True).output)
    said = (plain.output / "README.md").read_text()
    assert said == model_card(plain.card, plain.output.name)
    for words in ("8 of 8 episodes", "LoRA, rank 4", plain.card.data["data_hash"], plain.card.template_hash):
        assert words in said
    assert "--reasoning-parser" not in said and "without a reasoning parser" in said
    assert "--reasoning-parser qwen3" in serve_command(card, "m") and "reasoning_content" in model_card(
        card, "m"
    )
    assert str(Path(settings["output"]).parent) not in said
