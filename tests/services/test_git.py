"""Git remotes in a live box: cloned, pushed to, refused, saved with it, and seen by the check."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ise_gym.checks import build_check
from ise_gym.services import make_spec, start_services
from ise_gym.workspace import open_workspace
from ise_gym.workspace.base import Limits
from ise_gym.workspace.client.remote import BoxWorkspace

HOST = "git.a.example"
COMMITS = [
    {"summary": "Start", "date": "2025-01-02T10:00", "files": [{"path": "README.md", "text": "# Tides\n"}]},
    {
        "summary": "Try it",
        "date": "2025-01-03T10:00",
        "branch": "trial",
        "files": [{"path": "trial.txt", "text": "x\n"}],
    },
    {
        "summary": "Add port",
        "date": "2025-01-04T10:00",
        "files": [{"path": "conf/app.ini", "text": "port = 80\n"}, {"path": "README.md", "delete": True}],
    },
    {
        "summary": "Raise port",
        "date": "2025-01-05T10:00",
        "files": [{"path": "conf/app.ini", "text": "port = 81\n"}],
    },
]
SPEC = make_spec(
    "git",
    {
        "host": HOST,
        "repos": [
            {
                "name": "tides",
                "commits": COMMITS,
                "protected": ["release"],
                "busy": 1,
                "clone": {"path": "work/tides", "behind": 1},
            },
            {"name": "empty-ish", "commits": COMMITS[:1]},
        ],
    },
)


@pytest.fixture(scope="module")
def open_box() -> Iterator[BoxWorkspace]:
    workspace = open_workspace("auto", limits=Limits(memory_mb=256, disk_mb=64, command_timeout_s=30.0))
    assert isinstance(workspace, BoxWorkspace)
    yield workspace
    workspace.close()


@pytest.fixture
def box(open_box: BoxWorkspace) -> BoxWorkspace:
    open_box.reset()
    start_services(open_box, [SPEC])
    return open_box


def sh(box: BoxWorkspace, command: str) -> tuple[int | None, str]:
    done = box.exec(["bash", "-c", command])
    return done.exit_code, done.output.decode()


def reason(box: BoxWorkspace, **spec: Any) -> str:
    return build_check("remote", {"host": HOST, "repo": "tides", **spec}).run(box, {}).reason


def test_a_repository_is_cloned_by_its_address(box: BoxWorkspace) -> None:
    code, text = sh(
        box,
        f"git clone -q http://{HOST}/tides.git c && cd c && git log --format='%h %an %as %s' && ls && git branch -r",
    )
    assert code == 0
    lines = text.splitlines()
    assert [line.partition(" ")[2] for line in lines[:3]] == [
        "Sam Hill 2025-01-05 Raise port",
        "Sam Hill 2025-01-04 Add port",
        "Sam Hill 2025-01-02 Start",
    ]
    assert "conf" in lines and "README.md" not in lines and "  origin/trial" in lines
    assert sh(box, f"git clone http://{HOST}/nix.git")[0] == 128


def test_equal_data_give_equal_histories(box: BoxWorkspace) -> None:
    first = sh(box, f"git ls-remote http://{HOST}/tides.git"), box.digest()
    box.reset()
    start_services(box, [SPEC])
    assert (sh(box, f"git ls-remote http://{HOST}/tides.git"), box.digest()) == first


def test_a_push_is_refused_while_busy_and_behind_and_goes_through_after(box: BoxWorkspace) -> None:
    edit = "cd work/tides && echo 'name = x' >> conf/app.ini && git commit -qam Name"
    assert sh(box, edit)[0] == 0
    code, text = sh(box, "cd work/tides && git push -q origin main")
    assert code == 1 and "fetch first" in text
    code, text = sh(box, "cd work/tides && git pull -q --rebase origin main")
    assert code != 0 and "CONFLICT" in text
    fix = "printf 'port = 81\\nname = x\\n' > conf/app.ini && git add conf && git -c core.editor=true rebase --continue"
    assert sh(box, f"cd work/tides && {fix}")[0] == 0
    code, text = sh(box, "cd work/tides && git push origin main")
    assert code == 1 and "busy: try again" in text
    assert "instead of" in reason(box, subject="Name", commits=4, files={"conf/app.ini": "port = 81\nname = x"})  # fmt: skip
    assert sh(box, "cd work/tides && git push -q origin main")[0] == 0
    assert (
        reason(
            box,
            subject="Name",
            commits=4,
            files={"conf/app.ini": "port = 81\nname = x"},
            contains={"conf/app.ini": ["port", "name"]},
            has_commit=["Raise port", "Start"],
            lacks="README.md",
        )
        == ""
    )


def test_a_protected_branch_takes_no_push(box: BoxWorkspace) -> None:
    sh(box, "cd work/tides && git push origin main:spent")  # spends the busy one
    code, text = sh(box, "cd work/tides && git push origin main:release")
    assert code == 1 and "release is protected" in text
    assert reason(box, branch="release", branch_exists=False) == ""
    assert sh(box, "cd work/tides && git push -q origin main:refs/heads/mine")[0] == 0
    assert "no branch release" in reason(box, branch="release")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"branch_exists": False}, "has a branch main"),
        ({"files": {"nix": ""}}, "main:nix is None"),
        ({"contains": {"conf/app.ini": "host"}}, "does not contain"),
        ({"contains": {"nix": "x"}}, "is not there"),
        ({"lacks": ["conf/app.ini"]}, "is there"),
        ({"subject": "Start"}, "last commit"),
        ({"commits": 9}, "3 commits instead of 9"),
        ({"has_commit": "Try it"}, "no commit 'Try it'"),
        ({"host": "git.b.example"}, "no git server"),
    ],
)
def test_the_check_names_what_is_wrong(box: BoxWorkspace, spec: dict[str, Any], words: str) -> None:
    assert words in reason(box, **spec)


def test_remotes_are_saved_with_the_box(box: BoxWorkspace) -> None:
    saved = box.snapshot()
    sh(box, "cd work/tides && git push origin main:new; git push origin main:new")
    assert reason(box, branch="new") == ""
    box.restore(saved)
    assert "no branch new" in reason(box, branch="new")
    assert sh(box, f"git clone -q http://{HOST}/empty-ish.git && cat empty-ish/README.md")[1] == "# Tides\n"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"clone": {"path": "c", "behind": 4}}, "behind all 4"),
        ({"commits": [{"summary": "x", "date": "2025-01-01T00:00", "files": [{"path": "a"}]}]}, "either"),
        ({"commits": []}, "at least 1"),
    ],
)
def test_broken_specs_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make_spec("git", {"host": HOST, "repos": [{"name": "r", "commits": COMMITS, **change}]})
