"""The env in Harbor, by import path: its environment is our sandbox, its verifier our checks, its agent any of ours.

``harbor run -p TASKS -e ise_gym.adapters.harbor:ISEEnvironment --verifier ise_gym.adapters.harbor:ISEVerifier``, with
``-a ise_gym.adapters.harbor:ISEAgent --ak agent=openai:MODEL`` for an agent of ours that talks to our user (a ``live``
task), or with an agent of Harbor's (a ``steps`` task). `ise_gym.adapters.harbor_tasks` writes tasks. Needs no docker.
"""

from __future__ import annotations

import asyncio
import io
import json
import shlex
import tarfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

from ise_gym.adapters.boxes import box_of, judge
from ise_gym.adapters.harbor_tasks import FOLDERS, read_task
from ise_gym.adapters.peers import interface_of
from ise_gym.agents import make_agent
from ise_gym.env import ISEEnv
from ise_gym.episode.goals import GoalBoard
from ise_gym.rollout.play import play_episode
from ise_gym.rollout.spec import episode_seed
from ise_gym.trajectory.exchange.atif import to_atif
from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.store import TrajectoryStore
from ise_gym.workspace import WORKDIR, Workspace

with interface_of("harbor"):
    from harbor.agents.base import BaseAgent
    from harbor.agents.capabilities import AgentCapabilities
    from harbor.environments.base import BaseEnvironment, ExecResult
    from harbor.environments.capabilities import EnvironmentCapabilities, EnvironmentResourceCapabilities
    from harbor.models.agent.context import AgentContext
    from harbor.models.verifier.result import VerifierResult
    from harbor.verifier.base import BaseVerifier


class ISEEnvironment(BaseEnvironment):  # type: ignore[misc]
    """Our sandbox, with Harbor's folders writable in it.

    Args:
        backend: of the workspace.
    """

    def __init__(self, *args: object, backend: str = "auto", **more: object) -> None:
        self.backend = backend
        self.box: Workspace | None = None
        self.played: Trajectory | None = None
        self.board: GoalBoard | None = None
        super().__init__(*args, **more)
        self.scenario = read_task(Path(self.environment_dir).parent)

    @staticmethod
    def type() -> str:
        """Return the name of this kind."""
        return "ise-gym"

    @property
    def capabilities(self) -> Any:
        """No network but its own loopback."""
        return EnvironmentCapabilities(disable_internet=True)

    @classmethod
    def resource_capabilities(cls) -> Any:
        """Memory is limited."""
        return EnvironmentResourceCapabilities(memory_limit=True)

    def _validate_definition(self) -> None:
        """There is nothing to build."""

    @property
    def open_box(self) -> Workspace:
        """The sandbox, once it was started."""
        assert self.box is not None, "start() comes first"
        return self.box

    async def start(self, force_build: bool) -> None:
        """Open the sandbox with the scenario's files and services."""

        def opened() -> Workspace:
            box = box_of(self.scenario, self.backend, FOLDERS)
            box.exec(["mkdir", "-p", "/logs/agent", "/logs/verifier", "/logs/artifacts"])
            return box

        self.box = await asyncio.to_thread(opened)

    async def stop(self, delete: bool) -> None:
        """End the sandbox."""
        if self.box is not None:
            await asyncio.to_thread(self.box.close)
            self.box = None

    async def exec(
        self,
        command: str,
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        timeout_sec: int | None = None,
        user: str | int | None = None,
    ) -> Any:
        """Run a shell command; a box has one user, whatever ``user`` says. 124: the time was up."""
        done = await asyncio.to_thread(
            self.open_box.exec,
            ["bash", "-c", command],
            cwd=cwd or self.task_env_config.workdir or WORKDIR,
            env=self._merge_env(env),
            timeout=timeout_sec,
            merge=False,
        )
        words = [part.decode("utf-8", "replace") for part in (done.output, done.stderr)]
        code = 124 if done.exit_code is None else done.exit_code
        return ExecResult(stdout=words[0], stderr=words[1], return_code=code)

    async def reset_dirs(
        self,
        *,
        remove_dirs: Sequence[object],
        create_dirs: Sequence[object],
        chmod_dirs: Sequence[object] | None = None,
    ) -> Any:
        """Empty the folders: those that are mounted can't be removed."""
        emptied = [f"find {shlex.quote(str(d))} -mindepth 1 -delete 2>/dev/null" for d in remove_dirs]
        made = [f"mkdir -p {shlex.quote(str(d))}" for d in create_dirs]
        return await self.exec("; ".join([*emptied, " && ".join(made) or "true"]))

    async def upload_file(self, source_path: Path | str, target_path: str) -> None:
        """Put a file into the box."""
        path = Path(source_path)
        await asyncio.to_thread(
            self.open_box.write, target_path, path.read_bytes(), path.stat().st_mode & 0o777
        )

    async def upload_dir(self, source_dir: Path | str, target_dir: str) -> None:
        """Put a folder's contents into the box."""
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as archive:
            archive.add(str(source_dir), arcname=".")
        script = 'mkdir -p "$0" && tar -xf - --no-same-owner -C "$0"'
        command = ["bash", "-c", script, target_dir]
        done = await asyncio.to_thread(self.open_box.exec, command, stdin=data.getvalue())
        if not done.ok:
            raise RuntimeError(f"{target_dir}: {done.output.decode('utf-8', 'replace')}")

    async def download_file(self, source_path: str, target_path: Path | str) -> None:
        """Fetch a file from the box."""
        data = await asyncio.to_thread(self.open_box.read, source_path)
        Path(target_path).parent.mkdir(parents=True, exist_ok=True)
        Path(target_path).write_bytes(data)

    async def download_dir(self, source_dir: str, target_dir: Path | str) -> None:
        """Fetch a folder's contents from the box; what an archive may not hold is refused."""
        packed = "/tmp/.ise-download.tar"
        done = await self.exec(f"tar -cf {packed} -C {shlex.quote(source_dir)} . 2>&1")
        if done.return_code:
            raise RuntimeError(f"{source_dir}: {done.stdout}")
        data = await asyncio.to_thread(self.open_box.read, packed)
        await asyncio.to_thread(self.open_box.remove, packed)
        Path(target_dir).mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            archive.extractall(target_dir, filter="data")


