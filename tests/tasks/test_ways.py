"""Several ways to do the same: other calls with the same effect, replies of several forms."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from ise_gym.scenario import PlanStep, Request
from ise_gym.tasks.ways import another_way, told

CODE = "import sys\nprint('it''s', len(sys.argv))\nopen('out.txt', 'a').write('one\\n')"
PLAN = (
    PlanStep("read", {"path": "a.txt"}, "First a look."),
    PlanStep("write", {"path": "sub/made.txt", "content": "one $HOME `x`\n\\two 'three'\n"}, key=True),
    PlanStep("exec", {"command": f"python3 - <<'PY'\n{CODE}\nPY\ncat out.txt"}, "Now the work.", key=True),
    PlanStep("exec", {"command": "false"}, fails=True),
    PlanStep("exec", {"command": "cat sub/made.txt"}),
)
REPLY = "The file a.txt is sorted. It has 12 rows. Nothing else changed."


def ways(count: int = 60) -> list[Request]:
    request = Request("t/r", plan=PLAN, reply=REPLY)
    return [another_way(request, ("update_plan",), random.Random(seed)) for seed in range(count)]


def run(plan: tuple[PlanStep, ...], folder: Path) -> dict[str, str]:
    (folder / "a.txt").write_text("x\n")
    for step in plan:
        if step.tool == "write":
            target = folder / str(step.arguments["path"])
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(str(step.arguments["content"]))
        elif step.tool == "exec":
            done = subprocess.run(
                ["bash", "-c", str(step.arguments["command"])], cwd=folder, capture_output=True
            )
            assert (done.returncode != 0) == step.fails, done.stderr
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_every_way_has_the_same_effect_and_keeps_its_marks(tmp_path: Path) -> None:
    seen = set()
    for number, request in enumerate(ways()):
        (folder := tmp_path / str(number)).mkdir()
        expected = {"a.txt": "x\n", "out.txt": "one\n", "sub/made.txt": "one $HOME `x`\n\\two 'three'\n"}
        assert run(request.plan, folder) == expected
        assert sum(step.key for step in request.plan) == 2 and sum(step.fails for step in request.plan) == 1
        said = [step.say for step in request.plan if step.say]
        assert said == ["First a look.", "Now the work."]
        seen.add(tuple(step.tool for step in request.plan))
    assert len(seen) >= 6


def test_a_way_is_drawn_alone() -> None:
    assert ways(5) == ways(5)
    without = [
        another_way(Request("t/r", plan=PLAN, reply=REPLY), (), random.Random(seed)) for seed in range(60)
    ]
    assert not any(step.tool == "update_plan" for request in without for step in request.plan)
    assert any(step.tool == "update_plan" for request in ways() for step in request.plan)


@pytest.mark.parametrize(
    "content", ["no end of line", "EOF\nEND\nDONE\nTEXT\n", "carriage\r\n"], ids=["open", "markers", "cr"]
)
def test_what_a_document_can_not_hold_stays_a_write(content: str) -> None:
    plan = (PlanStep("write", {"path": "a.txt", "content": content}, key=True),)
    for seed in range(30):
        (step,) = another_way(Request("t/r", plan=plan, reply="Done."), (), random.Random(seed)).plan
        assert step.tool == "write" and step.arguments["content"] == content


def test_replies_have_several_forms_and_say_nothing_new() -> None:
    forms = {told(REPLY, PLAN, random.Random(seed)) for seed in range(200)}
    assert REPLY in forms and "The file a.txt is sorted." in forms
    assert any(form.count("\n- ") == 3 for form in forms)
    assert any("| `sub/made.txt` | written |" in form for form in forms)
    assert all("a.txt is sorted" in form for form in forms)
    assert all("12" not in form.replace("12 rows", "") for form in forms)
