"""Files that are edited as text: read within a bound, and never left in two encodings at once.

An edit keeps the bytes that it does not touch. In a file that is not UTF-8 its new text has to be ASCII, which nearly
every encoding writes alike; anything else would put UTF-8 into a GBK file and report success.
"""

from __future__ import annotations

from ise_gym.tools.output import in_box_path
from ise_gym.workspace.base import Workspace

MOST_BYTES = 16 << 20
"""Size of a file that can be edited."""


class TooLargeError(Exception):
    """A file that is too large to be edited."""


def editable_text(workspace: Workspace, path: str) -> str:
    """Return a file's text; bytes that are not UTF-8 come through as lone surrogates (PEP 383).

    Raises:
        OSError: the file can't be read.
        TooLargeError: it is larger than `MOST_BYTES`.
    """
    data = workspace.read(in_box_path(path), 0, MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise TooLargeError(f"larger than {MOST_BYTES >> 20} MB: use exec with sed or a script")
    return data.decode("utf-8", "surrogateescape")


def encoding_problem(text: str, new: str) -> str:
    """Say why ``new`` can't be written into a file that holds ``text``; "" when it can."""
    if new.isascii() or not any("\udc80" <= c <= "\udcff" for c in text):
        return ""
    return (
        "the file is not UTF-8, and the new text has characters that would be written as UTF-8 into it. Convert the "
        "file first (iconv -f GBK -t UTF-8), or change it with a script that knows its encoding."
    )
