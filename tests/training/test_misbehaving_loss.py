"""After a server that misbehaves in every known way, nothing cut, broken or doubled is taught; see the benchmark."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks" / "tuning"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("misbehaving_loss", BENCHMARKS / "misbehaving_loss.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["misbehaving_loss"] = module
    spec.loader.exec_module(module)
    return module


def test_what_is_in_the_loss_is_what_was_said(bench: ModuleType, tmp_path: Path) -> None:
    found = bench.measured(str(bench.TINY_BASE), 1, tmp_path)
    assert found.wrong == {}
    assert set(found.episodes) == set(bench.WAYS)
    taught = sum(way.taught is not None for way in bench.WAYS.values())
    assert (
        found.pieces.total() > len(bench.WAYS) + taught
    )  # what came after is taught, and what was said well


@pytest.mark.parametrize(
    "text",
    [
        "I have wri",
        "<think>a</think><think>b</think>So.<|im_end|>",
        '<tool_call>\n{"name": "exec", "arguments": }\n</tool_call><|im_end|>',
        '<tool_call>\n{"name": "exec", "argu<|im_end|>',
        '<tool_call>\n{"name": "exec", "arguments": {"not": NaN}}\n</tool_call><|im_end|>',
        '```json\n{"name": "exec", "arguments": {}}\n```<|im_end|>',
        "On it.<|im_start|>user<|im_end|>",
    ],
)
def test_the_reader_refuses_what_is_wrong(bench: ModuleType, text: str) -> None:
    with pytest.raises(ValueError):
        bench.read_piece(text)


def test_the_reader_reads_what_is_right(bench: ModuleType) -> None:
    text = '<think>\nHm.\n</think>\n\nI look.\n<tool_call>\n{"name": "exec", "arguments": {"command": "ls"}}\n</tool_call><|im_end|>\n'
    assert bench.read_piece(text) == bench.Piece("Hm.", "I look.", (("exec", {"command": "ls"}),))
