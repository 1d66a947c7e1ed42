"""The env in inspect_ai: tasks whose solver plays an episode with our user, and our box as a sandbox.

``ise_episodes`` has one generation an env step, one message a turn of our user, and a score for every sub-goal.
``ise_box`` gives all that is asked for at once to inspect's own ``react`` agent with ``bash`` in our box, and verifies
at the end.

Found by the entry point ``ise_gym`` of the group ``inspect_ai``: ``inspect eval ise_gym/ise_episodes -T source=…``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ise_gym.adapters.boxes import box_of, judge
from ise_gym.adapters.inspect_messages import infos, told
from ise_gym.adapters.peers import interface_of
from ise_gym.adapters.seat import Seat, Tasks
from ise_gym.episode.goals import GoalBoard
from ise_gym.messages import assistant, tool_call, user
from ise_gym.scenario import Scenario
from ise_gym.workspace import WORKDIR, Workspace

with interface_of("inspect"):
    import anyio.to_thread
    from inspect_ai import Task, task
    from inspect_ai.agent import react
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.log import transcript
    from inspect_ai.model import get_model
    from inspect_ai.scorer import Score, mean, scorer, stderr
    from inspect_ai.solver import Generate, TaskState, solver
    from inspect_ai.tool import bash
    from inspect_ai.util import ExecResult, SandboxEnvironment, sandbox, sandboxenv, span


async def _run(function: Callable[..., Any], *arguments: object, **more: object) -> Any:
    return await anyio.to_thread.run_sync(partial(function, *arguments, **more))


@solver  # type: ignore[untyped-decorator]
def play(source: str, options: dict[str, object], store: str = "") -> Any:
    """Play the episode of a sample; where a sub-session has the floor, its conversation is shown to the model."""

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        tasks, model = Tasks(source), get_model()
        scenario = await _run(tasks.scenario, state.metadata["number"])
        seat = Seat(
            scenario, tasks.seed(scenario), {"name": str(model)}, store=store or None, options=options
        )
        floor: dict[str, list[Any]] = {}
        try:
            added = await _run(seat.start)
            turn = 0
            while not seat.over:
                turn += 1
                async with span(name=f"user turn {turn}"):
                    while True:
                        heard = floor.setdefault(seat.env.episode.floor, [])
                        heard += [told(one) for one in added]
                        output = await model.generate(heard, tools=infos(seat.tools))
                        heard.append(output.message)
                        state.output, state.messages = output, floor["main"]
                        calls = [
                            tool_call(c.function, c.arguments, c.id) for c in output.message.tool_calls or ()
                        ]
                        added = await _run(seat.say, assistant(output.message.text, calls))
                        info = seat.info if seat.live.began else {}
                        transcript().info(
                            {"score": info.get("score"), "subgoals": info.get("subgoals")}, source="ise_gym"
                        )
                        if seat.over or not calls:
                            break
            if seat.broken:
                raise RuntimeError(f"the environment broke: {seat.broken}")
            floor["main"] += [told(one) for one in added]
            state.messages = floor["main"]
            names = ("outcome", "reason", "score", "subgoals", "counts")
            state.store.set("ise_gym", {name: seat.info[name] for name in names})
        finally:
            await _run(seat.close)
        state.completed = True
        return state

    return solve


def _score(found: Mapping[str, bool], explanation: str, value: float, passed: bool) -> Any:
    goals = {name: float(held) for name, held in found.items()}
    return Score(value={"score": value, "passed": float(passed), **goals}, explanation=explanation)


def _explained(found: Mapping[str, bool]) -> str:
    return "\n".join(f"{'holds' if held else 'does not hold'}: {name}" for name, held in found.items())


@scorer(metrics={"score": [mean(), stderr()], "passed": [mean()]})  # type: ignore[untyped-decorator]
def subgoals() -> Any:
    """Score an episode: the share of verified sub-goals, whether it passed, and each of them."""

    async def score(state: TaskState, target: object) -> Score:
        ended = state.store.get("ise_gym")
        found, passed = ended["subgoals"], ended["outcome"] == "passed"
        return _score(found, _explained(found), ended["score"] or 0.0, passed)

    return score


@sandboxenv(name="ise_gym")
class ISESandbox(SandboxEnvironment):  # type: ignore[misc]
    """A box of ours: no network, one user, limits as `ise_gym.workspace.Limits`; ``user`` of `exec` plays no part."""

    def __init__(self, box: Workspace, scenario: Scenario | None) -> None:
        self.box, self.scenario = box, scenario

    @classmethod
    async def sample_init(cls, task_name: str, config: object, metadata: dict[str, str]) -> dict[str, Any]:
        """Open a box; with ``source`` and ``number`` in the sample's metadata, with that scenario's files in it."""
        source = metadata.get("source", "")
        scenario = await _run(Tasks(source).scenario, int(metadata["number"])) if source else None
        return {"default": cls(await _run(box_of, scenario), scenario)}

    @classmethod
    async def sample_cleanup(
        cls, task_name: str, config: object, environments: dict[str, SandboxEnvironment], interrupted: bool
    ) -> None:
        """End the boxes."""
        for one in environments.values():
            await _run(one.box.close)

    async def exec(
        self,
        cmd: list[str],
        input: str | bytes | None = None,
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        user: str | None = None,
        timeout: int | None = None,
        timeout_retry: bool = True,
        concurrency: bool = True,
    ) -> Any:
        """Run a command; TimeoutError when its time is up."""
        stdin = input.encode() if isinstance(input, str) else input or b""
        done = await _run(
            self.box.exec, cmd, stdin=stdin, cwd=cwd or WORKDIR, env=env, timeout=timeout, merge=False
        )
        if done.timed_out:
            raise TimeoutError
        words = [part.decode("utf-8", "replace") for part in (done.output, done.stderr)]
        return ExecResult(done.ok, done.exit_code, *words)

    async def write_file(self, file: str, contents: str | bytes) -> None:
        """Write a file and the folders above it."""
        await _run(self.box.write, file, contents.encode() if isinstance(contents, str) else contents)

    async def read_file(self, file: str, text: bool = True) -> Any:
        """Read a file; the builtin errors of missing ones and folders."""
        data = await _run(self.box.read, file)
        return data.decode("utf-8") if text else data


@scorer(metrics={"score": [mean(), stderr()], "passed": [mean()]})  # type: ignore[untyped-decorator]
def box_checks() -> Any:
    """Verify every sub-goal in the sample's box, from outside."""

    async def score(state: TaskState, target: object) -> Any:
        held = sandbox().as_type(ISESandbox)
        board = GoalBoard(held.scenario)
        said = [user(held.scenario.requests[0].text), assistant(state.output.completion)]
        found = await _run(judge, board, held.box, messages=said)
        return _score(found, _explained(found), board.score, bool(found) and all(found.values()))

    return score


