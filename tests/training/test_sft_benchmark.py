"""The fine-tuning benchmark: its arithmetic, its refusals, and that it counts what the trainer was given."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks" / "tuning"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    """The script as a module under a name of its own: ``sft`` is training's."""
    spec = importlib.util.spec_from_file_location("sft_benchmark", BENCHMARKS / "sft.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["sft_benchmark"] = module
    spec.loader.exec_module(module)
    return module


def test_flops_and_weights_are_those_of_the_published_shape(bench: ModuleType) -> None:
    shape = bench.SHAPES["qwen3-8b"]
    # 8.19 B parameters in all: without the embedding (151,936 × 4,096) what is multiplied remains.
    assert shape.matmul_weights == pytest.approx(8.19e9 - 151_936 * 4096, rel=2e-3)
    assert shape.lora_weights(16) == 43_646_976
    each = bench.model_flops(shape, 8192, 16)
    assert each == 4 * shape.matmul_weights + 6 * 43_646_976 + 6 * 36 * 8192 * 4096
    assert bench.peak_flops("NVIDIA H200") == 989.4e12 and bench.peak_flops("Some other card") is None


def test_a_gpu_shape_without_a_gpu_is_one_line(
    bench: ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert bench.main(["--model-shape", "qwen3-8b"]) == 2
    said = capsys.readouterr().err
    assert "needs a CUDA GPU" in said and said.count("\n") == 1
    assert bench.main(["--steps", "2"]) == 2 and "above 2" in capsys.readouterr().err
    assert bench.main(["--arms", "ours,theirs"]) == 2 and "'theirs'" in capsys.readouterr().err


def test_counts_are_those_of_the_rows(bench: ModuleType, tmp_path: Path) -> None:
    store = bench.made_store(tmp_path / "store", 12)
    change = ["train.batch_size=4"]
    ours = bench.tiny("ours", store, 3, str(tmp_path / "out"), change)
    plain = bench.tiny("plain-float32", store, 3, str(tmp_path / "out"), change)
    assert (ours.steps, plain.steps) == (1, 1)
    for one in (ours, plain):
        assert 0 < one.learned <= one.tokens <= one.slots and 0 <= one.waiting < one.seconds
        assert one.peak > 2**26
    # Without the project's labels every token of a row is learned (the first has nothing before it to be learned from).
    assert ours.learned < 0.7 * ours.tokens and plain.learned > 0.95 * plain.tokens


@pytest.mark.parametrize("arm", ["ours", "plain"])
def test_rows_of_random_tokens_have_the_length_asked_for(bench: ModuleType, arm: str, tmp_path: Path) -> None:
    one = bench.shaped(arm, "toy", 1100, 3, str(tmp_path))
    assert (one.tokens, one.slots) == (1100, 1100)


def test_the_table_names_arms_that_failed(bench: ModuleType) -> None:
    made: dict[str, Any] = {
        "steps": 1,
        "waiting": 0.5,
        "preparing": 1.0,
        "tokens": 800,
        "slots": 1000,
        "learned": 200,
        "device": "NVIDIA H200",
    }
    fast = bench.Measured(arm="ours", seconds=1.0, peak=2**30, **made)
    slow = bench.Measured(arm="plain", seconds=4.0, peak=2**31, **made)
    text = "\n".join(bench.table({"ours": [fast], "plain": [slow], "plain-float32": []}))
    assert "ours / plain: 4.00 × the tokens a second, 0.50 × the memory" in text
    assert "plain-float32  no run came to its end" in text and "20.0%" in text
    [line] = bench.usage({"ours": [fast]}, "qwen3-8b", 8192, None)
    assert "of 989 TFLOP/s" in line
