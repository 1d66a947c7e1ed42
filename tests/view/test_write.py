from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_samples import EVIL, fill, sample

from ise_gym.errors import UserError
from ise_gym.view import Comparison, PassRate, charts, write_report
from ise_gym.view.episodes import choose

LOG = [{"step": 10, "loss": 2.0, "epoch": 0.1}, {"step": 20, "loss": 1.0}, {"step": 20, "eval_loss": 1.5}]


class Page(HTMLParser):
    """Collects tags and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[int, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] in ("script", "style", "title", "h1"):
            key = len(self.tags) - 1
            self.texts[key] = self.texts.get(key, "") + data

    def of(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [(a, self.texts.get(n, "")) for n, (t, a) in enumerate(self.tags) if t == tag]


def test_the_page_needs_nothing_else_and_allows_nothing_else(tmp_path: Path) -> None:
    store = fill(tmp_path / "s", [sample(n) for n in range(3)])
    text = write_report(tmp_path / "deep" / "r.html", [store], title="T", training=LOG).read_text()
    page = Page(text)
    for tag, attrs in page.tags:
        assert tag not in ("link", "img", "iframe", "object", "base")
        assert not {"src", "style"} & attrs.keys() and not any(name.startswith("on") for name in attrs)
        assert attrs.get("href", "#").startswith("#")  # type: ignore[union-attr]
    assert "innerHTML" not in text and "http://" not in text and "https://" not in text
    policy = next(a["content"] for a, _ in page.of("meta") if a.get("http-equiv"))
    assert policy
    for kind in ("script", "style"):
        content = text.rsplit(f"<{kind}>", 1)[1].split(f"</{kind}>", 1)[0]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert sorted(p.name for p in (tmp_path / "deep").iterdir()) == ["r.html"]


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    store = fill(
        tmp_path / EVIL[:8].replace("/", "_"), [sample(1, words=EVIL), sample(2, "failed", words=EVIL)]
    )
    comparison = Comparison(title=EVIL, runs=[PassRate(label=EVIL, passed=1, total=2)], note=EVIL)
    training = [{"step": 1, EVIL: 0.5}, {"step": 2, "loss": float("nan")}, {"step": 3, "loss": 1.0}]
    text = write_report(
        tmp_path / "r.html", [store], title=EVIL, comparison=comparison, training=training
    ).read_text()
    page = Page(text)
    scripts = page.of("script")
    assert len(scripts) == 2 + 2  # data, one an episode, the page's own
    assert not page.of("img") and all("bold" not in t for _, t in page.of("b"))
    assert page.of("h1")[0][1].startswith("</script><script>document.title")
    lines = json.loads(next(t for a, t in scripts if a.get("id") == "data"))
    assert lines[0]["intent"] == f"Intent 1: {EVIL}"
    packed = json.loads(gzip.decompress(base64.b64decode(next(t for a, t in scripts if a.get("id") == "e0"))))
    assert packed["messages"][1]["content"] == f"request 0: {EVIL}"
    assert "{{ 7*7 }}" in text and "49" not in page.of("h1")[0][1]


def test_figures_training_and_comparison_are_shown(tmp_path: Path) -> None:
    stores = [
        fill(tmp_path / "before", [sample(n, "failed") for n in range(4)]),
        fill(tmp_path / "after", [sample(n) for n in range(4)] + [sample(9, "infrastructure_error")]),
    ]
    comparison = {
        "runs": [{"label": "a", "passed": 43, "total": 114}],
        "p_value": 0.0123,
        "gained": 7,
        "lost": 2,
    }
    text = write_report(tmp_path / "r.html", stores, comparison=comparison, training=LOG).read_text()
    plain = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))
    for words in (
        "68.24",
        "91.1 %",
        "37.7 %",
        "[29.4 %, 46.9 %]",
        "p = 0.0123",
        "7 tasks gained, 2 lost",
        "before",
    ):
        assert words in plain, words
    assert "and 1 broken by the infrastructure" in plain
    assert text.count('class="store"') == 2 and "held-out loss from 1.5 to 1.5" in text


def test_an_empty_store_and_no_store_make_a_page(tmp_path: Path) -> None:
    store = fill(tmp_path / "s", [])
    assert "all 0" in write_report(tmp_path / "r.html", [store]).read_text()
    assert write_report(tmp_path / "r2.html", []).exists()


def test_many_episodes_are_chosen_evenly_and_said(tmp_path: Path) -> None:
    store = fill(tmp_path / "s", [sample(n, "failed" if n % 10 == 0 else "passed") for n in range(60)])
    text = write_report(tmp_path / "r.html", [store], max_episodes=10).read_text()
    assert "10 of 60" in text
    lines = json.loads(next(t for a, t in Page(text).of("script") if a.get("id") == "data"))
    assert [line["outcome"] for line in lines].count("failed") == 5
    assert choose(["passed"] * 3 + ["failed"] * 20, 10) == [0, 1, 2, 3, 5, 8, 11, 14, 17, 20]


def test_equal_stores_give_equal_bytes(tmp_path: Path) -> None:
    store = fill(tmp_path / "s", [sample(n) for n in range(3)])
    assert (
        write_report(tmp_path / "a", [store]).read_bytes()
        == write_report(tmp_path / "b", [store]).read_bytes()
    )


def test_what_can_not_be_reported_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a trajectory store"):
        write_report(tmp_path / "r.html", [tmp_path])
    store = fill(tmp_path / "s", [sample(1)])
    with pytest.raises(UserError, match=r"comparison: runs\.0: Value error, 5 passed of 2"):
        write_report(
            tmp_path / "r.html", [store], comparison={"runs": [{"label": "x", "passed": 5, "total": 2}]}
        )
    with pytest.raises(UserError, match="can't be written"):
        write_report(store / "manifest.json" / "r.html", [store])


def test_charts_survive_odd_data() -> None:
    assert charts.histogram({}, "x") == ""
    assert "<title>5: 3</title>" in charts.histogram({"5": 3}, "x", marker=2.5, marker_label="<b>")
    wide = charts.histogram({str(n): 1 for n in range(0, 1000, 7)}, "x")
    assert wide.count("<rect") <= charts.BINS + 1
    assert charts.curves({"a": [(0, float("inf"))]}, "step") == ""
    assert "polyline" in charts.curves({"a": [(1, 0.0)]}, "step")
    assert charts.nice_ticks(0, 0) == [0.0, 0.25, 0.5, 0.75, 1.0]
