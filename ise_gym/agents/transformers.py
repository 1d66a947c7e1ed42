"""A local model as agent: what was trained is what plays, with the chat template saved beside its weights.

Many episodes are answered in one padded batch (`ise_gym.models.local.generation`).

Nothing is cut silently: a conversation that leaves no room for an answer ends its turn with
`CONTEXT_OVERFLOW` as the agent's words (in a batch the other conversations must go on), and
`TransformersAgent.counts` says how many did.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from ise_gym.agents.parity import Trained, template_differences, trained_on
from ise_gym.errors import UserError
from ise_gym.messages import Message, ToolSchema, assistant, sha256_of
from ise_gym.models.local.generation import BatchGenerator
from ise_gym.models.local.tokenizer import CausalModel, Tokenizer
from ise_gym.models.parsing import parse_completion
from ise_gym.models.words.calls import read_words
from ise_gym.models.words.thinking import set_apart
from ise_gym.scenario import Scenario

CONTEXT_OVERFLOW = "I can't go on: this conversation is longer than my context."
"""What the agent says when prompt and answer no longer fit; the episode goes on and is judged as it stands."""

DEFAULT_ANSWER = 256
"""Most tokens of an answer where neither the caller nor the model says."""

_WEIGHTS = ("*.safetensors", "*.bin")


@dataclass
class _Counters:
    """What happened while playing, for `counts`."""

    overflows: int = 0
    cut_answers: int = 0
    offered_otherwise: int = 0


@dataclass(frozen=True)
class ModelSource:
    """Where the weights are: a base (folder or hub name) and, for a LoRA run, the adapter's folder."""

    base: str
    adapter: str | None = None

    @property
    def name(self) -> str:
        """The name that goes into trajectories: never an absolute path."""
        return Path(self.adapter or self.base).name if _is_local(self.adapter or self.base) else self.base


