"""Whole families of tasks are never drawn for training."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from ise_gym.errors import UserError
from ise_gym.intents.source import IntentSource
from ise_gym.tasks.file import load_tasks

TASKS = load_tasks()
HELD_OUT = {name for name, task in TASKS.items() if task.model.held_out}


def test_a_family_is_held_out_as_a_whole_and_has_six_tasks() -> None:
    families: dict[str, list[bool]] = defaultdict(list)
    for task in TASKS.values():
        if task.model.family:
            families[task.model.family].append(task.model.held_out)
    assert {name: len(held) for name, held in families.items() if len(held) < 6} == {}
    assert all(len(set(held)) == 1 for held in families.values())
    assert len(HELD_OUT) >= 24 and len({name.split("/")[0] for name in HELD_OUT}) >= 5


@pytest.mark.parametrize("options", [{}, {"chained": True}, {"tasks_per_intent": 1}])
def test_training_never_meets_them(options: dict[str, object]) -> None:
    source = IntentSource("train", **options)  # type: ignore[arg-type]
    drawn = Counter(pick.task.name for seed in range(400) for pick in source.sampler.blueprint(seed).picks)
    assert not HELD_OUT & set(drawn) and len(drawn) > 100


def test_evaluation_does_and_training_says_so_when_asked_for_one() -> None:
    evaluated = IntentSource("eval", tasks_per_intent=1)
    assert HELD_OUT & {
        pick.task.name for seed in range(400) for pick in evaluated.sampler.blueprint(seed).picks
    }
    with pytest.raises(UserError, match="no task fits"):
        IntentSource("train", tasks=sorted(HELD_OUT)[:1])
