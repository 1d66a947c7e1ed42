"""Build the tiny base model from nothing: tokenizer, synthetic corpus, pretraining.

    python -m training.tiny_base build --out DIR

Takes some minutes on two cores. Deterministic up to floating-point order: same seed, same corpus, same batches.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from ise_gym.messages import ToolSchema, sha256_of
from ise_gym.resources import os_world, read_text
from ise_gym.scenario import DEFAULT_TOOLS
from ise_gym.tools import tool_schemas
from ise_gym.training.rows import IGNORED
from ise_gym.training.template import encode, project_template, render, template_hash
from training.tiny_base.circuit import install_copying
from training.tiny_base.corpus import Conversation, conversations
from training.tiny_base.tokenizer import build_tokenizer, copyable_pieces

_SEED_WORDS = tuple(
    f"{a}{b}{c}" for a in "bcdfghklmnprstvw" for b in "aeiou" for c in ("n", "r", "st", "l", "m", "")
)


@dataclass(frozen=True)
class BaseRecipe:
    """Size and schedule of the base model; the defaults are what ships.

    Attributes:
        vocabulary: without control tokens and phrases; ``word_weight``: see `_tokenizer`.
        copy_steps: steps on bare repetition, which settle the copying circuit (`install_copying`).
        easy_documents: over so many documents short conversations give way to whole ones.
        rope_theta: Qwen3's own.
    """

    vocabulary: int = 2800
    word_weight: int = 30
    hidden: int = 128
    layers: int = 3
    heads: int = 4
    key_value_heads: int = 2
    head_dim: int = 32
    intermediate: int = 384
    steps: int = 2600
    batch_tokens: int = 1024
    learning_rate: float = 3e-3
    warmup: int = 20
    copy_steps: int = 200
    easy_documents: int = 12000
    rope_theta: float = 1_000_000.0
    weight_decay: float = 0.05
    seed: int = 0
    threads: int = 1


def build(out: Path, recipe: BaseRecipe = BaseRecipe(), log_every: int = 50) -> dict[str, Any]:
    """Make tokenizer and model and write them, with ``build.json``, to ``out``; returns what that file holds."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    started = time.monotonic()
    prompt, tools = fixed_prompt()
    tokenizer = _tokenizer(recipe, prompt, tools)
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=recipe.hidden,
            intermediate_size=recipe.intermediate,
            num_hidden_layers=recipe.layers,
            num_attention_heads=recipe.heads,
            num_key_value_heads=recipe.key_value_heads,
            head_dim=recipe.head_dim,
            max_position_embeddings=4096,
            tie_word_embeddings=True,
            initializer_range=0.06,
            rope_parameters={"rope_type": "default", "rope_theta": recipe.rope_theta},
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
        )
    )
    install_copying(model, recipe.seed)
    decayed = [p for p in model.parameters() if p.dim() > 1]
    flat = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": flat, "weight_decay": 0.0}],
        lr=recipe.learning_rate,
        betas=(0.9, 0.98),
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _pace(step, recipe))
    batches = _batches(recipe, tokenizer, prompt, tools)
    model.train()
    losses: list[float] = []
    tokens = 0
    for step in range(1, recipe.steps + 1):
        batch = next(batches)
        loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
        tokens += int(batch["attention_mask"].sum())
        if step % log_every == 0:
            mean = sum(losses[-log_every:]) / log_every
            seconds = time.monotonic() - started
            right = exact_calls(model, tokenizer, prompt, tools)
            print(
                f"step {step}/{recipe.steps}  loss {mean:.4f}  exact calls {right:.3f}  "
                f"{tokens / seconds:.0f} tokens/s",
                flush=True,
            )
    model.to(torch.bfloat16)
    out.mkdir(parents=True, exist_ok=True)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    # The longest answer to an easy task is 42 tokens; what goes on longer is going round in circles.
    model.generation_config.max_new_tokens = 64
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    facts = {
        "recipe": asdict(recipe),
        "parameters": sum(p.numel() for p in model.parameters()),
        "vocabulary": len(tokenizer),
        "tokens_seen": tokens,
        "exact_calls": exact_calls(model, tokenizer, prompt, tools, documents=200),
        "final_loss": round(sum(losses[-log_every:]) / len(losses[-log_every:]), 4),
        "prompt_tokens": len(encode(tokenizer, [{"role": "system", "content": prompt}], tools).input_ids),
        "chat_template": template_hash(tokenizer.chat_template),
        "tools": sha256_of(tools),
        "system_prompt": sha256_of(prompt),
    }
    (out / "build.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return facts


def exact_calls(
    model: Any,
    tokenizer: Any,
    prompt: str,
    tools: Sequence[ToolSchema],
    documents: int = 48,
    seed: int = 10_000,
) -> float:
    """Return the share of unseen conversations whose every assistant token is the model's first choice."""
    import torch

    source = conversations(seed, copyable_pieces(tokenizer), prompt, tools)
    talks = itertools.islice((item for item in source if item.messages), documents)
    rows = sorted((_document(tokenizer, item) for item in talks), key=lambda row: len(row[0]))
    model.eval()
    right = 0
    with torch.no_grad():
        for start in range(0, len(rows), 8):
            batch = _collate(rows[start : start + 8], tokenizer.pad_token_id)
            labels = batch.pop("labels")[:, 1:]
            chosen = model(**batch).logits[:, :-1].argmax(-1)
            right += int(((chosen == labels) | (labels == IGNORED)).all(1).sum())
    model.train()
    return right / len(rows)


def fixed_prompt() -> tuple[str, list[ToolSchema]]:
    """Return the system prompt and tool schemas that every episode of the env starts with."""
    prompt = read_text("os/system_prompt.txt").strip()
    return prompt, tool_schemas(DEFAULT_TOOLS)


def _tokenizer(recipe: BaseRecipe, prompt: str, tools: Sequence[ToolSchema]) -> Any:
    """Train the tokenizer on the prompt, some of the corpus, and the words that name files and folders in the catalog.

    Those words count many times, so that most are one token: a name of a few tokens is copied reliably by a model of
    this size. Only the tokenizer sees the catalog; the model never does.
    """
    fixed, _ = render(project_template(tool_prompt="short"), [{"role": "system", "content": prompt}], tools)
    made_up = conversations(recipe.seed + 1, _SEED_WORDS, prompt, ())
    texts = [_plain(item) for item in itertools.islice(made_up, 400)]
    texts += [" ".join(sorted(_catalog_words()))] * recipe.word_weight
    return build_tokenizer([*texts, fixed], fixed, recipe.vocabulary)


def _catalog_words() -> set[str]:
    """Words of the easy tasks and of the lists that names are drawn from."""
    tasks = (path.read_text(encoding="utf-8") for path in sorted(os_world().rglob("domains/*/*.yaml")))
    lists = yaml.safe_load(read_text("os/words.yaml"))
    texts = [text for text in tasks if "tier: easy" in text]
    texts += [" ".join(lists["folders"]), " ".join(lists["noun"])]
    return set(re.findall(r"[a-z]+", " ".join(texts)))


def _plain(item: Conversation) -> str:
    return item.text or "\n".join(message["content"] for message in item.messages[1:])


def _pace(step: int, recipe: BaseRecipe) -> float:
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    progress = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return 0.05 + 0.95 * (1 + math.cos(math.pi * progress)) / 2


def _batches(
    recipe: BaseRecipe, tokenizer: Any, prompt: str, tools: Sequence[ToolSchema]
) -> Iterator[dict[str, Any]]:
    """Batches of about ``batch_tokens`` tokens, made of documents of like length so that little is padding."""
    import torch

    pool: list[tuple[list[int], list[int]]] = []
    pieces = copyable_pieces(tokenizer)
    source = conversations(recipe.seed, pieces, prompt, tools, recipe.easy_documents)
    shuffle = torch.Generator().manual_seed(recipe.seed)
    for _ in range(recipe.copy_steps):
        yield _repetitions(len(tokenizer), shuffle)
    while True:
        pool = sorted((_document(tokenizer, next(source)) for _ in range(1024)), key=lambda d: len(d[0]))
        batches: list[list[tuple[list[int], list[int]]]] = [[]]
        for document in pool:
            if (len(batches[-1]) + 1) * len(document[0]) > recipe.batch_tokens and batches[-1]:
                batches.append([])
            batches[-1].append(document)
        for index in torch.randperm(len(batches), generator=shuffle).tolist():
            yield _collate(batches[index], tokenizer.pad_token_id)


def _repetitions(vocabulary: int, generator: Any, rows: int = 32, width: int = 48) -> dict[str, Any]:
    """Random tokens, repeated after gaps of random length, so that position alone doesn't tell what comes next."""
    import torch

    def draw(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (), generator=generator))

    ids, labels = [], []
    for _ in range(rows):
        phrase = torch.randint(vocabulary, (draw(4, 14),), generator=generator).tolist()
        row: list[int] = []
        wanted: list[int] = []
        while len(row) < width:
            gap = torch.randint(vocabulary, (draw(0, 6),), generator=generator).tolist()
            first = not wanted
            row += gap + phrase
            wanted += [IGNORED] * (len(gap) + 1) + ([IGNORED] * (len(phrase) - 1) if first else phrase[1:])
        ids.append(row[:width])
        labels.append(wanted[:width])
    return {
        "input_ids": torch.tensor(ids),
        "labels": torch.tensor(labels),
        "attention_mask": torch.ones(rows, width),
    }


def _document(tokenizer: Any, item: Conversation) -> tuple[list[int], list[int]]:
    if item.text:
        ids = tokenizer(item.text, add_special_tokens=False)["input_ids"]
        return ids, [*[IGNORED] * (len(ids) // 3), *ids[len(ids) // 3 :]]
    encoded = encode(tokenizer, item.messages, item.tools)
    labels = [IGNORED] * len(encoded.input_ids)
    for start, end in encoded.spans:
        labels[start:end] = encoded.input_ids[start:end]
    last = encoded.spans[-1][1]
    return encoded.input_ids[:last], labels[:last]


def _collate(documents: Sequence[tuple[list[int], list[int]]], pad: int) -> dict[str, Any]:
    import torch

    width = max(len(ids) for ids, _ in documents)
    return {
        "input_ids": torch.tensor([ids + [pad] * (width - len(ids)) for ids, _ in documents]),
        "labels": torch.tensor([labels + [IGNORED] * (width - len(labels)) for _, labels in documents]),
        "attention_mask": torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids, _ in documents]),
    }
