"""The proof finds what is wrong with a task, in a real workspace."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_chaining import TAKER

from ise_gym.errors import UserError, WorkspaceError
from ise_gym.proving import catalog as prove_module
from ise_gym.proving.catalog import Row, check_tasks, main, prove, select_tasks
from ise_gym.proving.proof import Proved, prove_seed
from ise_gym.proving.review import Finding, review, variety
from ise_gym.tasks.file import TaskSpec, load_task, load_tasks
from ise_gym.workspace import Workspace
from made_tasks import GOOD, task_with, write_task


def found_in(task: TaskSpec, seed: int, box: Workspace) -> list[Finding]:
    proved = Proved()
    prove_seed(task, seed, box, proved)
    return proved.findings


def kinds(found: list[Finding]) -> set[str]:
    return {finding.kind for finding in found}


def test_a_sound_task_is_proved(tmp_path: Path, box: Workspace) -> None:
    task = task_with(tmp_path)
    assert review(task) == []
    assert [finding for seed in range(2) for finding in found_in(task, seed, box)] == []


COUNT = '- exec: {command: "wc -l < {{ root }}/list.txt > {{ target }}"}\n        key: true'
MISTAKE = '- read: {path: "{{ root }}/lists.txt"}\n              fails: true'


@pytest.mark.parametrize(
    ("old", "new", "kind", "words"),
    [
        (COUNT, COUNT.replace("wc -l", "wc -w"), "expert", "reads '"),
        (COUNT, COUNT.replace("list.txt", "lost.txt"), "step", "fails: "),
        (MISTAKE, MISTAKE.replace("lists", "list"), "step", "succeeds but is marked `fails`"),
        (COUNT, COUNT + "\n      " + COUNT, "key", "without the key step"),
        (COUNT, COUNT.replace("\n        key: true", ""), "key", "no step of the expert is marked"),
        (
            "- text: {path: \"{{ target }}\", equals: \"{{ words | length }}\"}",
            "- absent: \"{{ root }}/other\"",
            "idle",
            "holds in the untouched workspace",
        ),
        ("    supersedes: [count]\n", "", "undone", "supersedes missing?"),
        (
            "- text: {path: \"{{ target }}\", equals: \"{{ limit }}\"}",
            "- command: {argv: [bash, -c, \"echo {{ limit }} > {{ target }}; cat {{ target }}\"], equals: \"{{ limit }}\"}",
            "writes",
            "changes the workspace",
        ),
        ("reply: \"{{ target }} holds {{ words | length }}.\"", "reply: \"TODO\"", "wording", "'TODO' stands in"),
        ("{value: \"{{ root }}/count.txt\"}", "{value: \"{{ root }}/{{ nosuch }}\"}", "template", "'nosuch' is undefined"),
    ],
)  # fmt: skip
def test_each_fault_is_found(
    tmp_path: Path, box: Workspace, old: str, new: str, kind: str, words: str
) -> None:
    found = found_in(task_with(tmp_path, (old, new)), 0, box)
    assert any(finding.kind == kind and words in finding.detail for finding in found), found


def test_a_plan_may_look_after_what_it_left_running(tmp_path: Path, box: Workspace) -> None:
    slow = COUNT.replace("wc -l <", "sleep 0.2; wc -l <").replace('"}', '", background: true}')
    poll = '\n      - process: {action: poll, sessionId: "@sleep 0.2", timeout: 20000}'
    task = task_with(tmp_path, (COUNT, slow + poll))
    assert found_in(task, 0, box) == []
    lost = found_in(task_with(tmp_path, (COUNT, slow + poll.replace("@sleep 0.2", "@sleep 0.3"))), 0, box)
    assert any(f.kind == "step" and "no background process 'proc_0'" in f.detail for f in lost), lost


def test_a_goal_that_an_earlier_request_reaches_is_found(tmp_path: Path, box: Workspace) -> None:
    both = COUNT.replace(
        "list.txt > {{ target }}", "list.txt > {{ target }}; echo {{ limit }} > {{ root }}/limit"
    )
    task = task_with(
        tmp_path,
        (COUNT, both),
        ('- text: {path: "{{ target }}", equals: "{{ limit }}"}', '- text: {path: "{{ root }}/limit", equals: "{{ limit }}"}'),
    )  # fmt: skip
    assert "early" in kinds(found_in(task, 0, box))


def test_wordings_that_hide_a_parameter_are_found(tmp_path: Path) -> None:
    hidden = task_with(
        tmp_path, ("Replace the content of {{ target }} with {{ limit }}.", "Put the limit there.")
    )
    assert review(hidden) == []
    really = task_with(
        tmp_path,
        ("      {{ word }} {{ limit }}\n", "      {{ word }}\n"),
        ("Replace the content of {{ target }} with {{ limit }}.", "Put the limit there."),
        name="really",
    )
    (finding,) = review(really)
    assert finding.kind == "recoverable"
    assert "requests.limit.say.analytical.0 doesn't give away limit" in finding.detail


def test_what_a_command_check_feeds_in_need_not_be_told(tmp_path: Path) -> None:
    probe = '- command: {argv: [grep, -c, "{{ probe }}", "{{ target }}"], exit_code: 1, equals: "0{{ probe[:0] }}"}'
    task = task_with(
        tmp_path,
        ("  target: {value", '  probe: {code: "@@@@"}\n  target: {value'),
        ('- text: {path: "{{ target }}", equals: "{{ words | length }}"}', probe),
    )
    assert review(task) == []


def test_too_few_instances_are_found(tmp_path: Path) -> None:
    few = task_with(tmp_path, ("size: [4, 6]", "size: 14"), ("[100, 999]", "[100, 300]"))
    assert 120 < variety(few) < 330
    assert [finding.kind for finding in review(few)] == ["variety"]


def test_wordings_must_differ_over_the_registers(tmp_path: Path, box: Workspace) -> None:
    one = '"Replace the content of {{ target }} with {{ limit }}."'
    same = task_with(
        tmp_path,
        ('"make that {{ limit }} in {{ target }}"', one),
        ('"Could you put {{ limit }} into {{ target }} instead?"', one),
    )
    assert any("four different wordings" in f.detail for f in found_in(same, 0, box))


def test_many_tasks_are_checked_in_parallel_with_progress(tmp_path: Path, box: Workspace) -> None:
    for name in ("b", "a"):
        write_task(tmp_path, name=name)
    write_task(tmp_path, GOOD.replace("wc -l", "wc -w"), "broken")
    seen: list[tuple[str, int, int]] = []
    report = check_tasks(
        [], 1, 2, lambda row, done, total: seen.append((row.task, done, total)), folders=[tmp_path]
    )
    assert [row.task for row in report.rows] == ["file-io/a", "file-io/b", "file-io/broken"]
    assert [row.ok for row in report.rows] == [True, True, False] and not report.ok
    assert sorted(done for _, done, _ in seen) == [1, 2, 3]
    dumped = report.to_json()
    assert (dumped["tasks"], dumped["failed"], dumped["ok"]) == (3, 1, False)
    assert dumped["rows"][2]["findings"][0]["kind"] == "expert"
    assert {f.kind for f in report.findings} == {"expert", "knowledge"}  # its reply tells the right number


def test_a_sandbox_that_fails_is_tried_again_and_then_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = task_with(tmp_path)
    opened: list[str] = []

    def dying(backend: str) -> Workspace:
        opened.append(backend)
        raise WorkspaceError("the box died")

    monkeypatch.setattr(prove_module, "open_workspace", dying)
    (finding,) = prove(task, [0], "bubblewrap").findings
    assert finding.kind == "infrastructure" and "the box died" in finding.detail and len(opened) == 2


def test_tasks_are_selected_by_any_of_their_names(tmp_path: Path) -> None:
    write_task(tmp_path, name="one")
    write_task(tmp_path, name="two")
    path = write_task(tmp_path, name="three", domain="code-runtime")

    def names(*given: str) -> list[str]:
        return [task.name for task in select_tasks(given, [tmp_path])]

    assert names() == ["code-runtime/three", "file-io/one", "file-io/two"]
    assert names("one") == names("file-io/one") == ["file-io/one"]
    assert names("file-io", "two") == ["file-io/one", "file-io/two"]
    assert names(str(path)) == [load_task(path).name]
    with pytest.raises(UserError, match="Did you mean 'file-io/one'"):
        names("file-io/ome")


def test_the_command_line_tells_the_outcome(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["no-such-task"]) == 2
    assert "no task or domain is named 'no-such-task'" in capsys.readouterr().err
    finding = Finding("x/y", 3, "key", "left out")
    monkeypatch.setattr(prove_module, "_row", lambda task, *_: Row(task.name, 1, 0.1, (finding,)))
    name = next(iter(load_tasks()))
    assert main([name]) == 1
    assert "seed 3 key: left out" in capsys.readouterr().out


def test_a_task_that_can_be_handed_something_is_proved_with_it(tmp_path: Path, box: Workspace) -> None:
    good = load_task(write_task(tmp_path, TAKER, "taker"))
    assert found_in(good, 0, box) == []
    own = TAKER.replace('cmp, "{{ original.path }}"', 'cmp, "{{ root }}/{{ word }}.txt"')
    (finding,) = found_in(load_task(write_task(tmp_path, own, "own")), 0, box)
    assert finding.kind == "expert" and "when an earlier task provides its inputs" in finding.detail
