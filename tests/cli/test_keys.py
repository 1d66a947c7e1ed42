"""A canary instead of a key, given in every way to every command: it reaches the endpoint and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from echoing_server import Endpoint, serve

CANARY = "canary-5f1c93"
SUITE = Path(__file__).parents[1] / "evaluation" / "fixture_suite"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with serve() as made:
        yield made


def given(flag: str, endpoint: Endpoint) -> list[str]:
    """Options of a model with the canary as key, and inside an extra field."""
    return [
        *(flag, f"base_url={endpoint.url}"),
        *(flag, f"api-key={CANARY}"),
        *(flag, f'extra={{"top_p": 0.9, "auth": {{"token": "{CANARY}"}}}}'),
        *(flag, "max-retries=0"),
        *(flag, "temperature=0.25"),
    ]


def files_with(words: str, folder: Path) -> list[Path]:
    return [p for p in folder.rglob("*") if p.is_file() and words.encode() in p.read_bytes()]


def commands(endpoint: Endpoint, intents: Path, out: Path) -> dict[str, list[object]]:
    agent = ["--agent", "openai:m", *given("--agent-option", endpoint)]
    user = ["--user", "llm:u", *given("--user-option", endpoint)]
    return {
        "rollout": ["rollout", "--intents", intents, *agent, *user, "--retries", 0, "-w", 1, "--out", out],
        "eval": ["eval", "run", "--suite", "demo-easy", "--limit", 1, *agent, *user, "--out", out],
        "claweval": [
            *("claweval", "run", "--checkout", SUITE, "--tasks", "T901_file_a_note", "--sandbox", "none"),
            *(*agent, "--out", out),
        ],
    }


@pytest.mark.parametrize("command", ["rollout", "eval", "claweval"])
def test_a_key_reaches_the_endpoint_and_neither_disk_nor_screen(
    command: str, ise: Run, endpoint: Endpoint, one_intent: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = commands(endpoint, one_intent, out)[command]
    code, printed, complained = ise(*arguments)
    assert code == 0, complained
    assert CANARY in endpoint.keys and endpoint.bodies[0]["auth"] == {"token": CANARY}
    assert files_with("0.25", out), "the options are written down, so there is something to find"
    assert files_with(CANARY, out) == [] and CANARY not in printed + complained

    other = [str(a).replace(f"api-key={CANARY}", "api-key=another") for a in arguments]
    code, printed, complained = ise(*other)
    assert code == 0, "another key does not make it another run"
    code, printed, complained = ise(
        *[str(a).replace("temperature=0.25", "temperature=0.5") for a in arguments]
    )
    assert code == 2 and "temperature" in complained and CANARY not in printed + complained

    if command != "rollout":
        code, printed, complained = ise("eval", "report", out, "--html", tmp_path / "page.html")
        assert code == 0 and CANARY not in printed + (tmp_path / "page.html").read_text()


@pytest.mark.parametrize("status", [401, 400, 500])
@pytest.mark.parametrize("command", ["rollout", "eval", "claweval"])
def test_an_endpoint_that_repeats_the_key_is_not_quoted(
    command: str, status: int, ise: Run, endpoint: Endpoint, one_intent: Path, tmp_path: Path
) -> None:
    endpoint.status = status
    code, printed, complained = ise(*commands(endpoint, one_intent, tmp_path / "out")[command])
    assert code in (1, 2) and CANARY in endpoint.keys
    assert CANARY not in printed + complained and files_with(CANARY, tmp_path / "out") == []
    if status == 401:
        assert "Incorrect API key provided: ***" in complained and complained.count("Traceback") == 0


def test_a_key_in_an_address_is_not_shown(ise: Run, one_intent: Path, tmp_path: Path) -> None:
    options = ["--agent-option", f"base_url=http://me:{CANARY}@127.0.0.1:9/v1?key={CANARY}"]
    options += ["--agent-option", "max_retries=0"]
    common = ["--intents", one_intent, "--retries", 0, "-w", 1, "--out", tmp_path / "out"]
    code, printed, complained = ise("rollout", "--agent", "openai:m", *options, *common)
    assert code == 2 and "127.0.0.1:9/v1" in complained, "the refusal says where"
    assert CANARY not in printed + complained and files_with(CANARY, tmp_path / "out") == []


@pytest.mark.parametrize("option", [CANARY, f"api_key:{CANARY}", f"={CANARY}", f"api_kye={CANARY}"])
@pytest.mark.parametrize("agent", ["openai:m", "transformers:nowhere", "expert"])
def test_a_mistyped_key_is_not_repeated(option: str, agent: str, ise: Run, tmp_path: Path) -> None:
    for command in (
        ["eval", "run", "--suite", "demo-easy"],
        ["claweval", "run", "--checkout", SUITE],
        ["rollout", "--intents", tmp_path / "none.jsonl"],
        ["play"],
    ):
        out = [] if command == ["play"] else ["--out", tmp_path / "out"]
        code, printed, complained = ise(*command, "--agent", agent, "--agent-option", option, *out)
        assert code == 2 and complained.count("\n") == 1, complained
        assert CANARY not in printed + complained and not (tmp_path / "out").exists()


def test_realise_keeps_the_key_of_the_environment(
    ise: Run, endpoint: Endpoint, one_intent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint.status = 401
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    out = tmp_path / "out" / "worded.jsonl"
    code, printed, complained = ise(
        "intents", "realise", one_intent, "--out", out, "--model", "m", "--base-url", endpoint.url
    )
    assert code == 2 and CANARY in endpoint.keys and "***" in complained
    assert CANARY not in printed + complained and files_with(CANARY, tmp_path / "out") == []


def test_judge_and_user_of_the_benchmark_keep_theirs(
    ise: Run, endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    endpoint.status = 401
    models = ["--judge", "openai:j", "--judge-base-url", endpoint.url]
    models += ["--user-model", "openai:u", "--user-base-url", endpoint.url]
    code, printed, complained = ise(
        *("claweval", "run", "--checkout", SUITE, "--tasks", "T902zh_judged_note,C901_two_turns"),
        *("--agent", "explorer", "--out", tmp_path / "out", "--sandbox", "none", *models),
    )
    assert code == 1 and CANARY in endpoint.keys and files_with("***", tmp_path / "out")
    assert CANARY not in printed + complained and files_with(CANARY, tmp_path / "out") == []


def test_a_run_that_was_written_with_a_key_is_read_without_it(ise: Run, tmp_path: Path) -> None:
    common = [
        "eval",
        "run",
        "--suite",
        "demo-easy",
        "--limit",
        1,
        "--agent",
        "expert",
        "--out",
        tmp_path / "out",
    ]
    assert ise(*common)[0] == 0
    card = tmp_path / "out" / "run.json"
    text = card.read_text().replace('"backend":', f'"agent_options": {{"api_key": "{CANARY}"}}, "backend":')
    card.write_text(text)
    assert CANARY in text
    code, printed, complained = ise(*common)
    assert code == 0, "it resumes: a key is not part of what was run"
    code, printed, complained = ise(*common, "--seed", 3)
    assert code == 2 and CANARY not in complained
    code, printed, complained = ise(
        "eval", "report", tmp_path / "out", "--html", tmp_path / "p.html", "--json"
    )
    assert code == 0 and CANARY not in printed + (tmp_path / "p.html").read_text()


@pytest.mark.parametrize(
    "split",
    [
        ["--agent-option", "api_key", CANARY],
        ["--agent-option", "api_key=", CANARY],
        ["--agent-option=api_key", CANARY],
        ["--agent-option", "api_key", "=", CANARY],
        ["--agent-option", "auth", f"={CANARY}"],
        ["--user-option", "anything", CANARY],
        ["--api-key", CANARY],
        ["--hf-token=", CANARY],
    ],
)
def test_a_key_that_a_space_took_from_its_name_is_not_repeated(
    split: list[str], ise: Run, tmp_path: Path
) -> None:
    code, printed, complained = ise("rollout", "--out", tmp_path / "out", *split)
    assert code == 2 and complained.count("\n") == 1, complained
    assert CANARY not in printed + complained
    code, _, complained = ise("rollout", "--out", tmp_path / "out", "--agent", "expert", "surplus")
    assert code == 2 and "surplus" in complained, "what is no key is named"
