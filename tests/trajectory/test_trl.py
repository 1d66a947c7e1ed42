"""TRL's own trainer takes the exported rows as they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from trajectory_samples import trajectory

from ise_gym.trajectory.exchange.export import export_file
from ise_gym.trajectory.store import TrajectoryStore

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
trl = pytest.importorskip("trl", reason="NOT TESTED: TRL's trainer, the train extra is not installed")


def test_sft_trainer_takes_the_rows_as_they_are(tmp_path: Path) -> None:
    import datasets
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from ise_gym.training.template import project_template
    from training.tiny_base.tokenizer import build_tokenizer

    with TrajectoryStore(tmp_path / "s") as store:
        for number in range(4):
            store.append(trajectory(number))
    export_file(tmp_path / "s", "trl", tmp_path / "rows.parquet")
    rows = datasets.load_dataset(
        "parquet",
        data_files=str(tmp_path / "rows.parquet"),
        split="train",
        cache_dir=str(tmp_path / "cache"),
    )
    tokenizer = build_tokenizer(["count the lines of the file"] * 3, "You help.", vocabulary=300)
    tokenizer.chat_template = project_template()
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    settings = trl.SFTConfig(
        output_dir=str(tmp_path / "out"),
        max_length=None,
        assistant_only_loss=True,
        max_steps=2,
        per_device_train_batch_size=2,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
    )
    trainer = trl.SFTTrainer(model=model, args=settings, train_dataset=rows, processing_class=tokenizer)
    prepared = tokenizer.decode(trainer.train_dataset[0]["input_ids"])
    assert "A typo." in prepared and '"command": "wc -l export.csv"' in prepared and "今日" in prepared
    assert "'arguments'" not in prepared and "null" not in prepared.split("</tools>")[0]
    result = trainer.train()
    assert result.global_step == 2 and result.training_loss > 0
