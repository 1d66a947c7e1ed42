"""Which checkpoint is whole. A run that is killed while it saves leaves a folder that looks like one and is not.

After a checkpoint is written by all processes, the first one seals it: ``complete.json`` lists every file with its
size and checksum. Going on takes the newest folder that is as its seal says; younger ones are moved aside under
another name, never deleted.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import zlib
from pathlib import Path

from transformers import TrainerCallback

from ise_gym.storage.atomic import replacing
from ise_gym.training.running import ranks
from ise_gym.training.running.moments import Arguments, State

SEAL = "complete.json"
_NAME = re.compile(r"checkpoint-(\d+)")
_PIECE = 1 << 22


class Sealer(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Seals every checkpoint that the trainer saves, and only then removes old ones.

    Args:
        keep: whole checkpoints that stay; the best one stays besides, where the trainer knows it.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep

    def on_save(self, args: Arguments, state: State, control: object, **kwargs: object) -> None:
        """Wait until all processes have written their part, then seal it."""
        ranks.wait()
        if state.is_world_process_zero:
            newest = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            seal(newest)
            best = {Path(state.best_model_checkpoint).name} if state.best_model_checkpoint else set()
            for _, old in _numbered(newest.parent)[: -self._keep]:
                if old.name not in best:
                    shutil.rmtree(old)
        ranks.wait()


def seal(folder: Path) -> None:
    """Write the list of a checkpoint's files with sizes in bytes and CRC-32, after they have reached the disk."""
    files = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SEAL):
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
        files[file.relative_to(folder).as_posix()] = [file.stat().st_size, _checksum(file)]
    with replacing(folder / SEAL) as target:
        target.write((json.dumps(files, indent=1) + "\n").encode())


def damage_of(folder: Path) -> str | None:
    """Say what is wrong with a checkpoint, or None."""
    try:
        files = json.loads((folder / SEAL).read_text(encoding="utf-8"))
        for name, (size, checksum) in files.items():
            file = folder / name
            if not file.is_file():
                return f"{name} is missing"
            if file.stat().st_size != size:
                return f"{name} has {file.stat().st_size} of {size} bytes"
            if _checksum(file) != checksum:
                return f"{name} is not what was written"
    except FileNotFoundError:
        return "it was not written to its end"
    except (ValueError, TypeError, AttributeError) as error:
        return f"{SEAL} is not readable ({error})"
    return None


def newest_whole(checkpoints: Path) -> tuple[Path | None, list[str]]:
    """Find the newest whole checkpoint; move damaged ones above it aside.

    Returns:
        The folder, or None where there is none; and a sentence for each one that was passed over.
    """
    notes: list[str] = []
    for _, folder in reversed(_numbered(checkpoints)):
        damage = damage_of(folder)
        if damage is None:
            return folder, notes
        notes.append(f"{folder.name} is damaged ({damage}); moved to {_aside(folder).name}")
    return None, notes


def _numbered(checkpoints: Path) -> list[tuple[int, Path]]:
    """Return (step, folder) of what has a checkpoint's name, oldest first."""
    return sorted(
        (int(match[1]), path)
        for path in (checkpoints.iterdir() if checkpoints.is_dir() else ())
        if path.is_dir() and (match := _NAME.fullmatch(path.name))
    )


def _aside(folder: Path) -> Path:
    """Rename a damaged checkpoint so that neither we nor the trainer take it for one."""
    number = 0
    while (target := folder.with_name(f"damaged-{folder.name}" + (f".{number}" if number else ""))).exists():
        number += 1
    return folder.rename(target)


def _checksum(file: Path) -> int:
    value = 0
    with file.open("rb") as stream:
        while piece := stream.read(_PIECE):
            value = zlib.crc32(piece, value)
    return value
