"""Keeps a pool of intents free of duplicates: exact, then normalised, then near ones by MinHash LSH.

The first two cost nothing and remove what reads the same; the third (the ``datasketch`` library) removes
intents that share most of their word sequences. The first of a group stays. Every stage counts what it
removed and keeps some examples, so that a report can show what "duplicate" meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal, get_args

from ise_gym.errors import UserError, nearest
from ise_gym.messages import sha256_of

Dedup = Literal["none", "exact", "normalised", "minhash"]
STAGES: tuple[Dedup, ...] = get_args(Dedup)
THRESHOLD = 0.7
"""Estimated Jaccard similarity of word 4-grams from which two intents count as the same."""

_PERMUTATIONS, _SHINGLE, _EXAMPLES, _EXCERPT = 128, 4, 5, 160


def normalised(text: str) -> str:
    """Reduce a text to its words: case, punctuation and spacing are dropped.

    >>> normalised("Hi!  Sort  a/b.csv, please.") == normalised("hi sort a/b.csv please")
    True
    """
    return " ".join(word.strip(".,;:!?()[]\"'–—-*•").casefold() for word in text.split()).strip()


def signature(text: str) -> Any:
    """Return the MinHash signature of a text: 128 unsigned integers (a NumPy array).

    Raises:
        UserError: the ``datasketch`` library is not installed.
    """
    minhash = _datasketch().MinHash(num_perm=_PERMUTATIONS, seed=1, scheme="affine32")
    words = normalised(text).split()
    last = max(1, len(words) - _SHINGLE + 1)
    minhash.update_batch([" ".join(words[i : i + _SHINGLE]).encode() for i in range(last)])
    return minhash.hashvalues


@dataclass
class Deduplicator:
    """Decides intent by intent, in order; `report` says what happened.

    Attributes:
        upto: the last stage that is applied.
        threshold: of the MinHash stage.
    """

    upto: Dedup = "normalised"
    threshold: float = THRESHOLD
    removed: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[dict[str, str]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stages: Sequence[Dedup] = stages(self.upto)
        self.removed = dict.fromkeys(self.stages, 0)
        self.examples = {stage: [] for stage in self.stages}
        self._seen: dict[Dedup, dict[bytes, str]] = {stage: {} for stage in self.stages}
        self._signatures: dict[str, Any] = {}
        if "minhash" in self.stages:
            self._index = _datasketch().MinHashLSH(threshold=self.threshold, num_perm=_PERMUTATIONS)

    def admit(self, id_: str, text: str, minhash: object = None) -> bool:
        """Return whether an intent is new, and remember it if so; ``minhash`` is its `signature` if known."""
        keys: dict[Dedup, bytes] = {}
        for stage in self.stages:
            if stage == "minhash":
                if twin := self._near(id_, text, minhash):
                    return self._refuse(stage, id_, twin, text)
                continue
            keys[stage] = bytes.fromhex(sha256_of(text if stage == "exact" else normalised(text))[:32])
            if twin := self._seen[stage].get(keys[stage]):
                return self._refuse(stage, id_, twin, text)
        for stage, key in keys.items():
            self._seen[stage][key] = id_
        return True

    def report(self) -> dict[str, Any]:
        """Return stage → how many it removed, and examples: ids of removed and kept, the beginning of the text."""
        return {
            stage: {"removed": self.removed[stage], "examples": self.examples[stage]} for stage in self.stages
        }

    def _near(self, id_: str, text: str, values: object) -> str | None:
        return self.twin(id_, signature(text) if values is None else values)

    def twin(self, id_: str, values: object) -> str | None:
        """Return the id of a kept text whose signature is nearly this one; else remember this one."""
        import numpy as np

        lean = _datasketch().LeanMinHash
        own = lean(seed=1, hashvalues=np.asarray(values, np.uint32), scheme="affine32")
        for candidate in sorted(self._index.query(own)):
            if own.jaccard(self._signatures[candidate]) >= self.threshold:
                return str(candidate)
        self._index.insert(id_, own)
        self._signatures[id_] = own
        return None

    def _refuse(self, stage: Dedup, id_: str, twin: str, text: str) -> bool:
        self.removed[stage] += 1
        if len(self.examples[stage]) < _EXAMPLES:
            self.examples[stage].append({"removed": id_, "kept": twin, "text": text[:_EXCERPT]})
        return False


def stages(upto: str) -> Sequence[Dedup]:
    """Return the stages up to one, in order.

    Raises:
        UserError: no such stage.
    """
    if upto not in STAGES:
        raise UserError(f"dedup '{upto}' is none of {', '.join(STAGES)}.{nearest(upto, STAGES)}")
    return STAGES[1 : STAGES.index(upto) + 1]


def deepest_available() -> Dedup:
    """Return the last stage that this installation can run: MinHash needs the ``datasketch`` library."""
    return "minhash" if find_spec("datasketch") else "normalised"


def _datasketch() -> Any:
    try:
        import datasketch
    except ImportError:
        raise UserError(
            "dedup 'minhash' needs the datasketch library: pip install 'ise-gym[dedup]', "
            "or choose dedup 'normalised'"
        ) from None
    return datasketch
