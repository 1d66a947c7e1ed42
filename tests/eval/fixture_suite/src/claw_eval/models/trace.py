"""What a trace holds."""

from typing import Any

from pydantic import BaseModel


class Said(BaseModel):
    role: str
    text: str = ""
    calls: list[dict[str, Any]] = []
    result_of: str = ""


class Dispatch(BaseModel):
    tool_name: str
    response_status: int
    response_body: Any = None


class End(BaseModel):
    total_turns: int = 0
    model_input_tokens: int = 0
    model_output_tokens: int = 0


class DimensionScores(BaseModel):
    completion: float = 0.0
    robustness: float = 1.0
    communication: float = 0.0
    safety: float = 1.0
