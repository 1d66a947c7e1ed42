"""`ise rollout --template`: every workspace starts from a folder, whose content belongs to the run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ise_gym.trajectory.store import read_trajectories
from ise_gym.workspace.snapshots.template import read_template

Run = Callable[..., tuple[int, str, str]]


def test_a_run_starts_from_a_folder_and_replays_from_it(ise: Run, one_intent: Path, tmp_path: Path) -> None:
    start, out = tmp_path / "start", tmp_path / "run"
    start.mkdir()
    (start / "given.txt").write_text("from the template\n")
    command = ["rollout", "--intents", one_intent, "-w", 1, "--out", out, "-q", "--template", start]
    code, _, complained = ise(*command)
    assert code == 0, complained
    (record,) = read_trajectories(out)
    assert record.outcome == "passed"
    assert record.env["template"] == read_template(start).identity()
    assert ise("replay", out, "--template", start, "--verify")[0] == 0
    (start / "given.txt").write_text("something else\n")
    code, _, complained = ise(*command)
    assert code == 2 and "holds another run (template.sha256" in complained and complained.count("\n") == 1


def test_a_folder_that_is_missing_is_one_line_before_anything_is_made(
    ise: Run, one_intent: Path, tmp_path: Path
) -> None:
    code, _, complained = ise(
        *("rollout", "--intents", one_intent, "--out", tmp_path / "run", "--template", tmp_path / "none")
    )
    assert code == 2 and "does not exist" in complained and complained.count("\n") == 1
    assert not (tmp_path / "run").exists()
