"""Finds and loads base model and tokenizer, with one clear message for a folder that is neither."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from ise_gym.agents.transformers import ModelSource, resolve_model
from ise_gym.errors import UserError
from ise_gym.models.local.tokenizer import Tokenizer
from ise_gym.resources import data_dir
from ise_gym.training.config import BUILTIN_TINY, DataConfig, LoraSettings, ModelConfig, RunConfig
from ise_gym.training.template import CONTROL_TOKENS

TINY_BASE = data_dir("training") / "tiny_base" / "model"


def locate_base(path: str) -> str:
    """Return the folder or hub name of a base model.

    Raises:
        UserError: a folder without a model in it, or an adapter (which is not a base).
    """
    if path == BUILTIN_TINY:
        path = str(TINY_BASE)
    source = resolve_model(path)
    if source.adapter is not None:
        raise UserError(f"{path} is an adapter, not a base model. Merge it first: ise train merge {path} OUT")
    return source.base


def load_tokenizer(base: str) -> Tokenizer:
    """Load the tokenizer and check that it can carry the project's template.

    Raises:
        UserError: no tokenizer there, a slow one (no offsets), or one without Qwen's control tokens.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer: Tokenizer = AutoTokenizer.from_pretrained(base)
    except (OSError, ValueError) as error:
        raise UserError(f"no tokenizer in {base}: {' '.join(str(error).split())[:300]}") from error
    missing = [token for token in CONTROL_TOKENS if token not in tokenizer.get_vocab()]
    if missing:
        raise UserError(
            f"the tokenizer of {base} lacks {', '.join(missing)}: the chat template is for Qwen3's vocabulary. "
            "Use a Qwen3 model"
        )
    if not tokenizer.is_fast:
        raise UserError(f"the tokenizer of {base} gives no character offsets; it needs a tokenizer.json")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = "<|endoftext|>"
    # Qwen3 base models end at <|endoftext|>; what the template teaches as the end is <|im_end|>.
    tokenizer.eos_token = "<|im_end|>"
    return tokenizer


def positions_of(base: str) -> int | None:
    """Return how many tokens a base model can tell apart by their place, YaRN included; None where it doesn't say.

    Raises:
        UserError: no readable configuration there.
    """
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(base)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot load {base}: {' '.join(str(error).split())[:300]}") from error
    positions = getattr(config, "max_position_embeddings", None)
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    original, factor = rope.get("original_max_position_embeddings"), rope.get("factor")
    if positions and original and factor:
        return max(int(positions), int(original * factor))
    return int(positions) if positions else None


def held_to_positions(data: DataConfig, base: str) -> DataConfig:
    """Hold ``data.max_length`` to the positions of the base; where the recipe gives none, the smaller one is taken.

    Raises:
        UserError: the recipe asks for longer rows than the model has positions for.
    """
    positions = positions_of(base)
    if positions is None or data.max_length <= positions:
        return data
    if "max_length" in data.model_fields_set:
        raise UserError(
            f"data.max_length {data.max_length} is more than the {positions} positions of {Path(base).name}: what lies "
            f"beyond them can't be learned. Set data.max_length={positions} or less"
        )
    return data.model_copy(update={"max_length": positions})


def load_base(config: RunConfig, base: str, model: object = None) -> tuple[Any, Any]:
    """Load the base weights (unless ``model`` is given) and make the PEFT configuration (None for full fine-tuning)."""
    weights = _weights(config.model, base) if model is None else model
    return weights, _lora(config.lora) if config.lora else None


def load_start(model: ModelConfig, lora: LoraSettings | None) -> tuple[ModelSource, Any, Any]:
    """Load where reinforcement learning starts: a base, or a base with an adapter merged into it in memory.

    With an adapter in the start, what is saved would be an adapter on weights that exist nowhere, so that a new
    adapter is allowed on plain bases only.

    Returns:
        Base and adapter, the model, and the PEFT configuration (None to train all weights).

    Raises:
        UserError: not a model; or an adapter as start of another adapter.
    """
    source = resolve_model(str(TINY_BASE) if model.path == BUILTIN_TINY else model.path)
    if source.adapter is not None and lora is not None:
        raise UserError(
            f"{model.path} is an adapter, and a new adapter needs real weights below it. Merge it first "
            f"(ise train merge {model.path} OUT) and start from OUT, or train all weights with lora=null"
        )
    weights = _weights(model, source.base)
    if source.adapter is not None:
        from peft import PeftModel

        weights = PeftModel.from_pretrained(weights, source.adapter).merge_and_unload()
    return source, weights, _lora(lora) if lora else None


def _weights(settings: ModelConfig, base: str) -> Any:
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    options: dict[str, Any] = {
        "dtype": getattr(torch, settings.dtype),
        "attn_implementation": settings.attention,
    }
    if settings.load_in_4bit:
        options["quantization_config"] = _four_bit(torch)
    try:
        model = AutoModelForCausalLM.from_pretrained(base, **options)
    except (OSError, ValueError, ImportError, SafetensorError) as error:
        raise UserError(f"cannot load {base}: {' '.join(str(error).split())[:300]}") from error
    quantizer = getattr(model, "hf_quantizer", None)
    if quantizer is not None and not (quantizer.is_trainable or quantizer.is_qat_trainable):
        method = getattr(quantizer.quantization_config, "quant_method", "")
        raise UserError(
            f"{base} is quantised ({getattr(method, 'value', method)}), and such weights can't be trained: use the "
            "original ones. If they were dequantised already, delete quantization_config from its config.json"
        )
    model.config.use_cache = False
    return model


def _lora(settings: LoraSettings) -> Any:
    from peft import LoraConfig

    targets = settings.targets if isinstance(settings.targets, str) else list(settings.targets)
    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=targets,
        use_rslora=settings.rslora,
        bias="none",
        task_type="CAUSAL_LM",
    )


def _four_bit(torch: ModuleType) -> Any:
    from transformers import BitsAndBytesConfig

    if not torch.cuda.is_available():
        raise UserError("model.load_in_4bit needs a GPU and bitsandbytes; set model.load_in_4bit=false")
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
