"""Seeds of parts, derived from what names the part: Python's own ``hash()`` differs between processes."""

from __future__ import annotations

import hashlib

from ise_gym.foreign.values import Json
from ise_gym.messages import canonical_json


def derive_seed(*parts: Json) -> int:
    """Return a 64-bit seed from JSON-able parts, the same in every process and on every machine (by SHA-256).

    >>> derive_seed("a", 1) == derive_seed("a", 1) != derive_seed("a", "1")
    True
    """
    digest = hashlib.sha256(canonical_json(list(parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big")
