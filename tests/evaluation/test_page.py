"""The HTML page of a run, and the tools that it names as broken."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi import FastAPI
from made_runs import make_run, trial
from pydantic import BaseModel
from typer.testing import CliRunner

from ise_gym.cli import app as cli
from ise_gym.evaluation.claweval.models.judge import parse_judge
from ise_gym.evaluation.claweval.runner import run_claweval
from ise_gym.evaluation.claweval.services.broken import broken_tools
from ise_gym.evaluation.ledger import Ledger
from ise_gym.evaluation.results import report
from ise_gym.evaluation.results.conversations import Conversations
from ise_gym.evaluation.results.page import to_html
from ise_gym.evaluation.run import LEDGER, load_run

SUITE = Path(__file__).parent / "fixture_suite"


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    run_claweval(SUITE, "explorer", folder, tasks="T902,T906", judge=parse_judge("stub:0.9"))
    return folder


def test_a_trial_is_read_back_as_it_went(run_folder: Path) -> None:
    run = load_run(run_folder)
    found = {t.task[:4]: Conversations(run).of(t) for t in run.trials.values()}
    lines = found["T906"]
    assert [(line.who, line.tool) for line in lines[:4]] == [
        ("user", ""),
        ("agent", ""),
        ("call", "pad_list"),
        ("result", "pad_list"),
    ]
    assert [line.tool for line in lines if line.failed] == ["pad_crash"]
    assert lines[-1].text.startswith("Summary of what I found")


def test_the_page_shows_what_explains_a_score(run_folder: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["eval", "report", str(run_folder), "--html", str(tmp_path / "page.html")])
    assert done.exit_code == 0, done.output
    text = (tmp_path / "page.html").read_text()
    assert "加一条笔记。" in text and "pad_crash" in text and "reasoning" in text
    assert "mean completion" in text and "0.9" in text


def test_what_a_model_said_is_text_and_not_markup(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", {"a": "fail"})
    with Ledger(folder / LEDGER) as ledger:
        ledger.append(trial("a", "fail", attempt=2, reason="<script>alert(1)</script>"))
    page = to_html([load_run(folder)])
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert "None was kept." in page and "Earlier attempts" in page


class Wanted(BaseModel):
    date: str
    days: int = 1


def service() -> FastAPI:
    made = FastAPI()

    @made.post("/events")
    def events(wanted: Wanted | None = None) -> dict[str, str]:
        return {}

    @made.get("/event/{name}")
    def event(name: str) -> dict[str, str]:
        return {}

    return made


@pytest.mark.parametrize(
    ("path", "method", "arguments", "why"),
    [
        ("/events", "POST", ["date"], ""),
        ("/events", "POST", ["start"], "422: /events needs date, which the tool has no argument for"),
        ("/events/get", "POST", [], "404: the service has no route /events/get"),
        ("/events", "GET", ["date"], "405: /events does not take GET"),
        ("/event/one", "GET", [], ""),
    ],
)
def test_tools_that_can_only_fail_are_found(path: str, method: str, arguments: list[str], why: str) -> None:
    task = SimpleNamespace(
        tools=[SimpleNamespace(name="look", input_schema={"properties": {key: {} for key in arguments}})],
        tool_endpoints=[SimpleNamespace(tool_name="look", url=f"http://localhost:9101{path}", method=method)],
    )
    made = service()
    found = broken_tools(task, lambda port: made if port == 9101 else None)
    assert [tool.why for tool in found] == ([why] if why else [])


def test_every_report_names_broken_tools(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", {"a": "", "b": ""})
    with Ledger(folder / LEDGER) as ledger:
        for task in ("a", "b"):
            note = {"broken_tool": "look", "why": "404: the service has no route /x"}
            ledger.append(trial(task, "fail", notes=[note]))
    run = load_run(folder)
    assert "| look | 404: the service has no route /x | a, b |" in report.to_markdown([run])
    assert report.to_json([run])["runs"][0]["broken_tools"][0]["tasks"] == ["a", "b"]
    assert "Tools that can only fail" in to_html([run])
    assert "broken tool look in a, b" in CliRunner().invoke(cli, ["eval", "report", str(folder)]).output
