"""Two processes on the CPU, started as a user would start them: they end with 0, and with what one process makes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from made_episodes import conversation, episode
from safetensors.torch import load_file

from ise_gym.training import sft
from ise_gym.training.config import DataConfig, parse_config
from ise_gym.training.data import is_held_out
from ise_gym.training.runcard import read_card

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent


def torchrun(*command: str, processes: int = 2, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in several processes that talk over gloo."""
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc_per_node",
            str(processes),
            *command,
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def written(settings: dict[str, Any], folder: Path) -> str:
    file = folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(settings))
    return str(file)


def test_two_processes_make_the_model_of_one_also_after_one_was_killed(
    settings: dict[str, Any], tmp_path: Path, make_store: Callable[..., Path]
) -> None:
    """Eight rows, so that both split them into the same batches of four."""
    train = {"max_steps": 6, "batch_size": 2, "logging_steps": 1, "learning_rate": 0.01, "save_steps": 2}
    held_out = DataConfig(store="x", eval_fraction=0.3)
    names = [f"e{number}" for number in range(60)]
    kept = [name for name in names if not is_held_out(held_out, name)][:8]
    measured = [name for name in names if is_held_out(held_out, name)][:3]
    store = make_store([episode(n, conversation(i)) for i, n in enumerate([*kept, *measured])], name="eleven")
    settings = {
        **settings,
        "data": {"store": str(store), "eval_fraction": 0.3},
        "train": {**train, "threads": 1, "group_by_length": False},
        "merge": True,
    }
    recipe = written(settings, tmp_path)
    alone = sft.run(
        parse_config(
            {**settings, "output": str(tmp_path / "alone"), "train": {**settings["train"], "batch_size": 4}}
        ),
        quiet=True,
    )

    straight = torchrun("-m", "ise_gym.cli", "train", "sft", "--config", recipe, f"output={tmp_path / 'two'}")
    assert straight.returncode == 0, straight.stderr
    assert straight.stdout.count("trained 6 steps") == 1  # one of them speaks
    assert straight.stdout.count("rows, ") == 1
    _equal(alone.output, tmp_path / "two")
    assert len(list((tmp_path / "two" / "rows").iterdir())) == 1

    broken = f"output={tmp_path / 'broken'}"
    killed = torchrun(str(HERE / "rank_that_dies.py"), "--config", recipe, broken)
    assert killed.returncode != 0
    assert not read_card(tmp_path / "broken").finished_run
    assert (tmp_path / "broken" / "checkpoints" / "checkpoint-2" / "complete.json").exists()
    resumed = torchrun("-m", "ise_gym.cli", "train", "sft", "--config", recipe, broken, "resume=true")
    assert resumed.returncode == 0, resumed.stderr
    assert "going on from checkpoint-2" in resumed.stdout
    _equal(alone.output, tmp_path / "broken")


def _equal(one: Path, other: Path) -> None:
    """Losses, weights and merged weights of two runs agree."""
    first, second = read_card(one), read_card(other)
    assert second.finished_run
    for kind in ("losses", "eval_losses"):
        expected, found = getattr(first, kind), getattr(second, kind)
        assert [step for step, _ in found] == [step for step, _ in expected]
        assert [loss for _, loss in found] == pytest.approx([loss for _, loss in expected], abs=2e-3), kind
    assert first.losses[-1][1] < first.losses[0][1]
    for name in ("adapter_model.safetensors", "merged/model.safetensors"):
        expected, found = load_file(one / name), load_file(other / name)
        assert expected.keys() == found.keys()
        assert all(torch.allclose(expected[key], found[key], atol=2e-2) for key in expected), name


def test_the_mistake_of_a_user_is_told_once_and_ends_all(settings: dict[str, Any], tmp_path: Path) -> None:
    missing = {**settings, "data": {"store": str(tmp_path / "nowhere")}}
    ended = torchrun("-m", "ise_gym.cli", "train", "sft", "--config", written(missing, tmp_path))
    assert ended.returncode != 0
    assert ended.stderr.count("no such file or folder") == 1
    assert "ise_gym/" not in ended.stderr  # no frame of ours; torchrun has its own way to say that one ended


def test_a_curriculum_is_played_once_by_all_processes_together(tmp_path: Path) -> None:
    stage = {"steps": 3, "tier": "easy", "tasks_per_intent": 1, "domains": ["agent-memory"], "first_seed": 40}
    recipe = {
        "model": {"path": "builtin:tiny", "dtype": "float32"},
        "output": str(tmp_path / "run"),
        "curriculum": [stage],
        "rollout": {"group": 2, "groups": 4, "answer_tokens": 12, "episode_tokens": 500},
        "train": {"batch_size": 2, "learning_rate": 1e-3, "threads": 1},
        "lora": {"rank": 2},
    }
    command = (str(HERE / "rank_that_plays.py"), "--config", written(recipe, tmp_path))
    done = torchrun(*command, PLAYED=str(tmp_path), TRL_EXPERIMENTAL_SILENCE="1")
    assert done.returncode == 0, done.stderr
    played = [json.loads((tmp_path / rank).read_text()) for rank in ("0", "1")]
    assert [len(one) for one in played] == [6, 6]
    assert sorted(played[0] + played[1]) == list(range(40, 52))
    card = read_card(tmp_path / "run")
    assert card.finished_run and card.metrics["steps"] == 3
    assert [reward for _, reward in card.rewards] == [0.5, 0.5, 0.5]
    uneven = torchrun(*command, "rollout.groups=3", PLAYED=str(tmp_path), TRL_EXPERIMENTAL_SILENCE="1")
    assert uneven.returncode != 0 and "can't be shared out among 2 processes" in " ".join(
        uneven.stderr.split()
    )
