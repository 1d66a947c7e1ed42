"""One plug-in of every kind, from the page that tells how to write one: used by name from the command line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import gymnasium
import pytest
from lab_package import PAGE, install, shown_files, task_text

from ise_gym.builtin import KINDS
from ise_gym.checks import build_check
from ise_gym.messages import assistant, tool_call
from ise_gym.scenario import Persona, Request, Scenario, SubGoal
from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.store import read_trajectories

Run = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Install the package once: what was loaded by name stays loaded in a process."""
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        names = install(folder)
        patch.syspath_prepend(str(folder))
        yield names


def seats(**changes: str) -> list[str]:
    """Say who plays, by registered names unless told otherwise."""
    given = {"agent": "quoter:pwd", "user": "curt", "backend": "small", "judge": "polite", "source": "mottos"}
    return [word for name, value in {**given, **changes}.items() for word in (f"--{name}", value)]


def played(store: Path) -> list[Trajectory]:
    return sorted(read_trajectories(store), key=lambda trajectory: trajectory.scenario_id)


def play_with_all(ise: Run, out: Path, hurry: bool, *more: object) -> None:
    """Play the two scenarios; a user in a hurry is refused by the detector, any other by the judge."""
    options = ["--user-option", f"hurry={str(hurry).lower()}", "--source-option", "folder=door"]
    code, _, err = ise(
        "rollout", *seats(), *options, "--judge-option", "word=kindly", *more, "--out", out, "-q"
    )
    assert code == 0, err
    episodes = played(out)
    assert [episode.scenario_id for episode in episodes] == ["motto-0", "motto-1"]
    for episode in episodes:
        assert episode.outcome == "failed" and episode.agent["command"] == "pwd"
        assert [tool["function"]["name"] for tool in episode.tools] == ["exec", "read", "write", "stamp"]
        assert any(message["content"] == "/workspace" for message in episode.messages)
        assert episode.intent == "Mottos on the door."
        assert episode.user["name"] == "curt" and episode.user["hurry"] is hurry
        assert episode.user["guard"]["detector:shouts" if hurry else "detector:judge"] == 1
        assert list(episode.subgoals.values()) == [False, False]
        assert episode.env["limits"]["processes"] == 64, "the backend halves them"


def test_the_package_has_one_of_every_kind_and_they_are_listed(lab: dict[str, str], ise: Run) -> None:
    assert set(lab) == set(KINDS)
    code, printed, _ = ise("plugins", "--json")
    rows = json.loads(printed)
    mine = {row["kind"]: row for row in rows if row["origin"] == "lab 1.0"}
    assert code == 0 and {kind: row["name"] for kind, row in mine.items()} == lab


@pytest.mark.parametrize(("workers", "hurry"), [(1, False), (2, True)])
def test_they_play_in_spawned_processes(
    lab: dict[str, str], ise: Run, tmp_path: Path, workers: int, hurry: bool
) -> None:
    play_with_all(ise, tmp_path / "out", hurry, "-w", workers)
    described = json.loads((tmp_path / "out" / "manifest.json").read_text())["run"]
    assert described["source"] == "mottos" and described["source_options"] == {"folder": "door"}
    assert described["judge"] == "polite" and described["judge_options"] == {"word": "kindly"}


def test_instead_of_a_name_stands_module_and_name(lab: dict[str, str], ise: Run, tmp_path: Path) -> None:
    by_place = seats(
        agent="lab.agents:Quoter:pwd",
        user="lab.users:Curt",
        backend="lab.backends:small",
        judge="lab.judges:Polite",
        source="lab.sources:Mottos",
    )
    code, _, err = ise("rollout", *by_place, "-w", 1, "--limit", 1, "--out", tmp_path / "out", "-q")
    assert code == 0, err
    (episode,) = played(tmp_path / "out")
    assert episode.user["guard"]["detector:judge"] >= 1
    code, _, err = ise(
        "export", tmp_path / "out", "--format", "lab.exchange:plain", "--out", tmp_path / "a.jsonl"
    )
    assert code == 0, err
    task = tmp_path / "signs" / "motto.yaml"
    task.parent.mkdir()
    text = task_text("lab.tools:STAMP", "lab.checks:CapitalsCheck").replace(
        "  motto:", "  lab.services:MOTTO:"
    )
    task.write_text(text)
    code, printed, err = ise("tasks", "check", task, "--seeds", 1, "-w", 1)
    assert code == 0, printed + err


