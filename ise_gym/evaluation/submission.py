"""A run as others can check it: what it was, every attempt, every conversation, and a hash over all of it.

A figure in a table is worth what can be recomputed from what lies beside it. A submission is a folder with the run's
card, its ledger and its conversations, and ``submission.json``, which says who made it, what the figures are, and the
hash of every file. `problems` recomputes all of that and trusts none of it.
"""

from __future__ import annotations

import lzma
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ise_gym.errors import UserError
from ise_gym.evaluation.builtin import trial_of
from ise_gym.evaluation.firsttry import first_attempt
from ise_gym.evaluation.manifest import load_suite
from ise_gym.evaluation.results.conversations import TRACES
from ise_gym.evaluation.results.summary import Rate, RunSummary, summarise
from ise_gym.evaluation.results.terms import changed_text
from ise_gym.evaluation.run import CARD, LEDGER, TRAJECTORIES, Run, load_run
from ise_gym.messages import sha256_of
from ise_gym.rollout.spec import episode_seed
from ise_gym.storage.atomic import replacing
from ise_gym.storage.digest import file_sha256
from ise_gym.trajectory.store import parse_line, raw_records

FORMAT = "ise_gym eval submission"
FILE = "submission.json"
CONVERSATIONS = "conversations.jsonl.xz"
LONGEST = 256 * 1024 * 1024
"""Bytes of one conversation, and 64 of them of a whole file, beyond which nothing is unpacked."""


class Submission(BaseModel):
    """What ``submission.json`` holds.

    Attributes:
        name: of the row in a table; ``by``: who made it; ``notes``: what others should know.
        suite, suite_sha256, content_sha256: what was played; the last is "" for a suite without contents.
        protocol, agent, trials, seed, options, versions: as the run's card has them.
        changed: what was not as the suite has it frozen.
        figures: pass@1, first attempt, pass^k with their intervals, outcomes, totals.
        files: name → SHA-256 of every other file of the folder.
        sha256: over all of the above.
    """

    model_config = ConfigDict(extra="forbid")

    format: str = FORMAT
    schema_version: int = 1
    name: str
    by: str = ""
    notes: str = ""
    suite: str
    suite_sha256: str
    content_sha256: str = ""
    protocol: str
    agent: str
    trials: int
    seed: int
    options: dict[str, Any] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    changed: list[str] = Field(default_factory=list)
    figures: dict[str, Any] = Field(default_factory=dict)
    files: dict[str, str] = Field(default_factory=dict)
    sha256: str = ""

    def own_sha256(self) -> str:
        """Return the hash that it must carry."""
        return sha256_of(self.model_dump(exclude={"sha256"}))


def submit(run: str | Path, out: str | Path, *, name: str = "", by: str = "", notes: str = "") -> Submission:
    """Write a run as a submission.

    Args:
        run: run folder; every trial must have a verdict.
        out: folder of the submission; must be new or empty.
        name: of the row; the run folder's name when empty.
        by, notes: who made it, and what others should know.

    Raises:
        UserError: the run is not complete, or the folder holds something.
    """
    loaded, folder = load_run(run), Path(out)
    summary = summarise(loaded)
    if not summary.complete:
        raise UserError(f"{run} is not complete: run its command again until every trial has a verdict.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder}: it is not an empty folder. Give a new one.")
    for file in (CARD, LEDGER):
        with replacing(folder / file) as copy:
            copy.write((Path(run) / file).read_bytes())
    with replacing(folder / CONVERSATIONS) as packed, lzma.open(packed, "wb", preset=9) as lines:
        for line in _conversations(Path(run)):
            lines.write(line + b"\n")
    card = loaded.card
    made = Submission(
        name=name or loaded.name,
        by=by,
        notes=notes,
        suite=card.suite,
        suite_sha256=card.suite_sha256,
        content_sha256=_content_of(loaded),
        protocol=card.protocol,
        agent=card.agent,
        trials=card.trials,
        seed=card.seed,
        options=card.options,
        versions=card.versions,
        changed=card.changed,
        figures=figures_of(summary),
        files={file: file_sha256(folder / file) for file in (CARD, LEDGER, CONVERSATIONS)},
    )
    made = made.model_copy(update={"sha256": made.own_sha256()})
    with replacing(folder / FILE) as file_:
        file_.write(made.model_dump_json(indent=1).encode() + b"\n")
    return made


