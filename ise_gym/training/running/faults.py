"""Turns what a machine does to a long run into one line: a full disk, or GPU memory that is used up."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from ise_gym.errors import UserError

_FULL = (
    "No space left on device",
    "Disk quota exceeded",
    # torch.save, which does not pass on the system's reason
    "PytorchStreamWriter failed writing",
    "inline_container.cc",
)


@contextlib.contextmanager
def spoken_faults(output: Path) -> Iterator[None]:
    """Raise a `UserError` where the block ends for want of disk or of GPU memory.

    Args:
        output: the run's folder, named in the message.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if is_full_disk(error):
            raise UserError(
                f"the disk below {output} is full: what was being written is not complete. Checkpoints that were "
                "written before are whole: free some space and go on with resume=true"
            ) from error
        if type(error).__name__ == "OutOfMemoryError":
            raise UserError(
                "the GPU's memory is full. Lower train.batch_size or data.max_length, set "
                "train.gradient_checkpointing=true, or spread the base over several cards (docs/training.md)"
            ) from error
        raise


def is_full_disk(error: BaseException) -> bool:
    """Whether an error, or one that it came from, says that a disk or a quota is used up."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if any(words in str(seen) for words in _FULL):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