@dataclass
class TransformersAgent:
    """Plays with a `transformers` causal language model, one episode or many at a time.

    Args:
        path: a model folder, an adapter folder (its base is found through ``adapter_config.json``) or a hub name.
        adapter: an adapter folder on top of ``path``.
        max_new_tokens: longest answer; one that reaches it is taken as it is and counted. None: what the model's
            generation config says, else 256.
        temperature: 0 is greedy; else answers are sampled, seeded by `reset` or ``seed``.
        top_p: nucleus of sampled answers.
        device: "auto" takes a GPU when there is one.
        dtype: of the weights in memory: "auto" (float32 on a CPU, as saved on a GPU) or a torch dtype's name.
        batch_size: most conversations answered at once.
        seed: of sampling when no `reset` is called (batched play).
        threads: CPU threads for torch; 0 leaves its default.
        calls: ``tags`` reads calls in the Hermes form, as trained models here write them; ``text`` in every form that
            `ise_gym.models.textcalls.read_words` knows, for models with habits of their own.
        parity: of a model with a run card: ``check`` refuses a chat template that it was not trained with, and warns
            once of each tool or system prompt that never occurred in training; ``off`` looks at neither.

    Raises:
        UserError: not a model, no chat template, another one than it was trained with, or the packages are missing.
    """

    heavy: ClassVar[bool] = True
    """Making one takes long, so options are checked without it."""

    path: str | Path
    adapter: str | Path | None = None
    max_new_tokens: int | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    device: str = "auto"
    dtype: str = "auto"
    batch_size: int = 64
    seed: int = 0
    threads: int = 0
    calls: str = "tags"
    parity: str = "check"
    name: str = field(init=False)
    syntax: ClassVar[str] = "transformers:DIR (a local model)"

    def __post_init__(self) -> None:
        if self.calls not in ("tags", "text"):
            raise UserError(f"calls={self.calls!r} is none of tags, text")
        if self.parity not in ("check", "off"):
            raise UserError(f"parity={self.parity!r} is none of check, off")
        self._torch = _import_torch()
        self._source = resolve_model(self.path, self.adapter)
        self.name = self._source.name
        if self.threads:
            self._torch.set_num_threads(self.threads)
        self._device = self.device
        if self.device == "auto":
            self._device = "cuda" if self._torch.cuda.is_available() else "cpu"
        self._tokenizer, self._model = _load(self._torch, self._source, self._device, self.dtype)
        self._trained = self._gate()
        self._warned: set[str] = set()
        self._stop_ids = _stop_ids(self._tokenizer, self._model)
        self._longest = self.max_new_tokens or self._model.generation_config.max_new_tokens or DEFAULT_ANSWER
        self._context = _context_length(self._model, self._tokenizer)
        self._counters = _Counters()
        pad = self._tokenizer.pad_token_id
        self._generator = BatchGenerator(
            self._model,
            pad_id=pad if pad is not None else self._stop_ids[0],
            stop_ids=self._stop_ids,
            longest=self._longest,
            context=self._context,
            temperature=self.temperature,
            top_p=self.top_p,
        )
        self._generator_seed = self.seed
        self._calls = 0
        self._hashes = {
            "weights": weights_hash(self._source),
            "chat_template": sha256_of(self._tokenizer.chat_template),
        }

    def reset(self, scenario: Scenario, seed: int) -> None:
        """Start an episode; the scenario is not looked at, the seed drives sampling."""
        self._generator_seed = seed
        self._calls = 0

    def act(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> Message:
        """Answer one conversation."""
        return self.act_batch([(messages, tools)])[0]

    def act_batch(
        self, conversations: Sequence[tuple[Sequence[Message], Sequence[ToolSchema]]]
    ) -> list[Message]:
        """Answer many conversations, in order; batches are made of prompts of like length."""
        prompts = [self._prompt_ids(messages, tools) for messages, tools in conversations]
        answers = [assistant(CONTEXT_OVERFLOW) for _ in prompts]
        for answer in answers:  # nobody's words: never taught
            answer["completion"] = {"finish": "context_length", "ended": "cut"}
        fitting = [i for i, ids in enumerate(prompts) if len(ids) < self._context]
        self._counters.overflows += len(prompts) - len(fitting)
        fitting.sort(key=lambda i: len(prompts[i]))
        for start in range(0, len(fitting), self.batch_size):
            chosen = fitting[start : start + self.batch_size]
            made = self._generate([prompts[i] for i in chosen])
            for index, (text, ids, ended) in zip(chosen, made, strict=True):
                answers[index] = self._message(text, conversations[index][1])
                answers[index]["completion"] = {
                    "finish": "stop" if ended else "length",
                    "ended": "stop" if ended else "cut",
                    "usage": {"prompt": len(prompts[index]), "completion": len(ids)},
                    "token_ids": ids,
                    "faults": ["thinking"] if set_apart(answers[index]) else [],
                }
        return answers

    def describe(self) -> dict[str, Any]:
        """Name, hashes and sampling: what an answer depends on, and nothing that changes while playing."""
        return {
            "name": self.name,
            "kind": "transformers",
            "weights_sha256": self._hashes["weights"],
            "chat_template_sha256": self._hashes["chat_template"],
            "max_new_tokens": self._longest,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "dtype": str(self._model.dtype).removeprefix("torch."),
        }

    def hashes(self) -> dict[str, str]:
        """Return the SHA-256 of ``chat_template`` and ``weights``, for the trajectory's ``hashes``."""
        return dict(self._hashes)

    def counts(self) -> dict[str, int]:
        """Return how many turns overflowed the context, how many answers reached ``max_new_tokens``, and how many turns
        were offered what never occurred in the model's training.
        """
        return {
            "context_overflows": self._counters.overflows,
            "cut_answers": self._counters.cut_answers,
            "offered_otherwise": self._counters.offered_otherwise,
        }

    def close(self) -> None:
        """Free the weights."""
        self._generator.forget()
        del self._model, self._generator
        if self._device.startswith("cuda"):
            self._torch.cuda.empty_cache()

    def _gate(self) -> Trained | None:
        """Return what the model was trained on, where its folder says so; refuse another template than that one's."""
        folder = self._source.adapter or self._source.base
        trained = trained_on(folder) if self.parity == "check" else None
        if trained is not None and trained.template:
            for problem in template_differences(trained, self._tokenizer.chat_template, self.name):
                raise UserError(f"{problem}: its scores would measure that. Restore it, or give parity=off")
        return trained

    def _compare(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> None:
        """Warn, once of each, of what is offered now and never was in training."""
        found = list(self._trained.differences(messages, tools)) if self._trained else []
        self._counters.offered_otherwise += bool(found)
        for problem in found:
            if problem not in self._warned:
                self._warned.add(problem)
                warnings.warn(f"{self.name}: {problem}", RuntimeWarning, stacklevel=2)

    def _prompt_ids(self, messages: Sequence[Message], tools: Sequence[ToolSchema]) -> list[int]:
        self._compare(messages, tools)
        encoded = self._tokenizer.apply_chat_template(
            list(messages), tools=list(tools) or None, add_generation_prompt=True, return_dict=True
        )
        return list(encoded["input_ids"])

    def _message(self, text: str, tools: Sequence[ToolSchema]) -> Message:
        return read_words(text, tools) if self.calls == "text" else parse_completion(text)

    def _generate(self, prompts: list[list[int]]) -> list[tuple[str, list[int], bool]]:
        """Answer one batch: each as text without the token that ended it, as ids, and whether it ended by itself."""
        if self.temperature > 0:
            self._torch.manual_seed((self._generator_seed * 1_000_003 + self._calls) % 2**63)
        self._calls += 1
        texts = []
        for ids in self._generator.generate(prompts):
            ended = self._generator.ended(ids)
            self._counters.cut_answers += not ended
            text = self._tokenizer.decode(ids[:-1] if ended else ids, skip_special_tokens=False)
            texts.append((text, list(ids), ended))
        return texts


def resolve_model(path: str | Path, adapter: str | Path | None = None) -> ModelSource:
    """Find base and adapter from what a user gave.

    Raises:
        UserError: a folder that holds no model, or an adapter whose base cannot be found.
    """
    given = str(path)
    if adapter is not None:
        folder = Path(adapter)
        if not (folder / "adapter_config.json").is_file():
            raise UserError(
                f"{adapter} is not an adapter: it has no adapter_config.json. Give a folder of `ise train sft`."
            )
        return ModelSource(_checked_base(given), str(folder))
    if (Path(given) / "adapter_config.json").is_file():
        return ModelSource(_base_of_adapter(Path(given)), given)
    return ModelSource(_checked_base(given))


def weights_hash(source: ModelSource) -> str:
    """SHA-256 over the config and weight files of base and adapter; a hub model counts by its name."""
    digest = hashlib.sha256()
    for place in (source.base, source.adapter):
        if place is None:
            continue
        folder = Path(place)
        if not folder.is_dir():
            digest.update(place.encode())
            continue
        names = ["config.json", "adapter_config.json"]
        files = [folder / name for name in names if (folder / name).is_file()]
        for file in [*files, *sorted(f for pattern in _WEIGHTS for f in folder.glob(pattern))]:
            # base_model_name_or_path says where the base lay, not what it was
            digest.update(file.name.encode())
            if file.name == "adapter_config.json":
                settings = json.loads(file.read_text(encoding="utf-8"))
                digest.update(
                    sha256_of({k: v for k, v in settings.items() if k != "base_model_name_or_path"}).encode()
                )
            else:
                with file.open("rb") as stream:
                    digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _is_local(place: str) -> bool:
    return Path(place).is_dir()


def _checked_base(place: str) -> str:
    folder = Path(place)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise UserError(
                f"{place} is not a model: it has neither config.json nor adapter_config.json. "
                "Give the output folder of `ise train sft`, a downloaded model, or a hub name."
            )
        return place
    looks_like_path = (
        folder.is_absolute() or place.startswith((".", "~")) or place.count("/") != 1 or folder.exists()
    )
    if looks_like_path and not _is_plain_hub_name(place):
        raise UserError(
            f"there is no model folder at {place}. Give an existing folder or a hub name (owner/name)."
        )
    return place


def _is_plain_hub_name(place: str) -> bool:
    return "/" not in place and not place.startswith((".", "~")) and not Path(place).exists()


def _base_of_adapter(folder: Path) -> str:
    """Read where the adapter's base is; a relative path counts from the adapter's folder, then from here."""
    try:
        settings: Mapping[str, Any] = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{folder}/adapter_config.json is not valid JSON: {error}") from error
    base = str(settings.get("base_model_name_or_path") or "")
    for candidate in (Path(os.path.normpath(folder / base)), Path(base)):
        if base and (candidate / "config.json").is_file():
            return str(candidate)
    if not base or base.startswith((".", "/")):
        raise UserError(
            f"the base model of the adapter {folder} was not found at {base or '(not recorded)'}. "
            "Give the base as the model and this folder as the adapter."
        )
    return base


def _import_torch() -> Any:
    try:
        import torch
        import transformers  # noqa: F401
    except ImportError as error:
        raise UserError(f"a local model needs {error.name}: pip install 'ise-gym[train]'") from error
    return torch


def _load(torch: ModuleType, source: ModelSource, device: str, dtype: str) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    kind: Any = dtype
    if dtype == "auto" and device == "cpu":
        kind = torch.float32
    elif dtype != "auto":
        kind = getattr(torch, dtype, None)
        if not isinstance(kind, torch.dtype):
            raise UserError(f"{dtype!r} is not a torch dtype; use auto, float32, bfloat16 or float16")
    with_tokenizer = source.base
    if source.adapter and (Path(source.adapter) / "tokenizer_config.json").is_file():
        with_tokenizer = source.adapter
    try:
        tokenizer = AutoTokenizer.from_pretrained(with_tokenizer, padding_side="left")
        model = AutoModelForCausalLM.from_pretrained(source.base, dtype=kind)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        nowhere = "" if _is_local(source.base) else " (no folder here has that name, so the hub was asked)"
        raise UserError(f"cannot load the model {source.base}{nowhere}: {reason}") from error
    if not tokenizer.chat_template:
        raise UserError(
            f"the tokenizer of {with_tokenizer} has no chat template. "
            "Models made by `ise train sft` carry one; add a chat_template.jinja to the folder."
        )
    if source.adapter:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, source.adapter).merge_and_unload()
    return tokenizer, model.to(device).eval()


def _stop_ids(tokenizer: Tokenizer, model: CausalModel) -> list[int]:
    """End-of-turn tokens: the tokenizer's, the generation config's and Qwen's own."""
    configured = model.generation_config.eos_token_id
    found = [tokenizer.eos_token_id, *(configured if isinstance(configured, list) else [configured])]
    vocabulary = tokenizer.get_vocab()
    found += [vocabulary.get(token) for token in ("<|im_end|>", "<|endoftext|>")]
    return sorted({token for token in found if token is not None})


def _context_length(model: CausalModel, tokenizer: Tokenizer) -> int:
    lengths = [getattr(model.config, "max_position_embeddings", None), tokenizer.model_max_length]
    return min(int(length) for length in lengths if length and length < 10**9)
