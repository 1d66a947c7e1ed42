"""The ``ise`` command in this process: exit code, what it printed, and what it complained of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ise_gym.cli import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ise(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("COLUMNS", "120")
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        code = end.value.code
        captured = capfd.readouterr()
        return (code if isinstance(code, int) else 0), captured.out, captured.err

    return run


@pytest.fixture
def one_intent(ise: Run, tmp_path: Path) -> Path:
    folder = tmp_path / "intents"
    code, _, err = ise(
        "intents", "generate", "--count", 1, "--tier", "easy", "--tasks-per-intent", 1, "--out", folder, "-q"
    )
    assert code == 0, err
    return folder
