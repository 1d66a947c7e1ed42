"""Failures that look like success: each ends the run, or is repaired, in one line, and nothing that was made is lost."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from made_episodes import conversation, episode

from ise_gym.errors import UserError
from ise_gym.training import sft
from ise_gym.training.config import load_config, parse_config
from ise_gym.training.models import held_to_positions, positions_of
from ise_gym.training.runcard import read_card
from ise_gym.training.running import checkpoints
from ise_gym.training.running.faults import is_full_disk, spoken_faults

ROOT = Path(__file__).parents[2]


def with_train(settings: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**settings, "train": {**settings["train"], **changes}}


def test_a_run_that_diverges_stops_and_names_step_and_data(settings: dict[str, Any]) -> None:
    """Before, it printed a loss of 0.0000 and saved weights that were all NaN."""
    config = parse_config(with_train(settings, learning_rate=1e30, schedule="constant", warmup_ratio=0.0))
    with pytest.raises(UserError, match=r"step \d: the (loss|gradient norm) is (nan|inf)") as stopped:
        sft.run(config, quiet=True)
    assert re.search(r"In the batch: e\d, e\d\.", str(stopped.value))
    assert not read_card(config.output).finished_run
    assert not (Path(config.output) / "adapter_model.safetensors").exists()


def test_gradients_that_are_no_numbers_never_reach_the_weights(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss is fine, one gradient is not: the step is not made."""
    made: list[Any] = []
    make = sft.make_trainer

    def poisoned(*args: Any, **kwargs: Any) -> Any:
        trainer = make(*args, **kwargs)
        weight = next(p for p in trainer.model.parameters() if p.requires_grad)
        weight.register_hook(lambda gradient: gradient * float("nan"))
        made.append(trainer)
        return trainer

    monkeypatch.setattr(sft, "make_trainer", poisoned)
    with pytest.raises(UserError, match=r"step 1: the gradient norm is nan.*In the batch: e\d"):
        sft.run(parse_config(settings), quiet=True)
    assert all(bool(torch.isfinite(p).all()) for p in made[0].model.parameters())


