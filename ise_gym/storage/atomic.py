"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ise_gym.errors import UserError


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[BinaryIO]:
    """Write a file beside its place and move it there when the block ends well.

    Missing folders are made. When the block raises, what was at ``path`` is still there, untouched.

    Raises:
        UserError: the file can't be written; says where and why.
    """
    target = Path(path)
    if target.is_dir():  # said now, not after all the work of the block
        raise UserError(f"{target}: can't be written: it is a folder, not a file.")
    draft = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_native_id()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            yield file
        draft.replace(target)
    except OSError as error:
        if (blocked := file_above(target)) is not None:
            raise UserError(f"{target}: can't be written: {blocked} is a file, not a folder.") from error
        raise UserError(f"{target}: can't be written ({error.strerror}).") from error
    finally:
        with contextlib.suppress(OSError):  # it isn't there: moved, or its folder never existed
            draft.unlink()


def file_above(path: Path) -> Path | None:
    """Return the file that stands where ``path`` needs a folder, if there is one."""
    return next((parent for parent in path.parents if parent.is_file()), None)
