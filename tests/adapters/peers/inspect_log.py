"""Writes a store as a log, reads it back with inspect_ai, and prints what it found there."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from inspect_ai.log import read_eval_log

from ise_gym.adapters.inspect_logs import write_log

store, where = map(Path, sys.argv[1:])
write_log(store, where / "a.eval")
write_log(store, where / "b.eval")
one, other = (read_eval_log(str(where / f"{name}.eval"), resolve_attachments="full") for name in "ab")
for sample, same in zip(one.samples, other.samples, strict=True):
    times = [event.timestamp for event in sample.events]
    print(
        json.dumps(
            {
                "id": sample.id,
                "words": [m.text for m in sample.messages],
                "score": sample.scores["score"].value,
                "subgoals": sample.scores["subgoals"].value,
                "turns": sum(
                    event.event == "span_begin" and event.name.startswith("user turn")
                    for event in sample.events
                ),
                "flips": sum(event.event == "score" and bool(event.intermediate) for event in sample.events),
                "ordered": times == sorted(times) and all("." in t.isoformat() for t in times),
                "again": sample.model_dump() == same.model_dump(),
                "limit": sample.limit and sample.limit.type,
            }
        )
    )