def read_submission(folder: str | Path) -> Submission:
    """Read a submission's own file.

    Raises:
        UserError: there is none, or it is something else.
    """
    file = Path(folder) / FILE
    try:
        made = Submission.model_validate_json(file.read_bytes())
    except OSError as error:
        raise UserError(
            f"{file}: can't be read ({error.strerror}). `ise eval submit RUN` writes one."
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "document"
        raise UserError(f"{file}: not a submission: {where}: {first['msg']}.") from error
    if made.format != FORMAT:
        raise UserError(f'{file}: not a submission ("format" is not "{FORMAT}").')
    return made


def problems(folder: str | Path) -> list[str]:
    """Check a submission against itself and against the suite, and say what is wrong.

    Hashes of all files, figures from the ledger, the ledger's verdicts from the conversations (where they are ours),
    seeds, the list of tasks and the suite's own hashes.

    Raises:
        UserError: no submission there, or a ledger or card that can't be read.
    """
    made, root = read_submission(folder), Path(folder)
    found = [] if made.sha256 == made.own_sha256() else [f"{FILE}: its own hash is another one"]
    for name in (CARD, LEDGER, CONVERSATIONS):
        file = root / name
        if name not in made.files or not file.is_file():
            found.append(f"{name} is missing")
        elif file_sha256(file) != made.files[name]:
            found.append(f"{name}: its hash is not the one that was submitted")
    if extra := sorted({p.name for p in root.iterdir()} - {FILE, CARD, LEDGER, CONVERSATIONS, "README.md"}):
        found.append(f"files that belong to no submission: {', '.join(extra[:5])}")
    if found:
        return found
    run = load_run(root)
    summary = summarise(run)
    if not summary.complete:
        found.append("not every trial has a verdict")
    if made.figures != figures_of(summary):
        found.append("the figures are not those of the ledger")
    for name in (
        "suite",
        "suite_sha256",
        "protocol",
        "agent",
        "trials",
        "seed",
        "options",
        "versions",
        "changed",
    ):
        if getattr(made, name) != getattr(run.card, name):
            found.append(f"{name} is not that of {CARD}")
    if made.content_sha256 != _content_of(run):
        found.append(f"content_sha256 is not that of {CARD}")
    found += _suite_problems(run)
    found += _trial_problems(run, root / CONVERSATIONS)
    return found


def remarks(made: Submission) -> list[str]:
    """Return what a valid submission has to be read with."""
    found = []
    if made.changed:
        found.append(changed_text(made.changed))
    if "+changes" in made.versions.get("commit", ""):
        found.append("played by code that is in no commit")
    if not made.versions.get("code"):
        found.append("made before runs recorded their code")
    return found


def figures_of(summary: RunSummary) -> dict[str, Any]:
    """Return the figures of a submission, rounded so that every machine writes the same."""
    found: dict[str, Any] = {
        "pass@1": _rate(summary.rate),
        "tasks": summary.tasks,
        "outcomes": summary.outcomes,
    }
    if summary.first.tasks:
        found["first attempt"] = _rate(summary.first)
    for name, value in summary.at_k.items():
        interval = summary.intervals.get(name)
        found[name] = [round(value, 6), *(round(end, 6) for end in interval or ())]
    found["spent"] = {
        "attempts": summary.spent.attempts,
        "hours": round(summary.spent.hours, 4),
        "tokens": summary.spent.tokens,
        "dollars": summary.spent.dollars,
    }
    return found


def _rate(rate: Rate) -> dict[str, Any]:
    return {
        "passed": rate.passed,
        "trials": rate.trials,
        "value": round(rate.value, 6),
        "interval": [round(end, 6) for end in rate.interval],
    }


def _content_of(run: Run) -> str:
    contents = {task.id: task.content for task in run.card.tasks}
    return sha256_of([contents, run.card.content]) if run.card.content else ""


def _suite_problems(run: Run) -> list[str]:
    card = run.card
    if card.suite == "claweval":
        return []
    try:
        manifest = load_suite(card.suite)
    except UserError:
        return [f"the suite '{card.suite}' is not one that is known here"]
    if manifest.sha256() != card.suite_sha256:
        return [f"the suite '{card.suite}' is another version here"]
    known = [entry.id for _, entry in manifest.numbered()]
    missing = set(known) - {task.id for task in card.tasks}
    return [f"{len(missing)} of {len(known)} tasks of the suite were not played"] if missing else []


def _trial_problems(run: Run, file: Path) -> list[str]:
    """Hold the ledger against the conversations; those of another protocol are counted only."""
    card = run.card
    wrong = [
        f"{trial.task}, trial {trial.trial}: its seed is not the run's"
        for trial in run.trials.values()
        if trial.seed != episode_seed(card.seed, trial.task, trial.trial)
    ]
    if card.protocol != "builtin":
        kept = sum(1 for _ in _unpacked(file))
        return wrong + ([] if kept else ["there are no conversations"])
    records = {}
    for number, line in enumerate(_unpacked(file), start=1):
        record = parse_line(line, f"{file}, line {number}")
        records[record.episode_id] = record
    for trial in run.trials.values():
        told_by = records.get(trial.episode)
        if told_by is None:
            wrong.append(f"{trial.task}, trial {trial.trial}: its conversation is missing")
        elif (told_by.scenario_id, told_by.seed) != (trial.task, trial.seed):
            wrong.append(f"{trial.task}, trial {trial.trial}: its conversation is of another trial")
        else:
            told = trial_of(told_by, card, trial.trial, trial.attempt)
            if (told.outcome, told.score, first_attempt(told_by)) != (
                trial.outcome,
                trial.score,
                trial.first_attempt,
            ):
                wrong.append(
                    f"{trial.task}, trial {trial.trial}: the ledger says what its conversation does not"
                )
    return wrong[:20]


def _conversations(run: Path) -> Iterator[bytes]:
    """Yield one line a conversation: our records as they are, the benchmark's traces with their name."""
    folder = run / TRAJECTORIES
    if folder.is_dir():
        for failures in (False, True):
            for _, _, line in raw_records(folder, failures=failures):
                yield line.rstrip(b"\n")
    for trace in sorted((run / TRACES).glob("*.jsonl")):
        for line in trace.read_bytes().splitlines():
            yield line


def _unpacked(file: Path) -> Iterator[bytes]:
    """Yield the lines of a packed file, as long as it stays within bounds.

    Raises:
        UserError: it can't be unpacked, or is larger than any run.
    """
    read = 0
    try:
        with lzma.open(file, "rb") as lines:
            while line := lines.readline(LONGEST):
                read += len(line)
                if len(line) >= LONGEST or read > 64 * LONGEST:
                    raise UserError(f"{file}: it is larger than any run's conversations.")
                yield line.rstrip(b"\n")
    except (lzma.LZMAError, EOFError, OSError) as error:
        raise UserError(f"{file}: can't be unpacked ({error}).") from error


def row(made: Submission) -> Mapping[str, str]:
    """Return a submission as a row of a table, column → text."""

    def shown(name: str) -> str:
        figure = made.figures.get(name)
        if figure is None:
            return "–"
        value, low, high = (
            (figure["value"], *figure["interval"])
            if isinstance(figure, Mapping)
            else (*figure, None, None)[:3]
        )
        return f"{100 * value:.1f} %" + ("" if low is None else f" [{100 * low:.1f}, {100 * high:.1f}]")

    k = made.trials
    return {
        "run": made.name,
        "agent": made.agent,
        "trials": str(k),
        "first attempt": shown("first attempt"),
        "pass@1": shown("pass@1"),
        "pass^k": f"pass^{k} {shown(f'pass^{k} (unbiased)')}" if k > 1 else "–",
        "by": made.by or "–",
        "remarks": "; ".join([*remarks(made), *([made.notes] if made.notes else [])]) or "–",
    }


def table(folder: str | Path) -> str:
    """Return a Markdown page's tables of all submissions below a folder: one a suite, the best first attempt on top.

    Raises:
        UserError: a submission that can't be read.
    """
    by_suite: dict[str, list[Submission]] = {}
    for file in sorted(Path(folder).glob(f"*/**/{FILE}")):
        made = read_submission(file.parent)
        by_suite.setdefault(f"{made.suite} ({made.protocol})", []).append(made)
    lines: list[str] = []
    for suite, submissions in sorted(by_suite.items()):
        submissions.sort(key=lambda made: (-_headline(made), made.name))
        rows = [row(made) for made in submissions]
        lines += [f"### {suite}, {submissions[0].figures['tasks']} tasks", ""]
        lines += ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
        lines += ["| " + " | ".join(text.replace("|", "\\|") for text in one.values()) + " |" for one in rows]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n" if lines else ""


def _headline(made: Submission) -> float:
    figure = made.figures.get("first attempt") or made.figures["pass@1"]
    return float(figure["value"])
