"""The report in a real browser: it renders, filters, opens episodes, and runs nothing that was recorded."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pages import js, wait
from report_samples import EVIL, fill, sample

from ise_gym.errors import UserError
from ise_gym.view import write_report


@pytest.fixture
def visit(browser: Any) -> Callable[[Path, str], Any]:
    def go(path: Path, fragment: str = "") -> Any:
        browser.get("about:blank")
        browser.get(f"file://{path}{fragment}")
        wait(
            browser,
            "document.documentElement.dataset.ready === 'yes' && !!document.querySelector('#episode .turns')",
        )
        return browser

    return go


def test_an_episode_is_readable_and_filters_work(tmp_path: Path, visit: Callable[..., Any]) -> None:
    store = fill(tmp_path / "s", [sample(n, "failed" if n == 3 else "passed", turns=4) for n in range(8)])
    page = visit(write_report(tmp_path / "r.html", [store], title="My report"))
    assert page.title == "My report" and not page.get_log("browser")
    text = js(page, "document.getElementById('episode').innerText")
    for words in (
        "Person 0",
        "request 0: plain words",
        "exit 2",
        "exit 0",
        "reward +0.500",
        "✔" * 0 + "second",
    ):
        assert words in text, words
    assert js(page, "document.querySelectorAll('#episode .call.failed').length") == 2
    assert js(page, "document.querySelectorAll('#episode .goals .yes').length") == 2
    assert "line 59" not in text and "Show all 60 lines" in text
    page.execute_script("document.querySelector('.more').click()")
    assert "line 59 plain" in js(page, "document.getElementById('episode').innerText")

    def matching(setup: str) -> int:
        page.execute_script(
            "for (const f of document.querySelectorAll('#filters input, #filters select'))"
            " { if (f.type === 'checkbox') f.checked = false; else f.value = ''; }" + setup
        )
        page.execute_script("document.getElementById('filters').dispatchEvent(new Event('input'))")
        time.sleep(0.3)
        return int(js(page, "document.querySelectorAll('#list li button').length"))

    assert matching("") == 8
    assert matching("document.getElementById('f-outcome').value = 'failed'") == 1
    assert matching("document.getElementById('f-domain').value = 'code-runtime'") == 4
    assert matching("document.getElementById('q').value = 'INTENT 5'") == 1
    assert matching("document.getElementById('q').value = 'why plain'") == 0
    deep = (
        "document.getElementById('q').value = 'why plain'; document.getElementById('f-deep').checked = true"
    )
    assert matching(deep) == 8
    assert matching("document.getElementById('f-failed').checked = true") == 8
    assert matching("document.getElementById('q').value = 'nobody said this'") == 0
    assert "No episode fits." in js(page, "document.getElementById('list').innerText")
    matching("")
    page.execute_script(
        "const f = document.getElementById('f-outcome'); f.value = 'failed';"
        "f.dispatchEvent(new Event('change', { bubbles: true }))"
    )
    wait(page, "document.querySelectorAll('#list button').length === 1")


def test_search_marks_its_hits_and_jumps(tmp_path: Path, visit: Callable[..., Any]) -> None:
    records = [sample(n, turns=6) for n in range(3)]
    records[1].messages[7]["content"] = (
        "\n".join(f"row {n}" for n in range(90)) + "\nneedle <b>one</b> and needle two"
    )
    records[1].messages[8]["reasoning_content"] = "a third needle"
    page = visit(write_report(tmp_path / "r.html", [fill(tmp_path / "s", records)]))
    page.find_element("id", "q").send_keys("NEEDLE")
    wait(
        page,
        "document.getElementById('episode').dataset.episode === 'episode-0001' && document.querySelector('mark.at')",
    )
    assert (
        js(page, "[...document.querySelectorAll('#episode mark')].map((m) => m.textContent)")
        == ["needle"] * 3
    )
    assert js(page, "document.getElementById('hits').textContent") == "hit 1 of 3"
    place = "document.querySelector('mark.at').getBoundingClientRect()"
    wait(page, f"{place}.top > 0 && {place}.bottom < innerHeight")
    page.execute_script("document.getElementById('q').blur()")
    for at, key in ((2, "n"), (3, "n"), (2, "p")):
        page.switch_to.active_element.send_keys(key)
        assert js(page, "document.getElementById('hits').textContent") == f"hit {at} of 3"
    assert js(page, "document.querySelectorAll('#episode b').length") == 0
    page.execute_script(
        "document.getElementById('q').value = 'person 2'; document.getElementById('filters').dispatchEvent(new Event('input'))"
    )
    wait(
        page,
        "document.querySelector('#list mark') && document.querySelector('#list mark').textContent === 'Person 2'",
    )
    assert not page.get_log("browser")


def test_before_and_after_stand_side_by_side(tmp_path: Path, visit: Callable[..., Any]) -> None:
    before = fill(tmp_path / "before" / "trajectories", [sample(n, "failed") for n in range(3)])
    after = fill(tmp_path / "after" / "trajectories", [sample(n) for n in range(3)])
    page = visit(write_report(tmp_path / "r.html", [before, after]))
    assert js(page, "[...document.getElementById('f-store').options].map((o) => o.value)") == [
        "",
        "before",
        "after",
    ]
    page.execute_script("document.querySelector('.side-button').click()")
    wait(page, "document.querySelectorAll('#episode .side').length === 2")
    assert js(page, "[...document.querySelectorAll('.side-name')].map((n) => n.textContent)") == [
        "before",
        "after",
    ]
    assert js(
        page, "[...document.querySelectorAll('.side .ep-head .badge:last-child')].map((n) => n.textContent)"
    ) == ["failed", "passed"]
    page.execute_script("document.querySelector('.side .side-button').click()")
    wait(page, "!document.querySelector('#episode .side')")
    assert not page.get_log("browser")


def test_an_episode_can_be_asked_for(tmp_path: Path, visit: Callable[..., Any]) -> None:
    store = fill(tmp_path / "s", [sample(n) for n in range(40)])
    path = write_report(tmp_path / "r.html", [store], max_episodes=2, episodes=["episode-0033"])
    page = visit(path, "#episode=episode-0033")
    assert js(page, "document.getElementById('episode').dataset.episode") == "episode-0033"
    page.execute_script("location.hash = '#episode=episode-0011'")
    wait(page, "document.getElementById('episode').innerText.includes('--episode episode-0011')")
    with pytest.raises(UserError, match="no episode 'nobody'"):
        write_report(tmp_path / "x.html", [store], episodes=["nobody"])


def test_nothing_of_tables_charts_and_sections_is_lost(tmp_path: Path, visit: Callable[..., Any]) -> None:
    records = [sample(n) for n in range(4)]
    for record in records:
        record.tasks = ["system-infrastructure/a-rather-long-name-of-a-task-that-someone-gave"]
        record.domains = ["system-infrastructure", "a-domain-with-an-even-longer-name-than-that"]
    label = "a-run-with-a-very-long-name (transformers:runs/demo/model-of-a-million-parameters)"
    comparison = {
        "runs": [{"label": label, "passed": 7, "total": 64}, {"label": "b", "passed": 28, "total": 64}]
    }
    path = write_report(tmp_path / "r.html", [fill(tmp_path / "s", records)], comparison=comparison)
    try:
        for width in (1440, 768):
            page = visit(path)
            page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                 {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False})  # fmt: skip
            lost = "[...document.querySelectorAll('#figures .scroll, #evaluation .scroll')].filter((b) => b.scrollWidth > b.clientWidth + 1).length"
            assert js(page, lost) == 0, width
            outside = (
                "[...document.querySelectorAll('svg')].flatMap((s) => { const v = s.viewBox.baseVal; return [...s.querySelectorAll('text')]"
                ".filter((t) => { const b = t.getBBox(); return b.x < -0.5 || b.x + b.width > v.width + 0.5; }).map((t) => t.textContent); })"
            )
            assert js(page, outside) == [], width
        assert label in js(page, "document.querySelector('#evaluation svg').textContent")
        page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                             {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True})  # fmt: skip
        page = visit(path)
        assert js(
            page, "[...document.querySelectorAll('nav a')].every((a) => a.getClientRects().length === 1)"
        )
        assert js(page, "document.documentElement.scrollWidth <= innerWidth")
        page.execute_script("document.querySelector('nav a[href=\"#episodes\"]').click()")
        wait(page, "Math.abs(document.getElementById('episodes').getBoundingClientRect().top) < 140")
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_what_was_delegated_stands_under_its_call(tmp_path: Path, visit: Callable[..., Any]) -> None:
    made = sample(0, turns=4)
    inside = sample(1, words="delegated words")
    session = {
        "key": "main:part",
        "task": "part",
        "status": "done",
        "opened_by": ["call_0", "call_1"],  # sent to twice: it stands where it answered last
        "inherited": 1,
        "messages": inside.messages,
        "steps": [step.model_dump() for step in inside.steps],
    }
    made.sessions = [session]
    page = visit(write_report(tmp_path / "r.html", [fill(tmp_path / "s", [made, sample(2)])]))
    assert not page.get_log("browser")
    nested = "document.querySelectorAll('#episode .turn > details.session')"
    assert js(page, nested + ".length") == 1
    assert "delegated words" not in js(page, "document.getElementById('episode').innerText")
    page.execute_script(nested + "[0].open = true")
    text = js(page, nested + "[0].innerText")
    assert "Sub-session main:part · 9 messages · done" in text and "done delegated words" in text
    assert "System prompt" not in text, "what it inherited is shown once"
    page.execute_script(
        "document.getElementById('q').value = 'done delegated'; document.getElementById('f-deep').checked = true;"
        "document.getElementById('filters').dispatchEvent(new Event('input'))"
    )
    wait(page, "document.querySelectorAll('#list li').length === 1")


def test_keys_move_between_episodes_and_the_address_names_one(
    tmp_path: Path, visit: Callable[..., Any]
) -> None:
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    path = write_report(tmp_path / "r.html", [fill(tmp_path / "s", [sample(n) for n in range(5)])])
    page = visit(path, "#episode=episode-0003")
    assert js(page, "document.getElementById('episode').dataset.episode") == "episode-0003"
    page = visit(path)
    body = page.find_element(By.TAG_NAME, "body")
    body.send_keys("j")
    wait(page, "document.getElementById('episode').dataset.episode === 'episode-0001'")
    assert page.current_url.endswith("#episode=episode-0001")
    assert js(page, "document.activeElement.id") == "episode"
    page.switch_to.active_element.send_keys("k")
    wait(page, "document.getElementById('episode').dataset.episode === 'episode-0000'")
    page.switch_to.active_element.send_keys("/")
    assert js(page, "document.activeElement.id") == "q"
    page.switch_to.active_element.send_keys("Person 4")
    wait(page, "document.querySelectorAll('#list li').length === 1")
    page.switch_to.active_element.send_keys(Keys.ESCAPE)
    before = js(page, "document.documentElement.dataset.theme")
    page.execute_script("document.getElementById('theme').click()")
    assert js(page, "document.documentElement.dataset.theme") != before


def test_hostile_transcripts_run_nothing(tmp_path: Path, visit: Callable[..., Any]) -> None:
    store = fill(tmp_path / "s", [sample(1, words=EVIL, turns=3)])
    page = visit(write_report(tmp_path / "r.html", [store], title="calm"))
    time.sleep(0.3)
    assert page.title == "calm"
    assert js(page, "document.querySelectorAll('img, #episode script, #episode b').length") == 0
    assert "onerror=" in js(page, "document.getElementById('episode').textContent")
    assert not page.get_log("browser")
    page.execute_script(
        "const s = document.createElement('script'); s.textContent = 'document.title = 1'; document.body.append(s)"
    )
    assert page.title == "calm", "the policy let a foreign script run"
    assert any("Content Security Policy" in entry["message"] for entry in page.get_log("browser"))


def test_300_long_episodes_open_fast(tmp_path: Path, visit: Callable[..., Any]) -> None:
    store = fill(tmp_path / "s", [sample(n, words=f"words {n} " * 4, turns=25) for n in range(300)])
    path = write_report(tmp_path / "r.html", [store])
    assert path.stat().st_size < 6_000_000
    began = time.monotonic()
    page = visit(path)
    loaded = time.monotonic() - began
    page.execute_script(
        "window.t0 = performance.now(); document.querySelector('#list button[data-n=\"250\"]').click()"
    )
    wait(page, "document.getElementById('episode').dataset.episode === 'episode-0250'")
    opened = js(page, "performance.now() - window.t0")
    assert js(page, "document.querySelectorAll('#list li').length") == 300
    assert js(page, "document.querySelectorAll('#episode .turn').length") == 76
    assert loaded < 8 and opened < 2000


def test_no_sideways_scrolling_on_a_phone(tmp_path: Path, visit: Callable[..., Any]) -> None:
    store = fill(tmp_path / "s", [sample(1, words="verylongword" * 40, turns=2)])
    path = write_report(tmp_path / "r.html", [store], title="A long title " * 6)
    page = visit(path)
    page.set_window_size(500, 900)
    try:
        wait(page, "innerWidth <= 500")
        assert js(page, "document.documentElement.scrollWidth <= innerWidth")
    finally:
        page.set_window_size(1400, 1000)
