"""What the parts of a workspace on this side have in common: a way to ask the box's init.

Why a contract of its own: files, processes and a shell are clients of a box, and know no more of it than this.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Protocol

from ise_gym.workspace.client.channel import Reply
from ise_gym.workspace.values import Limits


class Call(Protocol):
    """How a request reaches an init: `Channel.request`, or what stands before it."""

    def __call__(self, op: str, body: bytes = b"", *, timeout: float = 60.0, **header: object) -> Reply:
        """Send a request and return its reply."""
        ...


class Link(ABC):
    """One box, as its clients see it."""

    limits: Limits

    @property
    @abstractmethod
    def alive(self) -> bool:
        """True while the box answers."""

    @abstractmethod
    def request(self, op: str, body: bytes = b"", *, timeout: float = 60.0, **header: object) -> Reply:
        """Send a request to the init; a silent or dead box raises `WorkspaceError`."""


@contextlib.contextmanager
def naming(path: str) -> Iterator[None]:
    """Put a path into file errors."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