def _dataset(source: str, limit: int | None, step: int, whole: bool) -> Any:
    tasks, samples = Tasks(source), []
    for number in range(0, len(tasks), step)[:limit]:
        scenario = tasks.scenario(number)
        texts = [request.text for request in scenario.requests]
        goals = [goal.name for request in scenario.requests for goal in request.subgoals]
        text = "\n\n".join(texts) if whole else texts[0]
        samples.append(
            Sample(id=scenario.id, input=text, target=goals, metadata={"source": source, "number": number})
        )
    return MemoryDataset(samples, name=source)


@task  # type: ignore[untyped-decorator]
def ise_episodes(
    source: str = "suite:demo-easy",
    limit: int | None = None,
    step: int = 1,
    user: str = "scripted",
    backend: str = "auto",
    store: str = "",
) -> Any:
    """Episodes with our user; ``step`` takes every so many, ``store`` keeps our own records too."""
    options = {"user": user, "backend": backend}
    return Task(
        dataset=_dataset(source, limit, step, False), solver=play(source, options, store), scorer=subgoals()
    )


@task  # type: ignore[untyped-decorator]
def ise_box(source: str = "suite:demo-easy", limit: int | None = None, step: int = 1) -> Any:
    """Everything that is asked for, at once, for inspect's own agent in our box: no user answers."""
    return Task(
        dataset=_dataset(source, limit, step, True),
        solver=react(tools=[bash(timeout=60)]),
        scorer=box_checks(),
        sandbox="ise_gym",
    )