def test_weights_that_the_last_step_broke_are_not_saved(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the last step there is no loss to notice it by."""
    from transformers import TrainerCallback

    class Break(TrainerCallback):  # type: ignore[misc]
        def on_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
            next(p for p in model.parameters() if p.requires_grad).data.fill_(float("inf"))

    make = sft.make_trainer

    def breaking(*args: Any, **kwargs: Any) -> Any:
        trainer = make(*args, **kwargs)
        trainer.add_callback(Break())
        return trainer

    monkeypatch.setattr(sft, "make_trainer", breaking)
    config = parse_config(with_train(settings, max_steps=1))
    with pytest.raises(UserError, match=r"after the last step .* not finite, so nothing was saved"):
        sft.run(config, quiet=True)
    assert not (Path(config.output) / "adapter_model.safetensors").exists()


def test_progress_shows_loss_gradient_norm_learning_rate_and_speed(
    settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    sft.run(parse_config(with_train(settings, max_steps=2)))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("step ")]
    assert len(lines) == 2
    assert all(
        re.fullmatch(
            r"step \d/2  loss \d+\.\d{4}  gradient norm [\d.e+-]+  learning rate [\d.e+-]+  "
            r"token accuracy [\d.]+  [\d,]+ tokens/s  \d+ s, about \d+ s left",
            line,
        )
        for line in lines
    ), lines
    assert not any(" 0 tokens/s" in line for line in lines)


@pytest.fixture
def with_checkpoints(settings: dict[str, Any]) -> dict[str, Any]:
    """A run that was killed after its checkpoints of steps 2 and 4."""
    whole = with_train(settings, max_steps=6, save_steps=2, keep_checkpoints=9)
    make = sft.make_trainer

    class Killed(Exception):
        pass

    def killed(*args: Any, **kwargs: Any) -> Any:
        from transformers import TrainerCallback

        class Kill(TrainerCallback):  # type: ignore[misc]
            def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                if state.global_step == 5:
                    raise Killed

        trainer = make(*args, **kwargs)
        trainer.add_callback(Kill())
        return trainer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sft, "make_trainer", killed)
        with pytest.raises(Killed):
            sft.run(parse_config(whole), quiet=True)
    return whole


@pytest.mark.parametrize("damage", ["cut", "flipped", "unfinished"])
def test_a_half_written_checkpoint_falls_back_to_the_one_before(
    with_checkpoints: dict[str, Any], damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(with_checkpoints["output"]) / "checkpoints"
    newest = folder / "checkpoint-4"
    weights = newest / "adapter_model.safetensors"
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage == "flipped":
        content = bytearray(weights.read_bytes())
        content[-10] ^= 0xFF
        weights.write_bytes(content)
    else:
        (newest / checkpoints.SEAL).unlink()
    result = sft.run(parse_config({**with_checkpoints, "resume": True}))
    said = capsys.readouterr().out
    assert "checkpoint-4 is damaged (" in said and "going on from checkpoint-2" in said
    assert (folder / "damaged-checkpoint-4").is_dir() and (folder / "checkpoint-4").is_dir()
    assert [step for step, _ in result.card.losses] == [1, 2, 3, 4, 5, 6]
    assert result.card.finished_run


def test_a_finished_run_resumed_says_so_and_touches_nothing(
    settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    config = with_train(settings, max_steps=1)
    first = sft.run(parse_config(config), quiet=True)
    before = {p: p.stat().st_mtime_ns for p in first.output.iterdir() if p.is_file()}
    capsys.readouterr()
    again = sft.run(parse_config({**config, "resume": True}))
    assert again.card == first.card
    assert "is finished: nothing was trained again" in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in first.output.iterdir() if p.is_file()} == before
    merged = sft.run(parse_config({**config, "resume": True, "merge": True}), quiet=True)
    assert (merged.output / "merged" / "model.safetensors").exists()


def test_a_new_run_over_an_old_one_does_not_go_on_from_its_checkpoints(
    with_checkpoints: dict[str, Any],
) -> None:
    sft.run(parse_config({**with_train(with_checkpoints, save_steps=0), "overwrite": True}), quiet=True)
    assert not (Path(with_checkpoints["output"]) / "checkpoints" / "checkpoint-4").exists()


def test_old_checkpoints_go_only_when_the_new_one_is_whole(settings: dict[str, Any]) -> None:
    config = parse_config(with_train(settings, max_steps=4, save_steps=1, keep_checkpoints=1))
    sft.run(config, quiet=True)
    left = sorted((Path(config.output) / "checkpoints").glob("checkpoint-*"))
    assert [path.name for path in left] == ["checkpoint-4"]
    assert checkpoints.damage_of(left[0]) is None


def test_weights_that_cannot_be_trained_are_one_line(settings: dict[str, Any], tmp_path: Path) -> None:
    """Such as a folder that was saved from a GGUF file, whose configuration still says that it is quantised."""
    base = tmp_path / "quantised"
    shutil.copytree(settings["model"]["path"], base)
    config = json.loads((base / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gguf", "gguf_file": "a.gguf"}
    (base / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"quantised \(gguf\), and such weights can't be trained"):
        sft.run(parse_config({**settings, "model": {**settings["model"], "path": str(base)}}), quiet=True)


def test_corrupt_files_are_one_line(settings: dict[str, Any], tmp_path: Path) -> None:
    base = tmp_path / "broken-base"
    shutil.copytree(settings["model"]["path"], base)
    weights = base / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    broken = {**settings, "model": {"path": str(base), "dtype": "float32"}}
    with pytest.raises(UserError, match=r"cannot load .*broken-base"):
        sft.run(parse_config(broken), quiet=True)
    (base / "config.json").write_text("{")
    with pytest.raises(UserError, match=r"broken-base/config.json. is not a valid JSON"):
        sft.run(parse_config({**broken, "output": str(tmp_path / "other")}), quiet=True)
    output = Path(settings["output"])
    output.mkdir(exist_ok=True)
    (output / "run_card.json").write_text('{"config":')
    with pytest.raises(UserError, match="is not a run card"):
        sft.run(parse_config({**settings, "resume": True}), quiet=True)


def test_damaged_rows_on_disk_are_made_anew(settings: dict[str, Any]) -> None:
    first = sft.run(parse_config(with_train(settings, max_steps=1)), quiet=True)
    [folder] = (first.output / "rows").iterdir()
    for file in (folder / "train").glob("*.arrow"):
        file.write_bytes(file.read_bytes()[:50])
    again = sft.run(parse_config({**with_train(settings, max_steps=1), "overwrite": True}), quiet=True)
    assert again.card.data == first.card.data and again.card.losses == first.card.losses


def test_rows_on_disk_follow_the_store_and_the_recipe(
    settings: dict[str, Any], make_store: Callable[..., Path]
) -> None:
    one = sft.run(parse_config(with_train(settings, max_steps=1)), quiet=True)
    make_store([episode("new", conversation(3))])
    both = sft.run(parse_config({**with_train(settings, max_steps=1), "overwrite": True}), quiet=True)
    assert both.card.data["episodes"] == one.card.data["episodes"] + 1
    assert both.card.data["data_hash"] != one.card.data["data_hash"]


def test_a_full_disk_is_one_line_and_what_was_saved_is_whole(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    """A real one: a file system of one megabyte that holds the first checkpoints, but not all."""
    if subprocess.run(["unshare", "-Urm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no user namespaces here")
    disk = tmp_path / "disk"
    disk.mkdir()
    keep = tmp_path / "kept"
    recipe = tmp_path / "recipe.yaml"
    many = with_train(settings, max_steps=40, save_steps=1, keep_checkpoints=99, threads=1)
    recipe.write_text(yaml.safe_dump({**many, "output": str(disk / "run")}))
    script = (
        f"mount -t tmpfs -o size=1m none {disk} && {sys.executable} -m ise_gym.cli train sft --config {recipe}; "
        f"code=$?; cp -r {disk}/run {keep}; exit $code"
    )
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", script], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert re.search(r"the disk below \S+ is full", " ".join(done.stderr.split())), done.stderr
    newest, _ = checkpoints.newest_whole(keep / "checkpoints")
    assert newest is not None
    step = json.loads((newest / "trainer_state.json").read_text())["global_step"]
    assert step >= 1
    # On a larger disk it goes on from there.
    finished = sft.run(
        parse_config({**many, "output": str(keep), "resume": True, "train": {**many["train"]}})
    )
    assert finished.card.metrics["steps"] == 40


def test_what_says_that_a_disk_is_full() -> None:
    full = Path("/dev/full")
    if not full.is_char_device():
        pytest.skip("no /dev/full here")
    with pytest.raises(RuntimeError) as by_torch:
        torch.save({"a": torch.zeros(100_000)}, full)
    assert is_full_disk(by_torch.value)
    with pytest.raises(OSError) as by_python:
        full.write_text("x" * 100_000)
    assert is_full_disk(by_python.value)
    assert not is_full_disk(RuntimeError("shapes differ"))
    with pytest.raises(ValueError, match="other"), spoken_faults(Path("x")):
        raise ValueError("other")


def test_max_length_is_held_against_the_positions_of_the_model(settings: dict[str, Any]) -> None:
    base = settings["model"]["path"]
    assert positions_of(base) == 4096
    free = parse_config(settings).data
    assert held_to_positions(free, base).max_length == 4096
    with pytest.raises(UserError, match=r"data.max_length 65536 is more than the 4096 positions"):
        held_to_positions(
            parse_config({**settings, "data": {**settings["data"], "max_length": 65536}}).data, base
        )


def test_yarn_counts_as_more_positions(settings: dict[str, Any], tmp_path: Path) -> None:
    base = tmp_path / "yarn"
    shutil.copytree(settings["model"]["path"], base)
    config = json.loads((base / "config.json").read_text())
    rope = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096}
    config["rope_parameters"] = {**(config.get("rope_parameters") or {}), **rope}
    (base / "config.json").write_text(json.dumps(config))
    assert positions_of(str(base)) == 16384


@pytest.mark.parametrize(
    "recipe", sorted((ROOT / "training" / "recipes").glob("*qwen3*.yaml")), ids=lambda p: p.stem
)
def test_no_recipe_asks_for_more_than_qwen3_has(recipe: Path) -> None:
    """Qwen3 has 40,960 positions in all sizes that the recipes name."""
    assert load_config(recipe).data.max_length <= 40_960
