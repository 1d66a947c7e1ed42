"""Reinforcement learning on the env: groups start equal, sequences are what serving would see, a step changes weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ise_gym.cli import main
from ise_gym.errors import UserError, WorkspaceError
from ise_gym.intents.source import IntentSource
from ise_gym.models.local.generation import BatchGenerator
from ise_gym.training import grpo, success
from ise_gym.training.config import load, parse
from ise_gym.training.groups import GroupPlayer, _Live, check_equal
from ise_gym.training.grpo_config import GrpoConfig
from ise_gym.training.models import TINY_BASE, load_start, load_tokenizer
from ise_gym.training.runcard import read_card
from ise_gym.training.template import project_template
from ise_gym.training.transcript import Sequenced

STAGE = {"steps": 1, "tier": "easy", "tasks_per_intent": 1, "domains": ["agent-memory"], "first_seed": 40}
RECIPES = sorted((Path(__file__).parents[2] / "training" / "recipes" / "grpo").glob("*.yaml"))


@pytest.fixture(scope="module")
def player() -> Any:
    config = parse(
        GrpoConfig,
        {"model": {"path": "builtin:tiny", "dtype": "float32"}, "output": "x", "curriculum": [STAGE]},
    )
    source, model, _ = load_start(config.model, None)
    tokenizer = load_tokenizer(source.base)
    tokenizer.chat_template = project_template(tool_prompt="short")
    generator = BatchGenerator(
        model.eval(),
        pad_id=tokenizer.pad_token_id,
        stop_ids=[tokenizer.convert_tokens_to_ids("<|im_end|>")],
        longest=24,
        context=2048,
        temperature=1.0,
    )
    made = GroupPlayer(tokenizer, generator, longest=700, parallel=2)
    yield made
    made.close()


def test_sequences_are_what_serving_would_have_seen(player: GroupPlayer) -> None:
    scenario = IntentSource(split="train", tier="easy", tasks_per_intent=1, domains="agent-memory").scenario(
        40
    )
    played = player.play([scenario], 3)
    assert len(played) == 3 and len({tuple(p.prompt) for p in played}) == 1
    for episode in played:
        assert len(episode.completion) == len(episode.mask) and set(episode.mask) == {0, 1}
        assert episode.mask[0] == 1 and len(episode) < 700 + 24
        text = player.tokenizer.decode(episode.prompt + episode.completion)
        # Everything between two answers is what the env said; each answer closes before it.
        assert text.startswith("<|im_start|>system") and text.count("<|im_start|>assistant") == _answers(
            episode.mask
        )
        heard = [token for token, own in zip(episode.completion, episode.mask, strict=True) if not own]
        assert "<|im_start|>assistant" in player.tokenizer.decode(heard) or _answers(episode.mask) == 1
        assert 0.0 <= episode.reward <= 1.0


def _answers(mask: list[int]) -> int:
    return sum(own and (at == 0 or not mask[at - 1]) for at, own in enumerate(mask))


def test_forks_that_differ_are_refused(player: GroupPlayer) -> None:
    scenario = IntentSource(split="train", tier="easy", tasks_per_intent=1, domains="agent-memory").scenario(
        41
    )
    player._root.reset(seed=41, options={"scenario": scenario})
    forks = player._root.fork(2)
    try:
        live = [_Live(env, env.episode.conversation, player) for env in forks]
        check_equal(live)
        forks[1].episode.workspace.write("left-over.txt", b"x")
        with pytest.raises(WorkspaceError, match="2 different states"):
            check_equal(live)
    finally:
        for env in forks:
            env.close()


def test_a_run_leaves_a_model_that_plays_and_a_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without reward there is nothing to learn from, so the checks are replaced by the length of the first answer."""
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    monkeypatch.setattr(
        grpo, "verified_share", lambda completions, **_: [float(len(c[0]["content"])) for c in completions]
    )
    settings = {
        "model": {"path": "builtin:tiny", "dtype": "float32"},
        "output": str(tmp_path / "run"),
        "curriculum": [STAGE],
        "rollout": {"group": 4, "groups": 1, "answer_tokens": 12, "episode_tokens": 500},
        "train": {"batch_size": 4, "learning_rate": 1e-3},
        "lora": {"rank": 2},
    }
    card = grpo.run(parse(GrpoConfig, settings), quiet=True)
    assert [step for step, _ in card.rewards] == [1] and card.rewards[0][1] > 0
    assert read_card(tmp_path / "run").rewards == card.rewards
    with pytest.raises(UserError, match="already holds a run"):
        grpo.run(parse(GrpoConfig, settings), quiet=True)
    with pytest.raises(UserError, match="Merge it first"):
        load_start(
            parse(GrpoConfig, {**settings, "model": {"path": str(tmp_path / "run")}}).model,
            parse(GrpoConfig, settings).lora,
        )
    source, model, _ = load_start(
        parse(GrpoConfig, {**settings, "model": {"path": str(tmp_path / "run")}}).model, None
    )
    _, plain, _ = load_start(parse(GrpoConfig, settings).model, None)
    changed = [
        name
        for (name, ours), (_, theirs) in zip(model.named_parameters(), plain.named_parameters(), strict=True)
        if not bool((ours.float() == theirs.float()).all())
    ]
    assert changed and source.base.endswith(TINY_BASE.name)
    assert ise(["plot-rewards", str(tmp_path / "run"), "--out", str(tmp_path / "r.png")]) == 0
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_is_valid(path: Path) -> None:
    config = load(GrpoConfig, path)
    names = list(grpo.Curriculum(config.curriculum, config.rollout.groups).names())
    assert len(names) == config.rollout.groups * sum(stage.steps for stage in config.curriculum)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("rollout.grup=3", "Did you mean 'group'"),
        ("train.batch_size=3", "does not divide"),
        ("curriculum=[]", "curriculum"),
    ],
)
def test_a_wrong_key_is_one_line(change: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ise(["grpo", "--config", str(RECIPES[-1]), change]) == 2
    assert words in " ".join(capsys.readouterr().err.split())


def ise(arguments: list[str]) -> int:
    """Run ``ise train`` here and return its exit code."""
    with pytest.raises(SystemExit) as end:
        main(["train", *arguments])
    return int(end.value.code or 0)


def test_a_stage_may_start_again() -> None:
    stages = parse(
        GrpoConfig,
        {"model": {"path": "x"}, "output": "y", "curriculum": [{**STAGE, "steps": 2, "repeat": 3}]},
    ).curriculum
    assert list(grpo.Curriculum(stages, 2).names()) == ["0:40", "0:41", "0:42", "0:40"]


def test_a_stage_may_name_its_scenarios() -> None:
    recipe = load(
        GrpoConfig,
        RECIPES[-1],
        ["curriculum.0.seeds=[7, 3]", "curriculum.0.steps=2", "rollout.groups=2", "train.batch_size=16"],
    )
    stages = recipe.model_copy(update={"curriculum": recipe.curriculum[:1]}).curriculum
    assert list(grpo.Curriculum(stages, 2).names()) == ["0:7", "0:3", "0:7", "0:3"]
    assert list(grpo.Curriculum(stages, 3).names()) == ["0:7", "0:3", "0:7", "0:3", "0:7", "0:3"]


@pytest.mark.parametrize(
    "key", ["curriculum.7.steps", "curriculum.first.steps", "curriculum.steps", "curriculum.0"]
)
def test_an_item_that_is_not_there_is_named(key: str) -> None:
    with pytest.raises(
        UserError, match=r"not an index into a list|name one of its items|name a key: curriculum.0.KEY"
    ):
        load(GrpoConfig, RECIPES[-1], [f"{key}=3"])


def test_scenarios_that_are_solved_now_and_then_are_chosen_task_by_task() -> None:
    tried = [
        success.Tried(1, "a", (1.0, 1.0)),
        success.Tried(2, "a", (0.0, 1.0)),
        success.Tried(3, "a", (0.0, 1.0)),
        success.Tried(4, "b", (0.0, 0.0)),
        success.Tried(5, "b", (0.0, 0.5)),
    ]
    assert [one.seed for one in success.between(tried, 0.05, 0.95, 2)] == [2, 5]
    assert [one.seed for one in success.between(tried, 0.05, 0.95, 9)] == [2, 5, 3]
    assert "a  " in success.table(tried)[0] and success.table(tried)[0].endswith(
        "unequal within the group: 2"
    )


def test_success_is_measured_by_play_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The untrained base solves nothing: that is said, and no list is written. A made-up reward is, by seed."""
    given = ["--config", str(RECIPES[-1]), "--count", "2", "--out", str(tmp_path / "seeds.json")]
    given += ["model.path=builtin:tiny", "rollout.group=2", "rollout.groups=2", "rollout.answer_tokens=8"]
    given += ["rollout.episode_tokens=260", "train.batch_size=2"]
    assert ise(["success", *given]) == 2
    assert "solved either always or never" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "seeds.json").exists()
    monkeypatch.setattr(GroupPlayer, "play", lambda self, scenarios, group: [_half(n) for n in range(4)])
    assert ise(["success", *given]) == 0
    assert (tmp_path / "seeds.json").read_text() == "[5000, 5001]\n"


def _half(number: int) -> Sequenced:
    return Sequenced([], reward=number % 2)
