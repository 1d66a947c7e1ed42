"""Wrong answers: each form differs from the right one, matters, and is found when checks let it pass."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ise_gym.proving.mutants import asks_for_order, content_mutants, off_by_one
from ise_gym.proving.proof import Proved, prove_in, prove_seed
from ise_gym.proving.service_mutants import damaged_services
from ise_gym.services.host import ServiceHost
from ise_gym.services.spec import make_spec
from ise_gym.tasks.file import TaskSpec
from ise_gym.workspace import Workspace
from made_tasks import task_with


def forms(path: str, final: str, first: str | None = None, ordered: bool = False) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    before = None if first is None else first.encode()
    for mutant in content_mutants(path, final.encode(), before, b"another 5\n", ordered):
        assert mutant.content != final.encode()
        found.setdefault(mutant.kind, []).append(mutant.content.decode())
    return found


def test_a_text_is_damaged_only_where_the_expert_wrote() -> None:
    found = forms("notes.txt", "old 1\nnew 2\nnew 3 of v4\n", "old 1\n")
    assert found["empty"] == [""]
    assert found["unedited"] == ["old 1\n"]
    assert found["other"] == ["another 5\n"]
    assert found["figure"] == ["old 1\nnew 3\nnew 3 of v4\n", "old 1\nnew 2\nnew 4 of v4\n"]
    assert found["lost"] == ["old 1\nnew 2\n"]
    assert "swapped" not in found and "doubled" not in found


def test_order_counts_where_it_is_asked_for() -> None:
    rows = "id,n\na,1\nb,2\nc,3\nd,4\n"
    assert forms("t.csv", rows, ordered=True)["swapped"] == [
        "id,n\nb,2\na,1\nc,3\nd,4\n",
        "id,n\na,1\nb,2\nd,4\nc,3\n",
    ]
    document = json.dumps({"who": [{"id": 1}, {"id": 2}]})
    found = forms("t.json", document, ordered=True)
    assert json.loads(found["swapped"][0]) == {"who": [{"id": 2}, {"id": 1}]}
    assert json.loads(found["lost"][0]) == {"who": [{"id": 1}]}
    assert asks_for_order(["one line each, sorted by name", "names A-Z"])
    assert not asks_for_order(["count the orders", "in order to see more, count them"])


def test_programs_keep_their_code() -> None:
    assert set(forms("run", "#!/bin/bash\nexit 3\n")) == {"empty"}
    assert set(forms("x.py", "print(1)\nprint(2)\n", "old")) == {"empty", "unedited"}


def test_keys_in_another_order_are_no_wrong_answer() -> None:
    forms = content_mutants("r.json", b'{"a": "x", "b": "y"}', other=b'{"b": "y", "a": "x"}')
    assert "other" not in {mutant.kind for mutant in forms}
    forms = content_mutants("r.json", b'{"a": "x", "b": "y"}', other=b'{"b": "x", "a": "y"}')
    assert "other" in {mutant.kind for mutant in forms}


def test_bytes_that_are_no_text_are_cut() -> None:
    kinds = {mutant.kind: mutant.content for mutant in content_mutants("a.png", b"\x89PNG\xff\x00\x01\x02")}
    assert kinds == {"empty": b"", "cut": b"\x89PNG"}


@pytest.mark.parametrize(("number", "wrong"), [("9", "10"), ("0.99", "1.00"), ("08", "09"), ("12.5", "12.6")])
def test_off_by_one_keeps_the_form(number: str, wrong: str) -> None:
    assert off_by_one(number) == wrong


def survivors(task: TaskSpec, box: Workspace) -> tuple[list[str], Proved]:
    proved = Proved()
    prove_seed(task, 0, box, proved)
    assert {finding.kind for finding in proved.findings} <= {"mutant"}, proved.findings
    return [finding.detail for finding in proved.findings], proved


EQUALS = '- text: {path: "{{ target }}", equals: "{{ words | length }}"}'


def test_strict_checks_let_nothing_pass(tmp_path: Path, box: Workspace) -> None:
    found, proved = survivors(task_with(tmp_path), box)
    assert found == [] and proved.survived == 0
    assert proved.mutants >= 8


def test_loose_checks_are_found(tmp_path: Path, box: Workspace) -> None:
    loose = '- text: {path: "{{ target }}", matches: "^[0-9]+$"}'
    found, proved = survivors(task_with(tmp_path, (EQUALS, loose)), box)
    assert proved.survived == len(found) > 0
    assert all("every check holds although" in text and "count.txt has" in text for text in found)


def test_a_file_that_no_check_names_is_found(tmp_path: Path, box: Workspace) -> None:
    copied = '- command: {argv: [bash, -c, "cat {{ root }}/*.tx[t] | tail -n 1 | wc -l"], equals: "1"}'
    grown = '- command: {argv: [bash, -c, "ls {{ root }} | wc -l"], equals: "2"}'
    task = task_with(tmp_path, (EQUALS, f"{copied}\n          {grown}"))
    found, _ = survivors(task, box)
    assert any("count.txt is called count-1.txt" in text for text in found)


def test_what_earlier_requests_still_demand_counts(tmp_path: Path, box: Workspace) -> None:
    own = '- text: {path: "{{ root }}/limit", equals: "{{ limit }}"}\n          - exists: "{{ target }}"'
    changes = (
        ("    supersedes: [count]\n", ""),
        ('- text: {path: "{{ target }}", equals: "{{ limit }}"}', own),
        ('- write: {path: "{{ target }}", content: "{{ limit }}"}',
         '- exec: {command: "echo >> {{ target }}; echo {{ limit }} > {{ root }}/limit"}'),
    )  # fmt: skip
    assert not any("/count.txt is empty" in text for text in survivors(task_with(tmp_path, *changes), box)[0])
    replaced = task_with(tmp_path, *changes[1:], name="replaced")
    assert any("/count.txt is empty" in text for text in survivors(replaced, box)[0])


def test_another_instances_answer_is_tried(tmp_path: Path, box: Workspace) -> None:
    loose = '- text: {path: "{{ target }}", matches: "^[456]$"}'
    proved = prove_in(task_with(tmp_path, (EQUALS, loose)), range(3), box)
    assert any("holds what another instance asks for" in finding.detail for finding in proved.findings)


def test_later_seeds_ask_only_for_the_expert(tmp_path: Path, box: Workspace) -> None:
    task = task_with(tmp_path)
    one = prove_in(task, [0], box, thorough=1).mutants
    assert prove_in(task, range(4), box, thorough=1).mutants == one > 0
    wrong = task_with(tmp_path, ("wc -l <", "wc -w <"), name="wrong")
    found = prove_in(wrong, range(2), box, thorough=0)
    assert found.mutants == 0 and {finding.seed for finding in found.findings} == {0, 1}


def test_messages_and_appointments_are_damaged_and_put_back() -> None:
    chat = {
        "host": "chat.a.example", "me": "ann", "token": "t", "now": "2025-01-01T09:00", "users": [{"login": "ann"}],
        "channels": [{"name": "ops"}, {"name": "talk"}],
    }  # fmt: skip
    calendar = {"host": "cal.a.example", "calendars": [{"name": "team", "events": []}]}
    mail = {"domain": "mail.a.example"}
    host = ServiceHost([make_spec("chat", chat), make_spec("calendar", calendar), make_spec("mail", mail)])
    before = host.save()
    assert list(damaged_services(host, before)) == []
    assert host.mail is not None
    host.mail.accept("a@a.example", ["b@b.example", "c@c.example"], b"Subject: Sum\n\nIt is 41.\n")
    post = {"id": 1, "author": "ann", "time": "2025-01-01T09:01", "text": "7 of 9", "posted": True}
    host.sites["chat.a.example"].state["channels"]["ops"]["messages"].append(post)
    event = {"uid": "e", "summary": "Talk", "start": "2025-01-02T23:30", "end": "2025-01-03T00:30", "attendees": ["x"]}  # fmt: skip
    host.sites["cal.a.example"].state["calendars"]["team"].append(event)
    done = host.save()
    seen = {}
    for what in damaged_services(host, before):
        seen[what] = host.save()
        assert seen[what] != done
    assert host.save() == done
    title = "the message 'Sum'"
    assert set(seen) == {
        f"{title} was not sent", f"{title} was sent twice", f"{title} says 42 for 41",
        f"{title} went to somebody.else@elsewhere.example instead of b@b.example", f"{title} was not sent to c@c.example",
        "nothing was posted to ops", "the post to ops was made twice", "the post for ops went to talk",
        "the post to ops says 8 for 7", "the post to ops says 10 for 9",
        "the event 'Talk' of team is not there", "the event 'Talk' of team is an hour late",
        "the event 'Talk' of team is an hour too long", "the event 'Talk' of team is there twice",
        "the event 'Talk' of team lacks an attendee",
    }  # fmt: skip
    assert '"2025-01-03T00:30"' in seen["the event 'Talk' of team is an hour late"]


def test_true_is_not_one() -> None:
    mutants = content_mutants("a.json", b'{"n": 1, "ok": true}', other=b'{"n": true, "ok": 1}')
    assert "other" in [mutant.kind for mutant in mutants]
    same = content_mutants("a.json", b'{"n": 1, "ok": true}', other=b'{"ok": true, "n": 1}')
    assert "other" not in [mutant.kind for mutant in same]
