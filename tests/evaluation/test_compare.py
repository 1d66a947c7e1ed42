"""Comparisons and reports on runs whose truth is known."""

import csv
import io
import json
from pathlib import Path

import pytest
from made_runs import make_run
from rich.console import Console

from ise_gym.errors import UserError
from ise_gym.evaluation.results import report
from ise_gym.evaluation.results.compare import Comparison, compare
from ise_gym.evaluation.results.summary import summarise
from ise_gym.evaluation.results.tables import comparison_view
from ise_gym.evaluation.run import load_run

TASKS = [f"T{n:03d}" for n in range(114)]


def paper_run(path: Path, passes: int, offset: int = 0) -> Path:
    chosen = {TASKS[(offset + i) % 114] for i in range(passes)}
    return make_run(path, {task: "pass" if task in chosen else "fail" for task in TASKS})


def rendered(comparison: Comparison) -> str:
    console = Console(width=240, file=io.StringIO(), record=True)
    console.print(comparison_view(comparison))
    return console.export_text()


def test_the_papers_counts_give_the_papers_percentages_with_their_intervals(tmp_path: Path) -> None:
    counts = {"base": 22, "gpt-4o": 29, "single-turn": 32, "qwen3-32b": 35, "sft": 43}
    runs = [paper_run(tmp_path / name, passed) for name, passed in counts.items()]
    comparison = compare(*runs)
    assert [round(100 * side.common.value, 1) for side in comparison.sides] == [19.3, 25.4, 28.1, 30.7, 37.7]
    assert [round(100 * end, 1) for end in comparison.sides[-1].common.interval] == [29.2, 47.1]
    text = rendered(comparison)
    assert "43/114 = 37.7 %" in text and "[29.2, 47.1]" in text
    assert "Holm-adjusted" in text


def test_disagreement_decides_not_the_two_rates(tmp_path: Path) -> None:
    """The same 35 and 43 passes: nested they differ significantly, scattered they do not."""
    base = paper_run(tmp_path / "base", 35)
    nested = paper_run(tmp_path / "nested", 43)
    scattered = paper_run(tmp_path / "scattered", 43, offset=20)
    near = compare(base, nested).pairs[0]
    assert (near.better, near.worse, near.equal) == (8, 0, 106)
    assert near.p == pytest.approx(2 / 2**8)
    assert near.verdict == "better"
    far = compare(base, scattered).pairs[0]
    assert (far.better, far.worse) == (28, 20)
    assert far.verdict == "not significant"
    assert far.difference.mean == near.difference.mean == pytest.approx(8 / 114)
    assert far.difference.low < 0 < far.difference.high
    assert far.detectable is not None and far.detectable > 8 / 114
    assert "not significant" in rendered(compare(base, scattered))


def test_errors_leave_the_common_set_and_are_stated(tmp_path: Path) -> None:
    a = make_run(
        tmp_path / "a", {"1": "pass", "2": "pass", "3": "fail", "4": "infrastructure_error", "5": "pass"}
    )
    b = make_run(tmp_path / "b", {"1": "pass", "2": "fail", "3": "judge_error", "4": "pass", "5": ""})
    found = compare(a, b)
    assert found.common == ["1", "2"]
    assert found.sides[0].missing == {"4": "infrastructure_error"}
    assert found.sides[1].missing == {"3": "judge_error", "5": "not played"}
    assert found.sides[0].common.value == 1.0 and found.sides[1].common.value == 0.5
    assert found.sides[0].fixed.value == 3 / 5 and found.sides[1].fixed.value == 2 / 5
    text = rendered(found)
    assert "a is not complete: 1 trials ended in an error and 0 were not played" in text
    assert "b is not complete: 1 trials ended in an error and 1 were not played" in text


def test_a_timeout_is_a_verdict(tmp_path: Path) -> None:
    a = make_run(tmp_path / "a", {"1": "timeout", "2": "pass"})
    summary = summarise(load_run(a))
    assert summary.rate.value == 0.5
    assert summary.outcomes["timeout"] == 1
    assert summary.complete


