"""Options are checked by name and kind against whatever takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from ise_gym.arguments import check_options
from ise_gym.errors import UserError


class Endpoint:
    def __init__(self, model: str, extra: Mapping[str, Any] | None = None, timeout: float = 1.0) -> None: ...


class Speaker:
    options_from: ClassVar[type] = Endpoint

    def __init__(self, model: str, **options: Any) -> None: ...


@dataclass
class Local:
    path: str | Path
    batch: int = 1
    greedy: bool = False


@pytest.mark.parametrize("make", [Endpoint, Speaker])
def test_what_fits_passes(make: type) -> None:
    check_options(make, {"extra": {"a": 1}, "timeout": 3}, "agent", given=1)
    check_options(make, {"extra": None}, "agent", given=1)


@pytest.mark.parametrize(
    ("make", "options", "words"),
    [
        (Endpoint, {"extra": 5}, "option 'extra': input should be"),
        (Speaker, {"extra": "{"}, "option 'extra': input should be"),
        (Endpoint, {"timeout": "soon"}, "option 'timeout': input should be a valid number"),
        (
            Speaker,
            {"timout": 1},
            "there is no option 'timout'. Did you mean 'timeout'? Known: extra, timeout.",
        ),
        (Endpoint, {"model": "m"}, "there is no option 'model'. Known: extra, timeout."),
        (Local, {"batch": 1.5}, "option 'batch': input should be a valid integer"),
        (Local, {"greedy": "perhaps"}, "option 'greedy': input should be a valid boolean"),
        (lambda: None, {"x": 1}, "there is no option 'x'. It takes none."),
    ],
)
def test_what_does_not_fit_is_told(make: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as caught:
        check_options(make, options, "agent 'a'", given=0 if make.__name__ == "<lambda>" else 1)
    assert str(caught.value).startswith("agent 'a': ") and words in str(caught.value)


def test_a_value_is_not_repeated() -> None:
    with pytest.raises(UserError) as caught:
        check_options(Endpoint, {"timeout": "sk-canary"}, "agent")
    assert "canary" not in str(caught.value)
