"""What one task of an intent hands to another: "mail the report you just wrote".

A task names what it makes (`outputs`) and what it can be given (`inputs`, with a start file of its own for when
nobody gives it anything). Which inputs are given is for the intent to say (`ise_gym.intents.chaining`); here is how
the wording then speaks of the earlier product.
"""

from __future__ import annotations

import posixpath
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ise_gym.scenario import Register

_EARLIER: Mapping[Register, Sequence[str]] = {
    "casual": ("from before", "you just did", "from a minute ago"),
    "collaborative": ("from earlier", "you just prepared", "we have just finished"),
    "analytical": ("from the earlier step", "produced earlier", "from the previous item"),
    "formal": ("prepared earlier", "you have just prepared", "mentioned earlier"),
}


@dataclass(frozen=True)
class Product:
    """What one task hands to another.

    Attributes:
        path: relative to the workspace.
        kind: table, json, text, script, config, image, sound, archive, page or folder.
        what: what the user calls it, a noun with its article.
        name: the same before the conversation has come to it, where `what` says more ("… from earlier").
    """

    path: str
    kind: str
    what: str
    name: str = ""

    def unrecalled(self) -> Product:
        """Return it as somebody speaks of it who hasn't asked for it yet: "the script pulse", not yet pulse.py."""
        return replace(self, what=(self.name or self.what).removesuffix(posixpath.splitext(self.path)[1]))

    def scope(self) -> dict[str, str]:
        """Return what expressions see under the input's name."""
        return {"path": self.path, "name": posixpath.basename(self.path), "what": self.what}

    def recalled(self, register: Register, rng: random.Random) -> Product:
        """Return it as a later request speaks of it."""
        return replace(self, what=f"{self.what} {rng.choice(_EARLIER[register])}", name=self.what)
