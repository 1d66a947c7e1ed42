"""The model card: what a person who finds the folder needs to know, written from the run card and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ise_gym.storage.atomic import replacing
from ise_gym.training.runcard import RunCard

MODEL_CARD = "README.md"


def serve_command(card: RunCard, folder: str) -> str:
    """Return the vLLM command that serves merged weights as they were trained.

    A reasoning parser is named only where there was reasoning in the data: vLLM's begins in the reasoning state, so
    that of a model that does not think every final answer arrives as reasoning, with empty content
    (vllm-project/vllm issue 53284).

    Args:
        card: of a finished run.
        folder: with the merged weights.
    """
    parts = [
        f"vllm serve {folder}",
        f"--chat-template {folder}/chat_template.jinja",
        "--enable-auto-tool-choice --tool-call-parser hermes",
    ]
    if card.data.get("with_reasoning"):
        parts.append("--reasoning-parser qwen3")
    return " \\\n        ".join([*parts, f"--max-model-len {card.config['data']['max_length']}"])


def model_card(card: RunCard, name: str) -> str:
    """Return the card of a finished run as Markdown with the front matter that model hubs read.

    Args:
        card: of the run.
        name: of the model: its folder's.
    """
    config, data, metrics = card.config, card.data, card.metrics
    lora, train = config.get("lora"), config["train"]
    adapter = f"LoRA, rank {lora['rank']}, alpha {lora['alpha']:g}" if lora else "all weights"
    front = [
        "---",
        "library_name: " + ("peft" if lora else "transformers"),
        f"base_model: {card.base['name']}",
    ]
    front += ["tags: [tool-use, agent, ise-gym, sft]", "pipeline_tag: text-generation", "---", ""]
    held_out = [f"- loss on held-out episodes: {card.eval_losses[-1][1]:.4f}"] if card.eval_losses else []
    left_out = [
        f"- left out, {reason}: {found['count']}"
        for reason, found in sorted(data.get("left_out", {}).items())
    ]
    return "\n".join(
        [
            *front,
            f"# {name}",
            "",
            f"`{card.base['name']}`, fine-tuned ({adapter}) on episodes of ISE-OS-v0: a user delegates work, turn by "
            "turn, to an agent with tools in a live Linux workspace.",
            "",
            "## Data",
            "",
            f"- {data['used']} of {data['episodes']} episodes, {data['rows']} rows, {data['tokens']:,} tokens, "
            f"{data['learned_tokens']:,} of them in the loss; longest row {data['longest_row']:,}",
            *left_out,
            f"- loss on: {_loss(config['data'])}",
            f"- SHA-256 of the rows: `{data['data_hash']}`",
            "",
            "## Training",
            "",
            f"- {metrics['steps']} steps in {metrics['seconds']:,.0f} s, learning rate {train['learning_rate']:g} "
            f"({train['schedule']}), seed {card.seed}",
            f"- loss of the last logged step: {metrics['final_loss']:.4f}",
            *held_out,
            f"- SHA-256 of the base's weights: `{card.base['sha256']}`",
            "- " + ", ".join(f"{package} {version}" for package, version in card.versions.items()),
            "",
            "## Use",
            "",
            f"Serve it with `chat_template.jinja` of this folder (SHA-256 `{card.template_hash}`), the template that "
            f"it was trained with, merged (`ise train merge {name} {name}-merged`):",
            "",
            f"    {serve_command(card, f'{name}-merged')}",
            "",
            _thinking(card),
            "",
            "## Limits",
            "",
            "It learned from what agents did, mistakes that they repaired included. What it was not measured on here "
            "it was not measured on: run `ise eval run` before relying on it, and run what it calls in a sandbox.",
            "",
        ]
    )


def write_model_card(output: Path, card: RunCard) -> None:
    """Write ``README.md`` into the run's folder."""
    with replacing(output / MODEL_CARD) as file:
        file.write(model_card(card, output.resolve().name).encode())


def _thinking(card: RunCard) -> str:
    if not card.data.get("with_reasoning"):
        return "There was no reasoning in its data: it answers at once, and is served without a reasoning parser."
    if card.config["thinking"] == "last-turn":
        return "It thinks; reasoning of earlier user turns is dropped from the history by the template."
    return "It thinks, and its reasoning stays in the history: a client must send `reasoning_content` back."


def _loss(data: Mapping[str, Any]) -> str:
    what = {
        "all": "every answer",
        "last": "the answers of the last user turn",
        "after-recovery": "the answers after a failed call",
    }[data.get("loss", "all")]
    return what + (
        ", but for calls that failed" if data.get("mask_failed_calls") else ", calls that failed included"
    )
