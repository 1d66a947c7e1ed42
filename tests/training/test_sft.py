"""Real training steps on a model of a few thousand weights: output, labels, resume, bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_episodes import conversation, episode

from ise_gym.agents.transformers import TransformersAgent
from ise_gym.cli import main
from ise_gym.errors import UserError
from ise_gym.messages import sha256_of, system, user
from ise_gym.training import sft
from ise_gym.training.config import parse_config
from ise_gym.training.models import load_tokenizer
from ise_gym.training.runcard import read_card
from ise_gym.training.template import project_template
from ise_gym.trajectory.untaught import untaught


def test_output_holds_adapter_template_and_card(settings: dict[str, Any]) -> None:
    result = sft.run(parse_config(settings), quiet=True)
    out = result.output
    assert {"adapter_config.json", "adapter_model.safetensors", "chat_template.jinja"} <= {
        p.name for p in out.iterdir()
    }
    # The tiny base was made with the short words for tools, and what is trained on it keeps them.
    template = project_template(tool_prompt="short")
    assert (out / "chat_template.jinja").read_text() == template
    assert load_tokenizer(str(out)).chat_template == template
    card = read_card(out)
    assert card == result.card
    assert card.finished_run
    assert card.metrics["steps"] == 4
    assert [step for step, _ in card.losses] == [1, 2, 3, 4]
    assert card.losses[-1][1] < card.losses[0][1]
    assert card.template_hash == sha256_of(template)
    assert len(card.data["data_hash"]) == 64
    assert sum(card.data["tool_hashes"].values()) == card.data["used"] == 8
    text = "".join(p.read_text(errors="replace") for p in out.iterdir() if p.suffix in (".json", ".jinja"))
    recorded = json.loads((out / "adapter_config.json").read_text())["base_model_name_or_path"]
    assert not Path(recorded).is_absolute()
    assert "base_model_name_or_path" in text


def test_trained_adapter_plays_and_differs_from_its_base(
    settings: dict[str, Any], tiny_model_dir: Path
) -> None:
    out = sft.run(parse_config(settings), quiet=True).output
    before = TransformersAgent(tiny_model_dir, max_new_tokens=8)
    after = TransformersAgent(out, max_new_tokens=8)
    assert before.describe()["weights_sha256"] != after.describe()["weights_sha256"]
    assert before.describe()["chat_template_sha256"] == after.describe()["chat_template_sha256"]
    talk = [system("x"), user("list the files")]
    assert after.act(talk, []) == after.act(talk, [])
    import torch

    weights = dict(before._model.named_parameters())
    changed = [n for n, p in after._model.named_parameters() if not torch.equal(p, weights[n])]
    assert changed and all("proj" in name for name in changed)


def test_the_trainer_gets_our_labels_untouched(settings: dict[str, Any], tiny_tokenizer: Any) -> None:
    from ise_gym.training.data import build_dataset
    from ise_gym.training.template import encode

    config = parse_config({**settings, "train": {**settings["train"], "group_by_length": False}})
    tokenizer = load_tokenizer(config.model.path)
    tokenizer.chat_template = project_template()
    data = build_dataset(config.data, tokenizer)
    trainer = sft.make_trainer(config, tokenizer, data, config.model.path, quiet=True)
    seen = 0
    for batch in trainer.get_train_dataloader():
        for ids, labels, mask in zip(
            batch["input_ids"].tolist(),
            batch["labels"].tolist(),
            batch["attention_mask"].tolist(),
            strict=True,
        ):
            real = [i for i, m in zip(ids, mask, strict=True) if m]
            row = next(r for r in data.rows if r.input_ids == real)
            assert labels[: len(real)] == row.labels
            assert set(labels[len(real) :]) <= {-100}
            seen += 1
    assert seen == len(data.rows) == 8
    taught = next(seed for seed in range(8) if not untaught(conversation(seed), ()))
    first = data.rows[taught]
    messages = conversation(taught)
    kept = messages if messages[-1]["role"] == "assistant" else messages[:-1]
    encoded = encode(tokenizer, kept, episode("e", messages).tools)
    expected = [-100] * len(encoded.input_ids)
    for start, end in encoded.spans:
        expected[start:end] = encoded.input_ids[start:end]
    assert (first.input_ids, first.labels) == (encoded.input_ids, expected)


def test_killed_and_resumed_gives_the_same_curve(settings: dict[str, Any], tmp_path: Path) -> None:
    whole = {
        **settings,
        "train": {**settings["train"], "max_steps": 6, "save_steps": 2, "keep_checkpoints": 9},
    }
    straight = sft.run(parse_config({**whole, "output": str(tmp_path / "straight")}), quiet=True)

    class Killed(Exception):
        pass

    def kill_at_step_4(trainer: Any) -> Any:
        from transformers import TrainerCallback

        class Kill(TrainerCallback):  # type: ignore[misc]
            def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                if state.global_step == 5:
                    raise Killed

        trainer.add_callback(Kill())
        return trainer

    make = sft.make_trainer
    broken = {**whole, "output": str(tmp_path / "broken")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sft, "make_trainer", lambda *a, **k: kill_at_step_4(make(*a, **k)))
        with pytest.raises(Killed):
            sft.run(parse_config(broken), quiet=True)
    assert not read_card(tmp_path / "broken").finished_run
    resumed = sft.run(parse_config({**broken, "resume": True}), quiet=True)
    assert [s for s, _ in resumed.card.losses] == [s for s, _ in straight.card.losses]
    for (_, a), (_, b) in zip(straight.card.losses, resumed.card.losses, strict=True):
        assert a == pytest.approx(b, abs=1e-6)
    with pytest.raises(UserError, match=r"train\.learning_rate \(was 0.01, now 0.5\)"):
        sft.run(
            parse_config({**broken, "resume": True, "train": {**whole["train"], "learning_rate": 0.5}}),
            quiet=True,
        )


def test_an_earlier_run_is_not_overwritten_by_accident(settings: dict[str, Any]) -> None:
    short = {**settings, "train": {**settings["train"], "max_steps": 1}}
    sft.run(parse_config(short), quiet=True)
    with pytest.raises(UserError, match="already holds a run"):
        sft.run(parse_config(short), quiet=True)
    sft.run(parse_config({**short, "overwrite": True}), quiet=True)


def test_full_fine_tuning(settings: dict[str, Any]) -> None:
    result = sft.run(
        parse_config({**settings, "lora": None, "train": {**settings["train"], "max_steps": 2}}), quiet=True
    )
    assert (result.output / "model.safetensors").exists()
    assert TransformersAgent(result.output, max_new_tokens=4).act([user("hi")], [])["role"] == "assistant"


def test_command_line_errors_are_one_line_and_code_2(
    settings: dict[str, Any],
    tmp_path: Path,
    make_store: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    import yaml

    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(yaml.safe_dump(settings))
    notmodel = tmp_path / "notmodel"
    notmodel.mkdir()
    empty = make_store([], name="empty")
    for overrides, expected in (
        (["train.lerning_rate=1"], "Did you mean 'learning_rate'?"),
        ([f"model.path={notmodel}"], "is not a model"),
        (["model.path=./nowhere/at/all"], "no model folder at"),
        ([f"data.store={empty}"], "nothing to train on"),
        ([f"data.store={notmodel}"], "not a trajectory store"),
        (["train.max_steps"], "must look like key=value"),
        (["data.max_length=4097"], "more than the 4096 positions"),
        (["train.optimiser=adamm"], "the trainer refuses these settings"),
        (["train.early_stopping=2"], "set data.eval_fraction"),
        (["lora=null", "merge=true"], "merge=true is for adapters"),
    ):
        assert ise(["--config", str(recipe), *overrides]) == 2
        said = capsys.readouterr().err
        assert expected in " ".join(said.split())
        assert "Traceback" not in said
    assert ise(["--config", str(tmp_path / "missing.yaml")]) == 2
    assert "there is no such file" in capsys.readouterr().err


def ise(arguments: list[str]) -> int:
    """Run ``ise train sft`` here and return its exit code."""
    with pytest.raises(SystemExit) as end:
        main(["train", "sft", *arguments])
    return int(end.value.code or 0)
