"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
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
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            yield file
        draft.replace(target)
    except OSError as error:
        raise UserError(f"{target}: can't be written ({error.strerror}).") from error
    finally:
        with contextlib.suppress(OSError):  # it isn't there: moved, or its folder never existed
            draft.unlink()
