"""An agent that solves one of the benchmark's sandbox tasks: a database whose write-ahead log is damaged."""

from __future__ import annotations

import json

from model_server import Answer

SANDBOX_TASKS = [
    "T100_reverse_decoder",
    "T101_wal_recovery",
    "T102_xss_filter",
    "T103_schema_migration",
    "T104_packet_decoder",
]
RECOVERED = "T101_wal_recovery"

RECOVER = """
import json, sqlite3
path = "/workspace/fixtures/test.db"
wal = bytearray(open(path + "-wal", "rb").read())
page = int.from_bytes(wal[8:12], "big")
for at in range(32, len(wal), 24 + page):
    wal[at + 8 : at + 16] = wal[16:24]
open(path + "-wal", "wb").write(wal)
rows = sqlite3.connect(path).execute("select id, name, value from items order by id").fetchall()
json.dump([dict(zip(("id", "name", "value"), row)) for row in rows], open("/workspace/recovered.json", "w"))
print(len(rows))
"""
"""Gives the frames of a write-ahead log the salt that its header names, then reads the database."""


def recovery(number: int) -> Answer:
    """Answer the first request with the solution's one call, and what follows with words: for `ModelServer`."""
    if number > 1:
        return "All records are back."
    arguments = json.dumps({"command": f"python3 - <<'END'\n{RECOVER}\nEND"})
    call = {"id": "c1", "type": "function", "function": {"name": "Bash", "arguments": arguments}}
    return {"role": "assistant", "content": "", "tool_calls": [call]}
