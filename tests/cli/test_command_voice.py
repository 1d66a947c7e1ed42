"""Every command ends alike: one line and 2 for a mistake, one line and 130 for an interruption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ise_gym.cli import app
from ise_gym.cli.voice import OneVoice, resumable
from ise_gym.errors import UserError
from ise_gym.messages import assistant, user
from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.store import TrajectoryStore

Run = Callable[..., tuple[int, str, str]]
EPISODE = Trajectory(
    episode_id="e",
    scenario_id="s",
    seed=0,
    intent="Sort it.",
    score=0.0,
    outcome="failed",
    messages=[dict(user("Sort it.")), dict(assistant("Sorted."))],
    tools=[],
)


def made(body: Callable[[], None]) -> typer.Typer:
    app = typer.Typer(cls=OneVoice, no_args_is_help=True)
    app.command("go")(body)
    app.callback()(lambda: None)
    return app


def test_a_user_error_is_one_line_and_2() -> None:
    def go() -> None:
        raise UserError("x: wrong; give y.")

    result = CliRunner().invoke(made(go), ["go"])
    assert (result.exit_code, result.output) == (2, "ise: x: wrong; give y.\n")


def test_an_interruption_is_one_line_and_130() -> None:
    def go() -> None:
        raise KeyboardInterrupt

    result = CliRunner().invoke(made(go), ["go"])
    assert (result.exit_code, result.output) == (130, "ise: interrupted\n")

    def run() -> None:
        with resumable():
            raise KeyboardInterrupt

    result = CliRunner().invoke(made(run), ["go"])
    assert (result.exit_code, result.output) == (
        130,
        "ise: interrupted; run the same command again to resume\n",
    )


def test_a_bug_keeps_its_traceback() -> None:
    def go() -> None:
        raise ZeroDivisionError

    assert isinstance(CliRunner().invoke(made(go), ["go"]).exception, ZeroDivisionError)


def test_an_exit_code_is_passed_on() -> None:
    def go() -> None:
        raise typer.Exit(7)

    assert CliRunner().invoke(made(go), ["go"]).exit_code == 7


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rollout"], "ise rollout: missing option '--out'"),
        (["eval", "run", "--suite"], "ise: option '--suite' requires an argument"),
        (["train", "sft", "--cofnig", "x"], "ise train sft: no such option"),
        (["nothing"], "ise: no such command 'nothing'"),
        (
            ["eval", "run", "--suite", "x", "--agent", "a", "--out", "o", "--trials", "0"],
            "ise eval run: invalid value",
        ),
    ],
)
def test_a_command_line_that_can_not_be_read_is_one_line(ise: Run, arguments: list[str], words: str) -> None:
    code, printed, complained = ise(*arguments)
    assert code == 2 and printed == "" and complained.count("\n") == 1
    assert complained.startswith(words) and "--help` describes every option" in complained


@pytest.mark.parametrize("group", ["", "eval", "claweval", "train", "eval suite", "intents"])
def test_a_group_without_a_command_prints_its_help(ise: Run, group: str) -> None:
    code, printed, complained = ise(*group.split())
    assert code == 2 and "Usage: ise" in printed + complained and "Commands" in printed + complained


def test_an_interruption_that_a_library_turned_into_an_error_is_one() -> None:
    def go() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ValueError("as some of those in C do") from None

    before = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a job in the background begins without one
    try:
        result = CliRunner().invoke(made(go), ["go"])
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert (result.exit_code, result.output) == (130, "ise: interrupted\n")


@pytest.mark.parametrize("command", ["stats", "show", "tasks list", "plugins"])
def test_a_reader_that_never_reads_is_no_error(command: str, tmp_path: Path) -> None:
    store = []
    if command in ("stats", "show"):
        store = [str(tmp_path / "s")]
        with TrajectoryStore(store[0]) as made_store:
            made_store.append(EPISODE)
    running = subprocess.Popen(
        [sys.executable, "-m", "ise_gym.cli", *command.split(), *store],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    running.stdout.close()
    assert running.stderr is not None
    with running.stderr as complained:
        assert complained.read() == ""
    assert running.wait(60) == 0


def test_a_reader_that_goes_away_is_no_error() -> None:
    listed = subprocess.run(
        f"{sys.executable} -m ise_gym.cli tasks list --json | head -1",
        shell=True,
        capture_output=True,
        text=True,
    )
    assert listed.stdout.strip() == "[" and listed.stderr == ""


def test_ctrl_c_in_a_run_says_how_to_go_on(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "ise_gym.cli",
        "eval",
        "run",
        "--suite",
        "demo-easy",
        "--agent",
        "expert",
    ]
    running = subprocess.Popen(
        [*command, "--out", str(tmp_path / "run")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    ledger = tmp_path / "run" / "trials.jsonl"
    end = time.monotonic() + 120
    while not (ledger.exists() and ledger.stat().st_size) and time.monotonic() < end:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, complained = running.communicate(timeout=120)
    assert running.returncode == 130 and complained.rstrip().endswith("run the same command again to resume")
    assert "Traceback" not in complained


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_terminal_of_an_old_encoding_shows_what_it_can(encoding: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ise_gym.cli", "tasks", "list"],
        env={**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "120"},
        capture_output=True,
    )
    assert done.returncode == 0 and b"write-note" in done.stdout, done.stderr[-500:]
    assert b"?" not in done.stdout.splitlines()[0], (
        "what the project itself writes has a sign in every encoding"
    )
    assert b"Traceback" not in done.stderr


def test_lines_of_json_are_not_written_under_the_name_of_a_table(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, ["export", str(tmp_path), "--format", "openai", "--out", str(tmp_path / "x.csv")]
    )
    assert result.exit_code == 2 and "name the file x.jsonl" in " ".join(result.output.split())
    assert not (tmp_path / "x.csv").exists()
