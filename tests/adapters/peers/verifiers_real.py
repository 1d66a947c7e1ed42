"""`vf-eval` with a real model behind a real server; prints what its traces and our records hold."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from faulty import plumbing
from verifiers_eval import evaluated

where, url, model = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
traces = evaluated(where, url, model, 2, "--sampling.max-tokens", "64", "--sampling.temperature", "0")
said = {
    trace.task.data.name: [
        node.message.content or "" for node in trace.nodes if node.message.role == "assistant"
    ]
    for trace in traces
}
assert all(trace.ok for trace in traces), [trace.last_error for trace in traces]
print(json.dumps(plumbing(where / "store", said)))
