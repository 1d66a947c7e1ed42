"""A suite carries its scenarios: a catalog that has grown, or speaks otherwise, leaves it as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from grown_catalog import grown
from ise_gym.cli import app
from ise_gym.errors import UserError
from ise_gym.evaluation.carrying import beside, read_scenario
from ise_gym.evaluation.content import content_sha256, task_content
from ise_gym.evaluation.manifest import SUITES, load_suite, save_suite
from ise_gym.evaluation.suite import SuiteSource
from ise_gym.intents import catalog, executable
from ise_gym.intents.source import IntentSource

SHIPPED = sorted(path.stem for path in SUITES.glob("*.yaml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_suites_carry_what_was_frozen(name: str) -> None:
    manifest = load_suite(name)
    source = SuiteSource(manifest)
    for (_, entry), scenario in zip(manifest.numbered(), source, strict=True):
        assert content_sha256(task_content(scenario)) == entry.content_sha256
        assert all(request.plan and request.reply for request in scenario.requests)
    assert not source._sources  # nothing was drawn


def test_a_suite_is_as_it_was_under_a_catalog_that_has_grown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.yaml"
    arguments = [
        "eval",
        "suite",
        "freeze",
        "mine",
        "--chains",
        "2",
        "--chain-length",
        "2",
        "--out",
        str(file),
    ]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    before = [task_content(scenario) for scenario in SuiteSource(load_suite(str(file)))]
    with grown(tmp_path / "more"):
        monkeypatch.setattr(executable, "system_prompt", lambda: "You are somebody else.")
        source = SuiteSource(load_suite(str(file)))
        assert [task_content(scenario) for scenario in source] == before
        beside(file).unlink()
        with pytest.raises(UserError, match="the catalog no longer"):
            list(SuiteSource(load_suite(str(file))))
    assert catalog.system_prompt() != "You are somebody else."


def test_what_was_changed_in_the_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    arguments = ["eval", "suite", "freeze", "mine", "--easy", "2", "--out", str(file)]
    assert CliRunner().invoke(app, [*arguments, "--tasks", "file-io/write-note"]).exit_code == 0
    manifest = load_suite(str(file))
    first, second = (entry for _, entry in manifest.numbered())
    swapped = first.model_copy(update={"sha256": second.sha256})
    part = manifest.parts[0].model_copy(update={"entries": [swapped, second]})
    save_suite(manifest.model_copy(update={"parts": [part]}), file)
    with pytest.raises(UserError, match=f"{first.id} .*freeze a new suite"):
        SuiteSource(load_suite(str(file))).scenario(0)
    beside(file).write_bytes(beside(file).read_bytes()[:-40])
    with pytest.raises(UserError, match="scenarios can't be read"):
        SuiteSource(load_suite(str(file))).scenario(1)


def test_sealing_gives_an_older_suite_its_scenarios(tmp_path: Path) -> None:
    file = tmp_path / "old.yaml"
    whole = load_suite("demo-easy")
    save_suite(whole.model_copy(update={"parts": whole.parts[:2]}), file)
    ids = [entry.id for _, entry in load_suite(str(file)).numbered()]
    assert read_scenario(beside(file), ids[0]) is None
    assert CliRunner().invoke(app, ["eval", "suite", "seal", str(file)]).exit_code == 0
    assert [scenario.id for scenario in SuiteSource(load_suite(str(file)))] == ids
    assert read_scenario(beside(file), ids[0]) is not None
    assert read_scenario(beside(file), IntentSource("train").scenario(0).id) is None
