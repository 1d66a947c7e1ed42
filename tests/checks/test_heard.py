"""Checks on what an agent says, what it leaves alone, and what a text in prose holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ise_gym.checks import build_check
from ise_gym.checks.heard import figures_in, has_words, listens, look_at
from ise_gym.services import make_spec, start_services
from ise_gym.workspace import open_workspace
from ise_gym.workspace.base import SeedFile, Workspace

START = {file.path: file for file in (SeedFile("a/x.txt", b"one\n"), SeedFile("a/b/y.txt", b"two\n", 0o755))}


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    opened = open_workspace("dummy")
    opened.seed(tuple(START.values()))
    yield opened
    opened.close()


def passed(workspace: Workspace, kind: str, spec: Any, said: tuple[str, ...] = ()) -> bool:
    return look_at(build_check(kind, spec), workspace, START, said).passed


@pytest.mark.parametrize(
    ("text", "groups", "holds"),
    [
        ("It can’t be deleted: LEGAL  hold.", [["cannot", "can't"], "legal hold"], True),
        ("It was deleted.", [["cannot", "can't"]], False),
        ("notable", [["not"]], False),
        ("nothing declined", ["declin*"], True),
        ("I haven't", ["*n't"], True),
        ("文件不能删除。", [["不能", "无法"]], True),
        ("A-17 and a-170", ["a-170", "A-17"], True),
    ],
)
def test_words_are_found_as_words(text: str, groups: list[Any], holds: bool) -> None:
    assert (has_words(text, groups) is None) == holds


def test_figures_are_numbers_and_no_codes() -> None:
    text = "## 2. On 2025-03-04 A-17 paid 1,204.50 and 3 000 for 12 boxes at 7.5 %, v2.1 by 10:30."
    assert figures_in(text) == [1204.5, 3000.0, 12.0, 7.5]


def test_a_reply_is_judged_by_the_last_word_and_a_question_by_any(workspace: Workspace) -> None:
    spec = {"says": [["not", "no"], "hold"], "figures": [14], "excludes": ["deleted"]}
    assert passed(workspace, "reply", spec, ("Done.", "No: hold on all 14."))
    assert not passed(workspace, "reply", spec, ("No: hold on all 14.", "Done."))
    assert not passed(workspace, "reply", spec, ("No: hold on all 15.",))
    assert not passed(workspace, "reply", spec, ("Not on hold any more, so all 14 are deleted.",))
    assert not passed(workspace, "reply", spec)
    ask = {"asks": [["which", "Berg"]]}
    assert passed(workspace, "reply", ask, ("Which one?", "Sent."))
    assert not passed(workspace, "reply", ask, ("I took the one called Berg.",))
    with pytest.raises(ValueError, match="any reply would do"):
        build_check("reply", {"excludes": ["x"]})


def test_prose_has_form_words_and_no_figure_of_its_own(workspace: Workspace) -> None:
    text = "# Offers\n\nNorth asks 1200 and South 900.\n\n# Recommendation\n\nTake South.\n"
    workspace.write("memo.md", text.encode())
    spec: dict[str, Any] = {
        "path": "memo.md",
        "headings": ["Offers", "Recommendation"],
        "words": [8, 20],
        "figures": [1200, 900],
        "may_say": [],
        "says": ["South"],
    }
    assert passed(workspace, "prose", spec)
    for change in (
        {"headings": ["Recommendation", "Offers"]},
        {"words": [40, 90]},
        {"figures": [1200], "may_say": []},
        {"figures": [1200, 900, 7]},
        {"says": ["East"]},
        {"excludes": ["South"]},
    ):
        assert not passed(workspace, "prose", {**spec, **change}), change


def test_untouched_sees_what_was_added_changed_removed_and_opened(workspace: Workspace) -> None:
    assert passed(workspace, "untouched", "a")
    workspace.write("a/__pycache__/z.pyc", b"cache")
    workspace.write("elsewhere.txt", b"not of this folder")
    assert passed(workspace, "untouched", "a")
    workspace.write("a/new.txt", b"")
    assert not passed(workspace, "untouched", "a")
    assert passed(workspace, "untouched", {"path": "a", "ignore": "new.txt"})
    workspace.remove("a/new.txt")
    workspace.write("a/x.txt", b"One\n")
    assert not passed(workspace, "untouched", "a")
    workspace.write("a/x.txt", b"one\n")
    workspace.remove("a/b/y.txt")
    workspace.write("a/b/y.txt", b"two\n", 0o644)
    assert not passed(workspace, "untouched", "a")
    workspace.remove("a/b/y.txt")
    assert not passed(workspace, "untouched", "a")


def test_an_outbox_is_counted(box: Workspace) -> None:
    start_services(box, [make_spec("mail", {"domain": "mail.a.example"})])
    assert passed(box, "outbox", {"count": 0})
    send = (
        "import os, smtplib\n"
        "with smtplib.SMTP(os.environ['SMTP_HOST'], int(os.environ['SMTP_PORT'])) as s:\n"
        "    s.sendmail('me@a.example', ['you@b.example'], 'Subject: x\\n\\nhello')\n"
    )
    assert box.exec(["python3", "-c", send]).exit_code == 0
    assert not passed(box, "outbox", {"count": 0}) and passed(box, "outbox", {"count": 1})
    assert passed(box, "outbox", {"count": 1, "to": "You@b.example"})
    assert passed(box, "outbox", {"count": 0, "to": "her@b.example"})
    assert not passed(box, "outbox", {"count": 1, "to": "her@b.example"})


def test_only_words_make_a_request_listen() -> None:
    assert listens([build_check("exists", "a"), build_check("reply", {"says": ["x"]})])
    assert not listens([build_check("prose", {"path": "a", "says": ["x"]})])
