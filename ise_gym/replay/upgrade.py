"""Copies a store into the present schema version, each record with the scenario that it was played from.

A record of before scenarios were kept names a catalog, and only that catalog gives its scenario again. So this is done
while it still does: what was copied replays under any later catalog.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ise_gym.errors import UserError
from ise_gym.replay.episode import Rebuild, catalog_scenario
from ise_gym.scenario import Scenario, ScenarioSource
from ise_gym.scenario.carried import carries, packed
from ise_gym.trajectory.record import Trajectory, to_line
from ise_gym.trajectory.store import OWN_KEYS, TrajectoryStore, parse_line, raw_records, read_manifest


@dataclass
class Upgraded:
    """What came of it.

    Attributes:
        written: records with a scenario that was drawn again. ``had``: that carried theirs already.
        already: that stood in the new store before.
        without: episode id → why its scenario can't be had; its record was copied as it is.
        bytes_before, bytes_after: of all lines that were copied.
    """

    written: int = 0
    had: int = 0
    already: int = 0
    without: dict[str, str] = field(default_factory=dict)
    bytes_before: int = 0
    bytes_after: int = 0

    @property
    def episodes(self) -> int:
        """How many were looked at."""
        return self.written + self.had + self.already + len(self.without)


def upgrade(
    store: str | Path,
    out: str | Path,
    *,
    rebuild: Rebuild = catalog_scenario,
    on_record: Callable[[Upgraded], None] | None = None,
) -> Upgraded:
    """Copy a store; what an interrupted copy lacks is added by the next call.

    Args:
        store: its folder, or a JSONL file; stays as it is.
        out: folder of the new store.
        rebuild: gives the scenario of a record that carries none, or raises `UserError`.
        on_record: called after each record.

    Raises:
        UserError: nothing there, a bad line, or another store in ``out``.
    """
    source, target = Path(store), Path(out)
    if source.resolve() == target.resolve():
        raise UserError(
            f"{out}: that is the store itself, which is never changed in place: give another folder."
        )
    manifest = read_manifest(source) if source.is_dir() else {}
    told = {key: value for key, value in manifest.items() if key not in OWN_KEYS}
    done = Upgraded()
    with TrajectoryStore(
        target,
        run=manifest.get("run", {}),
        told=told,
        compression=manifest.get("compression", "none"),
    ) as new:
        known = new.ids() | new.failed_ids()
        for failures in (False, True) if source.is_dir() else (False,):
            for file, number, line in raw_records(source, failures=failures):
                record = parse_line(line, f"{file}, line {number}")
                if record.episode_id in known:
                    done.already += 1
                else:
                    after = to_line(with_scenario(record, rebuild, done))
                    new.append_line(after, failed=record.outcome == "infrastructure_error")
                    done.bytes_before += len(line)
                    done.bytes_after += len(after)
                if on_record is not None:
                    on_record(done)
    return done


def with_scenario(record: Trajectory, rebuild: Rebuild, done: Upgraded) -> Trajectory:
    """Return a record with its scenario, where it can be had, and count it."""
    if carries(record.scenario):
        done.had += 1
        return record
    try:
        scenario = rebuild(record)
    except UserError as problem:
        done.without[record.episode_id] = str(problem)
        return record
    done.written += 1
    return record.model_copy(update={"scenario": packed(scenario)})


class FromSource:
    """Gives a record the scenario that a source has under the same id and words: an intents file that was worded anew.

    Args:
        source: with ``ids()``, as intent files and suites have.
    """

    def __init__(self, source: ScenarioSource) -> None:
        self._source = source
        self._places = {name: place for place, name in enumerate(getattr(source, "ids", list)())}

    def __call__(self, record: Trajectory) -> Scenario:
        """Return the scenario.

        Raises:
            UserError: the source has none of this id, or it reads differently.
        """
        if record.scenario_id not in self._places:
            raise UserError(f"{self._source.name} has no scenario '{record.scenario_id}'")
        scenario = self._source.scenario(self._places[record.scenario_id])
        if scenario.intent != record.intent:
            raise UserError(f"{self._source.name} words '{record.scenario_id}' differently")
        return scenario
