"""`inspect eval` against an endpoint with faults; prints what our records say of each."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from endpoint import serve
from faulty import PLAYED, faults, recorded
from inspect_eval import evaluated
from scripted import SOURCE, Many

from ise_gym.adapters.seat import Tasks

where = Path(sys.argv[1])
tasks = Tasks(SOURCE)
url, server = serve(Many(tasks, PLAYED, "expert"), faults(tasks))
limits = ["-T", "request_timeout_s=5", "--max-retries", "0", "--no-fail-on-error"]
log = evaluated("ise_episodes", url, where, len(PLAYED), "-T", f"store={where / 'store'}", *limits)
server.shutdown()
found = {
    sample.id: (sample.error is None, sample.scores["subgoals"].value["score"] if sample.scores else None)
    for sample in log.samples
}
for kind, name, *of_record in recorded(tasks, where / "store"):
    print(json.dumps([kind, *of_record, *found[name]]))
