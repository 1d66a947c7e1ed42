"""Task files: what loads, and how a wrong one is explained."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from ise_gym.errors import UserError
from ise_gym.tasks.file import load_domains, load_task, load_tasks
from ise_gym.tasks.yamlfile import parse_yaml
from made_tasks import GOOD, task_with, write_task


def test_a_good_task_loads_with_name_domain_and_digest(tmp_path: Path) -> None:
    task = task_with(tmp_path)
    assert (task.name, task.domain) == ("file-io/count-words", "file-io")
    assert [request.name for request in task.model.requests] == ["count", "limit"]
    assert len(task.digest) == 64
    again = pickle.loads(pickle.dumps(task))
    assert again.model == task.model


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("tier: easy", "teir: easy", 4, "teir: there is no such key. Did you mean 'tier'?"),
        ("tier: easy", "tier: trivial", 4, "tier: Input should be 'easy', 'medium' or 'hard'"),
        ("      casual:", "      casul:", 18, "requests.0.say.casul: Input should be"),
        ('      formal: ["Please record', '      #"', 16, "say lacks a wording for formal"),
        ("- exec: {command: \"ls", "- exce: {command: \"ls", 31, "no tool is named 'exce'. Did you mean 'exec'"),
        ("equals: \"{{ words", "equal: \"{{ words", 25, "there is no key 'equal'. Did you mean 'equals'?"),
        ("checks:\n          - text:", "checks:\n          - txt:", 25, "no check is named 'txt'. Did you mean"),
        ("supersedes: [count]", "supersedes: [cuont]", 0, "'cuont' is not an earlier request. Did you mean 'count'?"),
        ("{integer: [100, 999]}", "{integr: [100, 999]}", 7, "there is no such key. Did you mean 'integer'?"),
        ("{integer: [100, 999]}", "{integer: [100, 999], size: 3}", 7, "integer has no option size"),
        ("{integer: [100, 999]}", "{integer: [100]}", 7, "at least 2 items"),
        ("  limit:", "  root:", 7, "'root' can't be a name"),
        ("  - name: limit\n    chance: 0.5", "  - name: count\n    chance: 0.5", 0, "the name 'count' occurs twice"),
        ("              fails: true", "              fails: true\n              key: true", 0, "can't be a key step"),
        ("- exec: {command: \"ls {{ root }}\"}", "- say: hm\n              key: true", 0, "only speaks"),
        ("gist: [count the", "gist: [Count the", 0, "starts with a lower-case letter and ends without"),
        ("list of animals,", "list of animals., ", 0, "starts with a lower-case letter and ends without"),
        ("count the lines of a list of animals", "count it", 0, "has 2 words, and needs 3 to 12"),
        ("count the lines of a list of animals", "count the lines of list.txt now", 0, "holds a path, file name, figure"),
        ("count the lines of a list of animals", "count the lines of data/list", 0, "holds a path, file name, figure"),
        ("count the lines of a list of animals", "count all 12 animals", 0, "holds a path, file name, figure"),
        ("reply: \"{{ target }} holds", "replies: \"{{ target }} holds", 35, "replies: there is no such key"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_explained(tmp_path: Path, old: str, new: str, line: int, words: str) -> None:
    with pytest.raises(UserError) as caught:
        task_with(tmp_path, (old, new))
    message = str(caught.value)
    assert words in message
    assert f"{tmp_path / 'file-io' / 'count-words.yaml'}:" in message
    assert not line or f"yaml:{line}:" in message


def test_broken_yaml_names_line_and_column(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="line 2, column 15: not valid YAML"):
        load_task(write_task(tmp_path, "title: a\ntags: [a, b: c: d\n"))
    with pytest.raises(UserError, match=r"line 3.*'title' occurs twice \(first on line 1"):
        load_task(write_task(tmp_path, "title: a\ntier: easy\ntitle: b\n"))


def test_yaml_values_stay_what_they_look_like() -> None:
    text = "{a: no, b: 12:30, c: 0644, d: 2025-01-02, e: on, f: 1e3, g: 1.50, h: true, i: ~, y: n}"
    assert parse_yaml(text, "x") == {
        "a": "no", "b": "12:30", "c": "0644", "d": "2025-01-02", "e": "on", "f": "1e3", "g": 1.5, "h": True,
        "i": None, "y": "n",
    }  # fmt: skip


def test_users_can_point_at_their_own_folder(tmp_path: Path) -> None:
    write_task(tmp_path, name="one")
    write_task(tmp_path, name="two", domain="my-domain")
    assert list(load_tasks([tmp_path])) == ["file-io/one", "my-domain/two"]
    assert list(load_tasks([tmp_path / "my-domain"])) == ["my-domain/two"]
    with pytest.raises(UserError, match="already defined"):
        load_tasks([tmp_path, tmp_path / "my-domain"])
    with pytest.raises(UserError, match="no such folder"):
        load_tasks([tmp_path / "nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no task"):
        load_tasks([tmp_path / "empty"])


def test_every_task_of_the_catalog_lies_in_one_of_the_ten_domains() -> None:
    domains = load_domains()
    assert len(domains) == 10 and all(domain.description for domain in domains.values())
    tasks = load_tasks()
    assert {task.domain for task in tasks.values()} <= set(domains)
    assert len(tasks) >= 15
    assert [task.name for task in tasks.values() if len(set(task.model.gist)) < 2] == []
    assert GOOD not in {task.source.read_text() for task in tasks.values()}
