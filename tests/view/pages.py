"""What the browser tests ask of a page."""

from __future__ import annotations

import shutil
import time
from typing import Any

import pytest

pytest.importorskip("selenium", reason="the browser tests need the selenium package")
if not (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
) or not (shutil.which("chromedriver")):
    pytest.skip(
        "NOT TESTED: pages in a browser, chromium or chromedriver is missing", allow_module_level=True
    )


def wait(browser: Any, condition: str, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if browser.execute_script(f"return !!({condition})"):
            return
        time.sleep(0.02)
    raise AssertionError(f"never true in the page: {condition}")


def js(browser: Any, expression: str) -> Any:
    return browser.execute_script(f"return {expression}")


def ready(page: Any) -> None:
    wait(page, "document.documentElement.dataset.ready === 'yes'")


def settled(page: Any, condition: str) -> None:
    wait(
        page,
        "!document.querySelector('.htmx-request:not(#live), .htmx-settling, .htmx-added, .htmx-swapping') && "
        f"({condition})",
    )
