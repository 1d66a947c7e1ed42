"""What is noted of each step while an episode is played: its record, and the wall time of its parts.

These stand below the episode because both the state machine and the trajectory's record are built of them.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from ise_gym.messages import Message


class Sparse(BaseModel):
    """Leaves the fields named in ``_sparse`` out where they are empty, so that a record is the same with and without.

    A field that is added under a version that is out must be one of these: what has nothing to say keeps its bytes.
    """

    model_config = ConfigDict(extra="forbid")
    _sparse: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _without_empty(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        data: dict[str, Any] = handler(self)
        for name in self._sparse:
            value = getattr(self, name)
            if value is None or value in ("", [], {}):
                data.pop(name, None)
        return data


class Completion(Sparse):
    """What a model's server said of one assistant message, as it said it; absent where no model spoke.

    Attributes:
        finish: why it ended, in the server's word (``stop``, ``tool_calls``, ``length``, ``MAX_TOKENS``, …).
        ended: what that word means: ``stop``; ``cut`` (for its length); ``filtered`` (by the provider); ``broken``
            (the server gave up on it); "" where nothing was said.
        usage: tokens of the answer as reported: prompt, completion, cached.
        model: as the server names it, which tells a dated version from an alias.
        said: the model's own words, where calls or thinking were read out of them.
        faults: what had to be fixed or could not be read (``arguments``, ``surrogate``, ``call in words``,
            ``continued``); a message with one of the first two is not taught.
        prompt_token_ids, token_ids: what was read and what was sampled, where the server gives it.
        logprobs: natural logarithm of the probability of each sampled token.
    """

    finish: str = ""
    ended: Literal["", "stop", "cut", "filtered", "broken"] = ""
    usage: dict[str, int] = Field(default_factory=dict)
    model: str = ""
    said: str = ""
    faults: list[str] = Field(default_factory=list)
    prompt_token_ids: list[int] = Field(default_factory=list)
    token_ids: list[int] = Field(default_factory=list)
    logprobs: list[float] = Field(default_factory=list)

    _sparse = (
        "finish",
        "ended",
        "usage",
        "model",
        "said",
        "faults",
        "prompt_token_ids",
        "token_ids",
        "logprobs",
    )


class FileChanges(Sparse):
    """What one step did to the workspace's files and folders, by path.

    ``diffs`` are unified, bounded, and of text files only (of others the sizes are told); ``more`` counts the paths
    that are not named, since there are so many. Empty for a step that changed nothing.
    """

    created: list[str] = Field(default_factory=list)
    changed: list[str] = Field(default_factory=list)
    deleted: list[str] = Field(default_factory=list)
    diffs: dict[str, str] = Field(default_factory=dict)
    more: int | None = None

    _sparse = ("created", "changed", "deleted", "diffs", "more")


class Step(Sparse):
    """One `env.step`: the assistant message at ``message`` (index into ``messages``) and what followed.

    ``completion`` is what the server said of the message; ``files`` what the step changed; ``flipped`` the sub-goals
    whose verdict it changed, and what it is now.
    """

    message: int
    reward: float
    digest: str = ""
    score: float = 0.0
    error: str = ""
    completion: Completion | None = None
    files: FileChanges | None = None
    flipped: dict[str, bool] = Field(default_factory=dict)

    _sparse = ("completion", "files", "flipped")


class Received(Sparse):
    """When the answer for one assistant message came: what differs from run to run.

    ``session`` is the key of a sub-session, "" for the main conversation; ``id`` is the server's id of the response;
    ``tries`` counts the requests that it took.
    """

    message: int
    session: str = ""
    id: str = ""
    seconds: float = 0.0
    tries: int = 1

    _sparse = ("session", "id")


class Timings(Sparse):
    """All that differs between two runs of the same episode. Seconds; ``started_at`` is ISO UTC."""

    started_at: str = ""
    total_s: float = 0.0
    agent_s: float = 0.0
    tools_s: float = 0.0
    user_s: float = 0.0
    checks_s: float = 0.0
    reset_s: float = 0.0
    step_s: list[float] = Field(default_factory=list)
    received: list[Received] = Field(default_factory=list)

    _sparse = ("received",)


def received(message: Message, position: int, session: str = "") -> tuple[Completion | None, Received | None]:
    """Take apart what an agent put beside its message: what the record keeps of it, and what differs from run to run.

    Args:
        message: an assistant message; without the key ``completion`` (nobody's server spoke) both are None.
        position: its index in the conversation. ``session``: that conversation's key, "" for the main one.
    """
    given = message.get("completion")
    if not given:
        return None, None
    apart = {name: given[name] for name in ("id", "seconds", "tries") if name in given}
    kept = {name: value for name, value in given.items() if name in Completion.model_fields}
    return Completion.model_validate(kept), Received(message=position, session=session, **apart)


@contextlib.contextmanager
def timed(timings: Timings, name: str) -> Iterator[None]:
    """Add the wall time of a block to one field of the timings, also when the block raises."""
    begun = time.monotonic()
    try:
        yield
    finally:
        setattr(timings, name, getattr(timings, name) + time.monotonic() - begun)
