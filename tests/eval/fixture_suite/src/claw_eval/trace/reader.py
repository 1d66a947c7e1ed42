"""Reads a trace back."""

import json
from pathlib import Path

from ..models.trace import Dispatch, End, Said


def load_trace(path):
    value = json.loads(Path(path).read_text(encoding="utf-8"))
    messages = [Said(**m) for m in value["messages"]]
    return (
        None,
        messages,
        [Dispatch(**d) for d in value["dispatches"]],
        [],
        End(**value["end"]),
        value["audit"],
    )
