"""The viewer in a real browser, over a real server: everything that a reader does, and what must not happen."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pages import js, ready, settled, wait
from report_samples import EVIL, fill, sample, told

from ise_gym.trajectory.record import FileChanges, Finding, GuardEvent
from ise_gym.trajectory.store import TrajectoryStore

pytest.importorskip("uvicorn", reason="the viewer needs uvicorn")


def keys(page: Any, text: str) -> None:
    page.switch_to.active_element.send_keys(text)


def ids(page: Any) -> list[str]:
    found: list[str] = js(page, "[...document.querySelectorAll('tr.line')].map((r) => r.dataset.id)")
    return found


def quiet(page: Any) -> None:
    assert [entry for entry in page.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []


def test_open_filter_search_and_jump(tmp_path: Path, visit: Callable[..., Any]) -> None:
    store = fill(
        tmp_path / "s", [*(sample(n, "failed" if n % 4 == 0 else "passed") for n in range(12)), told(99)]
    )
    page = visit(store, episodes=13)
    assert js(page, "document.querySelector('.share').getAttribute('aria-label')") == "passed 9, failed 4"
    page.execute_script("document.querySelector('input[name=outcome][value=failed]').click()")
    settled(page, "document.querySelectorAll('tr.line').length === 4")
    assert page.current_url.endswith("?outcome=failed")
    assert js(page, "document.querySelector('.facet[data-keep=facet-outcome] .badge-n').textContent") == "1"
    page.find_element("id", "q").send_keys("needl")
    settled(page, "document.querySelectorAll('tr.line').length === 1")
    assert js(page, "[...document.querySelectorAll('.hit mark')].map((m) => m.textContent)") == [
        "needle",
        "needle",
    ]
    assert "2 of 2" not in js(page, "document.body.innerText")
    page.execute_script("document.querySelectorAll('.hit')[1].click()")
    ready(page)
    wait(page, "location.pathname === '/episode'")
    assert js(page, "location.hash") == "#m12"
    assert js(page, "document.querySelector('mark.at').closest('.moment').id") == "m12"
    assert js(page, "document.getElementById('hit-at').textContent") == "2 of 2"
    keys(page, "n")  # round to the first one
    assert js(page, "document.querySelector('mark.at').closest('.moment').id") == "m2"
    assert js(page, "document.getElementById('hit-at').textContent") == "1 of 2"
    page.get(f"{page.address}/?q=absent+words")
    ready(page)
    assert "No episode fits." in js(page, "document.getElementById('found').innerText")
    quiet(page)


def test_words_columns_phrases_and_exclusions(tmp_path: Path, visit: Callable[..., Any]) -> None:
    records = [
        sample(n, words=words) for n, words in enumerate(("red apple", "apple red", "größe matters", "green"))
    ]
    page = visit(fill(tmp_path / "s", records), episodes=4)

    def found(query: str) -> list[str]:
        page.execute_script(f"location.href = '/?sort=old&q=' + encodeURIComponent({json.dumps(query)})")
        time.sleep(0.1)
        wait(page, f"new URLSearchParams(location.search).get('q') === {json.dumps(query)}")
        ready(page)
        return [name[-1] for name in ids(page)]

    assert found("apple") == ["0", "1"]
    assert found('"red apple"') == ["0"] or found('"red apple"') == ["0", "1"]
    assert found("GROSSE") == [] and found("grö") == ["2"] and found("gro") == ["2"]
    assert found("-apple") == ["2", "3"]
    assert found("green OR größe") == ["2", "3"]
    assert found("thought:green") == ["3"] and found("about:nobody") == []
    assert found('") OR words MATCH ("') == [] and found("*") == ["0", "1", "2", "3"]
    quiet(page)


def test_an_episode_tells_everything(tmp_path: Path, visit: Callable[..., Any]) -> None:
    page = visit(fill(tmp_path / "s", [told(1)]), episodes=1)
    page.get(js(page, "document.querySelector('a.open').href"))
    ready(page)
    text = js(page, "document.body.innerText")
    for words in ("Person 1", "Intent 1", "Write the report", "Check it", "exit 2", "exit 0", "expected", "a report",
                  "now holds task/one", "holds no more task/one", "refused a draft: assistant_voice", "3 files"[:1]):  # fmt: skip
        assert words in text, words
    assert js(page, "[...document.querySelectorAll('.wish')].map((w) => w.className)") == [
        "wish unsettled",
        "wish settled",
    ]
    assert js(page, "document.querySelectorAll('.strip .tick.bad').length") == 2
    assert "row 150" not in text
    page.execute_script("document.querySelector('.more').click()")
    wait(page, "document.querySelector('#m2 .out pre').textContent.includes('row 199')")
    wait(page, "!document.querySelector('#m2 .more')")
    # the files as they were after the first step, then after the one that changed and deleted
    page.execute_script(
        "htmx.ajax('GET', document.getElementById('files').dataset.address + '&at=2', {target: '#files', swap: 'outerHTML'})"
    )
    settled(page, "document.getElementById('files').dataset.at === '2'")
    states = "Object.fromEntries([...document.querySelectorAll('.file')].map((f) => [f.firstChild.textContent.trim(), f.className]))"
    assert js(page, states) == {"in.csv": "file  ", "report.md": "file new now"} or js(page, states)[
        "report.md"
    ].split() == ["file", "new", "now"]
    page.execute_script(
        "document.querySelector('.stepper [aria-label=\"Files after the next change\"]').click()"
    )
    settled(page, "document.querySelector('.file.gone.now')")
    page.execute_script(
        "[...document.querySelectorAll('.file')].find((f) => f.textContent.includes('report.md')).click()"
    )
    wait(page, "document.querySelector('#file .diff .add')")
    assert js(page, "document.querySelector('#file .diff .add').textContent.trim()") == "+first"
    raw = js(page, "document.getElementById('raw').href")
    page.get(raw)
    assert json.loads(js(page, "document.body.innerText"))["episode_id"] == "episode-0001"
    quiet(page)


def test_keyboard_and_deep_link(tmp_path: Path, visit: Callable[..., Any]) -> None:
    page = visit(fill(tmp_path / "s", [*(sample(n) for n in range(4)), told(7)]), episodes=5)
    keys(page, "j")
    keys(page, "j")
    assert js(page, "document.querySelector('tr.chosen').dataset.id") == "episode-0003"
    keys(page, "k")
    keys(page, "\n")
    wait(page, "location.pathname === '/episode'")
    ready(page)
    assert js(page, "document.getElementById('main').dataset.id") == "episode-0007"
    keys(page, "f")
    assert js(page, "document.activeElement.id") == "m2" and js(page, "location.hash") == "#m2"
    keys(page, "u")
    assert js(page, "document.activeElement.id") == "m5"
    keys(page, "g")
    assert js(page, "document.activeElement.id") == "m6"
    keys(page, "U")
    assert js(page, "document.activeElement.id") == "m5"
    keys(page, "r")
    assert js(page, "[...document.querySelectorAll('details.thought')].every((d) => d.open)")
    before = js(page, "document.documentElement.dataset.theme")
    keys(page, "t")
    assert js(page, "document.documentElement.dataset.theme") != before
    keys(page, "?")
    assert js(page, "document.getElementById('help').open")
    page.execute_script("document.getElementById('help').close()")
    keys(page, "j")
    wait(page, "document.getElementById('main').dataset.id === 'episode-0003'")
    ready(page)
    page.get(f"{page.address}/episode?run=s&id=episode-0007#m5")
    ready(page)
    wait(page, "document.querySelector('.moment.here')")
    assert js(page, "document.querySelector('.moment.here').id") == "m5"
    top = js(page, "document.getElementById('m5').getBoundingClientRect().top")
    assert 0 < top < 400 or js(page, "innerHeight + scrollY >= document.body.scrollHeight - 2")
    page.switch_to.active_element.send_keys("\ue00c")
    wait(page, "location.pathname === '/'")
    page.get(f"{page.address}/episode?run=s&id=nobody")
    assert "has no episode “nobody”" in js(page, "document.body.innerText")


def test_before_and_after_side_by_side(tmp_path: Path, visit: Callable[..., Any]) -> None:
    before = fill(tmp_path / "before", [sample(n, "failed") for n in range(4)])
    after = fill(tmp_path / "after", [sample(n, "passed" if n < 3 else "failed", turns=3) for n in range(4)])
    page = visit(before, after, episodes=8)
    page.get(f"{page.address}/runs?a=before&b=after")
    lead = js(page, "document.querySelector('.lead').innerText")
    assert (
        "4 episodes of the same intents" in lead
        and "0 → 3" in lead
        and "3 gained, 0 lost" in lead
        and "p = 0.25" in lead
    )
    page.get(js(page, "document.querySelector('.pairs a.open').href"))
    ready(page)
    assert js(page, "[...document.querySelectorAll('.heads .pill')].map((p) => p.textContent)") == [
        "failed",
        "passed",
    ]
    assert js(page, "document.querySelectorAll('.goal-table .differs').length") == 1
    assert "no such turn here" in js(page, "document.body.innerText")
    tops = "[...document.querySelectorAll('section.sides')].slice(0, 2).map((s) => [...s.querySelectorAll('.moment.user')].map((m) => Math.round(m.getBoundingClientRect().top)))"
    assert all(a == b for a, b in js(page, tops)), "the same turn stands at the same height"
    assert js(
        page,
        "new Set([...document.querySelectorAll('[id]')].map((n) => n.id)).size === document.querySelectorAll('[id]').length",
    )
    page.get(f"{page.address}/?sort=intent")
    ready(page)
    page.execute_script("[...document.querySelectorAll('.pick')].slice(0, 2).forEach((p) => p.click())")
    page.execute_script("document.getElementById('picked-go').click()")
    wait(page, "location.pathname === '/compare'")
    quiet(page)


def test_labels_are_written_beside_the_store(tmp_path: Path, visit: Callable[..., Any]) -> None:
    store = fill(tmp_path / "s", [sample(n) for n in range(3)])
    page = visit(store, episodes=3)
    page.get(f"{page.address}/episode?run=s&id=episode-0001")
    ready(page)
    page.execute_script("location.hash = '#m2'")
    wait(page, "document.getElementById('label-about').textContent === 'on message 2'")
    page.find_element("id", "label").send_keys("reward hack")
    page.find_element("id", "note").send_keys("it <b>cheats</b>\nhere")
    page.execute_script("document.querySelector('.label-form .primary').click()")
    wait(page, "document.querySelector('.notes .tag.label')")
    (line,) = [json.loads(line) for line in (store / "labels.jsonl").read_text().splitlines()]
    assert {k: line[k] for k in ("episode", "message", "label", "note", "by")} == {
        "episode": "episode-0001", "message": 2, "label": "reward hack", "note": "it <b>cheats</b>\nhere", "by": "tester",
    }  # fmt: skip
    assert js(page, "document.querySelectorAll('.notes b').length") == 0
    page.get(f"{page.address}/?label=reward+hack")
    assert ids(page) == ["episode-0001"]
    page.get(f"{page.address}/episode?run=s&id=episode-0001")
    ready(page)
    page.execute_script("document.querySelector('.notes .bare').click()")
    wait(page, "document.querySelector('.notes').innerText.includes('None yet')")
    assert len((store / "labels.jsonl").read_text().splitlines()) == 2
    quiet(page)


def test_a_run_is_followed_while_it_is_recorded(tmp_path: Path, visit: Callable[..., Any]) -> None:
    store = fill(tmp_path / "s", [sample(0)])
    page = visit(store, episodes=1)
    with TrajectoryStore(store) as writer:
        for number in range(1, 4):
            writer.append(sample(number))
            wait(page, f"document.querySelectorAll('tr.line').length === {number + 1}")
        assert ids(page)[0] == "episode-0003", "the newest stands first"
        wait(page, "document.querySelector('.live-pill')")
    assert "recording s" in js(page, "document.getElementById('live').innerText")
    quiet(page)


def test_hostile_content_is_inert(tmp_path: Path, visit: Callable[..., Any]) -> None:
    record = told(5)
    evil = sample(5, "failed", words=EVIL)
    evil.guard_events = [GuardEvent(message=3, detector=EVIL, words=EVIL, said=EVIL)]
    evil.findings = [Finding(subgoal="second", expected=EVIL, found=EVIL)]
    evil.steps[0].files = FileChanges(created=[EVIL, 'x" hx-get="/labels'], diffs={EVIL: f"+{EVIL}"})
    evil.steps[0].flipped = {EVIL: True}
    evil.scenario, evil.judged = record.scenario, {"points": [{"point": EVIL, "met": True}]}
    evil.episode_id = 'e"><img src=x onerror=alert(1)>'
    other = evil.model_copy(update={"episode_id": "javascript:alert(1)//"})
    page = visit(fill(tmp_path / "s", [evil, other]), episodes=2, title=EVIL)
    addresses = [js(page, "document.querySelector('a.open').href"), f"{page.address}/audit", f"{page.address}/judge",
                 js(page, "[...document.querySelectorAll('a.open')][1].href"), f"{page.address}/?q=onerror"]  # fmt: skip
    compare = f"{page.address}/compare?run_a=s&run_b=s&id_b=javascript%3Aalert(1)%2F%2F&id_a="
    addresses.append(
        compare + js(page, "encodeURIComponent(document.querySelectorAll('tr.line')[1].dataset.id)")
    )
    for address in addresses:
        page.get(address)
        ready(page)
        assert "onerror=" in js(page, "document.body.textContent"), address
        assert (
            js(
                page,
                "document.querySelectorAll('img, main script, .talk b:not(.goal-event b):not(.guard b)').length",
            )
            == 0
        )
        assert js(
            page,
            "[...document.querySelectorAll('main a')].every((a) => /^[/#]/.test(a.getAttribute('href')))",
        )
        assert js(
            page,
            "![...document.querySelectorAll('*')].some((n) => [...n.attributes].some((a) => a.name.startsWith('on')))",
        )
        assert "pwned" not in page.title or "<" in page.title
    page.execute_script(
        "const s = document.createElement('script'); s.textContent = 'document.title = 1'; document.body.append(s)"
    )
    assert page.title != "1"
    logged = page.get_log("browser")
    assert [e for e in logged if "Content Security Policy" not in e["message"]] == []


def test_no_sideways_scrolling(tmp_path: Path, visit: Callable[..., Any]) -> None:
    long = told(1, intent="verylongword" * 60)
    long.messages[1]["content"] = "wide" * 400
    a, b = fill(tmp_path / "a", [long]), fill(tmp_path / "b", [told(1)])
    page = visit(a, b, episodes=2, title="A long title " * 6)
    compare = f"{page.address}/compare?run_a=a&run_b=b&id_a=episode-0001&id_b=episode-0001"
    try:
        for width in (390, 768, 1440):
            page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                 {"width": width, "height": 850, "deviceScaleFactor": 1, "mobile": width < 500})  # fmt: skip
            for address in (
                "/",
                "/episode?run=a&id=episode-0001",
                "/runs",
                "/audit",
                compare.removeprefix(page.address),
            ):
                page.get(page.address + address)
                ready(page)
                assert js(page, "document.documentElement.scrollWidth <= innerWidth"), (width, address)
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
