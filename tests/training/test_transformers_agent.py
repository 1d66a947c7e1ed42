"""The local-model agent: batches equal single play, nothing is cut silently, bad folders say what to do."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from made_episodes import TOOLS, conversation

from ise_gym.agents import make_agent
from ise_gym.agents.parity import check_model_parity, check_offered
from ise_gym.agents.transformers import CONTEXT_OVERFLOW, TransformersAgent, resolve_model
from ise_gym.errors import UserError
from ise_gym.messages import sha256_of, system, user
from ise_gym.scenario import DEFAULT_TOOLS
from ise_gym.tools import tool_schemas
from ise_gym.training.template import project_template


def prefixes(count: int) -> list[tuple[Any, Any]]:
    """Conversations that end where an assistant would speak, of very different length."""
    talks = []
    for seed in range(count):
        messages = conversation(seed, turns=1 + seed % 3)
        last = max(k for k, m in enumerate(messages) if m["role"] == "assistant")
        talks.append((messages[:last], TOOLS))
    return talks


def test_a_batch_answers_as_single_play_does(tiny_model_dir: Path) -> None:
    agent = TransformersAgent(tiny_model_dir, max_new_tokens=12, batch_size=4)
    talks = prefixes(9)
    together = agent.act_batch(talks)
    alone = [agent.act(*talk) for talk in talks]
    assert together == alone
    assert len({json.dumps(m) for m in alone}) > 1


def test_the_prefix_cache_changes_nothing(tiny_model_dir: Path) -> None:
    import torch

    agent = TransformersAgent(tiny_model_dir, max_new_tokens=10)
    talks = prefixes(4)
    answers = agent.act_batch(talks)
    for (messages, tools), answer in zip(talks, answers, strict=True):
        ids = agent._prompt_ids(messages, tools)
        output = agent._model.generate(
            input_ids=torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            max_new_tokens=10,
            do_sample=False,
            eos_token_id=agent._stop_ids,
            pad_token_id=agent._stop_ids[0],
        )[0, len(ids) :].tolist()
        end = next((i for i, t in enumerate(output) if t in agent._stop_ids), len(output))
        from ise_gym.models.parsing import parse_completion

        completion = answer.pop("completion")
        assert answer == parse_completion(agent._tokenizer.decode(output[:end]))
        assert completion["token_ids"] == output[: end + 1]
        assert completion["ended"] == ("stop" if end < len(output) else "cut")


def test_sampling_is_seeded(tiny_model_dir: Path) -> None:
    agent = TransformersAgent(tiny_model_dir, max_new_tokens=8, temperature=1.0)
    talk = [system("s"), user("hello")]

    def play(seed: int) -> list[Any]:
        agent.reset(None, seed)  # type: ignore[arg-type]
        return [agent.act(talk, []) for _ in range(3)]

    assert play(1) == play(1)
    assert play(1) != play(2)


def test_too_long_a_conversation_is_said_and_counted_and_the_rest_goes_on(tiny_model_dir: Path) -> None:
    agent = TransformersAgent(tiny_model_dir, max_new_tokens=4)
    long, short = [user("word " * 5000)], [user("hi")]
    answers = agent.act_batch([(long, []), (short, [])])
    assert answers[0]["content"] == CONTEXT_OVERFLOW
    assert answers[1]["content"] != CONTEXT_OVERFLOW
    assert answers[0]["completion"]["ended"] == "cut", "nobody said it, so nobody learns it"
    assert agent.counts()["context_overflows"] == 1


def test_describe_has_hashes_and_no_paths(tiny_model_dir: Path) -> None:
    agent = make_agent(f"transformers:{tiny_model_dir}", max_new_tokens=3)
    about = agent.describe()
    assert about["name"] == agent.name == "tiny"
    assert about["chat_template_sha256"] == sha256_of(project_template(tool_prompt="short"))
    assert len(about["weights_sha256"]) == 64
    assert str(tiny_model_dir.parent) not in json.dumps(about)
    before = agent.describe()
    agent.act([user("hi")], [])
    assert agent.describe() == before


def test_folders_that_are_no_model(tiny_model_dir: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(UserError, match="is not a model"):
        TransformersAgent(empty)
    with pytest.raises(UserError, match="no model folder at"):
        TransformersAgent(tmp_path / "nothing")
    with pytest.raises(UserError, match="is not an adapter"):
        TransformersAgent(tiny_model_dir, adapter=empty)
    (empty / "config.json").write_text("{}")
    with pytest.raises(UserError, match="cannot load the model"):
        TransformersAgent(empty)
    orphan = tmp_path / "orphan"
    orphan.mkdir()
    (orphan / "adapter_config.json").write_text('{"base_model_name_or_path": "../gone"}')
    with pytest.raises(UserError, match=r"base model of the adapter .* was not found at"):
        TransformersAgent(orphan)


def test_a_model_without_chat_template_is_refused(tiny_model_dir: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    shutil.copytree(tiny_model_dir, bare)
    (bare / "chat_template.jinja").unlink()
    with pytest.raises(UserError, match="no chat template"):
        TransformersAgent(bare)


def test_relative_base_of_an_adapter_moves_with_it(tmp_path: Path) -> None:
    base, adapter = tmp_path / "base", tmp_path / "runs" / "a"
    base.mkdir()
    adapter.mkdir(parents=True)
    (base / "config.json").write_text("{}")
    (adapter / "adapter_config.json").write_text('{"base_model_name_or_path": "../../base"}')
    assert Path(resolve_model(adapter).base).resolve() == base.resolve()
    (adapter / "adapter_config.json").write_text('{"base_model_name_or_path": "Qwen/Qwen3-8B"}')
    assert resolve_model(adapter).base == "Qwen/Qwen3-8B"


def card_of(tools: Sequence[Any], prompt: str, template: str) -> str:
    return json.dumps(
        {
            "template_hash": sha256_of(template),
            "data": {
                "tools": {tool["function"]["name"]: {sha256_of(tool): 3} for tool in tools},
                "system_prompt_hashes": {sha256_of(prompt): 3},
            },
        }
    )


def test_parity_is_compared_tool_by_tool(tmp_path: Path) -> None:
    offered = tool_schemas(DEFAULT_TOOLS)
    (tmp_path / "chat_template.jinja").write_text(project_template())
    (tmp_path / "run_card.json").write_text(card_of(offered, "hi", project_template()))
    assert check_model_parity(tmp_path, system_prompt="hi") == []
    # a scenario that offers fewer tools, in another order, is no difference
    assert check_model_parity(tmp_path, list(reversed(offered))[:3], "hi") == []
    assert "system prompt offered now" in check_model_parity(tmp_path, system_prompt="ho")[0]
    changed = json.loads(json.dumps(offered[:2]))
    changed[1]["function"]["description"] += "!"
    name = changed[1]["function"]["name"]
    assert check_model_parity(tmp_path, changed) == [
        f"the schemas of these tools are not those of training: {name}"
    ]
    changed[1]["function"]["name"] = "teleport"
    assert check_model_parity(tmp_path, changed) == ["these tools were never offered in training: teleport"]
    [difference] = check_model_parity(tmp_path, system_prompt="hi", template=project_template("strip"))
    assert "-{%- set default_thinking = 'keep' %}" in difference
    talk = [system("hi"), user("go")]
    assert check_offered(tmp_path, talk, offered, sha256_of(project_template())) == []
    assert "another chat template" in check_offered(tmp_path, talk, offered, sha256_of("x"))[0]
    (tmp_path / "chat_template.jinja").write_text(project_template() + "x")
    assert "not the one it was trained with" in check_model_parity(tmp_path, system_prompt="hi")[0]
    with pytest.raises(UserError, match="holds no run_card"):
        check_model_parity(tmp_path / "nowhere")


def test_the_gate_stands_wherever_a_model_folder_plays(tiny_model_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_model_dir, folder)
    template = (folder / "chat_template.jinja").read_text()
    (folder / "run_card.json").write_text(card_of(TOOLS, "hi", template))
    agent = make_agent(f"transformers:{folder}", max_new_tokens=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        agent.act([system("hi"), user("go")], TOOLS)
    assert agent.counts()["offered_otherwise"] == 0  # type: ignore[attr-defined]
    with pytest.warns(RuntimeWarning, match="model: the system prompt offered now"):
        agent.act([system("other"), user("go")], TOOLS)
    agent.act([system("other"), user("go")], TOOLS)
    assert agent.counts()["offered_otherwise"] == 2  # type: ignore[attr-defined]
    (folder / "run_card.json").write_text(card_of(TOOLS, "hi", template + "x"))
    with pytest.raises(UserError, match=r"not the one it was trained with .* give parity=off"):
        make_agent(f"transformers:{folder}")
    make_agent(f"transformers:{folder}", parity="off").close()
