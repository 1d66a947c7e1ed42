"""Where a workspace's boxes come from: started when needed or ahead, empty or with a template in them.

A box starts from its template in one of two ways that behave alike: it is mounted under the box, or copied into it. A
snapshot holds the whole tree, so what is to be restored or forked goes into an empty box.
"""

from __future__ import annotations

import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

from ise_gym.errors import WorkspaceError
from ise_gym.workspace.client.channel import Channel
from ise_gym.workspace.client.trees import TreeClient
from ise_gym.workspace.isolation import launcher
from ise_gym.workspace.snapshots.template import Template, template_tree


class Box(ABC):
    """One live sandbox: a channel to its init and a way to end it."""

    channel: Channel

    @abstractmethod
    def kill(self) -> None:
        """End every process in the box now."""

    @abstractmethod
    def dispose(self) -> None:
        """Wait for the end after `kill` and give back what the box held. Idempotent."""

    def overwhelmed(self) -> str:
        """Say how the commands inside ended the box, as by taking all of its memory; "" where that is not known."""
        return ""


class TemplateRefused(WorkspaceError):
    """A template can't be mounted under a box here: the message says which step failed."""


class BoxSupply:
    """Boxes of one workspace.

    Args:
        start: starts a box on the launcher thread, with a template mounted in it; None: an empty box that has room
            for a copy. It may raise `TemplateRefused`.
        template: what boxes start from; None for an empty folder.
        budget: bytes to hash, see `TreeClient`.
        copied_because: why the template is copied; "" to mount it.
    """

    def __init__(
        self,
        start: Callable[[Template | None], Box],
        template: Template | None,
        budget: int,
        copied_because: str,
    ) -> None:
        self._start = start
        self._template = template
        self._budget = budget
        self._spares: dict[bool, Future[Box]] = {}
        self.copied_because = copied_because

    def first(self) -> Box:
        """Start the first box; a template that can't be mounted under it is copied from then on."""
        try:
            return self._launch(filled=True).result()
        except TemplateRefused as problem:
            self.copied_because = str(problem)
        return self._launch(filled=True).result()

    def take(self, filled: bool) -> Future[Box]:
        """Return a box that was made ahead, or one that starts now; ``filled``: with the template in it."""
        return self._spares.pop(self._kind(filled), None) or self._launch(filled)

    def keep(self, filled: bool) -> None:
        """Have the next box of a kind made while an episode runs."""
        kind = self._kind(filled)
        if kind not in self._spares:
            self._spares[kind] = self._launch(filled)

    def close(self) -> None:
        """End the boxes that nobody took."""
        spares, self._spares = self._spares, {}
        for spare in spares.values():
            end(spare)

    def _kind(self, filled: bool) -> bool:
        return filled and self._template is not None

    def _launch(self, filled: bool) -> Future[Box]:
        template = self._template if filled else None
        if template is None or not self.copied_because:
            return launcher.submit(partial(self._start, template))
        return self._copy_into(launcher.submit(partial(self._start, None)), template)

    def _copy_into(self, starting: Future[Box], template: Template) -> Future[Box]:
        """Fill a box on a thread of its own: the launcher has other boxes to start."""
        filled: Future[Box] = Future()

        def fill() -> None:
            try:
                box = starting.result()
            except BaseException as error:
                filled.set_exception(error)
                return
            try:
                tree, contents = template_tree(template)
                TreeClient(box.channel.request, self._budget, template.entries).plant(
                    [tree], contents, "template"
                )
            except BaseException as error:
                box.kill()
                box.dispose()
                filled.set_exception(error)
            else:
                filled.set_result(box)

        threading.Thread(target=fill, name="ise-template", daemon=True).start()
        return filled


def end(starting: Future[Box]) -> None:
    """End a box that nobody uses."""
    with contextlib.suppress(WorkspaceError, OSError):  # one that never came up is nothing to end
        box = starting.result()
        box.kill()
        box.dispose()
