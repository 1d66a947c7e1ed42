"""The ``ise`` command as a user meets it: output, exit codes, and one line for every mistake."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ise_gym.cli import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ise(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["ise", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "120")
        with pytest.raises(SystemExit) as end:
            main()
        code = end.value.code
        captured = capsys.readouterr()
        return (code if isinstance(code, int) else 0), captured.out, captured.err

    return run


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small intents, really played by the expert in the default backend."""
    folder = tmp_path_factory.mktemp("played")
    for arguments in (
        [
            "intents",
            "generate",
            "--count",
            "3",
            "--seed",
            "5",
            "--tasks-per-intent",
            "1",
            "--out",
            folder / "intents",
        ],
        ["rollout", "--intents", folder / "intents", "--workers", "2", "--out", folder / "run"],
    ):
        subprocess.run(
            [sys.executable, "-m", "ise_gym.cli", *map(str, arguments)], check=True, capture_output=True
        )
    return folder


def test_help_names_every_command_and_loads_nothing_heavy() -> None:
    text = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "ise_gym.cli", "--help"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert " typer\n" in text.stderr, "the list of imports is not what is looked at below"
    for command in ("doctor", "tasks", "intents", "rollout", "stats", "show", "export", "import", "report"):
        assert command in text.stdout
    for heavy in (
        "torch",
        "transformers",
        "docker",
        "openai",
        "datasets",
        "ise_gym.env",
        "ise_gym.rollout.engine",
    ):
        assert f"| {heavy}\n" not in text.stderr and f" {heavy}\n" not in text.stderr, heavy


def test_generate_rollout_stats_show(ise: Run, played: Path) -> None:
    code, out, _ = ise("stats", played / "run", "--json")
    summary = json.loads(out)
    assert code == 0 and summary["episodes"] == 3 and summary["outcomes"] == {"passed": 3}
    assert summary["tool_messages_with_exit_code"] > 0
    code, out, _ = ise("stats", played / "run")
    assert code == 0 and "68.24" in out and "100.0 %" in out
    code, out, _ = ise("show", played / "run", "2")
    assert code == 0 and "exit 0" in out and "→ exec" in out and "✔" in out and "passed" in out
    first = json.loads(next((played / "run" / "shards").iterdir()).read_text().splitlines()[0])["episode_id"]
    code, out, _ = ise("show", played / "run", first[:-2], "--full")
    assert code == 0 and first in out


def test_rollout_resumes_and_refuses_another_run(ise: Run, played: Path) -> None:
    same = (
        "rollout",
        "--intents",
        played / "intents" / "intents.jsonl",
        "--out",
        played / "run",
        "--workers",
        "1",
    )
    code, out, err = ise(*same)
    assert code == 0 and "3 of 3 episodes were already in the store" in err and "passed" in out
    assert "stays that way" not in err
    code, _, err = ise(*same, "--compress")
    assert code == 0 and err.count("is uncompressed and stays that way") == 1
    code, _, err = ise(*same, "--seed", "9")
    assert code == 2 and "holds another run (seed was 0, now 9)" in err
    assert "Traceback" not in err and err.count("\n") == 1


def test_export_import_and_report(ise: Run, played: Path, tmp_path: Path) -> None:
    for kind in ("isetrace", "openai", "trl"):
        code, _, err = ise("export", played / "run", "--format", kind, "--out", tmp_path / f"{kind}.jsonl")
        assert code == 0 and "3 episodes" in err
        assert len((tmp_path / f"{kind}.jsonl").read_text().splitlines()) == 3
    code, _, err = ise(
        "import", tmp_path / "isetrace.jsonl", "--from", "isetrace", "--out", tmp_path / "back"
    )
    assert code == 0 and "3 episodes" in err
    one, two = (
        json.loads(ise("stats", d, "--json")[1])["content_sha256"]
        for d in (played / "run", tmp_path / "back")
    )
    assert one == two
    code, out, _ = ise("report", played / "run", "--out", tmp_path / "r.html", "--title", "R")
    assert (
        code == 0
        and out.strip() == str(tmp_path / "r.html")
        and (tmp_path / "r.html").stat().st_size > 20_000
    )


