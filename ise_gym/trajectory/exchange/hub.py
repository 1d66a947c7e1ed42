"""Publishes a store as a dataset of the Hugging Face hub: Parquet files and a card, in one commit.

Nothing leaves the machine before every episode was scanned; what looks like a credential or personal data stops the
upload unless it is allowed by name of the option.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from huggingface_hub import HfApi

from ise_gym.errors import UserError
from ise_gym.trajectory.exchange.card import Actors, dataset_card
from ise_gym.trajectory.exchange.export import Exported, trl_rows
from ise_gym.trajectory.exchange.parquet import write_parquet
from ise_gym.trajectory.record import Trajectory
from ise_gym.trajectory.stats import Stats
from ise_gym.trajectory.store import read_trajectories

CARD = "README.md"


@dataclass
class Prepared:
    """A folder that is ready to be uploaded.

    Attributes:
        rows: split → how many rows; what was delegated in an episode is a row of its own.
        findings: kind → how often something looked like a credential or personal data.
    """

    folder: Path
    rows: dict[str, int] = field(default_factory=dict)
    findings: Counter[str] = field(default_factory=Counter)


def prepare(
    store: str | Path, folder: str | Path, name: str, *, passed_only: bool = False, license: str = ""
) -> Prepared:
    """Write ``data/SPLIT.parquet`` and the card; constant memory, one pass a split.

    Splits are those of the episodes' intents; episodes without one are ``train``.

    Raises:
        UserError: a bad store, nothing to publish, or `datasets` is missing.
    """
    made = Prepared(Path(folder))
    stats, actors, counts = Stats(), Actors(), Exported()
    splits = sorted({_split(t) for t in read_trajectories(store) if _kept(t, passed_only)}, key=_train_first)
    if not splits:
        raise UserError(f"{store}: it has no episodes{' that passed' if passed_only else ''} to publish.")

    def of(split: str) -> Iterator[Trajectory]:
        mine = (t for t in read_trajectories(store) if _split(t) == split)
        for trajectory in counts.watch(mine, passed_only):
            stats.add(trajectory)
            actors.add(trajectory)
            yield trajectory

    for split in splits:
        made.rows[split] = write_parquet(trl_rows(of(split)), made.folder / "data" / f"{split}.parquet")
    made.findings = counts.secrets + counts.personal
    card = dataset_card(
        name,
        stats,
        actors,
        {split: [f"data/{split}.parquet"] for split in splits},
        findings=made.findings,
        license=license,
    )
    (made.folder / CARD).write_text(card, encoding="utf-8")
    return made


def push_to_hub(
    store: str | Path,
    name: str,
    *,
    passed_only: bool = False,
    public: bool = False,
    allow_findings: bool = False,
    license: str = "",
) -> tuple[Prepared, str]:
    """Publish a store's episodes; private unless ``public``.

    The token is the one of ``hf auth login`` or ``HF_TOKEN``; ``HF_ENDPOINT`` names another hub.

    Args:
        store: a store folder or a JSONL file of trajectories.
        name: ``owner/name``; made when it does not exist.
        passed_only: leave out episodes that did not pass.
        public: make a new repository public.
        allow_findings: publish although something looks like a credential or personal data.
        license: identifier for the card.

    Returns:
        What was published, and its address.

    Raises:
        UserError: findings, a bad name, no permission, or the hub can't be reached.
    """
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise UserError(
            "Publishing needs huggingface_hub, which is not installed: pip install 'ise-gym[train]'."
        ) from error
    if name.count("/") != 1 or not all(name.split("/")):
        raise UserError(f"--push-to-hub {name}: write owner/name.")
    with TemporaryDirectory(prefix="ise-hub-") as folder:
        made = prepare(store, folder, name, passed_only=passed_only, license=license)
        if made.findings and not allow_findings:
            found = ", ".join(f"{kind}: {count}" for kind, count in made.findings.most_common())
            raise UserError(
                f"Nothing was published: the episodes hold what looks like credentials or personal data ({found}). "
                "`ise filter --no-secrets` leaves credentials out; --allow-findings publishes anyway."
            )
        return made, _upload(HfApi(), name, made.folder, public)


def _upload(api: HfApi, name: str, folder: Path, public: bool) -> str:
    import httpx
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    try:
        api.create_repo(name, repo_type="dataset", private=not public, exist_ok=True)
        done = api.upload_folder(
            repo_id=name,
            repo_type="dataset",
            folder_path=folder,
            commit_message="Episodes recorded with ise_gym",
            delete_patterns="data/*.parquet",
        )
    except (HfHubHTTPError, HFValidationError, OfflineModeIsEnabled, httpx.TransportError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0][:300]
        raise UserError(
            f"{name}: the hub refused or can't be reached ({first}). Check HF_TOKEN (or `hf auth login`) and the name."
        ) from error
    return str(done.commit_url)


def _kept(trajectory: Trajectory, passed_only: bool) -> bool:
    return not passed_only or trajectory.outcome == "passed"


def _split(trajectory: Trajectory) -> str:
    return trajectory.split or "train"


def _train_first(split: str) -> tuple[bool, str]:
    return split != "train", split
