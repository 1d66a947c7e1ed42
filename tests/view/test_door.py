"""Who gets into the viewer, and who may write: no other site, no other name, nobody without the token."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from report_samples import fill, sample

pytest.importorskip("starlette")
pytest.importorskip("httpx")

from starlette.testclient import TestClient

from ise_gym.trajectory.select.audit import read_answers
from ise_gym.view.app.server import make_app
from ise_gym.view.index.build import update
from ise_gym.view.library import Library

BASE = "http://127.0.0.1:8760"
OURS = {"Origin": BASE, "HX-Request": "true"}
FORM = {"run": "s", "id": "episode-0000", "label": "good"}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    judged = sample(1, "judged_passed").model_copy(
        update={"judged": {"points": [{"point": "second", "met": True}]}, "subgoals": {"second": True}}
    )
    return fill(tmp_path / "s", [sample(0), judged])


@pytest.fixture
def client(store: Path) -> Iterator[TestClient]:
    library = Library([store])
    update(store, library.runs[0].index, processes=1)
    with TestClient(make_app(library, "secret", by="me", follow=False), base_url=BASE) as made:
        made.get("/?token=secret")
        yield made


def test_the_token_lets_in_once_and_leaves_the_address(client: TestClient) -> None:
    answer = client.get("/?token=secret&q=a", follow_redirects=False)
    assert answer.status_code == 303 and answer.headers["location"] == "/?q=a"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie
    client.cookies.clear()
    assert client.get("/").status_code == 403 and client.get("/raw?run=s&id=episode-0000").status_code == 403
    assert (
        client.get("/?token=wrong").status_code == 403 and client.get("/static/view.css").status_code == 403
    )


def test_other_names_of_this_machine_are_refused(client: TestClient) -> None:
    assert client.get("/").status_code == 200
    for host in ("evil.example:8760", "127.0.0.1.evil.example", "", "[::2]:8760"):
        assert client.get("/", headers={"Host": host}).status_code == 421, host
    assert (
        client.get("/", headers={"Host": "evil.example", "X-Forwarded-Host": "127.0.0.1"}).status_code == 421
    )


def test_only_our_own_pages_write(client: TestClient, store: Path) -> None:
    for headers in (
        {},
        {"HX-Request": "true"},
        {"Origin": BASE},
        {**OURS, "Origin": "http://evil.example"},
        {**OURS, "Origin": "null"},
        {**OURS, "Origin": "http://127.0.0.1:9999"},
    ):
        assert client.post("/labels", data=FORM, headers=headers).status_code == 403, headers
    assert client.post("/labels", data={**FORM, "note": "x" * 70_000}, headers=OURS).status_code == 413
    assert client.request("DELETE", "/labels", headers=OURS).status_code == 405
    assert not (store / "labels.jsonl").exists()
    assert client.post("/labels", data=FORM, headers=OURS).status_code == 200
    assert json.loads((store / "labels.jsonl").read_text())["by"] == "me"


def test_reading_alone_writes_nothing(store: Path) -> None:
    with TestClient(
        make_app(Library([store]), "secret", labels=False, follow=False), base_url=BASE
    ) as client:
        client.get("/?token=secret")
        assert client.post("/labels", data=FORM, headers=OURS).status_code == 403
    assert not (store / "labels.jsonl").exists()


def test_every_answer_carries_the_policy(client: TestClient) -> None:
    for path in ("/", "/episode?run=s&id=episode-0000", "/raw?run=s&id=episode-0000", "/static/view.js", "/nowhere",
                 "/episode?run=s&id=nobody"):  # fmt: skip
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert (
            "unsafe" not in policy and "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        )
        assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"], path
    assert "onclick" not in client.get("/").text and "<style" not in client.get("/").text


def test_nothing_of_an_address_reads_other_files(client: TestClient) -> None:
    for path in ("/static/../server.py", "/static/%2e%2e/server.py", "/raw?run=..&id=x", "/file?run=s&id=../../etc/passwd",
                 "/text?run=s&id=episode-0000&m=99", "/text?run=s&id=episode-0000&m=-1", "/rows?from=-5"):  # fmt: skip
        assert client.get(path).status_code in (200, 404), path
        assert "def " not in client.get(path).text and "root:" not in client.get(path).text


def test_answers_of_an_audit_are_those_of_the_command(client: TestClient, store: Path) -> None:
    page = client.get("/audit?run=s&sample=4&seed=3").text
    key = page.split('name="turn" value="')[1].split('"')[0]
    form = {
        "run": "s",
        "sample": "4",
        "seed": "3",
        "turn": key,
        "answer": "no",
        "why": "asks like an assistant",
    }
    answer = client.post("/audit", data=form, headers=OURS)
    assert "1 of 4 read" in answer.text and "1 of 1" in answer.text
    assert read_answers(store / "audit.jsonl") == {key: False}
    line = json.loads((store / "audit.jsonl").read_text())
    assert line["why"] == "asks like an assistant" and line["speaker"] == "scripted"
    assert client.post("/audit", data={**form, "turn": "made up"}, headers=OURS).status_code == 404


def test_a_judge_is_hidden_until_a_person_has_spoken(client: TestClient, store: Path) -> None:
    assert "the judge:" not in client.get("/judge?run=s").text
    form = {"run": "s", "id": "episode-0001", "point": "second", "verdict": "not met"}
    answer = client.post("/judge", data=form, headers=OURS).text
    assert "the judge: met" in answer and "0 of 1 = 0.0 %" in answer
    (line,) = (store / "judge-labels.jsonl").read_text().splitlines()
    assert json.loads(line)["met"] is False
