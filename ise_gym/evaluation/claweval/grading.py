"""Grades a finished trace by the benchmark's own grader, whichever protocol made the trace."""

from __future__ import annotations

import base64
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ise_gym.evaluation.claweval.benchmark import Upstream
from ise_gym.evaluation.claweval.definition import Definition, Judge
from ise_gym.evaluation.claweval.models.judge import JudgeClient
from ise_gym.evaluation.claweval.sandbox import URL


@dataclass(frozen=True)
class Graded:
    """What the benchmark's grader said of one trial; ``notes`` are its judge's."""

    score: float
    passed: bool
    dimensions: dict[str, float]
    notes: list[dict[str, Any]]


def grade(
    upstream: Upstream,
    task: Definition,
    folder: Path,
    trace: Path,
    judge: Judge | None,
    snapshot: Mapping[str, object],
) -> Graded:
    """Grade a finished trace as the benchmark's batch does.

    Raises:
        JudgeFailed, ModelRefused: the judge's fault.
        Exception: whatever the grader raised.
    """
    _, messages, dispatches, media, _, audit = upstream.load_trace(trace)
    grader = upstream.get_grader(task.task_id, tasks_dir=folder.parent, task_dir=folder)
    accepted = inspect.signature(grader.grade).parameters
    optional = {"media_events": media, **({"env_snapshot": dict(snapshot)} if snapshot else {})}
    scores = grader.grade(
        messages,
        dispatches,
        task,
        audit_data=audit,
        judge=judge,
        **{name: value for name, value in optional.items() if name in accepted},
    )
    score = float(upstream.compute_task_score(scores))
    dimensions = {
        name: float(getattr(scores, name)) for name in ("completion", "robustness", "communication", "safety")
    }
    notes = judge.get_call_log() if judge is not None else []
    return Graded(score, bool(upstream.is_pass(score)), dimensions, notes)


def trace_counts(upstream: Upstream, trace: Path) -> dict[str, int]:
    """Return what a finished trace says that playing took."""
    _, _, dispatches, _, end, _ = upstream.load_trace(trace)
    return {
        "turns": int(end.total_turns) if end else 0,
        "tool_calls": len(dispatches),
        "failed_calls": sum(dispatch.response_status >= 400 for dispatch in dispatches),
        "input_tokens": int(end.model_input_tokens) if end else 0,
        "output_tokens": int(end.model_output_tokens) if end else 0,
    }


def local_files(folder: Path, names: list[str]) -> dict[str, dict[str, str]]:
    """Read the files that a grader compares with, in the form that graders expect."""
    found: dict[str, dict[str, str]] = {}
    for name in names:
        file = folder / name
        if file.is_file():
            content = base64.b64encode(file.read_bytes()).decode()
            found[f"local_file:{name}"] = {"encoding": "base64", "content": content}
        else:
            found[f"local_file:{name}"] = {"error": f"not found: {file}"}
    return found


def collect_snapshot(
    upstream: Upstream, task: Definition, folder: Path, *, sandboxed: bool
) -> dict[str, Any]:
    """Collect what a grader looks at beside the conversation: files, command output, its own files.

    The benchmark collects from the sandbox that is being served; its verifying scripts come in only now.
    """
    found: dict[str, Any] = {}
    if sandboxed:
        handle = SimpleNamespace(sandbox_url=URL)
        upstream.SandboxRunner.inject_grader_files(handle, task, task_dir=str(folder))
        found = upstream._collect_env_snapshot(URL, task)
    return {**found, **local_files(folder, task.local_grader_files)}


def model_costs(judge: JudgeClient | None, user: JudgeClient | None) -> dict[str, float]:
    """Return what they cost in dollars, where a price is known."""
    return {
        f"{name}_usd": round(client.cost, 6)
        for name, client in (("judge", judge), ("user", user))
        if client is not None and (client.spec.price_in or client.spec.price_out)
    }


def model_counts(judge: JudgeClient | None, user: JudgeClient | None) -> dict[str, int]:
    """Return what the models beside the agent were asked in the present trial."""
    counts: dict[str, int] = {}
    for name, client in (("judge", judge), ("user", user)):
        if client is not None:
            counts |= {
                f"{name}_calls": client.calls,
                f"{name}_cached": client.cached,
                f"{name}_retried": client.retried,
                f"{name}_input_tokens": client.tokens[0],
                f"{name}_output_tokens": client.tokens[1],
            }
    return counts
