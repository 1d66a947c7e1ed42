"""Reads a trace back."""

import json
from pathlib import Path

from ..models.trace import AuditSnapshot, ToolDispatch, TraceEnd, TraceMessage, TraceStart

KINDS = {
    "trace_start": TraceStart,
    "message": TraceMessage,
    "tool_dispatch": ToolDispatch,
    "audit_snapshot": AuditSnapshot,
    "trace_end": TraceEnd,
}


def load_trace(path):
    found = {kind: [] for kind in KINDS}
    for line in Path(path).read_text(encoding="utf-8").splitlines():
        value = json.loads(line)
        found[value["type"]].append(KINDS[value["type"]].model_validate(value))
    audit = {event.service_name: event.audit_data for event in found["audit_snapshot"]}
    ends = found["trace_end"]
    return (
        found["trace_start"][0],
        found["message"],
        found["tool_dispatch"],
        [],
        ends[0] if ends else None,
        audit,
    )
