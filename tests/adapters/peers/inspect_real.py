"""`inspect eval` with a real model behind a real server; prints what its log and our records hold."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from faulty import plumbing
from inspect_eval import evaluated

where, url, model = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
limits = ["--max-tokens", "64", "--temperature", "0", "-T", f"store={where / 'store'}"]
log = evaluated("ise_episodes", url, where, 2, *limits, model=model)
said = {sample.id: [m.text for m in sample.messages if m.role == "assistant"] for sample in log.samples}
assert not any(sample.error for sample in log.samples)
print(json.dumps(plumbing(where / "store", said)))
