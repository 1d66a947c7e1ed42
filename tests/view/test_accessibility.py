"""axe finds nothing serious in any page of the viewer, nor in the report, in both themes."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from pages import js, ready, settled, wait
from report_samples import fill, sample, told

from ise_gym.trajectory.record import Trajectory
from ise_gym.view import write_report

THEMES = ("light", "dark")


def axe_core() -> Path:
    """Where axe-core lies: from npm in the checkout, or with the Python package that brings it along."""
    files = [Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"]
    if (found := find_spec("axe_selenium_python")) and found.origin:
        files += Path(found.origin).parent.glob("node_modules/axe-core/axe.min.js")
    chosen = next((file for file in [Path(os.environ.get("AXE_CORE", "")), *files] if file.is_file()), None)
    return chosen or pytest.skip("NOT TESTED: accessibility, axe-core is missing (npm install axe-core)")


def serious(page: Any) -> list[tuple[str, list[str]]]:
    """What axe holds to be serious or critical: (rule, elements)."""
    script = axe_core().read_text(encoding="utf-8")
    found = page.execute_cdp_cmd("Runtime.evaluate", {"expression": script})  # past the page's own policy
    assert "exceptionDetails" not in found
    result = page.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
    assert len(result["passes"]) > 5, "it looked at the page"
    return [
        (v["id"], [n["html"][:160] for n in v["nodes"]][:3])
        for v in result["violations"]
        if v["impact"] in ("serious", "critical")
    ]


def judged(number: int) -> Trajectory:
    """An episode that a judge read, of whose user's drafts one was refused."""
    return sample(number, turns=3).model_copy(
        update={
            "metadata": {"rubric": ["It is there", "It is right"]},
            "judged": {
                "points": [{"point": "It is there", "met": True}, {"point": "It is right", "met": False}]
            },
            "user": {
                "name": "llm:m",
                "drift": [{"turn": 2, "action": "resample", "refused": [{"text": "As an AI, I can't."}]}],
            },
        }
    )


def test_pages_of_the_viewer(tmp_path: Path, visit: Callable[..., Any]) -> None:
    a, b = fill(tmp_path / "a", [told(1), sample(2)]), fill(tmp_path / "b", [sample(1)])
    page = visit(a, b, episodes=3)
    addresses = ("/", "/?q=needle", "/?q=absent", "/?outcome=failed&has=failed",
                 "/episode?run=a&id=episode-0001&q=needle", "/runs", "/episode?run=a&id=nobody",
                 "/compare?run_a=a&run_b=b&id_a=episode-0001&id_b=episode-0001")  # fmt: skip
    for theme in THEMES:
        for address in addresses:
            page.execute_script(f"localStorage.setItem('ise-theme', '{theme}')")
            page.get(page.address + address)
            ready(page)
            assert serious(page) == [], (theme, address)


def test_pages_on_which_people_judge(tmp_path: Path, visit: Callable[..., Any]) -> None:
    page = visit(fill(tmp_path / "a", [judged(1), judged(2)]), episodes=2)
    for theme in THEMES:
        page.execute_script(f"localStorage.setItem('ise-theme', '{theme}')")
        for refused, button in (("", "yes"), ("&refused=1", "no")):
            for seed in range(20):  # until the turn has something before it
                page.get(f"{page.address}/audit?sample=9&seed={seed}{refused}")
                if "agent" in js(page, "document.querySelector('.reading').innerText"):
                    break
            ready(page)
            assert js(page, "document.querySelectorAll('.reading .agent, .to-read').length") > 1
            assert serious(page) == [], (theme, refused)
            page.execute_script(f"document.querySelector('.answers [value={button}]').click()")
            settled(
                page, f"document.querySelector('.lead').textContent.includes('{1 + (theme == 'dark')} of')"
            )
            assert serious(page) == [], (theme, refused, "once there are figures")
        for number in (1, 2):
            page.get(f"{page.address}/judge?run=a&id=episode-000{number}")
            ready(page)
            assert serious(page) == [], (theme, "judge")
            for point in range(2):
                chosen = f"document.querySelectorAll('.point')[{point}].querySelector('[value=met]')"
                page.execute_script(f"{chosen}.click()")
                settled(page, f"{chosen}.ariaPressed === 'true'")
            wait(page, "document.getElementById('points').innerText.includes('the judge: not met')")
            assert serious(page) == [], (theme, "judged")


def test_the_report(tmp_path: Path, browser: Any) -> None:
    before = fill(tmp_path / "before" / "trajectories", [sample(n, "failed") for n in range(3)])
    after = fill(tmp_path / "after" / "trajectories", [told(0), judged(1), sample(2)])
    comparison = {
        "runs": [{"label": "before", "passed": 7, "total": 64}, {"label": "b", "passed": 28, "total": 64}]
    }
    path = write_report(tmp_path / "r.html", [before, after], comparison=comparison)
    for theme in THEMES:
        browser.get("about:blank")
        browser.get(f"file://{path}")
        wait(
            browser,
            "document.documentElement.dataset.ready === 'yes' && !!document.querySelector('.turns')",
        )
        if js(browser, "document.documentElement.dataset.theme") != theme:
            browser.execute_script("document.getElementById('theme').click()")
        wait(browser, f"document.documentElement.dataset.theme === '{theme}'")
        browser.execute_script(
            "document.querySelectorAll('details').forEach((d) => { d.open = true; });"
            "document.getElementById('q').value = 'words';"
            "document.getElementById('filters').dispatchEvent(new Event('input'))"
        )
        wait(browser, "document.querySelector('mark')")
        assert serious(browser) == [], theme
        browser.execute_script("document.querySelector('.side-button').click()")
        wait(browser, "document.querySelectorAll('#episode .side').length === 2")
        assert serious(browser) == [], (theme, "side by side")
