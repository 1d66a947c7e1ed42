"""The shipped suites, and the command line on them: really drawn, really played in worker processes."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ise_gym import cli
from ise_gym.errors import UserError
from ise_gym.evaluation.drawing import catalog_tasks, chained, singles
from ise_gym.evaluation.manifest import SUITES, load_suite
from ise_gym.evaluation.run import load_run
from ise_gym.evaluation.suite import SuiteSource, scenario_sha256
from ise_gym.intents.source import IntentSource

SHIPPED = sorted(path.stem for path in SUITES.glob("*.yaml"))
REFREEZE = "the catalog has changed: freeze the suite anew with `ise eval suite freeze` and commit it"


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_suites_are_still_drawn_as_frozen(name: str) -> None:
    source = SuiteSource(load_suite(name), limit=40)
    try:
        drawn = list(source)
    except UserError as error:
        pytest.fail(f"{error} ({REFREEZE})")
    assert all(scenario.split == "eval" for scenario in drawn)
    assert len({scenario_sha256(scenario) for scenario in drawn}) == len(drawn) == 40


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_suites_hold_no_instance_twice(name: str) -> None:
    entries = [entry for _, entry in load_suite(name).numbered()]
    prints = [print_ for entry in entries for print_ in entry.instances]
    assert len(set(prints)) == len(prints) and len({entry.id for entry in entries}) == len(entries)


def test_sizes() -> None:
    assert 60 <= len(load_suite("demo-easy").numbered()) <= 64
    builtin = load_suite("builtin")
    tiers = {part.labels["tier"] for part, _ in builtin.numbered()}
    assert len(builtin.numbered()) >= 200 and tiers == {"easy", "medium", "hard", "chain"}


def test_training_scenarios_share_nothing_with_the_suites() -> None:
    held_out = load_suite("demo-easy").fingerprints() | load_suite("builtin").fingerprints()
    train = IntentSource("train", tier="easy", tasks_per_intent=1)
    for seed in range(60):
        assert held_out.isdisjoint(train.scenario(seed).metadata["fingerprints"].values())


def test_parts_are_spread_over_the_catalog() -> None:
    tasks = catalog_tasks(["file-io"])
    easy = singles(tasks, "easy", 7)
    assert sum(part.count for part in easy) == 7
    assert max(part.count for part in easy) - min(part.count for part in easy) <= 1
    chains = chained(tasks, 5, 3)
    names = [name for part in chains for name in part.options["tasks"]]
    assert all(len(set(part.options["tasks"])) == 3 for part in chains)
    assert max(names.count(name) for name in names) - min(names.count(name) for name in set(names)) <= 1
    with pytest.raises(UserError, match="Did you mean 'file-io'"):
        catalog_tasks(["file-oi"])
    named = ["file-io/write-note", "file-io/copy-backup"]
    assert {task.name for task in catalog_tasks([], named)} == set(named)
    with pytest.raises(UserError, match="Did you mean 'file-io/write-note'"):
        catalog_tasks([], ["file-io/write-notes"])


def test_run_compare_report_from_the_command_line(tmp_path: Path) -> None:
    cli_runner = CliRunner()
    for agent in ("expert", "lazy"):
        arguments = [
            "eval",
            "run",
            "--suite",
            "demo-easy",
            "--agent",
            agent,
            "--limit",
            "3",
            "--out",
            str(tmp_path / agent),
        ]
        found = cli_runner.invoke(cli.app, arguments)
        assert found.exit_code == 0, found.output
    assert "3/3 = 100.0 %" in cli_runner.invoke(cli.app, ["eval", "report", str(tmp_path / "expert")]).output
    runs = [str(tmp_path / "lazy"), str(tmp_path / "expert")]
    value = json.loads(cli_runner.invoke(cli.app, ["eval", "compare", *runs, "--json"]).output)
    assert (value["pairs"][0]["better"], value["pairs"][0]["p"]) == (3, 0.25)
    assert value["pairs"][0]["verdict"] == "not significant"
    shown = cli_runner.invoke(cli.app, ["eval", "compare", *runs]).output
    assert "not significant" in shown and "no difference could be found" in shown
    rows = cli_runner.invoke(cli.app, ["eval", "report", *runs, "--csv"]).output.splitlines()
    assert len(rows) == 1 + 6
    trial = next(iter(load_run(tmp_path / "expert").trials.values()))
    assert trial.labels["tier"] == "easy" and trial.counts["tool_calls"] >= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--suite", "demo-esy", "--agent", "expert", "--out", "OUT"], "Did you mean 'demo-easy'"),
        (["run", "--suite", "demo-easy", "--agent", "exprt", "--out", "OUT"], "Did you mean 'expert'"),
        (
            ["run", "--suite", "claweval", "--agent", "lazy", "--out", "OUT"],
            "ise claweval run --checkout DIR",
        ),
        (
            ["run", "--suite", "demo-easy", "--agent", "expert", "--agent-option", "x", "--out", "OUT"],
            "--agent-option number 1: write NAME=VALUE",
        ),
        (["compare", "OUT", "OUT"], "not an eval run"),
        (["report", "OUT"], "not an eval run"),
        (["report", "OUT", "--json", "--csv"], "one of --json, --csv and --markdown"),
        (["suite", "freeze", "x"], "nothing to freeze"),
        (["suite", "check", "nothing"], "unknown suite 'nothing'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    placed = [str(tmp_path / "out") if argument == "OUT" else argument for argument in arguments]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit_:
        cli.main(["eval", *placed])
    captured = capsys.readouterr()
    assert exit_.value.code == 2
    assert message in captured.err and captured.err.count("\n") == 1 and captured.err.startswith("ise: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("command", "options"),
    [
        (["eval", "run", "--suite", "demo-easy"], ["--judge", "none"]),
        (["eval", "run", "--suite", "demo-easy"], ["--tasks", "T"]),
        (["claweval", "run", "--checkout", "."], ["--trained-on", "x"]),
        (["claweval", "run", "--checkout", "."], ["--slots", "4"]),
    ],
)
def test_an_option_that_would_do_nothing_does_not_exist(
    command: list[str], options: list[str], tmp_path: Path
) -> None:
    arguments = [*command, "--agent", "lazy", "--out", str(tmp_path / "run"), *options]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 2 and re.search(f"no such option:? '?{options[0]}", result.output)
    assert result.output.count("\n") == 1 and not (tmp_path / "run").exists()
