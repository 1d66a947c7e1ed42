"""Whether records last longer than the catalog that drew them.

    python benchmarks/convert.py [--episodes 300] [--store DIR] [--workers 2] [--json FILE]

Takes records without scenarios (those of a store, or episodes of the scripted expert that are played now and stripped
of theirs), writes the scenarios into them the way ``ise upgrade`` does, and replays the copy three times: as it is,
under a catalog to which five tasks were added, and, for comparison, without their scenarios under that catalog. Prints
how many of them replay, their domains, and the bytes of a record before and after. Exits with 1 unless all of the copy
replay.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from catalog_slice import Slice  # noqa: E402

from grown_catalog import grown  # noqa: E402
from ise_gym.replay.episode import recorded_scenario  # noqa: E402
from ise_gym.replay.store import Options, Summary, replay_store  # noqa: E402
from ise_gym.replay.upgrade import upgrade  # noqa: E402
from ise_gym.rollout.run import run  # noqa: E402
from ise_gym.rollout.spec import RolloutSpec, agent_factory, env_factory  # noqa: E402
from ise_gym.scenario import Scenario  # noqa: E402
from ise_gym.trajectory.record import Trajectory  # noqa: E402
from ise_gym.trajectory.store import TrajectoryStore, read_trajectories  # noqa: E402

_held: list[Any] = []


def under_a_grown_catalog(trajectory: Trajectory) -> Scenario:
    """Give a record's scenario in a process whose catalog has five tasks more."""
    if not _held:
        block = grown(Path(tempfile.mkdtemp(prefix="ise-grown-")))
        block.__enter__()
        _held.append(block)
    return recorded_scenario(trajectory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--episodes", type=int, default=300)
    parser.add_argument("--store", type=Path, help="records of before; without it, episodes are played")
    parser.add_argument("--agent", default="expert")
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder for the stores; a temporary one without it")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ise-convert-") as aside:
        folder = given.keep or aside
        older, new = Path(folder) / "older", Path(folder) / "new"
        taken = given.store or played(given, Path(folder) / "played")
        domains = strip(taken, older, given.episodes)
        begun = time.monotonic()
        done = upgrade(older, new)
        seconds = time.monotonic() - begun
        later = Options(rebuild=under_a_grown_catalog)
        found = {
            "episodes": done.episodes,
            "domains": len(domains),
            "got their scenario": done.written,
            "bytes a record before": round(done.bytes_before / max(1, done.episodes)),
            "bytes a record after": round(done.bytes_after / max(1, done.episodes)),
            "seconds to write them": round(seconds, 1),
            "replay, today's catalog": of(replay_store(new, workers=given.workers)),
            "replay, five tasks more": of(replay_store(new, workers=given.workers, options=later)),
            "the same without scenarios": of(replay_store(older, workers=given.workers, options=later)),
        }
    for name, value in found.items():
        print(f"{name:28} {value}")
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")
    whole = f"{done.episodes} of {done.episodes}"
    if not all(found[name].startswith(whole) for name in found if name.startswith("replay")):  # type: ignore[attr-defined]
        raise SystemExit(1)


def played(given: argparse.Namespace, store: Path) -> Path:
    """Play the catalog's first scenarios."""
    spec = RolloutSpec(Slice(given.start, given.episodes), agent_factory(given.agent), env_factory())
    run(spec, store, describe={}, workers=given.workers)
    return store


def strip(store: Path, out: Path, limit: int) -> set[str]:
    """Copy records without their scenarios; return their domains."""
    domains: set[str] = set()
    with TrajectoryStore(out) as kept:
        for number, record in enumerate(read_trajectories(store)):
            if number == limit:
                break
            kept.append(record.model_copy(update={"scenario": {}}))
            domains |= set(record.domains)
    return domains


def of(summary: Summary) -> str:
    """Say how many replay, and how the others ended."""
    held = summary.statuses["identical"] + summary.statuses["equal by rule"]
    for result in summary.failed:
        if (found := result.difference) is not None:
            where = f"step {found.step}, {found.tool} {found.arguments[:200]}: {found.what}"
            print(f"{result.episode_id}: {where}\n{found.diff()}", file=sys.stderr)
    parts = [f"{number} {status}" for status, number in summary.statuses.items() if number]
    return f"{held} of {summary.episodes} ({', '.join(parts)}; {summary.digests} digests)"


if __name__ == "__main__":
    main()
