"""Tokenised rows on disk: made once, then read by every process of a run and by its continuation.

Tokenising tens of thousands of episodes takes minutes and gigabytes, and each process of a run would do it again. The
rows go to ``rows/KEY`` in the run's folder as Arrow files, which all processes of a machine map instead of copying.
The key covers all that the rows depend on; a folder appears whole or not at all and can be deleted at any time.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ise_gym
from ise_gym.messages import sha256_of
from ise_gym.models.local.tokenizer import Tokenizer
from ise_gym.storage.digest import file_sha256
from ise_gym.training.config import DataConfig
from ise_gym.training.data import DataReport, build_dataset, dataset_of
from ise_gym.training.rows import Row
from ise_gym.training.template import Thinking
from ise_gym.trajectory.shards import shard_paths

_FORMAT = 1
"""Counted up when the way from episodes to rows changes."""


@dataclass(frozen=True)
class CachedRows:
    """Rows as they are on disk, and the report of the run that made them."""

    folder: Path
    report: DataReport

    def dataset(self) -> Any:
        """Return the rows that are trained on, memory-mapped."""
        return _load(self.folder / "train").remove_columns("name")

    def eval_dataset(self) -> Any:
        """Return the held-out rows, or None where there are none."""
        return _load(self.folder / "held-out").remove_columns("name") if self.report.eval_rows else None

    def named(self) -> Iterator[tuple[str, list[int]]]:
        """Yield (name, token ids) of every row that is trained on."""
        return ((row["name"], row["input_ids"]) for row in _load(self.folder / "train"))


def cached_rows(place: Path, config: DataConfig, tokenizer: Tokenizer, thinking: Thinking) -> CachedRows:
    """Return the rows of a recipe, tokenising only what is not at ``place`` already.

    Args:
        place: the folder ``rows`` of a run.
        config, tokenizer, thinking: as of `ise_gym.training.data.build_dataset`.

    Raises:
        UserError: as `build_dataset`.
    """
    folder = place / _key(config, tokenizer, thinking)
    if (found := _read(folder)) is not None:
        return found
    data = build_dataset(config, tokenizer, thinking)
    draft = place / f".{folder.name}.{os.getpid()}"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        _save(data.rows, draft / "train")
        if data.held_out:
            _save(data.held_out, draft / "held-out")
        (draft / "report.json").write_text(json.dumps(vars(data.report)), encoding="utf-8")
        try:
            draft.rename(folder)
        except OSError:
            if (found := _read(folder)) is not None:  # another machine with the same disk was faster
                return found
            shutil.rmtree(folder)
            draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return CachedRows(folder, data.report)


def _key(config: DataConfig, tokenizer: Tokenizer, thinking: Thinking) -> str:
    parts = {
        "format": [_FORMAT, ise_gym.__version__],
        "config": config.model_dump(mode="json", exclude={"store"}),
        "stores": [_digest(Path(store)) for store in config.stores],
        "tokenizer": sha256_of(tokenizer.backend_tokenizer.to_str()),
        "template": sha256_of(tokenizer.chat_template),
        "thinking": thinking,
    }
    return sha256_of(parts)[:20]


def _digest(store: Path) -> list[str]:
    """Hash the records of a store; what is not there is for `build_dataset` to say."""
    files = shard_paths(store / "shards") if store.is_dir() else [store] if store.is_file() else []
    return [file_sha256(file) for file in files]


def _read(folder: Path) -> CachedRows | None:
    """Return what is on disk, or None where it is not there or not readable (it is then made anew)."""
    try:
        values = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        report = DataReport(**{**values, "stores": tuple(values["stores"])})
        cached = CachedRows(folder, report)
        held_out = cached.eval_dataset()
        if len(cached.dataset()) == report.rows and (held_out is None or len(held_out) == report.eval_rows):
            return cached
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return None


def _save(rows: Sequence[Row], folder: Path) -> None:
    from datasets import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    shown = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        dataset_of(rows, names=True).save_to_disk(folder)
    finally:
        if shown:
            enable_progress_bars()


def _load(folder: Path) -> Any:
    from datasets import Dataset

    return Dataset.load_from_disk(str(folder))
