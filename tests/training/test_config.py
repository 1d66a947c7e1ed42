"""A recipe with a wrong key fails with the nearest name; the recipes that ship are all valid."""

from __future__ import annotations

from pathlib import Path

import pytest

from ise_gym.errors import UserError
from ise_gym.training.config import load_config, parse_config

RECIPES = sorted((Path(__file__).parents[2] / "training" / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_load_and_override(path: Path) -> None:
    config = load_config(path, ["train.max_steps=3", "data.splits=[train]", "resume=true", "lora.rank=2"])
    assert config.train.max_steps == 3
    assert config.data.splits == ("train",)
    assert config.resume
    assert config.lora is not None and config.lora.rank == 2


def test_a_section_given_as_a_value_is_its_main_key() -> None:
    config = load_config(RECIPES[-1], ["model=somewhere", "data=runs/x"])
    assert (config.model.path, config.data.store) == ("somewhere", "runs/x")
    assert config.model.dtype == load_config(RECIPES[-1]).model.dtype


def test_there_are_recipes() -> None:
    assert {"tiny_cpu", "qwen3_0.6b", "qwen3_8b_lora"} <= {path.stem for path in RECIPES}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.lerning_rate=1"], r"'train\.lerning_rate'\. Did you mean 'learning_rate'\?"),
        (["trian.max_steps=1"], r"'trian'\. Did you mean 'train'\?"),
        (["lora.rnak=1"], r"Did you mean 'rank'\?"),
        (["train.batch_size=0"], r"train\.batch_size = 0"),
        (["data.outcomes=[won]"], r"data\.outcomes"),
        (["model.path.x=1"], "'path' is a value, not a section"),
        (["seed"], "must look like key=value"),
        (["train.seed=[1"], "not valid YAML"),
    ],
)
def test_bad_overrides(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_config(RECIPES[-1], overrides)


def test_missing_key_and_bad_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"'data\.store' is missing|'data' is missing"):
        parse_config({"model": {"path": "x"}, "output": "y"})
    with pytest.raises(UserError, match=r"Did you mean 'tiny_cpu'"):
        load_config(tmp_path / "tiny_gpu.yaml")
    for text, message in (("a: [", "not valid YAML"), ("- 1\n", "must hold a mapping")):
        file = tmp_path / "bad.yaml"
        file.write_text(text)
        with pytest.raises(UserError, match=message):
            load_config(file)


def test_lora_null_is_full_fine_tuning() -> None:
    assert load_config(RECIPES[-1], ["lora=null"]).lora is None
