"""A drawn task at its two stages: drafted (parameters and words), then complete (all that an episode needs).

A pool of intents needs only drafts; who has a `TaskInstance` in hand has files, services, checks and plans as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ise_gym.scenario import Request
from ise_gym.services.spec import ServiceSpec
from ise_gym.tasks.products import Product
from ise_gym.workspace.base import SeedFile

Split = Literal["", "train", "eval"]
EVAL_SHARE = 0.2
"""The share of all possible draws of a task that belong to the eval split."""


@dataclass(frozen=True)
class DraftedTask:
    """What was drawn for a task, and the words for it.

    Attributes:
        task: catalog name; ``label`` differs from it only where one scenario holds a task twice.
        fingerprint: hash of what was drawn (without `root`): equal for instances that are the same work.
        parameters: everything expressions can name.
        requests: those that are asked, with their wordings.
        chained: the inputs that an earlier task of the intent provides.
        outputs: what a later task may be given, made by the requests that are asked.
        gists: what the task is about, in one phrase each.
    """

    task: str
    label: str
    seed: int
    root: str
    fingerprint: str
    parameters: Mapping[str, Any]
    requests: tuple[Request, ...]
    chained: Mapping[str, Product]
    outputs: Mapping[str, Product]
    gists: tuple[str, ...]


@dataclass(frozen=True)
class TaskInstance(DraftedTask):
    """A drafted task with all that an executed episode needs; its requests have sub-goals, plans and replies.

    Attributes:
        files, services: what is there at the start.
        tools: those that the task offers beside the default ones.
    """

    files: tuple[SeedFile, ...]
    services: tuple[ServiceSpec, ...]
    tools: tuple[str, ...]


def split_of(fingerprint: str) -> Split:
    """Return the split that an instance belongs to: fixed by its fingerprint, so the two never share one."""
    return "eval" if int(fingerprint[:8], 16) < EVAL_SHARE * 2**32 else "train"
