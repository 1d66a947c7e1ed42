"""What the models of several services share: names, moments, and faults that stand before a site."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Host = Annotated[str, Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")]
Moment = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d$")]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")]


class FaultModel(_Model):
    """A fault that is counted, not timed: the same requests always meet the same answers.

    Attributes:
        path: glob over the path and query.
        method: only this one; any when empty.
        status: what is answered instead; 0 with ``cut`` closes the connection in the middle of the right answer.
        times: how many matching requests meet it; None for all.
        after: how many matching requests go well first.
    """

    path: str = "*"
    method: str = ""
    status: Annotated[int, Field(ge=200, le=599)] = 503
    times: Annotated[int, Field(ge=1)] | None = 1
    after: Annotated[int, Field(ge=0)] = 0
    body: str = ""
    headers: dict[str, str] = Field(default_factory=dict)
    cut: bool = False
