"""Is a trained model played the way it was trained? Compared by hash, before anything runs.

A model folder says three things: the chat template it will be served with, the template it was trained with, and the
tool schemas and system prompts of the episodes it learned from (``run_card.json``). Where one of them differs from
what the env offers now, scores measure the mismatch and not the model.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ise_gym.errors import UserError
from ise_gym.messages import ToolSchema, sha256_of
from ise_gym.resources import read_text
from ise_gym.scenario import DEFAULT_TOOLS
from ise_gym.tools import tool_schemas

CARD = "run_card.json"


def check_model_parity(
    model_dir: str | Path,
    tools: Sequence[ToolSchema] | None = None,
    system_prompt: str | None = None,
    template: str | None = None,
) -> list[str]:
    """Return what is different between how a model was trained and how it would be played; empty when nothing.

    Args:
        model_dir: output folder of ``ise train sft`` (adapter, full or merged).
        tools: schemas that will be offered; default: the env's own.
        system_prompt: that will be used; default: the env's own.
        template: source that a server would use instead of the one in the folder.

    Raises:
        UserError: the folder holds no run card or no chat template, so nothing can be compared.
    """
    folder = Path(model_dir)
    card = _card(folder)
    trained = str(card.get("template_hash", ""))
    data: dict[str, Any] = card.get("data") or {}
    offered = sha256_of(list(tools if tools is not None else tool_schemas(DEFAULT_TOOLS)))
    prompt = system_prompt if system_prompt is not None else read_text("os/system_prompt.txt").strip()
    saved = _template(folder)
    problems = []
    if sha256_of(saved) != trained:
        problems.append(
            f"the chat template in {folder.name} is not the one it was trained with "
            f"({sha256_of(saved)[:12]}, trained with {trained[:12]})"
        )
    if template is not None and template != saved:
        lines = difflib.unified_diff(
            saved.splitlines(),
            template.splitlines(),
            "saved with the model",
            "to be served",
            lineterm="",
            n=1,
        )
        problems.append("another chat template would be served:\n" + "\n".join(lines))
    problems += _missing("tool schemas", offered, data.get("tool_hashes") or {})
    problems += _missing("system prompt", sha256_of(prompt), data.get("system_prompt_hashes") or {})
    return problems


def _missing(what: str, offered: str, seen: dict[str, int]) -> list[str]:
    if not seen or offered in seen:
        return []
    known = ", ".join(f"{digest[:12]} in {count} episodes" for digest, count in sorted(seen.items()))
    return [f"the {what} offered now ({offered[:12]}) never occurred in training ({known})"]


def _card(folder: Path) -> dict[str, Any]:
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{folder} holds no {CARD}: parity can only be checked for models made by `ise train sft`"
        ) from None
    except ValueError as error:
        raise UserError(f"{folder / CARD} is not valid JSON: {error}") from error
    if not isinstance(card, dict):
        raise UserError(f"{folder / CARD} is not a run card")
    return card


def _template(folder: Path) -> str:
    """Read the template as a tokenizer in that folder would have it."""
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    settings = folder / "tokenizer_config.json"
    if settings.is_file():
        template = json.loads(settings.read_text(encoding="utf-8")).get("chat_template")
        if isinstance(template, str):
            return template
    raise UserError(f"{folder} has no chat template (chat_template.jinja); save the tokenizer with the model")
