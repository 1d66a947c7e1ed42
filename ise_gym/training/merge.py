"""Merge an adapter into its base: ``ise train merge ADAPTER OUT``.

Servers that load no adapters want plain weights. The tokenizer, its template and the run card go along, so that
the merged folder still says what it is.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from ise_gym.agents.transformers import resolve_model
from ise_gym.errors import UserError
from ise_gym.training.modelcard import MODEL_CARD
from ise_gym.training.runcard import CARD


def merge(adapter: str | Path, out: str | Path) -> Path:
    """Write base + adapter as plain weights in the base's own dtype.

    Raises:
        UserError: not an adapter, its base is missing, or ``out`` is taken.
    """
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = resolve_model(adapter)
    target = Path(out)
    if source.adapter is None:
        raise UserError(f"{adapter} is not an adapter: there is nothing to merge")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target} exists already; give a new folder")
    # Written beside its place and moved there: a folder of that name is always whole.
    draft = target.with_name(f".{target.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    base = AutoModelForCausalLM.from_pretrained(source.base, dtype="auto")
    # Added in float32: in bfloat16 an update smaller than half a unit in the last place would vanish twice.
    kind = base.dtype
    merged = PeftModel.from_pretrained(base.float(), source.adapter).merge_and_unload().to(kind)
    merged.config.use_cache = True
    merged.save_pretrained(draft)
    AutoTokenizer.from_pretrained(source.adapter).save_pretrained(draft)
    for name in (CARD, MODEL_CARD):
        if (source_file := Path(source.adapter) / name).exists():
            shutil.copy(source_file, draft / name)
    if target.exists():
        target.rmdir()
    draft.rename(target)
    return target
