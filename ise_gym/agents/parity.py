"""Is a trained model played the way it was trained? Compared by hash, before anything runs and while it plays.

A model folder says three things: the chat template it will be served with, the template it was trained with, and the
tool schemas and system prompts of the episodes it learned from (``run_card.json``). Where one of them differs from
what is offered now, scores measure the mismatch and not the model.

What is offered is compared tool by tool: scenarios offer different sets of tools, and a set that never occurred is no
difference as long as each of its tools is known as it is.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ise_gym.errors import UserError
from ise_gym.messages import sha256_of

CARD = "run_card.json"


@dataclass(frozen=True)
class Trained:
    """What a model learned from, by its run card.

    Attributes:
        template: SHA-256 of the chat template.
        tools: name of a tool → SHA-256 of its schemas; empty where the card doesn't say.
        system_prompts: SHA-256 of all system prompts met; empty where the card doesn't say.
    """

    template: str
    tools: Mapping[str, frozenset[str]]
    system_prompts: frozenset[str]

    def differences(
        self, messages: Sequence[Mapping[str, object]], tools: Sequence[Mapping[str, Any]]
    ) -> Iterator[str]:
        """Yield what of an offered conversation never occurred in training: its tools and its system prompt."""
        if self.tools:
            changed, unknown = [], []
            for schema in tools:
                name = str(schema["function"]["name"])
                if name not in self.tools:
                    unknown.append(name)
                elif sha256_of(schema) not in self.tools[name]:
                    changed.append(name)
            if changed:
                yield f"the schemas of these tools are not those of training: {', '.join(sorted(changed))}"
            if unknown:
                yield f"these tools were never offered in training: {', '.join(sorted(unknown))}"
        opening = messages[0] if messages else None
        if opening is not None and opening["role"] == "system" and self.system_prompts:
            digest = sha256_of(opening["content"])
            if digest not in self.system_prompts:
                yield f"the system prompt offered now ({digest[:12]}) never occurred in training"

    def trained_again(self, template_sha256: str, tools: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
        """Yield how further training differs from what a model has learned already.

        Args:
            template_sha256: of the chat template that it will be trained with.
            tools: as of a run card: name → SHA-256 of its schemas → how often.
        """
        if self.template and template_sha256 != self.template:
            yield (
                f"it learned with another chat template ({self.template[:12]}) than it will be trained with now "
                f"({template_sha256[:12]})"
            )
        changed = [
            name for name, found in tools.items() if name in self.tools and not set(found) & self.tools[name]
        ]
        if changed:
            yield f"it knows these tools by other schemas: {', '.join(sorted(changed))}"


def trained_on(folder: str | Path) -> Trained | None:
    """Read the run card of a model folder; None where there is none (a base, somebody else's model).

    Raises:
        UserError: there is one and it can't be read.
    """
    if not (Path(folder) / CARD).is_file():
        return None
    card = _card(Path(folder))
    data = card.get("data")
    data = data if isinstance(data, dict) else {}
    tools = data.get("tools")
    prompts = data.get("system_prompt_hashes")
    return Trained(
        str(card.get("template_hash", "")),
        {str(name): frozenset(found) for name, found in tools.items()} if isinstance(tools, dict) else {},
        frozenset(prompts if isinstance(prompts, dict) else ()),
    )


def check_model_parity(
    model_dir: str | Path,
    tools: Sequence[Mapping[str, object]] = (),
    system_prompt: str | None = None,
    template: str | None = None,
) -> list[str]:
    """Return what is different between how a model was trained and how it would be played; empty when nothing.

    Args:
        model_dir: output folder of ``ise train sft`` or ``grpo`` (adapter, full or merged).
        tools: schemas that will be offered.
        system_prompt: that will be used; None: not compared.
        template: source that a server would use instead of the one in the folder.

    Raises:
        UserError: the folder holds no run card or no chat template, so nothing can be compared.
    """
    folder = Path(model_dir)
    trained = trained_on(folder)
    if trained is None:
        raise UserError(
            f"{folder} holds no {CARD}: parity can only be checked for models made by `ise train sft` or "
            "`ise train grpo`"
        )
    saved = _template(folder)
    problems = template_differences(trained, saved, folder.name)
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
    opening: list[dict[str, Any]] = (
        [] if system_prompt is None else [{"role": "system", "content": system_prompt}]
    )
    return [*problems, *trained.differences(opening, tools)]


def template_differences(trained: Trained, template: str, name: str) -> list[str]:
    """Return, as a list of none or one, that a template is not the one a model was trained with."""
    found = sha256_of(template)
    if found == trained.template:
        return []
    return [
        f"the chat template in {name} is not the one it was trained with "
        f"({found[:12]}, trained with {trained.template[:12]})"
    ]


def check_offered(
    model_dir: str | Path,
    messages: Sequence[Mapping[str, object]],
    tools: Sequence[Mapping[str, object]],
    template_sha256: str = "",
) -> list[str]:
    """Return what a conversation offered, or was rendered with, that the model was not trained on.

    Args:
        model_dir: as of `check_model_parity`.
        messages, tools: as they were recorded.
        template_sha256: of the chat template, where the record has it.

    Raises:
        UserError: the folder holds no run card.
    """
    problems = check_model_parity(model_dir)
    trained = trained_on(model_dir)
    if trained is None:
        return problems
    if template_sha256 and template_sha256 != trained.template:
        problems.append(
            f"it was played with another chat template ({template_sha256[:12]}, trained with {trained.template[:12]})"
        )
    return [*problems, *trained.differences(messages, tools)]


def _card(folder: Path) -> dict[str, Any]:
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
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
