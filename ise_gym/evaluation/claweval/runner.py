"""From a checkout and a selection to a run: what can be played, what is left out and why, what is written down."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ise_gym.errors import UserError, nearest
from ise_gym.evaluation.claweval.agents import SCRIPTED, check_claw_agent
from ise_gym.evaluation.claweval.content import claw_content, shared_claw_content, suite_sha256
from ise_gym.evaluation.claweval.models.judge import JudgeSpec
from ise_gym.evaluation.claweval.player import PlayerSpec
from ise_gym.evaluation.claweval.services.clock import CLOCKS
from ise_gym.evaluation.claweval.tasks import Checkout, ClawTask, load_tasks, open_checkout, select
from ise_gym.evaluation.claweval.work import ClawWork, claw_crew
from ise_gym.evaluation.ledger import Ledger
from ise_gym.evaluation.results.summary import RunSummary, summarise
from ise_gym.evaluation.run import LEDGER, RunCard, TaskEntry, load_run, open_run
from ise_gym.messages import sha256_of
from ise_gym.models.options import a_workers_share, binding
from ise_gym.rollout.engine import Status, drive
from ise_gym.rollout.limits import NO_LIMITS, Limits
from ise_gym.rollout.spec import probe_seat
from ise_gym.rollout.work import GIVE_UP_AFTER

SERVICES = ("process", "subprocess")
PROTOCOLS = {
    "upstream": "the benchmark's own loop and prompt",
    "env": "the task as a scenario of ISE-OS-v0, with its tools, services, persona and grader",
}


def run_claweval(
    checkout: str | Path,
    agent: str,
    out: str | Path,
    *,
    tasks: str = "T",
    judge: JudgeSpec,
    user: JudgeSpec | None = None,
    sandbox: str = "",
    protocol: str = "upstream",
    services: str = "process",
    clock: str = "upstream",
    agent_options: Mapping[str, object] | None = None,
    agent_prices: tuple[float, float] = (0.0, 0.0),
    trials: int = 1,
    limit: int | None = None,
    seed: int = 0,
    workers: int = 1,
    retries: int = 2,
    give_up_after: int = GIVE_UP_AFTER,
    limits: Limits = NO_LIMITS,
    on_progress: Callable[[Status], None] | None = None,
) -> RunSummary:
    """Play tasks of a checkout, or the rest of them, and return the run's figures.

    Args:
        checkout: folder of the benchmark.
        agent: spec of the agent; vacuous and explorer are scripted ones.
        out: run folder; the same arguments resume it.
        tasks: T, C, M, a tag, a file of ids, ids, or a glob.
        judge: which judge. With "none" exactly the tasks are played whose grader asks none.
        user: the model that plays the user of multi-turn tasks; without one they are left out.
        sandbox: workspace backend for the nine sandbox tools that the official run offers in every task; "" leaves
            the tools out, and with them the tasks that are graded on what is in a sandbox.
        protocol: "upstream": the benchmark's own loop and prompt. "env": the task as a scenario of ``ISE-OS-v0``.
        services: "process" loads them in the worker; "subprocess" starts each as a process, as the benchmark does.
        clock: "upstream": the real one. "task": services that move their fixtures to today keep them as written.
        agent_options: keyword arguments of the agent. ``agent_prices``: dollars a million tokens, in and out.
        trials, limit, seed, workers: as of `ise_gym.evaluation.builtin.run_suite`.
        retries: how often a trial is played again that a broken endpoint, judge, service or worker spoilt.
        give_up_after: trials in a row, each after its retries, that end the run when all of them were spoilt so.
        limits: what the run may spend before it ends, resumable, by itself.
        on_progress: as of `ise_gym.rollout.engine.drive`.

    Raises:
        UserError: not a checkout, nothing selected, an unsupported version, a folder that holds another run, everything
            broken for ``give_up_after`` trials, …
    """
    if protocol not in PROTOCOLS:
        raise UserError(
            f"unknown protocol '{protocol}'.{nearest(protocol, PROTOCOLS)} Known: {', '.join(PROTOCOLS)}."
        )
    for name, value, known in (("services", services, SERVICES), ("clock", clock, CLOCKS)):
        if value not in known:
            raise UserError(f"unknown {name} '{value}'.{nearest(value, known)} Known: {', '.join(known)}.")
    if clock == "task" and services == "subprocess":
        raise UserError("--clock task needs services in process: leave out --services subprocess.")
    source = open_checkout(checkout)
    check_claw_agent(agent, agent_options or {})
    chosen, left_out = playable(
        select(load_tasks(source.root), tasks), judge, user, sandbox, in_env=protocol == "env"
    )
    if not chosen:
        raise UserError(f"none of the tasks in '{tasks}' can be played: {_why(left_out)}.")
    count = min(limit or len(chosen), len(chosen))
    chosen = [chosen[i * len(chosen) // count] for i in range(count)]
    card = make_card(source, chosen, left_out, protocol, agent, trials, seed)
    card.options |= {
        "judge": judge.text,
        "user": user.text if user else "none",
        "sandbox": sandbox or "none",
        "services": services,
        "clock": clock,
        **binding("agent_options", agent_options or {}),
    }
    folder = open_run(Path(out), card)
    spec = PlayerSpec(
        root=source.root,
        traces=(folder / "traces").resolve(),
        log=(folder / "benchmark.log").resolve(),
        agent=agent,
        agent_options=a_workers_share(agent_options or {}, workers),
        judge=_placed(judge, folder) if judge.kind != "none" else None,
        user=_placed(user, folder) if user else None,
        sandbox=sandbox,
        protocol=protocol,
        services=services,
        clock=clock,
        prices=agent_prices,
    )
    spec.traces.mkdir(exist_ok=True)
    with Ledger(folder / LEDGER) as ledger:
        by_id = {task.id: task for task in chosen}
        work = ClawWork(card, ledger, by_id)
        if work.total > work.already and agent not in SCRIPTED:
            probe_seat("agent", agent, agent_options or {})
        status = drive(
            work,
            claw_crew(spec, by_id),
            workers=workers,
            retries=retries,
            give_up_after=give_up_after,
            limits=limits,
            on_progress=on_progress,
        )
    if status.interrupted:
        raise KeyboardInterrupt
    return summarise(load_run(folder))


def playable(
    tasks: Sequence[ClawTask],
    judge: JudgeSpec,
    user: JudgeSpec | None = None,
    sandbox: str = "",
    *,
    in_env: bool = False,
) -> tuple[list[ClawTask], dict[str, str]]:
    """Split a selection into what can be played here, and task → why not."""
    left_out: dict[str, str] = {}
    chosen = []
    for task in tasks:
        if unknown := task.file.environment.unknown:
            left_out[task.id] = f"its environment has keys that are not known here: {', '.join(unknown)}"
        elif judge.kind == "none" and task.uses_judge:
            left_out[task.id] = "its grader asks a judge"
        elif task.needs_sandbox and not sandbox:
            left_out[task.id] = "needs a sandbox"
        elif task.file.user_agent.enabled and user is None:
            left_out[task.id] = "needs a simulated user"
        elif in_env and task.split == "M":
            left_out[task.id] = "multimodal: the env speaks text only"
        else:
            chosen.append(task)
    return chosen, left_out


def make_card(
    source: Checkout,
    chosen: Sequence[ClawTask],
    left_out: Mapping[str, str],
    protocol: str,
    agent: str,
    trials: int,
    seed: int,
) -> RunCard:
    """Write down what is played; the suite's hash is that of the commit, or of the files where they differ from it."""
    from ise_gym.evaluation.builtin import versions

    contents, shared = [claw_content(task) for task in chosen], shared_claw_content(source.root)
    return RunCard(
        suite="claweval",
        suite_sha256=suite_sha256(source, [*contents, shared]),
        protocol=protocol,
        agent=agent,
        trials=trials,
        seed=seed,
        tasks=[
            TaskEntry(id=task.id, labels=task.labels(), content=content)
            for task, content in zip(chosen, contents, strict=True)
        ],
        content=shared,
        options={"commit": source.version},
        versions=versions(),
        left_out=dict(left_out),
    )


def _placed(model: JudgeSpec, folder: Path) -> JudgeSpec:
    """Make its paths absolute: workers have another working directory. Models at one endpoint share its slots."""
    cache = str(Path(model.cache).resolve()) if model.cache else ""
    slots = folder.resolve() / ".slots" / sha256_of(model.base_url)[:8]
    return dataclasses.replace(model, cache=cache, slots=str(slots) if model.concurrency else "")


def _why(left_out: Mapping[str, str]) -> str:
    reasons = sorted(
        {f"{sum(r == reason for r in left_out.values())} {reason}" for reason in left_out.values()}
    )
    return "; ".join(reasons) or "there are none"
