"""Loads exported rows with the dataset code of a trainer: ``rows.py TRAINER SITE EXPORTS``; prints JSON.

The packages lie in SITE without what they depend on. What their dataset code imports but does not use here has a
stand-in; torch, transformers and datasets are real.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import json
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

UNUSED = {
    "llamafactory": ["torchaudio"],
    "axolotl": [],
    "swift": ["modelscope", "json_repair", "aiohttp", "aiofiles", "oss2"],
    "unsloth_zoo": ["unsloth", "triton"],
}


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds an empty module under some names."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        wanted = name.partition(".")[0] in self.names
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if wanted else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        module = MagicMock(name=spec.name)
        module.__spec__, module.__path__, module.__name__ = spec, [], spec.name
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        """There is nothing to run."""


def llamafactory(exports: Path) -> Any:
    import datasets
    from llamafactory.data.converter import get_dataset_converter
    from llamafactory.data.formatter import FunctionFormatter
    from llamafactory.data.parser import DatasetAttr

    told = json.loads((exports / "dataset_info.json").read_text())["ise"]
    attr = DatasetAttr("file", told["file_name"])
    attr.join(told)
    convert = get_dataset_converter(told["formatting"], attr, None)
    formatter = FunctionFormatter(slots=["{{content}}"], tool_format="qwen")
    marks = {"thought_words": ("<think>", "</think>"), "tool_call_words": ("<tool_call>", "</tool_call>")}
    rows = []
    read = datasets.load_dataset(
        "json", data_files=str(exports / told["file_name"]), split="train", cache_dir=str(exports / "cache")
    )
    for row in map(convert, read):
        said = row["_prompt"] + row["_response"]
        calls = [formatter.apply(content=m["content"], **marks)[0] for m in said if m["role"] == "function"]
        rows.append(
            {"roles": [m["role"] for m in said], "calls": calls, "tools": len(json.loads(row["_tools"]))}
        )
    return rows


def axolotl(exports: Path) -> Any:
    from axolotl.prompt_strategies.chat_template import ChatTemplatePrompter, ChatTemplateStrategy
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained("training/tiny_base/model")
    prompter = ChatTemplatePrompter(tokenizer, chat_template=tokenizer.chat_template, max_length=10**6)
    strategy = ChatTemplateStrategy(
        prompter, tokenizer=tokenizer, train_on_inputs=False, sequence_len=10**6, roles_to_train=["assistant"]
    )
    rows = []
    for row in dataset(exports):
        made = strategy.tokenize_prompt(row)
        taught = [i for i, label in zip(made["input_ids"], made["labels"], strict=True) if label != -100]
        rows.append({"text": tokenizer.decode(made["input_ids"]), "taught": tokenizer.decode(taught)})
    return rows


def swift(exports: Path) -> Any:
    from swift.dataset.preprocessor.core import AutoPreprocessor

    return list(AutoPreprocessor()(dataset(exports), strict=True))


def unsloth_zoo(exports: Path) -> Any:
    from transformers import AutoTokenizer
    from unsloth_zoo.dataset_utils import standardize_data_formats

    tokenizer = AutoTokenizer.from_pretrained("training/tiny_base/model")
    rows = standardize_data_formats(dataset(exports), tokenizer)
    return [
        {"text": tokenizer.apply_chat_template(row["messages"], tools=row["tools"], tokenize=False)}
        for row in rows
    ]


def dataset(exports: Path) -> Any:
    """Load the exported folder, by its name alone."""
    import datasets

    return datasets.load_dataset(str(exports / "rows"), split="train", cache_dir=str(exports / "cache"))


if __name__ == "__main__":
    trainer, site, exports = sys.argv[1:]
    sys.path.insert(0, site)
    sys.meta_path.append(StandIns(UNUSED[trainer]))
    print("ROWS " + json.dumps(globals()[trainer](Path(exports)), default=str))
