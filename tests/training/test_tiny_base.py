"""The tiny base model: what it was taught, what it must not know, and that its folder is what it says."""

from __future__ import annotations

import itertools
import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from ise_gym.agents.transformers import TransformersAgent
from ise_gym.messages import sha256_of, tool_calls_of
from ise_gym.resources import os_world
from ise_gym.training.models import TINY_BASE, load_tokenizer
from ise_gym.training.template import encode, project_template
from training.tiny_base.build import BaseRecipe, build, fixed_prompt
from training.tiny_base.corpus import conversations
from training.tiny_base.kinds import KINDS

ROOT = Path(__file__).parents[2]
PIECES = ("amber", "bo", "cedar", "dro", "el", "fin", "gar", "hu", "ink", "jol", "kan", "lim")


def first_words(commands: list[str]) -> set[str]:
    return {shlex.split(part)[0] for text in commands for part in text.split("&&")}


def easy_tasks() -> list[dict[str, Any]]:
    """The tasks that the model is trained and tested on: those of the suite demo-easy."""
    suite = yaml.safe_load((ROOT / "eval/suites/demo-easy.yaml").read_text(encoding="utf-8"))
    names = sorted({name for part in suite["parts"] for name in part["options"]["tasks"]})
    return [yaml.safe_load((os_world() / f"domains/{n}.yaml").read_text(encoding="utf-8")) for n in names]


def test_no_command_that_solves_an_easy_task_is_taught() -> None:
    """Looking (``cat``, ``ls``) may be shared; the steps without which a task's checks fail may not."""
    taught = first_words([command for kind in KINDS for command in kind.commands]) - {"{x}", "{w}"}
    plans = [step for task in easy_tasks() for request in task["requests"] for step in request["expert"]]
    used = {str(step["exec"]["command"]).split()[0] for step in plans if "exec" in step and step.get("key")}
    assert {"mv", "rm", "mkdir"} <= used
    assert len(taught) > 25
    assert not taught & used


def test_the_corpus_never_writes_edits_or_uses_catalog_commands() -> None:
    prompt, tools = fixed_prompt()
    offered = {tool["function"]["name"] for tool in tools}
    called: set[str] = set()
    for item in itertools.islice(conversations(3, PIECES, prompt, tools, easy=200), 600):
        for message in item.messages:
            called |= {call["function"]["name"] for call in tool_calls_of(message)}
    assert called & offered == {"exec", "read"}


def test_the_corpus_is_a_function_of_its_seed() -> None:
    prompt, tools = fixed_prompt()

    def first(seed: int) -> list[Any]:
        return list(itertools.islice(conversations(seed, PIECES, prompt, tools), 30))

    assert first(1) == first(1)
    assert first(1) != first(2)


def test_a_base_can_be_built_and_starts_out_copying(tmp_path: Path) -> None:
    recipe = BaseRecipe(steps=3, copy_steps=3, vocabulary=600, word_weight=1, batch_tokens=256)
    facts = build(tmp_path / "base", recipe, log_every=3)
    assert facts["parameters"] < 2_000_000
    # From random weights the first steps stand at ln(vocabulary) = 6.6 nats.
    assert facts["final_loss"] < 4.5
    agent = TransformersAgent(tmp_path / "base", max_new_tokens=4)
    assert agent.describe()["chat_template_sha256"] == sha256_of(project_template(tool_prompt="short"))


def test_the_shipped_tokenizer_survives_any_text() -> None:
    tokenizer = load_tokenizer(str(TINY_BASE))
    for text in ("naïve 漢字 😀\u200d\n\t x", "  lead", "a<|im_x|>b", "\x00\x1f", "ÀÉ\u0301", '{"a": [1]}'):
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_the_shipped_model_is_what_its_card_says() -> None:
    card = json.loads((TINY_BASE / "build.json").read_text())
    size = sum(file.stat().st_size for file in TINY_BASE.iterdir())
    assert size < 6_000_000
    tokenizer = load_tokenizer(str(TINY_BASE))
    assert tokenizer.chat_template == project_template(tool_prompt="short")
    assert card["chat_template"] == sha256_of(project_template(tool_prompt="short"))
    assert len(tokenizer) == card["vocabulary"]


def test_the_prompt_of_every_episode_is_cheap() -> None:
    prompt, tools = fixed_prompt()
    tokenizer = load_tokenizer(str(TINY_BASE))
    count = len(encode(tokenizer, [{"role": "system", "content": prompt}], tools).input_ids)
    if count > 300:
        pytest.fail(
            f"system prompt and schemas cost {count} tokens: they changed since the base model's tokenizer was made; "
            "build it anew with python -m training.tiny_base build"
        )
