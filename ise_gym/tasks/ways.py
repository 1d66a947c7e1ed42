"""More than one way to do the same: a plan's calls in another form, a reply of another length.

A task file has one plan a request. Agents differ in how they make a file (the write tool, a here-document), how they
run a few lines of Python (from standard input, from a script in /tmp), whether they keep a plan, and how they report.
Each way does the same to the workspace, and `ise tasks check` proves the drawn ones as it proves the written ones.
"""

from __future__ import annotations

import random
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ise_gym.scenario import PlanStep, Request

_SCRIPT = re.compile(
    r"\Apython3 (?P<flags>(?:-[A-Z] )?)- <<'(?P<end>\w+)'\n(?P<code>.*?)\n(?P=end)(?P<rest>\n.*)?\Z",
    re.DOTALL,
)
_PLAIN_PATH = re.compile(r"[\w./-]+")
_ENDS = ("EOF", "END", "DONE", "TEXT")
PLANNED = 4
"""Plans of so many calls or more may be kept with update_plan, where it is offered."""


def another_way(request: Request, tools: Sequence[str], rng: random.Random) -> Request:
    """Return a request whose plan and reply are put in one of several ways.

    Args:
        request: complete.
        tools: that its episode offers.
        rng: the only source of chance.
    """
    habits = {
        "document": rng.random() < 0.4,
        "script": rng.random() < 0.45,
        "look": rng.random() < 0.4,
    }
    plan = [step for old in request.plan for step in _steps(old, habits, rng)]
    if "update_plan" in tools and _is_long(plan) and rng.random() < 0.5:
        plan = _with_plan(plan, rng)
    return replace(request, plan=tuple(plan), reply=told(request.reply, plan, rng))


def _steps(step: PlanStep, habits: dict[str, bool], rng: random.Random) -> Iterator[PlanStep]:
    if step.fails:
        yield step
    elif step.tool == "write" and habits["document"] and set(step.arguments) == {"path", "content"}:
        yield from _as_document(step, rng)
    elif step.tool == "exec" and habits["script"] and set(step.arguments) == {"command"}:
        yield from _as_script(step, rng)
    elif step.tool == "read" and habits["look"] and set(step.arguments) == {"path"}:
        path = str(step.arguments["path"])
        command = rng.choice(("cat {}", "cat {}", "sed -n '1,200p' {}", "head -n 100 {}")).format(
            shlex.quote(path)
        )
        yield replace(step, tool="exec", arguments={"command": command})
    else:
        yield step


def _as_document(step: PlanStep, rng: random.Random) -> Iterator[PlanStep]:
    """Write a file with a here-document, where that gives the same bytes."""
    path, content = str(step.arguments["path"]), str(step.arguments["content"])
    lines = content.split("\n")
    ends = [end for end in _ENDS if end not in lines]
    if not content.endswith("\n") or not ends or not _PLAIN_PATH.fullmatch(path) or "\r" in content:
        yield step
        return
    folder, end = path.rpartition("/")[0], rng.choice(ends)
    made = f"mkdir -p {folder} && " if folder else ""
    yield replace(step, tool="exec", arguments={"command": f"{made}cat > {path} <<'{end}'\n{content}{end}"})


def _as_script(step: PlanStep, rng: random.Random) -> Iterator[PlanStep]:
    """Put lines of Python that a command reads from a here-document into a script outside the workspace."""
    found = _SCRIPT.match(str(step.arguments["command"]))
    if not found:
        yield step
        return
    script = f"/tmp/{rng.choice(('work', 'step', 'job', 'once', 'make'))}_{rng.randint(1, 99)}.py"
    yield PlanStep("write", {"path": script, "content": found["code"] + "\n"}, step.say, mistake=step.mistake)
    command = f"PYTHONPATH=. python3 {found['flags']}{script}{found['rest'] or ''}"
    yield replace(step, arguments={"command": command}, say="")


def _is_long(plan: Sequence[PlanStep]) -> bool:
    calls = [step for step in plan if step.tool]
    return len(calls) >= PLANNED and not any(step.tool == "update_plan" for step in calls)


_STAGES = (
    ("Look at what is there", "Do the work", "Check the result"),
    ("Find out", "Make the change", "Verify"),
    ("Read up", "Carry it out", "Look it over"),
)


def _with_plan(plan: Sequence[PlanStep], rng: random.Random) -> list[PlanStep]:
    """Open with a note of what is to be done, and close it before the last look."""
    stages = rng.choice(_STAGES)

    def noted(*states: str) -> PlanStep:
        entries = [{"step": name, "status": state} for name, state in zip(stages, states, strict=True)]
        return PlanStep("update_plan", {"plan": entries})

    after = max((at for at, step in enumerate(plan) if step.key), default=len(plan) - 1) + 1
    opened, closed = (
        noted("in_progress", "pending", "pending"),
        noted("completed", "completed", "in_progress"),
    )
    return [opened, *plan[:after], closed, *plan[after:]]


# -- replies -------------------------------------------------------------------------------------

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"`(])")
_OPENINGS = ("Done.", "That's done.", "All set.", "Finished.", "Here is where it stands.")
_CHECKED = ("I looked at the result once more.", "The last call shows the result.")


def told(reply: str, plan: Sequence[PlanStep], rng: random.Random) -> str:
    """Return a reply in one of several forms: as it is, opened, in one line, as a list, as a report with a table."""
    sentences = _SENTENCE.split(reply)
    made = _made(plan)
    form = rng.choices(("plain", "opened", "line", "list", "report"), (4, 2, 2, 2, 2))[0]
    if form == "opened":
        return f"{rng.choice(_OPENINGS)} {reply}"
    if form == "line":
        return sentences[0]
    if form == "list" and len(sentences) > 1:
        return f"{rng.choice(_OPENINGS)}\n\n" + "\n".join(f"- {sentence}" for sentence in sentences)
    if form == "report" and made:
        rows = "\n".join(f"| `{path}` | {what} |" for path, what in made.items())
        looked = (
            f" {rng.choice(_CHECKED)}"
            if plan and not plan[-1].key and plan[-1].tool in ("read", "exec")
            else ""
        )
        return f"{reply}{looked}\n\n| file | what I did |\n|---|---|\n{rows}"
    return reply


def _made(plan: Sequence[PlanStep]) -> dict[str, str]:
    """Return the files of the workspace that a plan writes or edits by name → what it did."""
    found: dict[str, str] = {}
    for step in plan:
        path = str(step.arguments.get("path", ""))
        if step.tool in ("write", "edit") and not step.fails and not path.startswith("/tmp/"):
            found.setdefault(path, "written" if step.tool == "write" else "edited")
    return found
