"""A Qwen3-architecture model of a few thousand weights, and stores of made-up episodes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

pytest.importorskip("trl", reason="the train extra is not installed")

from made_episodes import SYSTEM, conversation, episode

from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.store import TrajectoryStore


@pytest.fixture(scope="session")
def tiny_tokenizer() -> Any:
    from training.tiny_base.tokenizer import build_tokenizer

    return build_tokenizer(["the cat sat on the mat and listed files"] * 3, SYSTEM, vocabulary=300)


@pytest.fixture(scope="session")
def tiny_model_dir(tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tiny_tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=16,
            max_position_embeddings=4096,
            tie_word_embeddings=False,  # tied and untrained, a model only repeats its last token
            initializer_range=0.3,
            eos_token_id=tiny_tokenizer.eos_token_id,
            pad_token_id=tiny_tokenizer.pad_token_id,
            bos_token_id=None,
        )
    )
    folder = tmp_path_factory.mktemp("models") / "tiny"
    model.save_pretrained(folder)
    tiny_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def make_store(tmp_path: Path) -> Callable[..., Path]:
    """Write episodes (and raw lines) to a store and return its folder."""

    def make(episodes: Sequence[Trajectory], raw: Sequence[bytes] = (), name: str = "store") -> Path:
        path = tmp_path / name
        with TrajectoryStore(path) as store:
            for item in episodes:
                store.append(item)
            for line in raw:
                store.append_line(line, failed=False)
        return path

    return make


@pytest.fixture
def settings(tiny_model_dir: Path, make_store: Callable[..., Path], tmp_path: Path) -> dict[str, Any]:
    store = make_store([episode(f"e{i}", conversation(i)) for i in range(8)])
    return {
        "model": {"path": str(tiny_model_dir), "dtype": "float32"},
        "data": {"store": str(store)},
        "output": str(tmp_path / "out"),
        "lora": {"rank": 4, "alpha": 8},
        "train": {"max_steps": 4, "batch_size": 2, "logging_steps": 1, "learning_rate": 0.01},
    }