def test_nothing_in_common(tmp_path: Path) -> None:
    a = make_run(tmp_path / "a", {"1": "pass", "2": ""})
    b = make_run(tmp_path / "b", {"1": "", "2": "pass"})
    found = compare(a, b)
    assert found.common == [] and found.pairs == []
    assert "nothing can be compared" in rendered(found)


def test_runs_that_mean_different_things_are_refused(tmp_path: Path) -> None:
    a = make_run(tmp_path / "a", {"1": "pass"})
    for name, changes, message in [
        ("suite", {"suite": "other"}, "suites are 'made' and 'other'"),
        ("protocol", {"protocol": "env"}, "protocols are 'builtin' and 'env'"),
        ("version", {"suite_sha256": "1" * 64}, "different versions"),
    ]:
        other = make_run(tmp_path / name, {"1": "pass"}, **changes)
        with pytest.raises(UserError, match=message):
            compare(a, other)
    with pytest.raises(UserError, match="at least two"):
        compare(a)


def test_other_options_and_task_lists_are_warned_of(tmp_path: Path) -> None:
    a = make_run(tmp_path / "a", {"1": "pass", "2": "pass"}, options={"user": "scripted"})
    b = make_run(tmp_path / "b", {"1": "pass"}, options={"user": "naive"})
    text = "\n".join(compare(a, b).warnings)
    assert "user='naive'" in text and "another task list" in text


def test_several_trials_are_clustered_by_task(tmp_path: Path) -> None:
    a = make_run(tmp_path / "a", {"1": ["fail"] * 4, "2": ["pass", "fail", "fail", "fail"]}, trials=4)
    b = make_run(tmp_path / "b", {"1": ["pass"] * 4, "2": ["pass", "fail", "fail", "fail"]}, trials=4)
    found = compare(a, b)
    assert (found.pairs[0].better, found.pairs[0].worse, found.pairs[0].equal) == (1, 0, 1)
    assert found.pairs[0].difference.mean == 0.5
    assert found.pairs[0].p == 1.0
    assert found.sides[0].common.method == "Wilson over tasks"
    summary = summarise(load_run(b))
    assert summary.at_k["pass@4"] == 1.0
    assert summary.at_k["pass^4 (unbiased)"] == 0.5
    assert summary.at_k["pass^2 (power)"] == pytest.approx((1 + 1 / 16) / 2)


def test_equal_folder_names_stay_apart(tmp_path: Path) -> None:
    a = make_run(tmp_path / "x" / "run", {"1": "pass"})
    b = make_run(tmp_path / "y" / "run", {"1": "fail"})
    assert len({side.name for side in compare(a, b).sides}) == 2


def test_json_is_json_and_says_the_same(tmp_path: Path) -> None:
    base, sft = paper_run(tmp_path / "base", 22), paper_run(tmp_path / "sft", 43)
    value = json.loads(json.dumps(compare(base, sft).to_json()))
    assert value["pairs"][0]["better"] == 21
    assert value["pairs"][0]["verdict"] == "better"
    assert value["sides"][1]["common"]["passed"] == 43
    assert len(value["common"]) == 114 and len(value["common_sha256"]) == 64


def test_reports(tmp_path: Path) -> None:
    path = make_run(
        tmp_path / "a|b", {"1": "pass", "2": "fail", "3": "infrastructure_error", "4": ""}, agent="the agent"
    )
    run = load_run(path)
    rows = list(csv.DictReader(io.StringIO(report.to_csv([run]))))
    assert [row["outcome"] for row in rows] == ["pass", "fail", "infrastructure_error"]
    assert [row["score"] for row in rows] == ["1.0", "0.25", ""]
    assert rows[0]["tool_calls"] == "3"
    text = report.to_markdown([run])
    assert "1/2 = 50.0 % [5.6, 94.4]" in text
    assert "1 infrastructure error, 1 not played" in text
    assert "a\\|b" in text
    value = json.loads(json.dumps(report.to_json([run])))
    assert value["runs"][0]["outcomes"]["infrastructure_error"] == 1
    assert value["runs"][0]["groups"]["tier"]["easy"]["tasks"] == 1
