from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from ise_gym.agents import make_agent
from ise_gym.agents.expert import ExpertAgent, LazyAgent
from ise_gym.errors import UserError


def test_specs() -> None:
    assert isinstance(make_agent("expert"), ExpertAgent)
    assert make_agent("expert:0.25").quality == 0.25  # type: ignore[attr-defined]
    assert make_agent("expert", quality=0.5).name == "expert:0.5"
    assert isinstance(make_agent("lazy"), LazyAgent)


@pytest.mark.parametrize(
    ("spec", "options", "says"),
    [
        ("exprt", {}, "unknown agent 'exprt'. Did you mean 'expert'?"),
        ("", {}, "unknown agent ''"),
        ("expert:good", {}, "must be a number"),
        ("expert:", {}, "must be a number"),
        ("expert:1.5", {}, "between 0 and 1"),
        ("expert:nan", {}, "between 0 and 1"),
        ("lazy:1", {}, "write lazy"),
        ("openai", {}, "write openai:MODEL"),
        ("openai:", {}, "write openai:MODEL"),
        ("transformers", {}, "write transformers:DIR"),
        ("expert", {"qualty": 1}, "there is no option 'qualty'. Did you mean 'quality'?"),
        ("openai:x", {"base": "http://127.0.0.1:9"}, "there is no option 'base'. Did you mean 'base_url'?"),
    ],
)
def test_wrong_specs_are_user_errors(spec: str, options: Any, says: str) -> None:
    with pytest.raises(UserError) as caught:
        make_agent(spec, **options)
    assert says in str(caught.value)


def test_light_agents_load_nothing_heavy() -> None:
    code = (
        "import sys; from ise_gym.agents import make_agent; make_agent('expert'); "
        "print(sorted({'torch', 'transformers', 'openai', 'docker'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
