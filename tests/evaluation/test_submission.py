"""Submissions: what is written is valid, and whatever is changed afterwards is found."""

from __future__ import annotations

import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_source import open_made
from typer.testing import CliRunner

from ise_gym import cli
from ise_gym.agents import make_agent
from ise_gym.errors import UserError
from ise_gym.evaluation import manifest as manifests
from ise_gym.evaluation import suite as suites
from ise_gym.evaluation.builtin import run_suite
from ise_gym.evaluation.manifest import save_suite
from ise_gym.evaluation.submission import CONVERSATIONS, FILE, problems, read_submission, submit, table
from ise_gym.evaluation.suite import Wanted, freeze
from ise_gym.resources import data_dir
from ise_gym.storage.digest import file_sha256


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(suites, "open_source", open_made)
    monkeypatch.setattr(manifests, "SUITES", tmp_path / "suites")
    made = freeze("made", [Wanted({"tier": "easy"}, {"tier": "easy"}, 3)])
    save_suite(made, tmp_path / "suites" / "made.yaml")
    run_suite("made", make_agent("expert"), tmp_path / "run", backend="dummy", trials=2)
    return tmp_path / "run"


def test_a_submission_is_valid_and_says_what_it_is(run: Path, tmp_path: Path) -> None:
    made = submit(run, tmp_path / "sent", name="the expert", by="a lab", notes="scripted")
    assert problems(tmp_path / "sent") == []
    assert read_submission(tmp_path / "sent") == made
    assert (made.suite, made.trials, made.changed) == ("made", 2, ["trials"])
    assert made.figures["first attempt"]["passed"] == 6 and made.figures["pass^2 (unbiased)"][0] == 1.0
    shown = table(tmp_path)
    assert (
        "| the expert | expert | 2 | 100.0 %" in shown
        and "frozen: number of trials" in shown
        and "scripted |" in shown
    )
    with pytest.raises(UserError, match="not an empty folder"):
        submit(run, tmp_path / "sent")


def in_json(name: str, change: Callable[[Any], None]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        value = json.loads((folder / name).read_text())
        change(value)
        (folder / name).write_text(json.dumps(value))

    return apply


def in_ledger(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    """Change the ledger's first line, and take the new hashes and figures into the submission, as a forger would."""

    def apply(folder: Path) -> None:
        lines = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
        change(lines[0])
        (folder / "trials.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        resign(folder)

    return apply


def resign(folder: Path) -> None:
    from ise_gym.evaluation import submission
    from ise_gym.evaluation.results.summary import summarise
    from ise_gym.evaluation.run import load_run

    made = read_submission(folder)
    files = {name: file_sha256(folder / name) for name in made.files}
    figures = submission.figures_of(summarise(load_run(folder)))
    made = made.model_copy(update={"files": files, "figures": figures})
    made = made.model_copy(update={"sha256": made.own_sha256()})
    (folder / FILE).write_text(made.model_dump_json())


def without_one(folder: Path) -> None:
    lines = lzma.decompress((folder / CONVERSATIONS).read_bytes()).splitlines(keepends=True)
    (folder / CONVERSATIONS).write_bytes(lzma.compress(b"".join(lines[1:])))
    resign(folder)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (in_json(FILE, lambda v: v["figures"]["pass@1"].update(value=0.5)), "its own hash"),
        (in_json(FILE, lambda v: v.update(agent="gpt")), "its own hash"),
        (in_json("run.json", lambda v: v.update(agent="gpt")), "run.json: its hash"),
        (lambda folder: (folder / CONVERSATIONS).unlink(), "conversations.jsonl.xz is missing"),
        (lambda folder: (folder / "key.txt").write_text("x"), "files that belong to no submission: key.txt"),
        (
            in_ledger(lambda v: v.update(outcome="fail", score=0.0)),
            "the ledger says what its conversation does not",
        ),
        (
            in_ledger(lambda v: v.update(first_attempt=False)),
            "the ledger says what its conversation does not",
        ),
        (in_ledger(lambda v: v.update(seed=7)), "its seed is not the run's"),
        (in_ledger(lambda v: v.update(episode="nothing")), "its conversation is missing"),
        (
            in_ledger(lambda v: v.update(outcome="infrastructure_error", score=None)),
            "not every trial has a verdict",
        ),
        (without_one, "its conversation is missing"),
    ],
)
def test_what_was_changed_afterwards_is_found(
    run: Path, tmp_path: Path, change: Callable[[Path], Any], found: str
) -> None:
    submit(run, tmp_path / "sent")
    change(tmp_path / "sent")
    assert any(found in problem for problem in problems(tmp_path / "sent"))


def test_another_version_of_the_suite_is_found(run: Path, tmp_path: Path) -> None:
    submit(run, tmp_path / "sent")
    save_suite(
        freeze("made", [Wanted({"tier": "easy"}, {"tier": "easy"}, 4)]), tmp_path / "suites" / "made.yaml"
    )
    assert problems(tmp_path / "sent") == ["the suite 'made' is another version here"]
    (tmp_path / "suites" / "made.yaml").unlink()
    assert problems(tmp_path / "sent") == ["the suite 'made' is not one that is known here"]


def test_what_is_not_complete_is_not_submitted(tmp_path: Path, run: Path) -> None:
    lines = (run / "trials.jsonl").read_text().splitlines(keepends=True)
    (run / "trials.jsonl").write_text("".join(lines[:-1]))
    with pytest.raises(UserError, match="is not complete"):
        submit(run, tmp_path / "sent")
    with pytest.raises(UserError, match=r"submission\.json: can't be read"):
        problems(tmp_path)


def test_from_the_command_line(run: Path, tmp_path: Path) -> None:
    runner, sent = CliRunner(), str(tmp_path / "sent")
    done = runner.invoke(cli.app, ["eval", "submit", str(run), "--out", sent, "--name", "expert"])
    assert done.exit_code == 0 and "not as the suite has it frozen: number of trials" in " ".join(
        done.output.split()
    )
    checked = runner.invoke(cli.app, ["eval", "validate", sent])
    assert checked.exit_code == 0 and "valid. made: first attempt 100.0 %" in " ".join(checked.output.split())
    assert "| expert |" in runner.invoke(cli.app, ["eval", "baselines", str(tmp_path)]).output
    in_json("run.json", lambda v: v.update(agent="gpt"))(tmp_path / "sent")
    assert runner.invoke(cli.app, ["eval", "validate", sent]).exit_code == 1


def test_the_page_of_baselines_is_what_the_submissions_say() -> None:
    folder = data_dir("eval") / "baselines"
    page = (folder / "README.md").read_text(encoding="utf-8")
    assert table(folder).strip() in page
    for file in sorted(folder.glob(f"*/**/{FILE}")):
        assert problems(file.parent) == [], file.parent