@pytest.mark.slow
def test_they_play_on_ray(
    lab: dict[str, str], ise: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(
        "ray", reason="NOT TESTED: the Ray engine, ray is not installed (it has no wheel here?)"
    )
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    for hurry in (True, False):
        play_with_all(ise, tmp_path / str(hurry), hurry, "-w", 1, "--engine", "ray")


def test_a_task_file_has_their_tool_check_and_service_and_is_proved(
    lab: dict[str, str], ise: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "tasks"
    (folder / "signs").mkdir(parents=True)
    (folder / "signs" / "motto.yaml").write_text(task_text("stamp", "capitals"))
    code, printed, err = ise("tasks", "check", "signs", "--folder", folder, "--seeds", 2, "-w", 2)
    assert code == 0, printed + err

    source = ["--source", "catalog", "--source-option", f"folders={json.dumps([str(folder)])}"]
    source += ["--source-option", "tasks_per_intent=1", "--limit", 1]  # type: ignore[list-item]
    code, _, err = ise("rollout", *source, "--backend", "small", "-w", 1, "--out", tmp_path / "out", "-q")
    assert code == 0, err
    (episode,) = played(tmp_path / "out")
    assert episode.outcome == "passed"
    called = [call["function"]["name"] for m in episode.messages for call in m.get("tool_calls", ())]
    assert "stamp" in called
    code, printed, err = ise("replay", tmp_path / "out")
    assert code == 0, printed + err


def test_records_go_out_and_come_back_in_their_format(lab: dict[str, str], ise: Run, tmp_path: Path) -> None:
    code, _, err = ise("rollout", *seats(), "-w", 1, "--out", tmp_path / "out", "-q")
    assert code == 0, err
    code, _, err = ise("export", tmp_path / "out", "--format", "plain", "--out", tmp_path / "plain.jsonl")
    assert code == 0, err
    code, _, err = ise("import", tmp_path / "plain.jsonl", "--from", "plain", "--out", tmp_path / "back")
    assert code == 0, err
    there, back = played(tmp_path / "out"), played(tmp_path / "back")
    assert [t.episode_id for t in back] == [t.episode_id for t in there]
    assert [m["content"] for m in back[0].messages] == [m["content"] for m in there[0].messages]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--source", "motos"], "unknown source 'motos'. Did you mean 'mottos'?"),
        (["--source", "mottos", "--source-option", "colour=red"], "there is no option 'colour'"),
        (["--source", "catalog"], "--source catalog has no end"),
        (["--source", "mottos", "--judge", "polit"], "unknown judge 'polit'. Did you mean 'polite'?"),
        (["--source", "mottos", "--judge", "polite", "--no-guard"], "leave --no-guard out"),
        (["--source", "mottos", "--judge-option", "word=x"], "--judge-option belongs to --judge"),
        (["--source", "mottos", "--agent", "nowhere.at_all:Thing"], "on PYTHONPATH?"),
        (["--source", "mottos", "--backend", "smal"], "Did you mean 'small'?"),
        ([], "give either --intents FILE or --source NAME"),
        (["--intents", "x.jsonl", "--source", "mottos"], "give either --intents FILE or --source NAME"),
    ],
)
def test_a_wrong_name_is_one_line_before_anything_begins(
    arguments: list[str], words: str, lab: dict[str, str], ise: Run, tmp_path: Path
) -> None:
    code, _, err = ise("rollout", *arguments, "--out", tmp_path / "out")
    assert code == 2 and words in err and err.count("\n") == 1, err
    assert not (tmp_path / "out").exists()


ONE_FILE = {
    "tool": "lab/tools.py",
    "user": "lab/users.py",
    "backend": "lab/backends.py",
    "check": "lab/checks.py",
    "exporter": "lab/exchange.py",
}
"""Kind → the one file of the page that it takes."""


def test_a_tool_a_user_a_backend_a_check_and_an_exporter_take_one_file_each(
    ise: Run, one_intent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file alone, without a package, without metadata and without a change to this one."""
    folder = tmp_path / "alone"
    folder.mkdir()
    for kind, file in ONE_FILE.items():
        (folder / f"alone_{kind}.py").write_text(shown_files()[file], encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    code, _, err = ise(
        *("rollout", "--intents", one_intent, "--agent", "lazy", "--user", "alone_user:Curt"),
        *("--backend", "alone_backend:small", "-w", 1, "--out", tmp_path / "out", "-q"),
    )
    assert code == 0, err
    (episode,) = played(tmp_path / "out")
    assert episode.user["name"] == "curt" and episode.env["limits"]["processes"] == 64
    target = tmp_path / "a.jsonl"
    code, _, err = ise("export", tmp_path / "out", "--format", "alone_exporter:plain", "--out", target)
    assert code == 0 and '"said"' in target.read_text(encoding="utf-8"), err
    request = Request(
        "own/motto",
        "Hang it up.",
        subgoals=(SubGoal("capitals", (build_check("alone_check:CapitalsCheck", "a.txt"),)),),
    )
    scenario = Scenario(
        "own",
        0,
        "A motto.",
        Persona("Ada Ng", "printer", "printing"),
        (request,),
        tools=("alone_tool:STAMP",),
    )
    env = gymnasium.make("ISE-OS-v0")
    env.reset(seed=0, options={"scenario": scenario})
    env.step(assistant("", [tool_call("stamp", {"path": "a.txt", "text": "measure twice"})]))
    _, reward, *_ = env.step(assistant("It hangs."))
    env.close()
    assert reward == 1.0


def test_a_new_request_field_is_two_lines_in_two_files(tmp_path: Path) -> None:
    """The page's two lines, put into a copy of the package, carry a field from a task file to a drafted request."""
    (line,) = {text for text in PAGE.read_text(encoding="utf-8").splitlines() if text.startswith("deadline")}
    shutil.copytree(ROOT / "ise_gym", tmp_path / "ise_gym", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("envs", "pyproject.toml"):  # as in a checkout
        (tmp_path / name).symlink_to(ROOT / name)
    for file, after in (
        ("tasks/model.py", "    reply: Expression | list[Expression]\n"),
        ("scenario/model.py", '    folder: str = ""\n'),
    ):
        path = tmp_path / "ise_gym" / file
        text = path.read_text(encoding="utf-8")
        assert text.count(after) == 1
        path.write_text(text.replace(after, f"{after}    {line}\n"), encoding="utf-8")
    task = tmp_path / "own" / "deadline.yaml"
    task.parent.mkdir()
    new = (ROOT / "envs" / "os" / "new-task.yaml").read_text(encoding="utf-8")
    task.write_text(
        new.replace("  - name: total\n", '  - name: total\n    deadline: "{{ subject }} by noon"\n')
    )
    code = (
        "from pathlib import Path; from ise_gym.tasks.file import load_task; from ise_gym.tasks.draft import draft\n"
        f"print(draft(load_task(Path({str(task)!r})), 3).requests[0].deadline)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
    )
    assert done.stdout.strip().endswith("by noon"), done.stderr
