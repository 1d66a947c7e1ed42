"""``--agent-option`` and ``--user-option`` mean the same in every command that plays episodes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from echoing_server import Endpoint, serve

SUITE = Path(__file__).parents[1] / "evaluation" / "fixture_suite"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with serve() as made:
        yield made


def test_values_that_are_json_and_names_with_hyphens_reach_the_endpoint(
    ise: Run, endpoint: Endpoint, one_intent: Path, tmp_path: Path
) -> None:
    options = ["--agent-option", f"base-url={endpoint.url}", "--agent-option", 'extra={"top_p":0.9}']
    options += ["--agent-option", "max-tokens=33", "--agent-option", "max_retries=0", "--agent", "openai:m"]
    for command in (
        ["rollout", "--intents", one_intent, "-w", 1, "--out", tmp_path / "r"],
        ["eval", "run", "--suite", "demo-easy", "--limit", 1, "--out", tmp_path / "e"],
        [
            "claweval",
            "run",
            "--checkout",
            SUITE,
            "--tasks",
            "T901_file_a_note",
            "--sandbox",
            "none",
            "--out",
            tmp_path / "c",
        ],
    ):
        endpoint.bodies.clear()
        code, _, complained = ise(*command, *options)
        assert code == 0, complained
        played = [
            body for body in endpoint.bodies if body["messages"][-1]["content"] != "Say OK."
        ]  # the probe
        assert {(body["top_p"], body["max_tokens"]) for body in played} == {(0.9, 33)}


@pytest.mark.parametrize("command", ["rollout", "eval"])
def test_a_users_endpoint_is_named_by_its_options_alone(
    command: str, ise: Run, endpoint: Endpoint, one_intent: Path, tmp_path: Path
) -> None:
    begin = {
        "rollout": ["rollout", "--intents", one_intent],
        "eval": ["eval", "run", "--suite", "demo-easy", "--limit", 1],
    }[command]
    options = [
        "--user",
        "llm:u",
        "--user-option",
        f"base_url={endpoint.url}",
        "--user-option",
        "temperature=0.1",
    ]
    code, _, complained = ise(*begin, "--agent", "expert", *options, "--out", tmp_path / "out")
    assert code == 0, complained
    assert {(body["model"], body["temperature"]) for body in endpoint.bodies} == {("u", 0.1)}


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("extra=5", "option 'extra': input should be"),
        ("timeout=soon", "option 'timeout': input should be a valid number"),
        ("temperatur=1", "Did you mean 'temperature'?"),
        ("temperature", "number 1: write NAME=VALUE, such as"),
    ],
)
@pytest.mark.parametrize("seat", ["agent", "user"])
def test_options_that_do_not_fit_are_one_line_before_anything_is_made(
    seat: str, option: str, words: str, ise: Run, tmp_path: Path
) -> None:
    flags = ["--agent", "openai:m"] if seat == "agent" else ["--agent", "expert", "--user", "llm:u"]
    flags += [f"--{seat}-option", option]
    commands = [
        ["rollout", "--intents", tmp_path / "none.jsonl", "--out", tmp_path / "out"],
        ["eval", "run", "--suite", "demo-easy", "--out", tmp_path / "out"],
    ]
    if seat == "agent":
        commands.append(["claweval", "run", "--checkout", SUITE, "--out", tmp_path / "out"])
    for command in commands:
        code, _, complained = ise(*command, *flags)
        assert code == 2 and words in complained and complained.count("\n") == 1, complained
        assert complained.startswith("ise: ") and not (tmp_path / "out").exists()


def test_a_user_refuses_a_value_of_the_right_kind(ise: Run, tmp_path: Path) -> None:
    code, _, complained = ise(
        *("eval", "run", "--suite", "demo-easy", "--agent", "expert", "--user-option", "patience=-1"),
        *("--out", tmp_path / "out"),
    )
    assert code == 2 and complained == "ise: user 'scripted': patience must be ≥ 0, got -1.\n"
