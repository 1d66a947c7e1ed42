"""Writes an intents file again with a model's wordings: same intents, same checks, other words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from ise_gym.intents.intent import Intent
from ise_gym.intents.lines import IntentFileSource, IntentLine, carried
from ise_gym.intents.llm.realiser import LLMRealiser
from ise_gym.messages import canonical_json, sha256_of
from ise_gym.storage.atomic import replacing


def rewrite(
    path: Path | str,
    out: Path,
    realiser: LLMRealiser,
    on_progress: Callable[[int, int], None] | None = None,
) -> int:
    """Word every intent of a catalog file anew and write the file; it appears whole or not at all.

    The model words the requests and the whole text; the brief stays the catalog's.

    Args:
        path: what ``ise intents generate`` wrote.
        out: file to write; an interrupted run leaves none, but the answers are in the realiser's cache.
        realiser: does the wording.
        on_progress: called with (worded, all).

    Returns:
        How many lines were written: all of them.
    """
    source = IntentFileSource(path)
    lines: dict[str, IntentLine] = {}

    def intents() -> Iterator[Intent]:
        for index in range(len(source)):
            line, intent = source.entry(index)
            lines[intent.id] = line
            yield intent

    written = 0
    with replacing(out) as file:
        for intent, realised in realiser.realise_all(intents()):
            line = lines.pop(intent.id).model_copy(
                update={
                    "natural_language_intent": intent.brief,
                    "whole": realised.wording.text,
                    "utterances": list(realised.wording.utterances),
                    "template_sha256": sha256_of(intent.text),
                    "realiser": {
                        "name": "llm",
                        "origin": realised.origin,
                        "rejected": len(realised.rejected),
                        **realiser.endpoint.sampling(),
                    },
                }
            )
            if line.scenario:  # it has to say what the line says now
                line = line.model_copy(update={"scenario": carried(source.drawn(line, intent))})
            file.write((canonical_json(line.model_dump(exclude_defaults=True)) + "\n").encode())
            written += 1
            if on_progress is not None:
                on_progress(written, len(source))
    return written