def test_doctor_says_what_works(ise: Run) -> None:
    code, out, _ = ise("doctor", "--json")
    report = json.loads(out)
    working = [b for b in report["backends"].values() if b["ok"] and b["isolates"]]
    assert code == (0 if working else 1)
    assert report["backends"]["dummy"]["ok"] and not report["backends"]["dummy"]["isolates"]
    code, out, _ = ise("doctor")
    assert "bubblewrap" in out and "Optional packages" in out and "ise-gym[embed]" in out


def test_tasks_are_listed_and_checked(ise: Run, tmp_path: Path) -> None:
    code, out, _ = ise("tasks", "list", "--json")
    tasks = json.loads(out)
    assert code == 0 and {"domain", "name", "tier", "title"} == tasks[0].keys()
    assert "in" in ise("tasks", "list")[1]
    name = next(t["name"] for t in tasks if t["domain"] == "file-io")
    code, out, _ = ise(
        "tasks", "check", name, "--seeds", "1", "--workers", "1", "--json", tmp_path / "r.json"
    )
    report = json.loads((tmp_path / "r.json").read_text())
    assert code == 0 and report["ok"] and report["rows"][0]["task"] == name and "file-io" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rollout", "--intents", "no.jsonl", "--out", "x"], "no.jsonl: no such intents file"),
        (["rollout", "--intents", "bad.jsonl", "--out", "x"], "bad.jsonl:2: not an intent"),
        (
            ["rollout", "--intents", "i", "--out", "x", "--backend", "bubblewarp"],
            "Did you mean 'bubblewrap'?",
        ),
        (["rollout", "--intents", "i", "--out", "x", "--agent", "exprt"], "Did you mean 'expert'?"),
        (["rollout", "--intents", "i", "--out", "x", "--user", "scriptd"], "Did you mean 'scripted'?"),
        (["rollout", "--intents", "i", "--out", "x", "--engine", "loca"], "Did you mean 'local'?"),
        (["rollout", "--intents", "i", "--out", "x", "--user", "human"], "use `ise play`"),
        (["rollout", "--intents", "i", "--out", "x", "--user", "llm"], "write llm:MODEL"),
        (["intents", "diversity", "bad.jsonl", "--plot-format", "jpg"], "--plot-format jpg: svg or png."),
        (["filter", "empty.jsonl", "--out", "x", "--domain", "file-oi"], "Did you mean 'file-io'?"),
        (["stats", "empty.jsonl"], "empty.jsonl: it has no episodes"),
        (["import", "empty.jsonl", "--out", "x"], "no episode of format isetrace"),
        (
            ["intents", "generate", "--count", "2", "--out", "blocked"],
            "blocked/manifest.json: can't be written",
        ),
        (["stats", "nowhere"], "nowhere: no such file or folder"),
        (["stats", "."], "not a trajectory store"),
        (["show", "bad.jsonl", "1"], "bad.jsonl, line 1: not a trajectory"),
        (["export", ".", "--format", "isetrac", "--out", "x"], "Did you mean 'isetrace'?"),
        (["import", "nothing.jsonl", "--out", "x"], "nothing.jsonl: can't be read"),
        (["tasks", "check", "file-io/no-such-task"], "no task or domain is named"),
        (["intents", "generate", "--count", "1", "--out", "x", "--domains", "file-oi"], "file-io"),
        (
            ["intents", "generate", "--count", "1", "--out", "x", "--tasks-per-intent", "6-3"],
            "neither a number nor",
        ),
    ],
)
def test_mistakes_get_one_clear_message_and_code_2(
    ise: Run, arguments: list[str], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, played: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    good = (played / "intents" / "intents.jsonl").read_text().splitlines()[0]
    (tmp_path / "bad.jsonl").write_text(good + '\n{"id": 3}\n')
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "blocked" / "manifest.json").mkdir(parents=True)
    code, _, err = ise(*arguments)
    assert code == 2 and words in " ".join(err.split()) and "Traceback" not in err
    assert not (tmp_path / "x" / "shards").exists()
    assert not (tmp_path / "blocked" / "intents.jsonl").exists()


def test_version(ise: Run) -> None:
    code, out, _ = ise("--version")
    assert code == 0 and out.startswith("ise_gym ")
