"""`vf-eval` against an endpoint with faults; prints what our records and its traces say of each."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from endpoint import serve
from faulty import PLAYED, faults, recorded
from scripted import SOURCE, Many
from verifiers_eval import evaluated

from ise_gym.adapters.seat import Tasks

where = Path(sys.argv[1])
tasks = Tasks(SOURCE)
url, server = serve(Many(tasks, PLAYED, "expert"), faults(tasks))
traces = evaluated(where, url, "scripted", len(PLAYED), "--env.agent.harness.request-timeout-s", "1")
server.shutdown()
found = {trace.task.data.name: [trace.ok, trace.reward, str(trace.last_error)] for trace in traces}
for kind, name, *of_record in recorded(tasks, where / "store"):
    print(json.dumps([kind, *of_record, *found[name]]))
