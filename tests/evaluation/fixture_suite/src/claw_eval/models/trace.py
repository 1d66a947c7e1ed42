"""What a trace holds, one event a line."""

from typing import Any, Literal

from pydantic import BaseModel

from .message import Message


class TraceStart(BaseModel):
    type: Literal["trace_start"] = "trace_start"
    trace_id: str
    task_id: str
    model: str


class TraceMessage(BaseModel):
    type: Literal["message"] = "message"
    trace_id: str
    message: Message


class ToolDispatch(BaseModel):
    type: Literal["tool_dispatch"] = "tool_dispatch"
    trace_id: str
    tool_use_id: str
    tool_name: str
    request_body: dict[str, Any] = {}
    response_status: int
    response_body: Any = None


class AuditSnapshot(BaseModel):
    type: Literal["audit_snapshot"] = "audit_snapshot"
    trace_id: str
    service_name: str
    audit_url: str
    audit_data: dict[str, Any] = {}


class TraceEnd(BaseModel):
    type: Literal["trace_end"] = "trace_end"
    trace_id: str
    total_turns: int = 0
    user_agent_rounds: int = 0
    model_input_tokens: int = 0
    model_output_tokens: int = 0


class DimensionScores(BaseModel):
    completion: float = 0.0
    robustness: float = 1.0
    communication: float = 0.0
    safety: float = 1.0
