"""A folder of one's own: a new task proves itself unedited, and the folder serves wherever the catalog does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ise_gym.cli import app
from ise_gym.errors import UserError
from ise_gym.intents.lines import IntentFileSource
from ise_gym.proving.catalog import check_tasks
from ise_gym.resources import checkout, os_world
from ise_gym.tasks.file import load_task, load_tasks
from ise_gym.tasks.scaffold import default_folder, new_task
from ise_gym.workspace import open_workspace


def ise(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout


def test_a_new_task_proves_itself_unedited(tmp_path: Path) -> None:
    try:
        open_workspace("auto").close()
    except UserError as problem:
        pytest.skip(f"no sandbox on this machine: {problem}")
    code, out = ise("tasks", "new", "garden-work", "count-beans", "--folder", tmp_path)
    path = Path(out.strip())
    assert code == 0 and path == tmp_path / "garden-work" / "count-beans.yaml"
    assert str(path) in path.read_text().splitlines()[0]
    report = check_tasks([], 4, folders=[tmp_path], thorough=3)
    assert report.findings == [] and report.ok
    counted = report.to_json()
    assert counted["mutants"] > 20 and counted["mutants_survived"] == 0 and counted["seconds"] > 0
    assert counted["domains"]["garden-work"]["instances"] == 4


def test_a_new_task_overwrites_nothing_and_wants_a_proper_name(tmp_path: Path) -> None:
    path = new_task("file-io", "mine", tmp_path)
    assert load_task(path).model.title == "Mine"
    with pytest.raises(UserError, match="already there"):
        new_task("file-io", "mine", tmp_path)
    for domain, name in (("../file-io", "x"), ("file-io", "My_Task"), ("file-io", "a--b")):
        with pytest.raises(UserError, match="can't be the name of a"):
            new_task(domain, name, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="give a folder of your own"):
        new_task("file-io", "mine", tmp_path / "file")


def test_a_folder_of_tasks_is_listed_and_drawn_from(tmp_path: Path) -> None:
    own = tmp_path / "own"
    for name in ("one", "two", "three"):
        new_task("garden-work", name, own)
    code, out = ise("tasks", "list", "--json", "--folder", own)
    assert code == 0 and {row["name"] for row in json.loads(out)} == {
        "garden-work/one",
        "garden-work/two",
        "garden-work/three",
    }
    pool = tmp_path / "pool"
    code, out = ise("intents", "generate", "--count", 5, "--out", pool, "--folder", own, "--quiet")
    assert code == 0
    source = IntentFileSource(pool / "intents.jsonl")
    scenario = source.scenario(0)
    assert scenario.domains == ("garden-work",) and scenario.metadata["options"]["folders"] == [str(own)]


def test_the_catalog_can_be_mixed_with_a_folder(tmp_path: Path) -> None:
    new_task("garden-work", "one", tmp_path)
    mixed = load_tasks([Path("catalog"), tmp_path])
    assert set(mixed) == {*load_tasks(), "garden-work/one"}


def test_a_new_task_lies_in_the_catalog_only_for_who_works_in_a_checkout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert new_task("garden-work", "one") == Path("tasks/garden-work/one.yaml")
    assert load_tasks([Path("tasks")]).keys() == {"garden-work/one"}
    root = checkout()
    assert root is not None
    monkeypatch.chdir(root / "docs")
    assert default_folder() == os_world() / "domains"
    monkeypatch.setattr("ise_gym.tasks.scaffold.checkout", lambda: None)  # as installed from a wheel
    assert default_folder() == Path("tasks")