class ISEVerifier(BaseVerifier):  # type: ignore[misc]
    """Our checks, from outside of the box: ``reward`` is the share of sub-goals, beside each of them.

    An episode with our user was verified while it was played, turn by turn: its record is what counts. In a task of
    steps every sub-goal is told at each step (``multi_step_reward_strategy = "final"``).
    """

    async def verify(self) -> Any:
        """Return the rewards."""
        return await asyncio.to_thread(self._verified)

    def _verified(self) -> Any:
        place = self.environment
        if place.played is not None:
            return _rewards(place.played.subgoals)
        requests = place.scenario.requests
        at = len(requests) - 1 if self.step_name is None else int(self.step_name.split("-")[0]) - 1
        place.board = place.board or GoalBoard(place.scenario)
        return _rewards(judge(place.board, place.open_box, at))


def _rewards(verdicts: dict[str, bool]) -> Any:
    share = sum(verdicts.values()) / max(1, len(verdicts))
    return VerifierResult(rewards={"reward": share, **{name: float(held) for name, held in verdicts.items()}})


class ISEAgent(BaseAgent):  # type: ignore[misc]
    """Any agent of ours, in a whole episode with our user; leaves an ATIF trajectory.

    Args:
        agent: as of `ise rollout --agent`; ``user``: as of ``--user``; ``run_seed``: as of ``--seed``.
        store: folder of a trajectory store for our own record.
    """

    capabilities: ClassVar[Any] = AgentCapabilities(atif=True)

    def __init__(
        self,
        *args: object,
        agent: str = "expert",
        user: str = "scripted",
        run_seed: int = 0,
        store: str = "",
        **more: object,
    ) -> None:
        super().__init__(*args, **more)
        self.spec, self.user, self.run_seed, self.store = agent, user, int(run_seed), store

    @staticmethod
    def name() -> str:
        """Return the name of this kind."""
        return "ise-gym"

    def version(self) -> str:
        """Return the version of this package."""
        from ise_gym import __version__

        return __version__

    async def setup(self, environment: object) -> None:
        """Nothing is installed: the agent acts through our tools."""

    async def run(self, instruction: str, environment: BaseEnvironment, context: AgentContext) -> None:
        """Play the episode in the environment's box."""
        record = await asyncio.to_thread(self._played, environment)
        (self.logs_dir / "trajectory.json").write_text(json.dumps(to_atif(record)), encoding="utf-8")
        if record.outcome == "infrastructure_error":
            raise RuntimeError(f"the environment broke: {record.reason}")
        environment.played = record
        context.n_input_tokens = record.counts.get("prompt_tokens")
        context.n_output_tokens = record.counts.get("completion_tokens")
        context.metadata = {"outcome": record.outcome, "counts": record.counts}

    def _played(self, environment: BaseEnvironment) -> Trajectory:
        scenario = environment.scenario
        env = ISEEnv(workspace=environment.open_box, user=self.user)
        with closing(make_agent(self.spec)) as agent:
            record = play_episode(env, agent, scenario, episode_seed(self.run_seed, scenario.id, 0))
        if self.store:
            with TrajectoryStore(self.store) as store:
                store.append(record)
        return record
