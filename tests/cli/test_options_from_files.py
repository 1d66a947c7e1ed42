"""Options from a file and from variables: the command line goes before variables, these before the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from echoing_server import serve

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ISE_CONFIG", raising=False)


def test_command_line_then_variable_then_file(ise: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn(*options: object) -> int:
        code, _, complained = ise("intents", "generate", *options)
        assert code == 0, complained
        return len(Path("pool/intents.jsonl").read_text().splitlines())

    Path("ise.toml").write_text(
        '[intents.generate]\ncount = 3\ntier = "easy"\ntasks-per-intent = "1"\nout = "pool"\nquiet = true\nworkers = 1\n'
    )
    assert drawn() == 3
    Path("pool/intents.jsonl").unlink()
    monkeypatch.setenv("ISE_INTENTS_GENERATE_COUNT", "2")
    assert drawn() == 2
    Path("pool/intents.jsonl").unlink()
    assert drawn("--count", 1) == 1


def test_flags_and_what_names_the_file(ise: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_json() -> bool:
        code, printed, complained = ise("plugins", "backend")
        assert code == 0, complained
        return printed.startswith(("[", "{"))

    assert not is_json()
    Path("pyproject.toml").write_text("[tool.ise.plugins]\njson = true\n")
    assert is_json()
    monkeypatch.setenv("ISE_PLUGINS_JSON", "0")
    assert not is_json(), "a variable goes before the file"
    monkeypatch.delenv("ISE_PLUGINS_JSON")
    Path("ise.toml").write_text("")
    assert not is_json(), "ise.toml stands instead of pyproject.toml, not beside it"
    monkeypatch.setenv("ISE_CONFIG", "pyproject.toml")
    code, _, complained = ise("plugins")
    assert code == 2 and "pyproject.toml: tool: there is no such command" in complained
    Path("own.toml").write_text("[plugins]\njson = true\n")
    monkeypatch.setenv("ISE_CONFIG", "own.toml")
    assert is_json()
    monkeypatch.setenv("ISE_CONFIG", "")
    Path("ise.toml").write_text("broken")
    assert not is_json(), "no file is read"


def test_a_table_of_options_reaches_the_agent(ise: Run, tmp_path: Path, one_intent: Path) -> None:
    with serve() as endpoint:
        Path("ise.toml").write_text(
            f'[rollout]\nagent = "openai:m"\nworkers = 1\n'
            f'[rollout.agent-option]\nbase_url = "{endpoint.url}"\nmax_tokens = 33\nextra = {{ top_p = 0.9 }}\n'
        )
        code, _, complained = ise("rollout", "--intents", one_intent, "--out", "run", "-q")
        assert code == 0, complained
        played = [body for body in endpoint.bodies if body["messages"][-1]["content"] != "Say OK."]
        assert {(body["top_p"], body["max_tokens"]) for body in played} == {(0.9, 33)}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[rollot]\n", "ise.toml: rollot: there is no such command. Did you mean 'rollout'?"),
        ("[rollout]\nwrokers = 2\n", "ise.toml: rollout.wrokers: `ise rollout` has no such option. Did you mean 'workers'?"),
        ("[eval.run]\nbackend = []\n", "ise.toml: eval.run.backend: needs one value"),
        ("[rollout]\nguard = 1\n", "ise.toml: rollout.guard: needs true or false."),
        ("rollout = 1\n", "ise.toml: rollout stands for commands, so it is a table."),
        ("x = = 1\n", "ise.toml: not valid TOML"),
    ],
)  # fmt: skip
def test_a_slip_is_one_line_whichever_command_runs(ise: Run, text: str, words: str) -> None:
    Path("ise.toml").write_text(text)
    code, printed, complained = ise("plugins")
    assert (code, printed, complained.count("\n")) == (2, "", 1) and complained.startswith(f"ise: {words}")
    assert ise("--help")[0] == 0


def test_a_value_that_does_not_fit_says_where_it_came_from(ise: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("ise.toml").write_text("[rollout]\nworkers = 0\n")
    code, _, complained = ise("rollout", "--out", "x")
    assert code == 2 and "'--workers'" in complained and "(from ise.toml)" in complained
    monkeypatch.setenv("ISE_ROLLOUT_WORKERS", "many")
    code, _, complained = ise("rollout", "--out", "x")
    assert code == 2 and "(from the variable ISE_ROLLOUT_WORKERS)" in complained
    assert complained.count("\n") == 1


def test_help_does_not_list_the_variables(ise: Run) -> None:
    assert "ISE_ROLLOUT" not in ise("rollout", "--help")[1]
    assert json.loads(ise("plugins", "--json")[1])
